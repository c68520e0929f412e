package projector_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/wire"
	"github.com/omni-write/threads/services/publisher/projector"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

// Events that cannot be applied are counted in the database, whatever becomes of the process that met them: by their place on
// EVENTS, until a rebuild has applied them, they are no longer on EVENTS, or somebody has dropped them.
func TestSkippedEventsAreNoted(t *testing.T) {
	t.Parallel()
	r := publishertest.New(t)
	_, stop := r.Start()
	p := r.Schedule(time.Hour, "changed by a newer version")
	r.Await(p.ID, events.FactScheduled)
	other := r.Schedule(time.Hour, "goes on")
	r.Await(other.ID, events.FactScheduled)

	put := func(subject, typ string, body []byte) uint64 {
		t.Helper()
		ack, err := r.Bus.JetStream().PublishMsg(t.Context(), &nats.Msg{Subject: subject, Header: nats.Header{events.HeaderType: {typ}}, Data: body})
		if err != nil {
			t.Fatal(err)
		}
		return ack.Sequence
	}
	newer := p
	newer.Rev, newer.State, newer.Text = p.Rev+1, "tomorrow", "what a newer version says"
	ev := events.NewPostEvent(events.FactEdited, newer)
	body, err := wire.Encode(ev)
	if err != nil {
		t.Fatal(err)
	}
	unfit := put(ev.Subject(), ev.Type(), body)
	unknown := put(events.PostFacts(p.AccountID, p.ID, "dreamt"), "post.dreamt.v9", []byte(`{}`))
	broken := put(events.PostFacts(p.AccountID, p.ID, "broken"), ev.Type(), []byte("{\xff\x00"))
	list := func() []projector.Skipped {
		t.Helper()
		all, err := projector.ListSkipped(t.Context(), r.DB)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	waiting.Until(t, "the events to be noted", func() bool { return len(list()) == 3 })
	stop()
	for i, s := range list() {
		if s.Seq != []uint64{unfit, unknown, broken}[i] || s.PostID != p.ID || s.AccountID != p.AccountID || s.Type == "" || s.Why == "" || s.SkippedAt.IsZero() {
			t.Errorf("it is noted as %+v", s)
		}
	}
	if at, err := r.NewProjector().Position(t.Context(), r.DB); err != nil || at < broken {
		t.Errorf("the position is %d, %v", at, err)
	}

	found, err := r.Rebuild(false)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Skipped) != 3 || found.Applied != 0 || len(list()) != 3 {
		t.Errorf("a rebuild that changes nothing found %+v", found)
	}
	// As the migration of the newer version would; and one event is erased.
	if _, err := r.DB.ExecContext(t.Context(), "ALTER TABLE posts DROP CONSTRAINT posts_state_check"); err != nil {
		t.Fatal(err)
	}
	stream, err := r.Bus.JetStream().Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSubject(events.PostFacts(p.AccountID, p.ID, "broken"))); err != nil {
		t.Fatal(err)
	}
	if found, err = r.Rebuild(true); err != nil {
		t.Fatal(err)
	}
	if left := list(); found.Applied != 2 || len(found.Skipped) != 1 || len(left) != 1 || left[0].Seq != unknown {
		t.Errorf("after the swap %+v are left, and it says %+v", left, found)
	}
	if row := r.Any(p.ID); row.Text != newer.Text || row.Rev != newer.Rev {
		t.Errorf("the row is %+v", row)
	}
	for _, there := range []bool{true, false} {
		if was, err := projector.DropSkipped(t.Context(), r.DB, unknown); err != nil || was != there {
			t.Errorf("dropped: %t, %v", was, err)
		}
	}
	if again, err := r.Rebuild(true); err != nil || len(again.Skipped) != 0 {
		t.Errorf("what was dropped is told again: %+v, %v", again, err)
	}
	if n, first, err := projector.CountSkipped(t.Context(), r.DB); err != nil || n != 0 || first != 0 {
		t.Errorf("%d are left, the first %d, %v", n, first, err)
	}
}
