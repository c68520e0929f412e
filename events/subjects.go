package events

import (
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Every subject begins with this token.
const prefix = "threads"

// The streams.
const (
	StreamCommands    = "COMMANDS"
	StreamEvents      = "EVENTS"
	StreamPostAlarms  = "POST_ALARMS"
	StreamTokenAlarms = "TOKEN_ALARMS"
	StreamDead        = "DEAD"
)

// The durable consumers, named <service>-<purpose>. Renaming one re-reads its stream.
const (
	PublisherCommands   = "publisher-commands"
	PublisherDue        = "publisher-due"
	PublisherProjector  = "publisher-recorder"
	AuthCommands        = "auth-commands"
	TokenkeeperCommands = "tokenkeeper-commands"
	TokenkeeperDue      = "tokenkeeper-due"
	TokenkeeperAccounts = "tokenkeeper-accounts"
)

// The key-value buckets. Both hold single-use secrets of the OAuth flow, hashed, for minutes.
const (
	BucketOAuthStates = "oauth_states"
	BucketTickets     = "tickets"
)

// The lives of what is kept in the buckets.
const (
	OAuthStateLife = 10 * time.Minute
	TicketLife     = 30 * time.Second
)

// threads.cmd.post.schedule
func command(noun, verb string) string { return prefix + ".cmd." + noun + "." + verb }

// threads.evt.post.acct_01….post_01….published
func postFact(account, post, fact string) string {
	return prefix + ".evt.post." + account + "." + post + "." + fact
}

// threads.evt.account.acct_01….connected
func accountFact(account, fact string) string {
	return prefix + ".evt.account." + account + "." + fact
}

// PostAlarm is where the alarm of a post is kept: threads.alarm.post.post_01…
func PostAlarm(post string) string { return prefix + ".alarm.post." + post }

// PostDue is where a post's alarm goes off: threads.due.post.post_01…
func PostDue(post string) string { return prefix + ".due.post." + post }

// TokenAlarm is where the refresh alarm of an account is kept: threads.alarm.token.acct_01…
func TokenAlarm(account string) string { return prefix + ".alarm.token." + account }

// TokenDue is where an account's refresh alarm goes off: threads.due.token.acct_01…
func TokenDue(account string) string { return prefix + ".due.token." + account }

// EveryFact covers every subject of EVENTS.
const EveryFact = prefix + ".evt.>"

// CommandProbes covers what services store to try whether COMMANDS stores. No durable's filter does, and it lies there for a minute.
const CommandProbes = prefix + ".cmd.probe.*"

// Dead is where a message that nobody could handle is set aside: threads.dead.threads.cmd.post.schedule
func Dead(subject string) string { return prefix + ".dead." + subject }

// The repeating schedules. A tick keeps the server's timer honest after a clock step (it never sleeps longer)
// and its age is the scheduler's liveness; the token sweep looks at every account once a day.
const (
	PostTickAlarm   = prefix + ".alarm.tick.post"
	PostTickDue     = prefix + ".due.tick.post"
	TokenTickAlarm  = prefix + ".alarm.tick.token"
	TokenTickDue    = prefix + ".due.tick.token"
	TokenSweepAlarm = prefix + ".alarm.sweep.token"
	TokenSweepDue   = prefix + ".due.sweep.token"
)

// DuplicateWindow is how long a stream remembers message ids.
const DuplicateWindow = 5 * time.Minute

// Streams is every stream as it must be. replicas is 1 on one machine, 3 in a cluster; maxAge bounds EVENTS
// (0 keeps events for ever).
func Streams(replicas int, maxAge time.Duration) []jetstream.StreamConfig {
	// An alarm is a hint that its row can rebuild, so its stream need not reach the disk before the ack. In a
	// cluster async is not to be had; there the replicas are the safety.
	persist := jetstream.AsyncPersistMode
	if replicas > 1 {
		persist = jetstream.DefaultPersistMode
	}
	alarms := func(name, description string, subjects ...string) jetstream.StreamConfig {
		// No age, size or count limit here, ever: JetStream would drop waiting alarms without a word.
		return jetstream.StreamConfig{
			Name: name, Description: description, Subjects: subjects, Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage,
			Replicas: replicas, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardOld, MaxMsgs: -1, MaxBytes: -1,
			AllowMsgSchedules: true, AllowRollup: true, PersistMode: persist, Duplicates: DuplicateWindow,
		}
	}
	return []jetstream.StreamConfig{
		{
			Name: StreamCommands, Description: "what services are asked to do, until it is done", Subjects: []string{prefix + ".cmd.>"}, Retention: jetstream.WorkQueuePolicy,
			Storage: jetstream.FileStorage, Replicas: replicas,
			// A full stream refuses a command aloud; it never drops one that was accepted.
			Discard: jetstream.DiscardNew, MaxBytes: 1 << 30, MaxMsgs: -1,
			Duplicates: DuplicateWindow, AllowAtomicPublish: true,
		},
		{
			Name: StreamEvents, Description: "every fact of posts and accounts, in order; docs/events.md", Subjects: []string{prefix + ".evt.>"}, Retention: jetstream.LimitsPolicy,
			Storage: jetstream.FileStorage, Replicas: replicas, MaxAge: maxAge, MaxMsgs: -1, MaxBytes: -1,
			DenyDelete: true, AllowAtomicPublish: true, Duplicates: DuplicateWindow, Compression: jetstream.S2Compression,
		},
		alarms(StreamPostAlarms, "when to look at which post; filled from the rows, never to be restored", prefix+".alarm.post.*", prefix+".due.post.*", PostTickAlarm, PostTickDue),
		alarms(StreamTokenAlarms, "when to refresh which token; filled from the rows, never to be restored", prefix+".alarm.token.*", prefix+".due.token.*",
			TokenTickAlarm, TokenTickDue, TokenSweepAlarm, TokenSweepDue),
		{
			Name: StreamDead, Description: "messages that nobody could handle; the command dead shows and gives them back", Subjects: []string{prefix + ".dead.>"}, Retention: jetstream.LimitsPolicy,
			Storage: jetstream.FileStorage, Replicas: replicas, MaxAge: 90 * 24 * time.Hour, MaxMsgs: -1, MaxBytes: -1,
			Duplicates: DuplicateWindow,
		},
	}
}

// CommandAckWait is how long a command stays with a process that gives no sign of life. A living one gives several in that
// time for each that it works on, so it bounds how late a dead process makes the commands it had. What the other durables
// deliver is found without them: the sweep wakes posts, and the projector reads EVENTS itself.
const CommandAckWait = 10 * time.Second

// Durable is a durable consumer and the stream it reads.
type Durable struct {
	Stream string
	Config jetstream.ConsumerConfig
}

// Owner is the service that reads the durable: its name begins the durable's.
func (d Durable) Owner() string {
	owner, _, _ := strings.Cut(d.Config.Durable, "-")
	return owner
}

// Durables is every durable consumer as it must be. No filter covers an alarm subject: acking an alarm kills it.
func Durables() []Durable {
	durable := func(stream, name, description string, maxPending int, filters ...string) Durable {
		return Durable{Stream: stream, Config: jetstream.ConsumerConfig{
			Durable: name, Description: description, FilterSubjects: filters, AckPolicy: jetstream.AckExplicitPolicy,
			DeliverPolicy: jetstream.DeliverAllPolicy,
			AckWait:       30 * time.Second, MaxAckPending: maxPending,
			MaxDeliver: -1, // a handler decides what is hopeless, never the counter
		}}
	}
	commands := func(name, description string, maxPending int, filter string) Durable {
		d := durable(StreamCommands, name, description, maxPending, filter)
		d.Config.AckWait = CommandAckWait
		return d
	}
	return []Durable{
		commands(PublisherCommands, "the publisher does what posts are to become", 1000, PostCommands),
		commands(AuthCommands, "auth disconnects accounts", 100, prefix+".cmd.connection.*"),
		commands(TokenkeeperCommands, "the tokenkeeper refreshes tokens now", 100, prefix+".cmd.token.*"),
		durable(StreamEvents, PublisherProjector, "a publisher writes facts to the rows", 2000, EveryFact),
		durable(StreamEvents, PublisherWebhooks, "a publisher sends facts to the webhooks of their owners", 2000, EveryFact),
		durable(StreamEvents, TokenkeeperAccounts, "the tokenkeeper follows accounts that come and go", 100, prefix+".evt.account.>"),
		durable(StreamPostAlarms, PublisherDue, "a publisher wakes posts that are due", 20_000, prefix+".due.post.*", PostTickDue),
		durable(StreamTokenAlarms, TokenkeeperDue, "the tokenkeeper refreshes tokens that are due", 1000, prefix+".due.token.*", TokenTickDue, TokenSweepDue),
	}
}

// Buckets is every key-value bucket as it must be.
func Buckets(replicas int) []jetstream.KeyValueConfig {
	bucket := func(name, description string, life time.Duration) jetstream.KeyValueConfig {
		return jetstream.KeyValueConfig{Bucket: name, Description: description, TTL: life, History: 1, Replicas: replicas, Storage: jetstream.FileStorage}
	}
	return []jetstream.KeyValueConfig{
		bucket(BucketOAuthStates, "connects that wait for Threads to send the browser back, hashed", OAuthStateLife),
		bucket(BucketTickets, "tickets that open a live stream once, hashed", TicketLife),
	}
}

// PublisherWebhooks is the durable that brings events to the webhooks of users.
const PublisherWebhooks = "publisher-webhooks"
