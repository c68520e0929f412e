package bus

import (
	"maps"
	"slices"
	"strings"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
)

// User is one who may connect to NATS, with all that is allowed to them there. What is not in it is refused: see
// [Users], from which the server's configuration is made.
type User struct {
	Name string // also what their inboxes begin with: _INBOX_<name>
	// Publish and Subscribe are the subjects that they may use; Never those of Publish that they may not use all the same.
	Publish, Subscribe, Never []string
	// Account is that which the user connects to. Only [AccountThreads] has what the services work on: the others are let in
	// to what their users may publish to and what they receive, one subject at a time.
	Account  string
	Receives []string // among Subscribe, the subjects on which messages come from [AccountThreads]
}

// The accounts of the NATS server. Permissions cover the subject that a message is sent to, and not where JetStream puts
// what was asked for: the subject for an answer, and that to which a consumer delivers, are of the asker's choosing. So
// those who are not of the core have accounts of their own, and whatever they name is looked for in there.
const (
	AccountThreads = "THREADS" // the streams, and the services that work on them
	AccountFacts   = "FACTS"   // a copy of EVENTS, and nobody: consumers made there can deliver to nothing
	AccountGateway = "GATEWAY" // the service that anybody may call
	AccountGuests  = "GUESTS"  // other teams
)

// CopyAPI is where those who may find JetStream of [AccountFacts], instead of $JS.API.
const CopyAPI = "threads.copy"

// The users that are not services.
const (
	UserMigrate    = "migrate"    // makes and changes streams, durables and buckets; nobody else does
	UserOps        = "ops"        // the tools that look, replay and heal
	UserBackup     = "backup"     // copies EVENTS and DEAD away, and brings them back
	UserSubscriber = "subscriber" // other teams: they read events, and nothing else
)

// duty is what a service does on the bus besides reading its durables, which are those of [events.Durables] that it
// owns.
type duty struct {
	events  []string // the nouns of the events that it emits
	answers []string // the nouns of the questions that it answers
	alarms  []string // the nouns of the alarms that it sets
	buckets []string
	purges  []string // the streams of which it may erase subjects
	sorts   []string // the streams out of which it takes single messages, after reading them
	reads   []string // the streams that it reads beside any durable: message by message, and by readers of its own
	surveys bool     // it tells operators how far every durable is behind
	fronts  bool     // anybody may call it: it sends every command, and asks every question
}

// duties are the services. A message whose noun is not in it can be sent by nobody; a test says so.
var duties = map[string]duty{
	"gateway": {
		fronts: true,
		reads:  []string{events.StreamEvents}, // for its live streams
	},
	"auth": {
		events:  []string{"account"},
		answers: []string{"account", "connection", "oauth", "profile", "ticket", "webhook"},
		buckets: []string{events.BucketOAuthStates, events.BucketTickets},
		purges:  []string{events.StreamEvents, events.StreamDead, events.StreamTokenAlarms}, // erasure
		sorts:   []string{events.StreamDead},                                                // whose a dead command is, only its body says
	},
	"publisher": {
		events:  []string{"post", "account"}, // of an account: that Threads no longer takes its token
		answers: []string{"command", "history", "hook", "insights", "limits", "mention", "post", "reply", "search"},
		alarms:  []string{"post"},
		purges:  []string{events.StreamCommands}, // what was stored to try it
		reads:   []string{events.StreamEvents},   // at its start, and after a restore
		surveys: true,
	},
	"tokenkeeper": {
		events: []string{"account"},
		alarms: []string{"token"},
	},
}

// Users is everybody who may connect, in the order of their names.
func Users() []User {
	users := []User{migrateUser(), opsUser(), backupUser()}
	for _, name := range guests {
		users = append(users, guestUser(name))
	}
	for _, name := range slices.Sorted(maps.Keys(duties)) {
		users = append(users, serviceUser(name, duties[name]))
	}
	slices.SortFunc(users, func(a, b User) int { return strings.Compare(a.Name, b.Name) })
	for i := range users {
		u := &users[i]
		u.Publish, u.Subscribe, u.Never, u.Receives = tidy(u.Publish), tidy(u.Subscribe), tidy(u.Never), tidy(u.Receives)
	}
	return users
}

