package delivery_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
)

// All alarms are wiped while posts wait for their time: the sweep finds them by their rows.
func TestAlarmsWiped(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()
	var list []events.Post
	for i := range 5 {
		list = append(list, r.Schedule(2500*time.Millisecond, fmt.Sprint("without an alarm ", i)))
	}
	alarms, err := r.Bus.JetStream().Stream(t.Context(), events.StreamPostAlarms)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // also what is armed meanwhile
		if err := alarms.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		clock.Sleep(t.Context(), 300*time.Millisecond)
	}
	for _, p := range list {
		emitted := r.Await(p.ID, events.FactPublished)
		r.Once(emitted) // and not early; how late the sweep is is the machine's
	}
}

// Postgres has no room (53100): a command is kept on its stream, and done when there is room again, once.
func TestPostgresIsFull(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()
	_, err := r.DB.ExecContext(t.Context(), `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN RAISE EXCEPTION ''could not extend file: No space left on device'' USING ERRCODE = ''53100''; END';
		CREATE TRIGGER full_disk BEFORE INSERT ON posts EXECUTE FUNCTION full_disk()`)
	if err != nil {
		t.Fatal(err)
	}
	cmd := events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "when there is room"}, PublishAt: time.Now().Add(time.Second)}
	o, err := r.Bus.Do(t.Context(), cmd, bus.CommandOptions{ID: events.NewCommandID()}, 700*time.Millisecond)
	if err != nil || o.Done {
		t.Fatalf("a command that cannot be written is answered %+v, %v", o, err)
	}
	if n, err := r.DB.NewSelect().Model((*posts.Post)(nil)).Count(t.Context()); err != nil || n != 0 {
		t.Fatalf("%d rows, %v", n, err)
	}
	if _, err := r.DB.ExecContext(t.Context(), "DROP TRIGGER full_disk ON posts"); err != nil {
		t.Fatal(err)
	}
	r.Once(r.Await(cmd.PostID, events.FactPublished))
}

// EVENTS takes nothing more: what has happened waits in the row, and is emitted once there is room.
func TestEventsIsFull(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()
	p := r.Schedule(1500*time.Millisecond, "told when there is room")
	r.Await(p.ID, events.FactPrepared)
	stream, err := r.Bus.JetStream().Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	usual := stream.CachedInfo().Config
	full := usual
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	full.MaxMsgs, full.Discard = int64(info.State.Msgs), jetstream.DiscardNew
	if _, err := r.Bus.JetStream().UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	row := r.Row(p.ID, events.StateConcluding)
	if n, _ := r.Arrivals(p.Text); n != 1 || row.MediaID == "" {
		t.Errorf("it is at Threads %d times, and its row says %q", n, row.MediaID)
	}
	if _, err := r.Bus.JetStream().UpdateStream(t.Context(), usual); err != nil {
		t.Fatal(err)
	}
	r.RowWithin(p.ID, events.StatePublished, 20*time.Second)
	r.Once(r.Await(p.ID, events.FactPublished))
}
