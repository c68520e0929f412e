package consume_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/events/consume"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

func told(rev int64) events.PostEvent {
	return events.NewPostEvent(events.FactEdited, events.Post{ID: "post_x", AccountID: "acct_x", Rev: rev, Media: []events.Media{}})
}

func emit(t *testing.T, b *bus.Bus, facts ...events.Event) {
	t.Helper()
	if err := b.Emit(t.Context(), facts...); err != nil {
		t.Fatal(err)
	}
}

func quiet(o consume.Options) consume.Options {
	o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	return o
}

// run runs a reader until done says so, or the test's patience ends.
func run(t *testing.T, c *consume.Consumer, done <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waiting.Limit)
	defer cancel()
	stopped := make(chan struct{})
	go func() {
		select {
		case <-done:
		case <-ctx.Done():
		}
		close(stopped)
		cancel()
	}()
	if err := c.Run(ctx); err != nil {
		t.Error(err)
	}
	<-stopped
	select {
	case <-done:
	default:
		t.Fatal("what was waited for did not happen")
	}
}

func TestWorkIsTriedUntilItIsDone(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	emit(t, b, told(1))
	done := make(chan struct{})
	var tries atomic.Int64
	c := consume.New(b.JetStream(), quiet(consume.Options{Durable: "d", Patience: 10 * time.Millisecond}))
	consume.On(c, func(_ context.Context, m consume.Message, _ events.PostEdited) error {
		n := tries.Add(1)
		if uint64(n) != m.Delivery {
			t.Errorf("delivery %d says that it is %d", n, m.Delivery)
		}
		switch n {
		case 1:
			return errors.New("the database is away")
		case 2:
			panic("a mistake")
		}
		close(done)
		return nil
	})
	run(t, c, done)
	consumer, err := b.JetStream().Consumer(t.Context(), events.StreamEvents, "d")
	if err != nil {
		t.Fatal(err)
	}
	if info := consumer.CachedInfo(); info.AckFloor.Stream != 1 || info.NumAckPending != 0 {
		t.Errorf("after the work, %d is acknowledged and %d are in hand", info.AckFloor.Stream, info.NumAckPending)
	}
}

func TestLongWorkIsKeptAlive(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	emit(t, b, told(1), told(2))
	done := make(chan struct{})
	var begun atomic.Int64
	c := consume.New(b.JetStream(), quiet(consume.Options{Durable: "d", AckWait: 2 * time.Second, AtOnce: 3})) // a place is free for what would come again
	consume.On(c, func(_ context.Context, m consume.Message, _ events.PostEdited) error {
		if m.Delivery != 1 {
			t.Errorf("the server gave sequence %d out again while it was worked on", m.Sequence)
		}
		if begun.Add(1) == 2 {
			defer close(done)
		}
		<-time.After(3 * time.Second) // the work: longer than AckWait
		return nil
	})
	run(t, c, done)
	if begun.Load() != 2 {
		t.Errorf("the work was begun %d times", begun.Load())
	}
}