// receive allows to subscribe to subjects that are not an inbox.
func (u *User) receive(subjects ...string) {
	u.Receives = append(u.Receives, subjects...)
	u.Subscribe = append(u.Subscribe, subjects...)
}

// Finds is the name under which the user finds a subject of ours. An account without JetStream has a $JS.API of its own,
// which only says so; the server takes what is sent there to [events.GuestAPI].
func (u User) Finds(subject string) string {
	if rest, ok := strings.CutPrefix(subject, "$JS.API."); ok && u.Account != AccountThreads {
		return events.GuestAPI + "." + rest
	}
	return subject
}

// From is the account that answers what the user sends to a subject of Publish, and the name that the subject has there.
func (u User) From(subject string) (account, there string) {
	rest, copied := strings.CutPrefix(subject, CopyAPI+".")
	switch {
	case copied:
		return AccountFacts, "$JS.API." + rest
	case u.Account == AccountThreads:
		return AccountThreads, subject
	case u.Account == AccountGuests, strings.HasPrefix(subject, "$JS.API.CONSUMER."):
		return AccountFacts, subject
	}
	return AccountThreads, subject
}

func newUser(name string) User {
	return User{Name: name, Account: AccountThreads, Subscribe: []string{inboxes(name)}}
}

func serviceUser(name string, d duty) User {
	u := newUser(name)
	u.see(events.StreamEvents) // [Bus.Healthy] asks for it
	if d.fronts {
		u.Account = AccountGateway
		u.receive(inboxes(name)) // outcomes of commands come there
		u.see(events.StreamCommands)
		u.copied("STREAM.INFO." + events.StreamEvents)
		u.Publish = append(u.Publish, everyCommand()...)
		u.Publish = append(u.Publish, probe(events.StreamCommands, name))
		u.Publish = append(u.Publish, asks.Questions("*"))
	}
	for _, own := range events.Durables() {
		if own.Owner() == name {
			u.work(own)
		}
	}
	for _, other := range events.Durables() {
		if d.surveys {
			u.api("CONSUMER.INFO." + other.Stream + "." + other.Config.Durable)
		}
	}
	for _, noun := range d.events {
		u.Publish = append(u.Publish, eventSubjects(noun)...)
	}
	for _, noun := range d.answers {
		u.receive(asks.Questions(noun), "$SRV.>")
		u.reply()
		u.Publish = append(u.Publish, "_R_.>") // as the server calls the inboxes of those who ask from another account
	}
	for _, noun := range d.alarms {
		u.Publish = append(u.Publish, events.Alarms(noun)...)
		stream := events.AlarmStream(noun)
		u.see(stream)
		u.api("STREAM.PURGE." + stream) // an alarm is taken back by erasing its subject
	}
	for _, bucket := range d.buckets {
		stream := "KV_" + bucket
		u.see(stream)
		u.api("DIRECT.GET." + stream + ".>")
		u.Publish = append(u.Publish, "$KV."+bucket+".>")
	}
	for _, stream := range d.purges {
		u.see(stream)
		u.api("STREAM.PURGE." + stream)
		if stream == events.StreamEvents {
			u.copied("STREAM.INFO."+stream, "STREAM.PURGE."+stream)
		}
	}
	for _, stream := range d.sorts {
		u.see(stream)
		u.api("STREAM.MSG.GET."+stream, "STREAM.MSG.DELETE."+stream)
	}
	for _, stream := range d.reads {
		u.read(stream)
		u.forget(stream)
	}
	return u
}

