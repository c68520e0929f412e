package natsd

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/omni-write/threads/internal/bus"
)

// PasswordOf is the name under which the configuration looks for a user's password.
func PasswordOf(user string) string { return "NATS_PASSWORD_" + strings.ToUpper(user) }

const confHead = `# The NATS server of this system: its streams, and its users with what each of them may do.
# Made from internal/bus/permissions.go by: go test ./internal/bus/natsd -update
#
# The passwords are in a file of their own beside this one, secrets/nats_passwords, a line for each user; "go run . secrets"
# makes it. A line may also name a variable of the environment (NATS_PASSWORD_AUTH: $SOME_NAME) or hold a bcrypt hash.
# To speak TLS, use a file that includes this one and adds a tls block; docs/operations.md shows it.

include secrets/nats_passwords

port: 4222
http: "127.0.0.1:8222" # for the health check alone

# A client that says nothing is cut off within some ten seconds: what it asked for goes to others.
ping_interval: "5s"
ping_max: 2

jetstream {
  store_dir: /data
  sync_interval: always # an accepted command is on the disk before it is acknowledged
}

`

// Configuration makes nats.conf, which compose.yaml uses, from the users of the bus. A test keeps the file the same.
//
// Guests have an account of their own, which imports what they may ask for. A user may name any subject for the answer to
// a request, and no permission covers that: in our account, an answer could be put on a stream of ours.
func Configuration() string {
	var ours, guests []bus.User
	for _, u := range bus.Users() {
		if u.Guest {
			guests = append(guests, u)
		} else {
			ours = append(ours, u)
		}
	}
	b := &strings.Builder{}
	b.WriteString(confHead + "accounts {\n")
	b.WriteString("  # The services, and those who run them.\n  THREADS {\n    jetstream: enabled\n    users: [\n")
	for _, u := range ours {
		writeUser(b, u)
	}
	b.WriteString("    ]\n    exports: [\n")
	for _, u := range guests {
		for _, s := range u.Publish {
			fmt.Fprintf(b, "      { service: %q, accounts: [GUESTS]%s }\n", s, streamed(s))
		}
		for _, s := range u.Hears {
			fmt.Fprintf(b, "      { stream: %q, accounts: [GUESTS] }\n", s)
		}
	}
	b.WriteString("    ]\n  }\n\n")
	b.WriteString("  # Others, who see nothing but what they import, and answers to what they asked.\n  GUESTS {\n    users: [\n")
	for _, u := range guests {
		writeUser(b, u)
	}
	b.WriteString("    ]\n    imports: [\n")
	for _, u := range guests {
		for _, s := range u.Publish {
			fmt.Fprintf(b, "      { service: { account: THREADS, subject: %q }, to: %q }\n", s, u.Finds(s))
		}
		for _, s := range u.Hears {
			fmt.Fprintf(b, "      { stream: { account: THREADS, subject: %q } }\n", s)
		}
	}
	b.WriteString("    ]\n  }\n}\n")
	return b.String()
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
