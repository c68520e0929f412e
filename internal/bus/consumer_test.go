package bus_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

const wait = waiting.Limit

// handling runs handlers on a durable until the test ends; stop ends them before and waits.
func handling(t *testing.T, b *bus.Bus, durable string, h *bus.Handlers, o bus.HandleOptions) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Handle(ctx, durable, h, o) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("handling %s ended with %v", durable, err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// acks listens to what is said about the messages of a durable: +ACK, -NAK {"delay": …}, +TERM …
func acks(t *testing.T, b *bus.Bus, stream, durable string) <-chan string {
	t.Helper()
	said := make(chan string, 100)
	sub, err := b.JetStream().Conn().Subscribe("$JS.ACK."+stream+"."+durable+".>", func(m *nats.Msg) {
		if s := string(m.Data); s != "+WPI" {
			said <- s
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	return said
}

// deliveries tells of each message of a durable that has reached the connection. (The server counts a message as pending
// before it sends it; one that is still on its way when the subscription ends comes again only after AckWait.)
func deliveries(t *testing.T, b *bus.Bus, stream, durable string) <-chan struct{} {
	t.Helper()
	inbox := b.JetStream().Conn().NewInbox()
	inboxes := inbox[:strings.LastIndex(inbox, ".")] + ".>"
	here := make(chan struct{}, 100)
	sub, err := b.JetStream().Conn().Subscribe(inboxes, func(m *nats.Msg) {
		if strings.HasPrefix(m.Reply, "$JS.ACK."+stream+"."+durable+".") {
			here <- struct{}{}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	return here
}

func next[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(wait):
		t.Fatalf("no %s within %s", what, wait)
		panic(nil)
	}
}

func aCommand() events.CancelPost {
	return events.CancelPost{PostID: events.NewPostID(), UserID: "user_1"}
}

// One case for each row of the table: what a handler returns → what becomes of its message and who hears of it.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		returns error
		panics  bool
		say     string // begin of what is said to JetStream
		done    bool   // an outcome is told at once
		code    events.Code
	}{
		"nothing: done":             {nil, false, "+ACK", true, ""},
		"a refusal: told and done":  {events.Faultf(events.Conflict, "too late"), false, "+ACK", true, events.Conflict},
		"pending: done, told later": {bus.Pending, false, "+ACK", false, ""},
		"later: again after that":   {bus.Later(1500 * time.Millisecond), false, `-NAK {"delay": 1500000000}`, false, ""},
		"something is away: again":  {events.Faultf(events.Unavailable, "no database"), false, `-NAK {"delay": 1000000000}`, false, ""},
		"anything else: again":      {errors.New("odd"), false, `-NAK {"delay": 1000000000}`, false, ""},
		"a panic: again":            {nil, true, `-NAK {"delay": 1000000000}`, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bustest.New(t)
			said := acks(t, b, events.StreamCommands, events.PublisherCommands)
			h := bus.NewHandlers()
			bus.OnCommand(h, func(context.Context, bus.Delivery, events.CancelPost) (any, error) {
				if c.panics {
					panic("no")
				}
				return map[string]string{"is": "done"}, c.returns
			})
			handling(t, b, events.PublisherCommands, h, bus.HandleOptions{})
			id := events.NewCommandID()
			patience := wait
			if !c.done {
				patience = 300 * time.Millisecond
			}
			o, err := b.Do(t.Context(), aCommand(), bus.CommandOptions{ID: id}, patience)
			if err != nil {
				t.Fatal(err)
			}
			if got := next(t, said, "word about the message"); !strings.HasPrefix(strings.ReplaceAll(got, ":1", ": 1"), c.say) {
				t.Errorf("JetStream was told %q, want %q", got, c.say)
			}
			if o.Done != c.done || o.CommandID != id {
				t.Errorf("the sender heard %+v", o)
			}
			if c.code != "" && (o.Fault == nil || o.Fault.Code != c.code) {
				t.Errorf("the sender heard the fault %v, want %s", o.Fault, c.code)
			}
			if c.done && c.code == "" && string(o.Result) != `{"is":"done"}` {
				t.Errorf("the sender heard the result %s", o.Result)
			}
		})
	}
}

func TestSetAside(t *testing.T) {
	t.Parallel()
	dead := func(t *testing.T, b *bus.Bus, subject string) *jetstream.RawStreamMsg {
		t.Helper()
		s, err := b.JetStream().Stream(t.Context(), events.StreamDead)
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.GetLastMsgForSubject(t.Context(), events.Dead(subject))
		if err != nil {
			t.Fatalf("no dead letter was stored: %v", err)
		}
		return m
	}

	t.Run("what cannot be decoded", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		said := acks(t, b, events.StreamCommands, events.PublisherCommands)
		h := bus.NewHandlers()
		bus.OnCommand(h, func(context.Context, bus.Delivery, events.CancelPost) (any, error) { return nil, nil })
		handling(t, b, events.PublisherCommands, h, bus.HandleOptions{})
		for _, typ := range []string{(events.CancelPost{}).Type(), "post.of_tomorrow.v7"} {
			m := &nats.Msg{Subject: (events.CancelPost{}).Subject(), Data: []byte("{"), Header: nats.Header{
				events.HeaderType: {typ}, events.HeaderID: {"cmd_x"}, "Nats-Something": {"x"}}}
			if _, err := b.JetStream().PublishMsg(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if got := next(t, said, "word about the message"); !strings.HasPrefix(got, "+TERM") {
				t.Errorf("JetStream was told %q", got)
			}
			letter := dead(t, b, m.Subject)
			if string(letter.Data) != "{" || letter.Header.Get(bus.HeaderDeadStream) != events.StreamCommands || letter.Header.Get(events.HeaderType) != typ {
				t.Errorf("dead letter %v %s", letter.Header, letter.Data)
			}
			if letter.Header.Get("Nats-Something") != "" {
				t.Error("JetStream's own headers went along")
			}
		}
	})

	t.Run("a command that fails too often, with a word to its sender and the handler", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		h := bus.NewHandlers()
		var emitted atomic.Bool
		bus.OnCommand(h, func(context.Context, bus.Delivery, events.CancelPost) (any, error) { return nil, errors.New("always") })
		h.OnDead(func(context.Context, bus.Delivery, error) { emitted.Store(true) })
		handling(t, b, events.PublisherCommands, h, bus.HandleOptions{CommandDeliveries: 2})
		o, err := b.Do(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}, wait)
		if err != nil || !o.Done || o.Fault == nil || o.Fault.Code != events.Internal {
			t.Errorf("the sender heard %+v, %v", o, err)
		}
		if !emitted.Load() {
			t.Error("the handler was not told")
		}
		dead(t, b, aCommand().Subject())
	})

	t.Run("a command that panics too often", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		h := bus.NewHandlers()
		bus.OnCommand(h, func(context.Context, bus.Delivery, events.CancelPost) (any, error) { panic("always") })
		handling(t, b, events.PublisherCommands, h, bus.HandleOptions{CommandDeliveries: 2})
		o, err := b.Do(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}, wait)
		if err != nil || o.Fault == nil || o.Fault.Code != events.Internal {
			t.Errorf("the sender heard %+v, %v", o, err)
		}
		dead(t, b, aCommand().Subject())
	})

	t.Run("an event of a newer version, but none that is only somebody else's", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		said := acks(t, b, events.StreamEvents, events.PublisherProjector)
		handling(t, b, events.PublisherProjector, bus.NewHandlers(), bus.HandleOptions{})
		if err := b.Emit(t.Context(), newEvent(events.FactScheduled, "post_a", 1)); err != nil {
			t.Fatal(err)
		}
		if got := next(t, said, "word about the event"); got != "+ACK" {
			t.Errorf("JetStream was told %q", got)
		}
		m := &nats.Msg{Subject: "threads.evt.post.acct_x.post_a.sung", Data: []byte("{}"), Header: nats.Header{events.HeaderType: {"post.sung.v1"}}}
		if _, err := b.JetStream().PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if got := next(t, said, "word about the newer event"); !strings.HasPrefix(got, "+TERM") {
			t.Errorf("JetStream was told %q", got)
		}
		dead(t, b, m.Subject)
	})

	t.Run("nothing, while the copy cannot be stored", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		if err := b.JetStream().DeleteStream(t.Context(), events.StreamDead); err != nil {
			t.Fatal(err)
		}
		said := acks(t, b, events.StreamCommands, events.PublisherCommands)
		h := bus.NewHandlers()
		bus.OnCommand(h, func(context.Context, bus.Delivery, events.CancelPost) (any, error) { return nil, errors.New("always") })
		handling(t, b, events.PublisherCommands, h, bus.HandleOptions{CommandDeliveries: 1})
		if err := b.Send(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
			t.Fatal(err)
		}
		if got := next(t, said, "word about the message"); !strings.HasPrefix(got, "-NAK") {
			t.Errorf("JetStream was told %q", got)
		}
	})

	t.Run("nothing, while the handler's own lament fails", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		said := acks(t, b, events.StreamCommands, events.PublisherCommands)
		h := bus.NewHandlers()
		bus.OnCommand(h, func(context.Context, bus.Delivery, events.CancelPost) (any, error) { return nil, errors.New("always") })
		h.OnDead(func(context.Context, bus.Delivery, error) { panic("no") })
		handling(t, b, events.PublisherCommands, h, bus.HandleOptions{CommandDeliveries: 1})
		if err := b.Send(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
			t.Fatal(err)
		}
		if got := next(t, said, "word about the message"); !strings.HasPrefix(got, "-NAK") {
			t.Errorf("JetStream was told %q", got)
		}
	})

	t.Run("but never a wake-up", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		said := acks(t, b, events.StreamPostAlarms, events.PublisherDue)
		h := bus.NewHandlers()
		h.OnWake(events.PostDue("*"), func(context.Context, bus.Delivery, string) error { return errors.New("always") })
		handling(t, b, events.PublisherDue, h, bus.HandleOptions{CommandDeliveries: 1})
		if err := b.Wake(t.Context(), events.PostDue("post_x"), time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got := next(t, said, "word about the wake-up"); !strings.HasPrefix(got, "-NAK") {
			t.Errorf("JetStream was told %q", got)
		}
	})
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	said := acks(t, b, events.StreamCommands, events.PublisherCommands)
	began := make(chan struct{}, 2)
	h := bus.NewHandlers()
	bus.OnCommand(h, func(ctx context.Context, _ bus.Delivery, _ events.CancelPost) (any, error) {
		began <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	stop := handling(t, b, events.PublisherCommands, h, bus.HandleOptions{})
	if err := b.Send(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
		t.Fatal(err)
	}
	next(t, began, "handler")
	stop()
	if got := next(t, said, "word about the message"); got != "-NAK" {
		t.Errorf("JetStream was told %q, want the message back at once", got)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()

	t.Run("what was fetched and not begun goes back at once", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		said := acks(t, b, events.StreamCommands, events.PublisherCommands)
		here := deliveries(t, b, events.StreamCommands, events.PublisherCommands)
		const fetched = 4
		for range fetched {
			if err := b.Send(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
				t.Fatal(err)
			}
		}
		began := make(chan struct{}, fetched)
		h := bus.NewHandlers()
		bus.OnCommand(h, func(ctx context.Context, _ bus.Delivery, _ events.CancelPost) (any, error) {
			began <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		stop := handling(t, b, events.PublisherCommands, h, bus.HandleOptions{Concurrency: 1, Prefetch: fetched})
		next(t, began, "handler")
		for range fetched { // all are here: the one in hand, and those fetched ahead
			next(t, here, "message")
		}
		stop()
		for range fetched {
			if got := next(t, said, "word about a message"); got != "-NAK" {
				t.Errorf("JetStream was told %q", got)
			}
		}
	})

	t.Run("what is in hand may finish", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		said := acks(t, b, events.StreamCommands, events.PublisherCommands)
		began := make(chan struct{}, 1)
		h := bus.NewHandlers()
		bus.OnCommand(h, func(ctx context.Context, _ bus.Delivery, _ events.CancelPost) (any, error) {
			began <- struct{}{}
			<-ctx.Done()
			return nil, nil // it finishes what it began
		})
		stop := handling(t, b, events.PublisherCommands, h, bus.HandleOptions{})
		if err := b.Send(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
			t.Fatal(err)
		}
		next(t, began, "handler")
		stop()
		if got := next(t, said, "word about the message"); got != "+ACK" {
			t.Errorf("JetStream was told %q", got)
		}
	})

	t.Run("but not for ever: then it goes back, and the late handler says nothing more", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		said := acks(t, b, events.StreamCommands, events.PublisherCommands)
		began, release, ended := make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
		h := bus.NewHandlers()
		bus.OnCommand(h, func(context.Context, bus.Delivery, events.CancelPost) (any, error) {
			defer close(ended)
			began <- struct{}{}
			<-release
			return nil, nil
		})
		stop := handling(t, b, events.PublisherCommands, h, bus.HandleOptions{Drain: 50 * time.Millisecond})
		if err := b.Send(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
			t.Fatal(err)
		}
		next(t, began, "handler")
		stop()
		if got := next(t, said, "word about the message"); got != "-NAK" {
			t.Errorf("JetStream was told %q", got)
		}
		close(release)
		<-ended
		// Another process finds it; its word is the next that is heard.
		again := bus.NewHandlers()
		bus.OnCommand(again, func(context.Context, bus.Delivery, events.CancelPost) (any, error) { return nil, bus.Later(time.Hour) })
		handling(t, b, events.PublisherCommands, again, bus.HandleOptions{})
		if got := next(t, said, "word of the other process"); !strings.HasPrefix(got, "-NAK {") {
			t.Errorf("JetStream was told %q", got)
		}
	})
}

func TestInProgress(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	c, err := b.JetStream().Consumer(t.Context(), events.StreamCommands, events.PublisherCommands)
	if err != nil {
		t.Fatal(err)
	}
	cfg := c.CachedInfo().Config
	cfg.AckWait = 3 * time.Second // three times as long as the machine may keep a sign of life back
	if _, err := b.JetStream().UpdateConsumer(t.Context(), events.StreamCommands, cfg); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 100)
	sub, err := b.JetStream().Conn().Subscribe("$JS.ACK."+events.StreamCommands+"."+events.PublisherCommands+".>", func(m *nats.Msg) { said <- string(m.Data) })
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	release := make(chan struct{})
	var deliveries atomic.Int32
	h := bus.NewHandlers()
	bus.OnCommand(h, func(context.Context, bus.Delivery, events.CancelPost) (any, error) {
		deliveries.Add(1)
		<-release
		return nil, nil
	})
	handling(t, b, events.PublisherCommands, h, bus.HandleOptions{})
	if err := b.Send(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
		t.Fatal(err)
	}
	for range 5 { // a third of AckWait each: longer than AckWait together
		if got := next(t, said, "sign of life"); got != "+WPI" {
			t.Errorf("JetStream was told %q", got)
		}
	}
	close(release)
	for got := next(t, said, "ack"); got != "+ACK"; got = next(t, said, "ack") {
		if got != "+WPI" {
			t.Errorf("JetStream was told %q", got)
		}
	}
	if n := deliveries.Load(); n != 1 {
		t.Errorf("it was delivered %d times", n)
	}
}