func migrateUser() User {
	u := newUser(UserMigrate)
	u.api("INFO")
	var streams []string
	for _, s := range events.Streams(1, 0) {
		streams = append(streams, s.Name)
		if s.AllowMsgSchedules { // made anew when a deployment grows, see makeWay; rows refill them
			u.api("STREAM.DELETE." + s.Name)
		}
	}
	for _, b := range events.Buckets(1) {
		streams = append(streams, "KV_"+b.Bucket)
	}
	for _, s := range streams {
		u.see(s)
		u.api("STREAM.CREATE."+s, "STREAM.UPDATE."+s)
	}
	for _, d := range events.Durables() {
		at := d.Stream + "." + d.Config.Durable
		u.api("CONSUMER.INFO."+at, "CONSUMER.CREATE."+at, "CONSUMER.CREATE."+at+".>")
	}
	u.Publish = append(u.Publish, events.PostTickAlarm, events.TokenTickAlarm, events.TokenSweepAlarm)
	// The copy of EVENTS, and the readers that it takes over from where they read before there was one.
	u.api("CONSUMER.LIST." + events.StreamEvents)
	for _, request := range []string{"STREAM.INFO.%", "STREAM.CREATE.%", "STREAM.UPDATE.%", "STREAM.DELETE.%",
		"CONSUMER.LIST.%", "CONSUMER.INFO.%.*", "CONSUMER.CREATE.%.*", "CONSUMER.CREATE.%.*.>"} {
		u.copied(strings.ReplaceAll(request, "%", events.StreamEvents))
	}
	return u
}

func opsUser() User {
	u := newUser(UserOps)
	u.api("INFO", "STREAM.NAMES", "STREAM.LIST", "CONSUMER.NAMES.*", "CONSUMER.LIST.*", "CONSUMER.INFO.*.*")
	for _, s := range events.Streams(1, 0) {
		u.see(s.Name)
		u.api("STREAM.MSG.GET." + s.Name)
		if subject := probe(s.Name, UserOps); subject != "" {
			u.Publish = append(u.Publish, subject)
		}
	}
	for _, s := range []string{events.StreamEvents, events.StreamDead} {
		u.read(s)
		u.forget(s)
	}
	u.api("STREAM.MSG.DELETE." + events.StreamDead)
	u.Publish = append(u.Publish, everyCommand()...) // a dead one is given back
	u.Publish = append(u.Publish, events.EveryReplay, "$SRV.>")
	// pause, resume and reconcile emit what they change, and what a crash left out; import-original what it took over.
	u.Publish = append(u.Publish, slices.Concat(eventSubjects("post"), eventSubjects("account"))...)
	u.receive(events.EveryReplay)
	return u
}

// Whoever copies streams away, and brings them back. It cannot read an alarm stream or a command, and cannot bring back a stream that is
// there: the server refuses that.
func backupUser() User {
	u := newUser(UserBackup)
	u.api("INFO") // the nats CLI asks for it first
	for _, stream := range []string{events.StreamEvents, events.StreamDead} {
		u.see(stream)
		u.api("STREAM.SNAPSHOT."+stream, "STREAM.RESTORE."+stream, "CONSUMER.NAMES."+stream, "CONSUMER.LIST."+stream)
		// The pieces of a copy are acknowledged, and come back, on subjects that the server makes.
		u.Publish = append(u.Publish, "$JS.SNAPSHOT.ACK."+stream+".>", "$JS.SNAPSHOT.RESTORE."+stream+".>")
	}
	return u
}

// guests are the users of other teams. docs/events.md says how there comes to be one more.
var guests = []string{UserSubscriber}

// A guest may make readers and durables of its own on EVENTS, and never touch ours.
func guestUser(name string) User {
	u := newUser(name)
	u.Account = AccountGuests
	u.read(events.StreamEvents)
	u.forget(events.StreamEvents) // a guest tidies up after itself
	u.Publish = slices.DeleteFunc(u.Publish, func(s string) bool { return strings.Contains(s, ".MSG.GET.") })
	u.Publish = append(u.Publish, acks(events.StreamEvents, "*")...)
	for _, d := range events.Durables() {
		if d.Stream == events.StreamEvents {
			u.Never = append(u.Never, acks(d.Stream, d.Config.Durable)...)
		}
	}
	u.receive(events.EveryReplay)
	return u
}

