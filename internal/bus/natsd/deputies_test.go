package natsd_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// requests are what a user can send under one of its permissions: to a subject that it covers, bodies that do something.
func requests(permission, target string) map[string][]string {
	subject := strings.NewReplacer(".>", ".1.1.1.1.0", "*", "mine").Replace(permission)
	if !strings.Contains(permission, "CONSUMER.CREATE.") {
		return map[string][]string{subject: {"", `{"batch":1,"no_wait":true}`, `{"seq":1}`, `{"last_by_subj":"threads.evt.>"}`, "+NXT", "-NAK"}}
	}
	const filter = "threads.evt.account.acct_1.connected"
	filtered := ""
	if strings.HasSuffix(permission, ".>") {
		subject, filtered = strings.Replace(strings.TrimSuffix(permission, ">"), "*", "mine", 1)+filter, fmt.Sprintf(`"filter_subject":%q,`, filter)
	}
	all := map[string][]string{}
	for i, how := range []string{
		fmt.Sprintf(`"deliver_subject":%q`, target),
		fmt.Sprintf(`"deliver_subject":%q,"deliver_group":"q"`, target),
		fmt.Sprintf(`"deliver_subject":%q,"headers_only":true`, target),
		fmt.Sprintf(`"deliver_subject":%q,"deliver_group":"q","headers_only":true,"flow_control":true,"idle_heartbeat":100000000`, target),
		`"ack_wait":30000000000`,
	} {
		name := strings.ReplaceAll(fmt.Sprintf("mine%d-%s", i, target), ".", "_")
		name = strings.NewReplacer("$", "", "*", "", ">", "").Replace(name)
		at := strings.Replace(subject, ".mine", "."+name, 1)
		all[at] = []string{fmt.Sprintf(`{"stream_name":"EVENTS","config":{"name":%q,%s"ack_policy":"none",%s}}`, name, filtered, how)}
	}
	return all
}