func TestRepeatsAndStrangersArePassedOver(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	js := b.JetStream()
	emit(t, b, told(1))
	again := func(typ, body, replay string) {
		m := nats.NewMsg(told(1).Subject())
		m.Data = []byte(body)
		m.Header.Set("Ce-Id", told(1).EventID()) // another case, as some clients write it
		m.Header.Set(events.HeaderType, typ)
		if replay != "" {
			m.Header.Set("Ce-Id", "other")
			m.Header.Set(events.HeaderReplay, replay)
		}
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	again("post.edited.v1", `{"post":{"rev":1}}`, "")   // emitted again after JetStream forgot the id
	again("post.edited.v9", `{"anything":true}`, "")    // of a newer version
	again("post.edited.v1", `{"post":{"rev":5}}`, "r1") // of a replay
	emit(t, b, told(2))
	done := make(chan struct{})
	var revs []int64
	c := consume.New(js, quiet(consume.Options{Durable: "d", InOrder: true}))
	consume.OnPost(c, func(_ context.Context, _ consume.Message, e events.PostEvent) error {
		revs = append(revs, e.Snapshot().Rev)
		if len(revs) == 2 {
			close(done)
		}
		return nil
	})
	run(t, c, done)
	if len(revs) != 2 || revs[0] != 1 || revs[1] != 2 {
		t.Errorf("it worked on revs %v", revs)
	}
}

// The work in hand is finished when the reader is told to stop, and acknowledged.
func TestStopFinishes(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	emit(t, b, told(1))
	ctx, cancel := context.WithCancel(t.Context())
	c := consume.New(b.JetStream(), quiet(consume.Options{Durable: "d"}))
	consume.On(c, func(ctx context.Context, _ consume.Message, _ events.PostEdited) error {
		cancel()
		select {
		case <-ctx.Done():
			return errors.New("cut off")
		case <-time.After(200 * time.Millisecond): // the work
			return nil
		}
	})
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.JetStream().Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	consumer, err := b.JetStream().Consumer(t.Context(), events.StreamEvents, "d")
	if err != nil {
		t.Fatal(err)
	}
	if floor := consumer.CachedInfo().AckFloor.Stream; floor != 1 {
		t.Errorf("acknowledged up to %d", floor)
	}
}

func TestRefusesWhatItCannotRelyOn(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	js := b.JetStream()
	good := jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second, MaxDeliver: -1, FilterSubject: "threads.evt.post.*.*.edited"}
	for name, c := range map[string]struct {
		change func(*jetstream.ConsumerConfig)
		o      consume.Options
		says   string
	}{
		"fine":          {func(*jetstream.ConsumerConfig) {}, consume.Options{}, ""},
		"no acks":       {func(c *jetstream.ConsumerConfig) { c.AckPolicy = jetstream.AckNonePolicy; c.AckWait = 0 }, consume.Options{}, "ack policy"},
		"another wait":  {func(c *jetstream.ConsumerConfig) { c.AckWait = time.Second }, consume.Options{}, "AckWait is 1s and not 30s"},
		"gives up":      {func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 3 }, consume.Options{}, "after 3 tries"},
		"out of order":  {func(*jetstream.ConsumerConfig) {}, consume.Options{InOrder: true}, "in order"},
		"other facts":   {func(c *jetstream.ConsumerConfig) { c.FilterSubject = "threads.evt.>" }, consume.Options{}, "it reads threads.evt.>"},
		"of an account": {func(*jetstream.ConsumerConfig) {}, consume.Options{Account: "acct_x"}, "threads.evt.post.acct_x.*.edited"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := good
			config.Durable = strings.ReplaceAll(name, " ", "-")
			c.change(&config)
			if _, err := js.CreateConsumer(t.Context(), events.StreamEvents, config); err != nil {
				t.Fatal(err)
			}
			o := quiet(c.o)
			o.Durable = config.Durable
			reader := consume.New(js, o)
			consume.On(reader, func(context.Context, consume.Message, events.PostEdited) error { return nil })
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			err := reader.Run(ctx)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %v, want %q", err, c.says)
			}
		})
	}
	if err := consume.New(js, quiet(consume.Options{Durable: "x"})).Run(t.Context()); err == nil {
		t.Error("a reader with nothing to do runs")
	}
	nameless := consume.New(js, quiet(consume.Options{}))
	consume.On(nameless, func(context.Context, consume.Message, events.PostEdited) error { return nil })
	if err := nameless.Run(t.Context()); err == nil {
		t.Error("a reader without a name runs")
	}
}

// Another team reads with no more than the permissions that a deployment gives it.
func TestAsAnotherTeam(t *testing.T) {
	t.Parallel()
	s := bustest.ServeConf(t, "../../internal/bus/natsd/nats.conf", nil)
	if err := bus.Declare(t.Context(), s.As(t, bus.UserMigrate), bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	if err := s.As(t, "publisher").Emit(t.Context(), told(1)); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.NewWithAPIPrefix(s.As(t, bus.UserSubscriber).JetStream().Conn(), events.GuestAPI)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	c := consume.New(js, quiet(consume.Options{Durable: "team-edits", AckWait: 2 * time.Second, AtOnce: 2}))
	consume.On(c, func(_ context.Context, m consume.Message, _ events.PostEdited) error {
		if m.Delivery != 1 {
			t.Error("its sign of life did not arrive")
		}
		<-time.After(3 * time.Second) // the work: longer than AckWait
		close(done)
		return nil
	})
	run(t, c, done)
	consumer, err := js.Consumer(t.Context(), events.StreamEvents, "team-edits")
	if err != nil {
		t.Fatal(err)
	}
	if floor := consumer.CachedInfo().AckFloor.Stream; floor != 1 {
		t.Errorf("acknowledged up to %d", floor)
	}
}
