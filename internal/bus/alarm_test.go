package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// What the system relies on of delayed messages. Should a new nats-server change one, a test says so.

type wakeUp struct {
	key string
	at  time.Time
}

// listen hears the wake-ups of posts.
func listen(t *testing.T, b *bus.Bus) <-chan wakeUp {
	t.Helper()
	ch := make(chan wakeUp, 100)
	h := bus.NewHandlers()
	h.OnWake(events.PostDue("*"), func(_ context.Context, _ bus.Delivery, key string) error {
		ch <- wakeUp{key, time.Now()}
		return nil
	})
	h.OnWake(events.PostTickDue, func(context.Context, bus.Delivery, string) error { return nil })
	handling(t, b, events.PublisherDue, h, bus.HandleOptions{})
	return ch
}

func arm(t *testing.T, b *bus.Bus, key string, at time.Time, rev int64) {
	t.Helper()
	if err := b.Arm(t.Context(), events.PostAlarm(key), events.PostDue(key), at, rev, time.Time{}); err != nil {
		t.Fatal(err)
	}
}

func TestAlarms(t *testing.T) {
	t.Parallel()

	t.Run("never early, and exact below the second", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		ch := listen(t, b)
		tries := int64(0)
		waiting.Until(t, "an alarm that goes off less than 900 ms after its time", func() bool {
			// Early in a second: a clock that only knows seconds would always be 900 ms late, or early. A slow machine is now and then.
			at := time.Now().Truncate(time.Second).Add(time.Second + 100*time.Millisecond)
			tries++
			arm(t, b, "a", at, tries)
			late := next(t, ch, "wake-up").at.Sub(at)
			if late < 0 {
				t.Errorf("it went off %s before its time", -late)
			}
			return tries >= 3 && late < 900*time.Millisecond
		})
	})

	t.Run("a time in the past goes off at once", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		ch := listen(t, b)
		arm(t, b, "a", time.Now().Add(-time.Hour), 1)
		next(t, ch, "wake-up")
	})

	t.Run("the time that is to be kept comes with a wake-up and with an alarm", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		dues := make(chan time.Time, 1)
		h := bus.NewHandlers()
		h.OnWake(events.PostDue("*"), func(_ context.Context, d bus.Delivery, _ string) error {
			dues <- d.Due
			return nil
		})
		handling(t, b, events.PublisherDue, h, bus.HandleOptions{})
		for _, due := range []time.Time{time.Now().Add(time.Hour), {}} {
			if err := b.Wake(t.Context(), events.PostDue("a"), due); err != nil {
				t.Fatal(err)
			}
			if got := next(t, dues, "wake-up"); !got.Equal(due) {
				t.Errorf("the wake-up says %s, want %s", got, due)
			}
			if err := b.Arm(t.Context(), events.PostAlarm("a"), events.PostDue("a"), time.Now(), 1, due); err != nil {
				t.Fatal(err)
			}
			if got := next(t, dues, "wake-up"); !got.Equal(due) {
				t.Errorf("the alarm's wake-up says %s, want %s", got, due)
			}
		}
	})

	t.Run("setting it again moves it, also to the same place within the memory of ids", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		ch := listen(t, b)
		arm(t, b, "a", time.Now().Add(time.Hour), 1)
		at := time.Now().Add(600 * time.Millisecond)
		arm(t, b, "a", at, 1)
		if got := next(t, ch, "wake-up"); got.at.Before(at) {
			t.Error("it went off early")
		}
		arm(t, b, "a", time.Now().Add(300*time.Millisecond), 1)
		next(t, ch, "wake-up after setting a fired alarm again")
	})

	t.Run("taken back it stays silent", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		ch := listen(t, b)
		arm(t, b, "gone", time.Now().Add(500*time.Millisecond), 1)
		for range 2 { // the second time there is nothing to take back
			if err := b.Disarm(t.Context(), events.StreamPostAlarms, events.PostAlarm("gone")); err != nil {
				t.Fatal(err)
			}
		}
		arm(t, b, "after", time.Now().Add(time.Second), 1)
		if got := next(t, ch, "wake-up"); got.key != "after" {
			t.Errorf("%s went off", got.key)
		}
	})

	t.Run("with a message id it could not be set again after it was taken back, which is why it has none", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		m := &nats.Msg{Subject: events.PostAlarm("a"), Header: nats.Header{
			"Nats-Schedule":        {"@at " + time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)},
			"Nats-Schedule-Target": {events.PostDue("a")}, jetstream.MsgIDHeader: {"a-1"}}}
		for _, again := range []bool{false, true} {
			ack, err := b.JetStream().PublishMsg(t.Context(), m)
			if err != nil || ack.Duplicate != again {
				t.Fatalf("duplicate: %v, %v", ack.Duplicate, err)
			}
			if err := b.Disarm(t.Context(), events.StreamPostAlarms, m.Subject); err != nil {
				t.Fatal(err)
			}
		}
		arm(t, b, "a", time.Now().Add(time.Hour), 1) // ours is stored
		s, err := b.JetStream().Stream(t.Context(), events.StreamPostAlarms)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.GetLastMsgForSubject(t.Context(), m.Subject); err != nil {
			t.Errorf("the alarm is not there: %v", err)
		}
	})

	t.Run("of wake-ups that nobody heard one is kept", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		for range 3 {
			if err := b.Wake(t.Context(), events.PostDue("a"), time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		ch := listen(t, b)
		next(t, ch, "wake-up")
		if err := b.Wake(t.Context(), events.PostDue("after"), time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got := next(t, ch, "wake-up"); got.key != "after" {
			t.Error("more than one was kept")
		}
	})

	t.Run("the durable does not eat alarms that wait", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		arm(t, b, "a", time.Now().Add(time.Hour), 1)
		ch := listen(t, b)
		if err := b.Wake(t.Context(), events.PostDue("b"), time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got := next(t, ch, "wake-up"); got.key != "b" {
			t.Errorf("%s was heard", got.key)
		}
		s, err := b.JetStream().Stream(t.Context(), events.StreamPostAlarms)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.GetLastMsgForSubject(t.Context(), events.PostAlarm("a")); err != nil {
			t.Errorf("the alarm is gone: %v", err)
		}
	})

	t.Run("a second wake-up while one is in hand is heard too", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		began, release := make(chan struct{}, 2), make(chan struct{})
		h := bus.NewHandlers()
		h.OnWake(events.PostDue("*"), func(context.Context, bus.Delivery, string) error {
			began <- struct{}{}
			<-release
			return nil
		})
		handling(t, b, events.PublisherDue, h, bus.HandleOptions{})
		for range 2 {
			if err := b.Wake(t.Context(), events.PostDue("a"), time.Time{}); err != nil {
				t.Fatal(err)
			}
			next(t, began, "wake-up")
		}
		close(release)
	})

	t.Run("what was due while the server was away goes off once after it is back", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		first := bustest.Server(t, dir)
		arm(t, bustest.Connect(t, first, "test"), "a", time.Now().Add(300*time.Millisecond), 1)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		<-time.After(400 * time.Millisecond) // the time passes while nobody is there
		b := bustest.Connect(t, bustest.Server(t, dir), "test")
		ch := listen(t, b)
		next(t, ch, "wake-up")
		arm(t, b, "after", time.Now().Add(600*time.Millisecond), 1)
		if got := next(t, ch, "wake-up"); got.key != "after" {
			t.Error("it went off twice")
		}
	})

	t.Run("the tick goes off again and again, and leaves one message at most", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		// Every second instead of every fifteen.
		m := &nats.Msg{Subject: events.PostTickAlarm, Header: nats.Header{
			"Nats-Schedule": {"@every 1s"}, "Nats-Schedule-Target": {events.PostTickDue}, "Nats-Schedule-Rollup": {"sub"}}}
		if _, err := b.JetStream().PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		ticks := make(chan struct{}, 10)
		h := bus.NewHandlers()
		h.OnWake(events.PostTickDue, func(context.Context, bus.Delivery, string) error { ticks <- struct{}{}; return nil })
		handling(t, b, events.PublisherDue, h, bus.HandleOptions{})
		next(t, ticks, "tick")
		next(t, ticks, "second tick")
	})

	t.Run("the repeating schedules are declared", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		for subject, stream := range map[string]string{
			events.PostTickAlarm: events.StreamPostAlarms, events.TokenTickAlarm: events.StreamTokenAlarms, events.TokenSweepAlarm: events.StreamTokenAlarms,
		} {
			s, err := b.JetStream().Stream(t.Context(), stream)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.GetLastMsgForSubject(t.Context(), subject); err != nil {
				t.Errorf("%s: %v", subject, err)
			}
		}
	})
}

func TestAlarmStreamsSyncNothingButKeepOrder(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	s, err := b.JetStream().Stream(t.Context(), events.StreamPostAlarms)
	if err != nil {
		t.Fatal(err)
	}
	if cfg := s.CachedInfo().Config; cfg.PersistMode != jetstream.AsyncPersistMode || cfg.MaxAge != 0 || cfg.MaxMsgs != -1 || cfg.MaxBytes != -1 {
		t.Errorf("the stream is %+v", cfg)
	}
}
