package publishertest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// Do sends a command, and waits for its outcome.
func (sys *System) Do(cmd events.Command, wait time.Duration) (events.Post, *events.Fault) {
	sys.T.Helper()
	return sys.DoAs(events.NewCommandID(), cmd, wait)
}

// DoAs is Do with an id of the caller's.
func (sys *System) DoAs(id string, cmd events.Command, wait time.Duration) (events.Post, *events.Fault) {
	sys.T.Helper()
	wait = max(wait, waiting.Limit) // it only ends a test that hangs
	o, err := sys.Bus.Do(sys.T.Context(), cmd, bus.CommandOptions{ID: id}, wait)
	if err != nil {
		sys.T.Fatal(err)
	}
	if !o.Done { // a connection that is made anew loses the reply, which no stream keeps: its sender asks by the id then
		if o, err = commands.Get(sys.T.Context(), sys.DB, asks.GetCommand{UserID: cmd.Actor(), ID: id}); err != nil {
			sys.T.Fatal(err)
		}
	}
	if !o.Done {
		sys.T.Fatalf("no outcome of %s within %s; the post is %s", cmd.Type(), wait, sys.Rows())
	}
	return DecodePost(sys.T, o), o.Fault
}

// Schedule has the user post a text after a while.
func (sys *System) Schedule(in time.Duration, text string) events.Post {
	sys.T.Helper()
	p, fault := sys.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: User, Draft: events.Draft{Text: text}, PublishAt: time.Now().Add(in)}, 5*time.Second)
	if fault != nil {
		sys.T.Fatal(fault)
	}
	return p
}

// DecodePost is the post in an outcome.
func DecodePost(t *testing.T, o events.Outcome) (p events.Post) {
	t.Helper()
	if len(o.Result) > 0 {
		if err := json.Unmarshal(o.Result, &p); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// Redeliver stores a command again as a message that the stream does not know, as after its memory of ids has run out.
func (sys *System) Redeliver(id string, cmd events.Command) events.Outcome {
	sys.T.Helper()
	body, err := json.Marshal(cmd)
	if err != nil {
		sys.T.Fatal(err)
	}
	nc := sys.Bus.JetStream().Conn()
	inbox := nats.NewInbox()
	answers, err := nc.SubscribeSync(inbox)
	if err != nil {
		sys.T.Fatal(err)
	}
	m := &nats.Msg{Subject: cmd.Subject(), Data: body, Header: nats.Header{
		events.HeaderID: {id}, events.HeaderType: {cmd.Type()}, events.HeaderTime: {time.Now().UTC().Format(time.RFC3339Nano)}, events.HeaderOutcomeTo: {inbox},
	}}
	if _, err := sys.Bus.JetStream().PublishMsg(sys.T.Context(), m); err != nil {
		sys.T.Fatal(err)
	}
	answer, err := answers.NextMsg(waiting.Limit)
	if err != nil {
		sys.T.Fatalf("no answer to the redelivered command: %v", err)
	}
	var o events.Outcome
	if err := json.Unmarshal(answer.Data, &o); err != nil {
		sys.T.Fatal(err)
	}
	return o
}
