package bus_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	streams, durables := []string{events.StreamCommands, events.StreamPostAlarms, events.StreamEvents}, []string{events.PublisherDue, events.PublisherProjector}
	if err := bus.Verify(t.Context(), b, streams, durables); err != nil {
		t.Errorf("what was declared does not verify: %v", err)
	}
	s, err := b.JetStream().Stream(t.Context(), events.StreamPostAlarms)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgs = 1000 // would lose alarms without a word
	if _, err := b.JetStream().UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := bus.Verify(t.Context(), b, streams, durables); err == nil {
		t.Error("an alarm stream with a limit verifies")
	}
	cfg.MaxMsgs = -1
	if _, err := b.JetStream().UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := bus.Verify(t.Context(), b, streams, durables); err != nil {
		t.Errorf("mended it does not verify: %v", err)
	}
	if err := b.JetStream().DeleteConsumer(t.Context(), events.StreamPostAlarms, events.PublisherDue); err != nil {
		t.Fatal(err)
	}
	if err := bus.Verify(t.Context(), b, nil, durables); err == nil {
		t.Error("a missing durable verifies")
	}
}

// Each setting that would lose something without a word, and what Verify calls it.
func TestVerifySees(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stream string
		spoil  func(*jetstream.StreamConfig)
		say    string
	}{
		"rollups on EVENTS":               {events.StreamEvents, func(c *jetstream.StreamConfig) { c.AllowRollup = true }, "rollups"},
		"direct reads of EVENTS":          {events.StreamEvents, func(c *jetstream.StreamConfig) { c.AllowDirect = true }, "direct reads"},
		"a limit to an alarm's size":      {events.StreamPostAlarms, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 300 }, "message's size"},
		"a limit to the number of alarms": {events.StreamTokenAlarms, func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 }, "message limit"},
		"a full stream that drops":        {events.StreamCommands, func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, "discard policy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bustest.New(t)
			s, err := b.JetStream().Stream(t.Context(), c.stream)
			if err != nil {
				t.Fatal(err)
			}
			cfg := s.CachedInfo().Config
			c.spoil(&cfg)
			if _, err := b.JetStream().UpdateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			err = bus.Verify(t.Context(), b, []string{c.stream}, nil)
			if err == nil || !strings.Contains(err.Error(), c.say) || !strings.Contains(err.Error(), "migrate") {
				t.Errorf("it says %v", err)
			}
		})
	}

	t.Run("what is missing, and what to run", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		if err := b.JetStream().DeleteStream(t.Context(), events.StreamPostAlarms); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{
			bus.Verify(t.Context(), b, []string{events.StreamPostAlarms}, nil),
			bus.Verify(t.Context(), b, nil, []string{events.PublisherDue}),
		} {
			if err == nil || !strings.Contains(err.Error(), "is missing; run") {
				t.Errorf("it says %v", err)
			}
		}
	})
}