// JetStream answers where it is asked to, and delivers where a consumer says, and no permission covers either. Those who
// are not of the core try every permission that they have, with each subject of ours for both.
func TestNobodyHasJetStreamWriteWhatTheyMayNotThemselves(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gateway", bus.UserSubscriber} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := bustest.ServeConf(t, "nats.conf", nil)
			if err := bus.Declare(t.Context(), s.As(t, bus.UserMigrate), bus.Topology{}); err != nil {
				t.Fatal(err)
			}
			auth, gateway, publisher, ops := s.As(t, "auth"), s.As(t, "gateway"), s.As(t, "publisher"), s.As(t, bus.UserOps).JetStream()
			fact := events.NewAccountConnected(events.Connection{ID: "acct_1"})
			if err := auth.Emit(t.Context(), fact); err != nil {
				t.Fatal(err)
			}
			// A command that somebody works on: an empty message where it is acknowledged would end it undone.
			if err := gateway.Send(t.Context(), events.RefreshToken{}, bus.CommandOptions{ID: "cmd_1"}); err != nil {
				t.Fatal(err)
			}
			durable, err := s.As(t, "tokenkeeper").JetStream().Consumer(t.Context(), events.StreamCommands, events.TokenkeeperCommands)
			if err != nil {
				t.Fatal(err)
			}
			working, err := durable.Next()
			if err != nil {
				t.Fatal(err)
			}
			// A question, and somebody who answers it.
			const question = "threads.ask.post.unheard_of"
			asked, err := publisher.JetStream().Conn().QueueSubscribeSync(question, "q")
			if err != nil {
				t.Fatal(err)
			}
			if err := bus.Answer(publisher, func(context.Context, asks.GetPost) (string, error) { return "a post", nil }); err != nil {
				t.Fatal(err)
			}

			targets := []string{
				question, events.PostTickAlarm, events.PostAlarm("post_1"), events.PostDue("post_1"), events.PostTickDue, events.TokenAlarm("acct_1"),
				events.Dead("x"), "$KV.tickets.k", fact.Subject(), "threads.cmd.post.unheard_of", working.Reply(),
				"$JS.API.STREAM.DELETE.DEAD", "$JS.API.STREAM.PURGE.EVENTS", "$JS.API.CONSUMER.DELETE.EVENTS.publisher-recorder",
				bus.OriginAPI + ".CONSUMER.CREATE.EVENTS", bus.OriginAPI + ".CONSUMER.DELETE.EVENTS.publisher-recorder",
			}
			nc := s.As(t, name).JetStream().Conn()
			inbox, err := nc.SubscribeSync("_INBOX_" + name + ".attack")
			if err != nil {
				t.Fatal(err)
			}
			for _, permission := range u(name).Publish {
				for _, target := range targets {
					for subject, bodies := range requests(u(name).Finds(permission), target) {
						for _, body := range bodies {
							if err := errors.Join(nc.PublishRequest(subject, target, []byte(body)), nc.FlushTimeout(waiting.Limit)); err != nil {
								t.Fatal(err)
							}
						}
					}
				}
			}
			// They are done in the order in which they came, or have been by the time that what follows is done.
			if err := nc.PublishRequest(u(name).Finds("$JS.API.STREAM.INFO.EVENTS"), inbox.Subject, nil); err != nil {
				t.Fatal(err)
			}
			if m, err := inbox.NextMsg(waiting.Limit); err != nil || len(m.Data) == 0 {
				t.Fatalf("%v, %v", m, err)
			}
			if err := auth.Emit(t.Context(), events.NewAccountConnected(events.Connection{ID: "acct_2"})); err != nil {
				t.Fatal(err)
			}
			if err := gateway.CopyCaughtUp(t.Context()); err != nil {
				t.Fatal(err)
			}

			if m, err := asked.NextMsg(1); name != "gateway" && err == nil || m != nil && strings.HasPrefix(m.Reply, "$JS.ACK.EVENTS") {
				t.Errorf("asked for them: %s %s", m.Subject, m.Reply)
			}
			for subject, want := range map[string]bool{
				events.PostTickAlarm: true, events.PostAlarm("post_1"): false, events.PostDue("post_1"): false, events.TokenAlarm("acct_1"): false,
				events.Dead("x"): false,
			} {
				stream, err := ops.Stream(t.Context(), streamOf(subject))
				if err != nil {
					t.Fatal(err)
				}
				m, err := stream.GetLastMsgForSubject(t.Context(), subject)
				switch {
				case errors.Is(err, jetstream.ErrMsgNotFound):
					if want {
						t.Errorf("%s is gone", subject)
					}
				case err != nil:
					t.Fatal(err)
				case !want:
					t.Errorf("on %s there is %q", subject, m.Data)
				case m.Header.Get("Nats-Schedule") == "":
					t.Errorf("on %s there is no schedule any more but %q", subject, m.Data)
				}
			}
			commands, err := ops.Stream(t.Context(), events.StreamCommands)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := commands.GetMsg(t.Context(), 1); err != nil {
				t.Errorf("the command that was worked on: %v", err)
			}
			if _, err := commands.GetLastMsgForSubject(t.Context(), "threads.cmd.post.unheard_of"); !errors.Is(err, jetstream.ErrMsgNotFound) {
				t.Errorf("a command that they may not send: %v", err)
			}
			migrate := s.As(t, bus.UserMigrate).JetStream()
			for stream, want := range map[string]uint64{events.StreamEvents: 2, "KV_tickets": 0} {
				info, err := migrate.Stream(t.Context(), stream)
				if err != nil {
					t.Fatal(err)
				}
				if n := info.CachedInfo().State.Msgs; n != want {
					t.Errorf("%s has %d messages, not %d", stream, n, want)
				}
			}
			if _, err := publisher.JetStream().Consumer(t.Context(), events.StreamEvents, events.PublisherProjector); err != nil {
				t.Error(err)
			}
		})
	}
}

func u(name string) bus.User {
	for _, u := range bus.Users() {
		if u.Name == name {
			return u
		}
	}
	return bus.User{}
}

