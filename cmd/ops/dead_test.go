package ops_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/uptrace/bun"

	"github.com/omni-write/threads/cmd/ops"
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// setAside puts a cancel command on DEAD, as the bus does after too many tries.
func setAside(t *testing.T, b *bus.Bus, id string) (seq uint64) {
	t.Helper()
	cmd := events.CancelPost{PostID: "post_1", UserID: "user_1"}
	body, err := json.Marshal(cmd)
	if err != nil {
		t.Fatal(err)
	}
	ack, err := b.JetStream().PublishMsg(t.Context(), &nats.Msg{Subject: events.Dead(cmd.Subject()), Data: body, Header: nats.Header{
		events.HeaderID: {id}, events.HeaderType: {cmd.Type()}, bus.HeaderDeadStream: {events.StreamCommands},
		bus.HeaderDeadSubject: {cmd.Subject()}, bus.HeaderDeadDeliveries: {"20"}, bus.HeaderDeadError: {"postgres was away"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

func note(t *testing.T, db bun.IDB, id, postID string, o events.Outcome) {
	t.Helper()
	c := commands.Command{ID: id, UserID: "user_1", Type: (events.CancelPost{}).Type(), PostID: postID}
	o.CommandID = id
	_, _, err := commands.OnceByCall(t.Context(), db, c, time.Now, func(ctx context.Context) (any, error) {
		return nil, commands.Finish(ctx, db, o, time.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRequeue(t *testing.T) {
	t.Parallel()
	internal := events.Outcome{Fault: events.Faultf(events.Internal, "Something went wrong on our side.")}

	t.Run("a command is worked once more, as if it had not failed", func(t *testing.T) {
		t.Parallel()
		b, db := bustest.New(t), pgtest.New(t)
		id := events.NewCommandID()
		note(t, db, id, "", internal)
		seq := setAside(t, b, id)
		worked := make(chan bus.Delivery, 1)
		h := bus.NewHandlers()
		bus.OnCommand(h, func(_ context.Context, d bus.Delivery, _ events.CancelPost) (any, error) {
			worked <- d
			return nil, nil
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Handle(ctx, events.PublisherCommands, h, bus.HandleOptions{}) }()
		defer func() { stop(); <-ended }()
		if _, err := ops.Requeue(t.Context(), b.JetStream(), db, seq); err != nil {
			t.Fatal(err)
		}
		select {
		case d := <-worked:
			if d.Meta.ID != id {
				t.Errorf("it came back as %s", d.Meta.ID)
			}
		case <-time.After(waiting.Limit):
			t.Fatal("nobody was given the command")
		}
		if command, err := commands.Find(t.Context(), db, id); err != nil || command != nil {
			t.Errorf("the record of its failure is still there: %+v, %v", command, err)
		}
		if letters, err := ops.DeadLetters(t.Context(), b.JetStream()); err != nil || len(letters) != 0 {
			t.Errorf("it is still on DEAD: %+v, %v", letters, err)
		}
		if _, err := ops.Requeue(t.Context(), b.JetStream(), db, seq); err == nil {
			t.Error("it was given back twice")
		}
	})

	t.Run("one that was done by other means stays where it is", func(t *testing.T) {
		t.Parallel()
		b, db := bustest.New(t), pgtest.New(t)
		id := events.NewCommandID()
		note(t, db, id, "", events.Outcome{})
		seq := setAside(t, b, id)
		if _, err := ops.Requeue(t.Context(), b.JetStream(), db, seq); err == nil || !strings.Contains(err.Error(), "has an outcome") {
			t.Errorf("it says %v", err)
		}
		if letters, err := ops.DeadLetters(t.Context(), b.JetStream()); err != nil || len(letters) != 1 {
			t.Errorf("DEAD has %+v, %v", letters, err)
		}
	})
}
