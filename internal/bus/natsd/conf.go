package natsd

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
)

// PasswordOf is the name under which the configuration looks for a user's password.
func PasswordOf(user string) string { return "NATS_PASSWORD_" + strings.ToUpper(user) }

const confHead = `# The NATS server of this system: its streams, and its users with what each of them may do.
# Made from internal/bus/permissions.go by: go test ./internal/bus/natsd -update
#
# The passwords are in a file of their own beside this one, secrets/nats_passwords, a line for each user; "go run . secrets"
# makes it. A line may also name a variable of the environment (NATS_PASSWORD_AUTH: $SOME_NAME) or hold a bcrypt hash.
# To speak TLS, use a file that includes this one and adds a tls block; docs/operations.md shows it whole.
#
# The streams are in the directory "data" where the server is started, or where --store_dir says.

include secrets/nats_passwords

port: 4222
http: "127.0.0.1:8222" # for the health check alone

# A client that says nothing is cut off within some ten seconds: what it asked for goes to others.
ping_interval: "5s"
ping_max: 2

jetstream {
  store_dir: "data"
  sync_interval: always # an accepted command is on the disk before it is acknowledged
}

`

// Configuration makes nats.conf, which compose.yaml uses, from the users of the bus. A test keeps the file the same.
func Configuration() string {
	accounts := map[string]*account{}
	of := func(name string) *account {
		if accounts[name] == nil {
			accounts[name] = &account{services: map[string][]string{}, streams: map[string][]string{}}
		}
		return accounts[name]
	}
	for _, u := range bus.Users() {
		mine := of(u.Account)
		mine.users = append(mine.users, u)
		for _, s := range u.Publish {
			from, there := u.From(s)
			if from == u.Account {
				continue
			}
			of(from).services[there] = append(of(from).services[there], u.Account)
			mine.take(fmt.Sprintf("service: { account: %s, subject: %q }, to: %q", from, there, u.Finds(s)))
		}
		if u.Account == bus.AccountThreads {
			continue
		}
		for _, s := range u.Receives {
			of(bus.AccountThreads).streams[s] = append(of(bus.AccountThreads).streams[s], u.Account)
			mine.take(fmt.Sprintf("stream: { account: %s, subject: %q }", bus.AccountThreads, s))
		}
	}
	// What the server itself does to keep the copy.
	facts, threads := of(bus.AccountFacts), of(bus.AccountThreads)
	for _, request := range []string{"CREATE." + events.StreamEvents, "CREATE." + events.StreamEvents + ".>", "DELETE." + events.StreamEvents + ".*"} {
		s := "$JS.API.CONSUMER." + request
		threads.services[s] = append(threads.services[s], bus.AccountFacts)
		facts.take(fmt.Sprintf("service: { account: %s, subject: %q }, to: %q", bus.AccountThreads, s, bus.OriginAPI+".CONSUMER."+request))
	}
	flow := "$JS.FC." + events.StreamEvents + ".>"
	threads.services[flow] = append(threads.services[flow], bus.AccountFacts)
	facts.take(fmt.Sprintf("service: { account: %s, subject: %q }", bus.AccountThreads, flow))
	copying := bus.CopyDelivery + ".>"
	threads.streams[copying] = append(threads.streams[copying], bus.AccountFacts)
	facts.take(fmt.Sprintf("stream: { account: %s, subject: %q }", bus.AccountThreads, copying))

	b := &strings.Builder{}
	b.WriteString(confHead + "accounts {\n")
	accounts[bus.AccountThreads].write(b, bus.AccountThreads, true, "The streams, the services that work on them, and those who run them.")
	accounts[bus.AccountFacts].write(b, bus.AccountFacts, true,
		"A copy of EVENTS for those who read. Nobody connects here, so what a reader has delivered or answered goes nowhere but to the reader.")
	accounts[bus.AccountGateway].write(b, bus.AccountGateway, false, "The service that strangers speak to. It sees what it imports, and the answers to what it asked.")
	accounts[bus.AccountGuests].write(b, bus.AccountGuests, false, "Other teams, who see nothing but what they import, and the answers to what they asked.")
	b.WriteString("}\n")
	return b.String()
}

// account is one that the server keeps apart from the others, with what it lets them have and what it takes from them.
type account struct {
	users             []bus.User
	services, streams map[string][]string // subject: the accounts that may import it
	imports           []string
}

func (a *account) take(what string) {
	if !slices.Contains(a.imports, what) {
		a.imports = append(a.imports, what)
	}
}

func (a *account) write(b *strings.Builder, name string, jetstream bool, about string) {
	fmt.Fprintf(b, "  # %s\n  %s {\n", about, name)
	if jetstream {
		b.WriteString("    jetstream: enabled\n")
	} else { // clients that know of no other API find JetStream all the same
		fmt.Fprintf(b, "    mappings: { \"$JS.API.>\": \"%s.>\" }\n", events.GuestAPI)
	}
	if len(a.users) > 0 {
		b.WriteString("    users: [\n")
		for _, u := range a.users {
			writeUser(b, u)
		}
		b.WriteString("    ]\n")
	}
	if len(a.services)+len(a.streams) > 0 {
		b.WriteString("    exports: [\n")
		for _, s := range slices.Sorted(maps.Keys(a.services)) {
			fmt.Fprintf(b, "      { service: %q, accounts: [%s]%s }\n", s, importers(a.services[s]), streamed(s))
		}
		for _, s := range slices.Sorted(maps.Keys(a.streams)) {
			fmt.Fprintf(b, "      { stream: %q, accounts: [%s] }\n", s, importers(a.streams[s]))
		}
		b.WriteString("    ]\n")
	}
	if len(a.imports) > 0 {
		b.WriteString("    imports: [\n")
		for _, one := range a.imports {
			fmt.Fprintf(b, "      { %s }\n", one)
		}
		b.WriteString("    ]\n")
	}
	b.WriteString("  }\n")
}

func importers(accounts []string) string {
	slices.Sort(accounts)
	return strings.Join(slices.Compact(accounts), ", ")
}

// streamed says of a request that it has more than one answer.
func streamed(subject string) string {
	if strings.Contains(subject, ".CONSUMER.MSG.NEXT.") {
		return ", response: stream"
	}
	return ""
}

func writeUser(b *strings.Builder, u bus.User) {
	fmt.Fprintf(b, "      {\n        user: %s\n        password: $%s\n        permissions: {\n", u.Name, PasswordOf(u.Name))
	fmt.Fprintf(b, "          publish: {\n%s%s          }\n",
		subjects("allow", found(u, u.Publish)), subjects("deny", found(u, u.Never)))
	fmt.Fprintf(b, "          subscribe: {\n%s          }\n        }\n      }\n", subjects("allow", u.Subscribe))
}

// found are subjects under the names by which a user finds them.
func found(u bus.User, all []string) []string {
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = u.Finds(s)
	}
	return names
}

func subjects(verb string, all []string) string {
	if len(all) == 0 {
		return ""
	}
	b := &strings.Builder{}
	fmt.Fprintf(b, "            %s: [\n", verb)
	for _, s := range all {
		fmt.Fprintf(b, "              %s\n", strconv.Quote(s))
	}
	b.WriteString("            ]\n")
	return b.String()
}