// api allows requests of JetStream.
func (u *User) api(requests ...string) {
	for _, r := range requests {
		u.Publish = append(u.Publish, "$JS.API."+r)
	}
}

// copied allows requests of JetStream that are about the copy of EVENTS.
func (u *User) copied(requests ...string) {
	for _, r := range requests {
		u.Publish = append(u.Publish, CopyAPI+"."+r)
	}
}

// see allows to look at a stream's settings and extent.
func (u *User) see(stream string) { u.api("STREAM.INFO." + stream) }

// work allows all that [Bus.Handle] does with a durable: to fetch and acknowledge its messages, to send a command's
// outcome to whoever waits for it, and to store a dead letter.
func (u *User) work(d events.Durable) {
	u.see(d.Stream)
	u.see(events.StreamDead)
	at := d.Stream + "." + d.Config.Durable
	u.api("CONSUMER.INFO."+at, "CONSUMER.MSG.NEXT."+at)
	u.Publish = append(u.Publish, acks(d.Stream, d.Config.Durable)...)
	for _, filter := range d.Config.FilterSubjects {
		u.Publish = append(u.Publish, events.Dead(filter))
	}
	if d.Stream == events.StreamCommands {
		u.reply()
	}
}

// reply allows to answer those who ask and command.
func (u *User) reply() {
	for name, d := range duties {
		if d.fronts {
			u.Publish = append(u.Publish, inboxes(name))
		}
	}
	u.Publish = append(u.Publish, inboxes(UserOps)) // it may ask how the answering goes
}

// read allows to read a stream by readers of one's own. A reader is confined to its stream, and the durables of the
// services are out of its reach.
func (u *User) read(stream string) {
	u.see(stream)
	u.api("STREAM.MSG.GET."+stream, "CONSUMER.CREATE."+stream+".*", "CONSUMER.CREATE."+stream+".*.>",
		"CONSUMER.INFO."+stream+".*", "CONSUMER.MSG.NEXT."+stream+".*")
	for _, d := range events.Durables() {
		if d.Stream != stream || d.Owner() == u.Name {
			continue
		}
		at := stream + "." + d.Config.Durable
		for _, request := range []string{"CREATE." + at, "CREATE." + at + ".>", "MSG.NEXT." + at, "DELETE." + at} {
			u.Never = append(u.Never, "$JS.API.CONSUMER."+request)
		}
	}
}

// forget allows to take readers of one's own from the server. The services' durables are out of reach here too; their
// own as well, for nobody deletes a durable.
func (u *User) forget(stream string) {
	u.api("CONSUMER.DELETE." + stream + ".*")
	for _, d := range events.Durables() {
		if d.Stream == stream {
			u.Never = append(u.Never, "$JS.API.CONSUMER.DELETE."+stream+"."+d.Config.Durable)
		}
	}
}

// acks are the subjects on which a consumer's messages are acknowledged: as they are now, and as servers will have them.
func acks(stream, consumer string) []string {
	return []string{"$JS.ACK." + stream + "." + consumer + ".>", "$JS.ACK.*.*." + stream + "." + consumer + ".>"}
}

func inboxes(name string) string { return "_INBOX_" + name + ".>" }

func everyCommand() (subjects []string) {
	for _, msg := range events.All() {
		if _, ok := msg.(events.Command); ok {
			subjects = append(subjects, msg.Subject())
		}
	}
	return subjects
}

// eventSubjects are the subjects of every registered event of a noun.
func eventSubjects(noun string) (subjects []string) {
	for _, msg := range events.All() {
		if _, ok := msg.(events.Event); !ok {
			continue
		}
		words := strings.Split(msg.Subject(), ".") // an empty message: its ids are empty words
		if words[2] != noun {
			continue
		}
		for i := range words {
			if words[i] == "" {
				words[i] = "*"
			}
		}
		subjects = append(subjects, strings.Join(words, "."))
	}
	return subjects
}

func tidy(subjects []string) []string {
	slices.Sort(subjects)
	return slices.Compact(subjects)
}