func TestDurableComesAndGoes(t *testing.T) {
	t.Parallel()
	complaints := make(chan string, 100)
	log := zap.New(zapcore.NewNopCore()).WithOptions(zap.WrapCore(func(zapcore.Core) zapcore.Core {
		core, _ := observer.New(zap.ErrorLevel)
		return zapcore.RegisterHooks(core, func(e zapcore.Entry) error { complaints <- e.Message; return nil })
	}))
	s := bustest.Server(t, t.TempDir())
	ops := bustest.Connect(t, s, "ops")
	b, err := bus.Connect(t.Context(), bus.Config{Name: "test", Options: []nats.Option{s.InProcess()}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	handled := make(chan struct{}, 2)
	h := bus.NewHandlers()
	bus.OnCommand(h, func(context.Context, bus.Delivery, events.CancelPost) (any, error) {
		handled <- struct{}{}
		return nil, nil
	})
	handling(t, b, events.PublisherCommands, h, bus.HandleOptions{})
	send := func() {
		t.Helper()
		if err := ops.Send(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
			t.Fatal(err)
		}
	}
	send()
	next(t, handled, "command")
	if err := ops.JetStream().DeleteConsumer(t.Context(), events.StreamCommands, events.PublisherCommands); err != nil {
		t.Fatal(err)
	}
	next(t, complaints, "complaint about the missing durable")
	// It complained after it had noted why.
	if err := b.Healthy(t.Context()); err == nil || !strings.Contains(err.Error(), events.PublisherCommands) {
		t.Errorf("without its durable it says %v", err)
	}
	if err := bus.Declare(t.Context(), ops, bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	send()
	next(t, handled, "command after the durable is back")
	if err := b.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestServerRestart(t *testing.T) {
	t.Parallel()
	n := bustest.NewNode(t, t.TempDir())
	b := bustest.Connect(t, n, "test")
	handled := make(chan struct{}, 10)
	h := bus.NewHandlers()
	bus.OnCommand(h, func(context.Context, bus.Delivery, events.CancelPost) (any, error) {
		handled <- struct{}{}
		return nil, nil
	})
	handling(t, b, events.PublisherCommands, h, bus.HandleOptions{})
	if err := b.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
	n.Stop()
	if err := b.Healthy(t.Context()); err == nil {
		t.Error("without a server it says that it is well")
	}
	n.Start()
	if err := b.Send(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
		t.Fatal(err)
	}
	next(t, handled, "command after the restart")
	if err := b.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
}

// What is in hand is bounded in bytes too: large messages wait for each other, and one beyond the bound is in hand by itself.
func TestBytesInHand(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	const most = 64 << 10
	sizes := []int{most / 2, most / 2, most / 2, 2 * most, 10}
	began, end := make(chan int, len(sizes)), make(chan struct{})
	var inHand, worst atomic.Int64
	h := bus.NewHandlers()
	bus.OnCommand(h, func(_ context.Context, _ bus.Delivery, cmd events.SchedulePost) (any, error) {
		size := int64(len(cmd.Draft.Text))
		if n := inHand.Add(min(size, most)); n > worst.Load() {
			worst.Store(n)
		}
		began <- len(cmd.Draft.Text)
		<-end
		inHand.Add(-min(size, most))
		return nil, nil
	})
	for _, size := range sizes {
		cmd := events.SchedulePost{PostID: events.NewPostID(), UserID: "user_1", Draft: events.Draft{Text: strings.Repeat("x", size-10)}}
		if err := b.Send(t.Context(), cmd, bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
			t.Fatal(err)
		}
	}
	here := deliveries(t, b, events.StreamCommands, events.PublisherCommands)
	handling(t, b, events.PublisherCommands, h, bus.HandleOptions{Bytes: most + 1<<10})
	for range sizes {
		next(t, here, "a message")
	}
	next(t, began, "the first")
	next(t, began, "the second")
	close(end)
	for range sizes[2:] {
		next(t, began, "another")
	}
	if n := worst.Load(); n > most {
		t.Errorf("%d bytes were in hand, and %d are the bound", n, most)
	}
}

func TestRetryDelay(t *testing.T) {
	t.Parallel()
	for deliveries, want := range map[uint64]time.Duration{
		0: time.Second, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 9: 256 * time.Second,
		10: 5 * time.Minute, 64: 5 * time.Minute, 1 << 40: 5 * time.Minute,
	} {
		if got := bus.RetryDelay(deliveries); got != want {
			t.Errorf("after %d deliveries %s, want %s", deliveries, got, want)
		}
	}
}

// A command has so much time. Then its handler's ctx ends, which ends what it waits for, and the command comes again, as when
// something is away.
func TestCommandLimit(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	said := acks(t, b, events.StreamCommands, events.PublisherCommands)
	h := bus.NewHandlers()
	bus.OnCommand(h, func(ctx context.Context, d bus.Delivery, _ events.CancelPost) (any, error) {
		if d.Deliveries == 1 {
			<-ctx.Done() // as one who waits for a connection, or for an answer
			return nil, ctx.Err()
		}
		return map[string]string{"is": "done"}, nil
	})
	handling(t, b, events.PublisherCommands, h, bus.HandleOptions{CommandLimit: 50 * time.Millisecond})
	o, err := b.Do(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}, wait)
	if err != nil || !o.Done || o.Fault != nil {
		t.Errorf("answered %+v, %v", o, err)
	}
	if first := next(t, said, "word about the message"); !strings.HasPrefix(first, "-NAK {") {
		t.Errorf("of a command whose time was over JetStream was told %q", first)
	}
}