func streamOf(subject string) string {
	switch {
	case strings.Contains(subject, "token"):
		return events.StreamTokenAlarms
	case strings.HasPrefix(subject, "threads.dead."):
		return events.StreamDead
	}
	return events.StreamPostAlarms
}

// A release before this one, and a tool that knows of no other API, find JetStream by its own name.
func TestThoseOfAnotherAccountFindJetStreamUnderItsName(t *testing.T) {
	t.Parallel()
	s := bustest.ServeConf(t, "nats.conf", nil)
	if err := bus.Declare(t.Context(), s.As(t, bus.UserMigrate), bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	fact := events.NewAccountConnected(events.Connection{ID: "acct_1"})
	if err := s.As(t, "auth").Emit(t.Context(), fact); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gateway", bus.UserSubscriber} {
		js := s.As(t, name).JetStream()
		c, err := js.CreateConsumer(t.Context(), events.StreamEvents, jetstream.ConsumerConfig{Name: "of-" + name, AckPolicy: jetstream.AckNonePolicy})
		if err != nil {
			t.Fatal(err)
		}
		if m, err := c.Next(); err != nil || m.Subject() != fact.Subject() {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}

// The gateway's outcomes, answers and events come to it in an account of its own.
func TestTheGatewaySpeaksToTheServices(t *testing.T) {
	t.Parallel()
	s := bustest.ServeConf(t, "nats.conf", nil)
	if err := bus.Declare(t.Context(), s.As(t, bus.UserMigrate), bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	gateway, publisher := s.As(t, "gateway"), s.As(t, "publisher")
	if err := bus.Answer(publisher, func(_ context.Context, q asks.GetPost) (asks.GetPost, error) { return q, nil }); err != nil {
		t.Fatal(err)
	}
	answer, err := bus.Ask[asks.GetPost](t.Context(), gateway, asks.GetPost{ID: "post_1"})
	if err != nil || answer.ID != "post_1" {
		t.Errorf("%+v, %v", answer, err)
	}
	stream, err := s.As(t, bus.UserOps).JetStream().Stream(t.Context(), events.StreamCommands)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		defer close(done)
		var m *jetstream.RawStreamMsg
		waiting.Until(t, "the command", func() bool {
			var err error
			m, err = stream.GetMsg(t.Context(), 1)
			return err == nil
		})
		meta := bus.MetaOf(m.Header)
		done <- publisher.Reply(t.Context(), meta.OutcomeTo, events.Outcome{CommandID: meta.ID, Done: true, Result: json.RawMessage(`1`)})
		if len(m.Header.Values("Nats-Request-Info")) > 0 {
			t.Error("the server's word on the sender is kept in the command")
		}
	}()
	outcome, err := gateway.Do(t.Context(), events.RefreshToken{}, bus.CommandOptions{ID: "cmd_1"}, waiting.Limit)
	if err := errors.Join(err, <-done); err != nil || !outcome.Done {
		t.Errorf("%+v, %v", outcome, err)
	}

	// Events, up to one that was emitted just now.
	for i := range 50 {
		if err := publisher.Emit(t.Context(), events.NewAccountConnected(events.Connection{ID: fmt.Sprint("acct_", i)})); err != nil {
			t.Fatal(err)
		}
		extent, err := gateway.Holds(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := gateway.Replay(t.Context(), 0, extent.Last, 1000, []string{events.EveryFact}, func(bus.StoredEvent) error { n++; return nil }); err != nil || n != i+1 {
			t.Fatalf("%d facts of %d, %v", n, i+1, err)
		}
	}
}

// Whoever sends a command or a question says where they wait: nowhere but in an inbox.
func TestAnAnswerGoesToAnInboxOnly(t *testing.T) {
	t.Parallel()
	s := bustest.ServeConf(t, "nats.conf", nil)
	if err := bus.Declare(t.Context(), s.As(t, bus.UserMigrate), bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	publisher := s.As(t, "publisher")
	for _, subject := range []string{events.PostAlarm("post_1"), events.PostDue("post_1"), "$JS.ACK.COMMANDS.publisher-commands.1.1.1.1.0"} {
		if err := publisher.Reply(t.Context(), subject, events.Outcome{CommandID: "cmd_1"}); err == nil {
			t.Errorf("an outcome went to %s", subject)
		}
	}
	if err := bus.Answer(publisher, func(_ context.Context, q asks.GetPost) (asks.GetPost, error) { return q, nil }); err != nil {
		t.Fatal(err)
	}
	ops := s.As(t, bus.UserOps).JetStream()
	gateway := s.As(t, "gateway")
	if err := gateway.JetStream().Conn().PublishRequest(asks.GetPost{}.Subject(), events.PostDue("post_1"), []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := bus.Ask[asks.GetPost](t.Context(), gateway, asks.GetPost{ID: "post_1"}); err != nil {
		t.Fatal(err)
	}
	alarms, err := ops.Stream(t.Context(), events.StreamPostAlarms)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := alarms.GetLastMsgForSubject(t.Context(), events.PostDue("post_1")); !errors.Is(err, jetstream.ErrMsgNotFound) {
		t.Errorf("%v, %v", m, err)
	}
}

// Durables that others made before there was a copy go on where they were.
func TestReadersOfEventsAreTakenOver(t *testing.T) {
	t.Parallel()
	s := bustest.ServeConf(t, "nats.conf", nil)
	migrate := s.As(t, bus.UserMigrate)
	if err := bus.Declare(t.Context(), migrate, bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	auth := s.As(t, "auth")
	for i := range 3 {
		if err := auth.Emit(t.Context(), events.NewAccountConnected(events.Connection{ID: fmt.Sprint("acct_", i)})); err != nil {
			t.Fatal(err)
		}
	}
	// As it was made by a subscriber of the release before: on EVENTS itself.
	own, err := s.As(t, bus.UserOps).JetStream().CreateConsumer(t.Context(), events.StreamEvents, jetstream.ConsumerConfig{
		Durable: "mail-published", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.Next(); err != nil { // handed out, and not acknowledged
		t.Fatal(err)
	}
	if err := bus.Declare(t.Context(), migrate, bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	c, err := s.As(t, bus.UserSubscriber).JetStream().Consumer(t.Context(), events.StreamEvents, "mail-published")
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	if meta, err := m.Metadata(); err != nil || meta.Sequence.Stream != 1 {
		t.Errorf("%+v, %v", meta, err)
	}
	if err := m.DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Done again, it leaves them alone.
	if err := bus.Declare(t.Context(), migrate, bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	if m, err = c.Next(); err != nil {
		t.Fatal(err)
	}
	if meta, err := m.Metadata(); err != nil || meta.Sequence.Stream != 2 {
		t.Errorf("%+v, %v", meta, err)
	}
}

// What is erased is erased for readers too, though they read a copy.
func TestTheCopyIsErasedToo(t *testing.T) {
	t.Parallel()
	s := bustest.ServeConf(t, "nats.conf", nil)
	if err := bus.Declare(t.Context(), s.As(t, bus.UserMigrate), bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	auth := s.As(t, "auth")
	for i := range 20 {
		if err := auth.Emit(t.Context(), events.NewAccountConnected(events.Connection{ID: fmt.Sprint("acct_", i)})); err != nil {
			t.Fatal(err)
		}
		// The tail of EVENTS goes away, at times before it was copied.
		stream, err := auth.JetStream().Stream(t.Context(), events.StreamEvents)
		if err == nil {
			err = stream.Purge(t.Context(), jetstream.WithPurgeSubject(events.EveryFact))
		}
		if err == nil {
			err = auth.CopyCaughtUp(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		copied, err := auth.Copy(t.Context())
		if err == nil {
			err = copied.Purge(t.Context(), jetstream.WithPurgeSubject(events.EveryFact))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	copied, err := auth.Copy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := copied.CachedInfo().State.Msgs; n != 0 {
		t.Errorf("readers still have %d facts", n)
	}
}