func TestDeclareAgain(t *testing.T) {
	t.Parallel()

	t.Run("what JetStream does not answer in time is asked for again", func(t *testing.T) {
		t.Parallel()
		s := bustest.Server(t, t.TempDir())
		b, l := connectLossy(t, s)
		unanswered := func(what string, start func() error) {
			l.deaf.Store(true)
			done := make(chan error, 1)
			go func() { done <- start() }()
			next(t, l.lost, "lost answer")
			l.deaf.Store(false)
			if err := next(t, done, "answer"); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		unanswered("declare", func() error { return bus.Declare(t.Context(), b, bus.Topology{}) })
		unanswered("verify", func() error {
			return bus.Verify(t.Context(), b, []string{events.StreamEvents}, []string{events.PublisherProjector})
		})
	})

	t.Run("a durable of commands that an older version made gives them back as soon as one of today's", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		for _, name := range []string{events.PublisherCommands, events.AuthCommands, events.TokenkeeperCommands} {
			ackWait := func() (jetstream.ConsumerConfig, time.Duration) {
				c, err := b.JetStream().Consumer(t.Context(), events.StreamCommands, name)
				if err != nil {
					t.Fatal(err)
				}
				return c.CachedInfo().Config, c.CachedInfo().Config.AckWait
			}
			cfg, _ := ackWait()
			cfg.AckWait = 30 * time.Second
			if _, err := b.JetStream().UpdateConsumer(t.Context(), events.StreamCommands, cfg); err != nil {
				t.Fatal(err)
			}
			if err := bus.Declare(t.Context(), b, bus.Topology{}); err != nil {
				t.Fatal(err)
			}
			if _, is := ackWait(); is != events.CommandAckWait || is >= 30*time.Second {
				t.Errorf("%s gives a command of a dead process back after %s", name, is)
			}
			if err := bus.Verify(t.Context(), b, nil, []string{name}); err != nil {
				t.Error(err)
			}
		}
	})

	t.Run("a durable keeps its place, and a setting that somebody changed comes back", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		h := bus.NewHandlers()
		handled := make(chan uint64, 3)
		bus.OnEvent(h, func(_ context.Context, d bus.Delivery, _ events.PostScheduled) error {
			handled <- d.Sequence
			return nil
		})
		stop := handling(t, b, events.PublisherProjector, h, bus.HandleOptions{})
		if err := b.Emit(t.Context(), newEvent(events.FactScheduled, "post_a", 1)); err != nil {
			t.Fatal(err)
		}
		next(t, handled, "event")
		stop()
		c, err := b.JetStream().Consumer(t.Context(), events.StreamEvents, events.PublisherProjector)
		if err != nil {
			t.Fatal(err)
		}
		cfg := c.CachedInfo().Config
		cfg.MaxAckPending = 7
		if _, err := b.JetStream().UpdateConsumer(t.Context(), events.StreamEvents, cfg); err != nil {
			t.Fatal(err)
		}
		if err := bus.Declare(t.Context(), b, bus.Topology{}); err != nil {
			t.Fatal(err)
		}
		if err := bus.Verify(t.Context(), b, nil, []string{events.PublisherProjector}); err != nil {
			t.Error(err)
		}
		handling(t, b, events.PublisherProjector, h, bus.HandleOptions{})
		if err := b.Emit(t.Context(), newEvent(events.FactScheduled, "post_b", 1)); err != nil {
			t.Fatal(err)
		}
		if seq := next(t, handled, "next event"); seq != 2 {
			t.Errorf("it began again at %d", seq)
		}
	})

	t.Run("alarm streams of another persist mode are made anew, with their durables", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		// As a cluster has it. A cluster of three is not needed to see the change: it goes both ways.
		for _, cfg := range events.Streams(3, 0) {
			if !cfg.AllowMsgSchedules {
				continue
			}
			if err := b.JetStream().DeleteStream(t.Context(), cfg.Name); err != nil {
				t.Fatal(err)
			}
			cfg.Replicas = 1
			if _, err := b.JetStream().CreateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Emit(t.Context(), newEvent(events.FactScheduled, "post_a", 1)); err != nil {
			t.Fatal(err)
		}
		if err := bus.Declare(t.Context(), b, bus.Topology{}); err != nil {
			t.Fatal(err)
		}
		streams := []string{events.StreamPostAlarms, events.StreamTokenAlarms}
		if err := bus.Verify(t.Context(), b, streams, []string{events.PublisherDue, events.TokenkeeperDue}); err != nil {
			t.Error(err)
		}
		if n := messagesIn(t, b, events.StreamEvents); n != 1 {
			t.Errorf("EVENTS has %d messages", n)
		}
	})
}

// Who looks at NATS with other tools reads there what each thing is for.
func TestEverythingSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	js := bustest.New(t).JetStream()
	streams := js.ListStreams(t.Context())
	n := 0
	for s := range streams.Info() {
		n++
		if s.Config.Description == "" {
			t.Errorf("stream %s says nothing", s.Config.Name)
		}
		stream, err := js.Stream(t.Context(), s.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		durables := stream.ListConsumers(t.Context())
		for c := range durables.Info() {
			n++
			if c.Config.Description == "" {
				t.Errorf("durable %s says nothing", c.Name)
			}
		}
		if err := durables.Err(); err != nil {
			t.Error(err)
		}
	}
	if err := streams.Err(); err != nil || n < len(events.Streams(1, 0))+len(events.Durables())+len(events.Buckets(1)) {
		t.Errorf("found %d, %v", n, err)
	}
}
