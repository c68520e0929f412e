// Package consume reads the events of this system for another one: a durable consumer on EVENTS with safe defaults. An event is
// acknowledged after the work for it is done, kept alive while that takes its time, tried again when it fails, and dropped
// when it was done before. Types of a newer version are passed over.
//
// An event can come twice all the same (a crash between the work and its acknowledgement), and after a failure out of order.
// Whoever writes to a database notes [Message.ID] in the transaction of the work, or applies a post only where its rev is
// higher; the examples show both.
package consume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
)

// Options say who reads, and how.
type Options struct {
	// Durable is the name of the reader, of its own for each thing that is done with events: billing-published. Any number of
	// processes may share one; each event then goes to one of them.
	Durable string
	// Since is where a new durable begins: at the start of EVENTS when it is zero. One that is there goes on where it was.
	Since time.Time
	// Account and Post leave out the events of others.
	Account, Post string
	// InOrder takes one event at a time, and none before the one before it is done. An event that fails then holds up all others.
	InOrder bool
	// AtOnce is how many events are worked on at a time by this process; zero: 1.
	AtOnce int
	// AckWait is how long the server waits for a sign of life before it gives an event to another; zero: 30 s. Signs are given
	// every third of it while the work goes on.
	AckWait time.Duration
	// Patience is the pause after a first failure, doubling up to five minutes; zero: 1 s.
	Patience time.Duration
	// Log is told of failures; nil: slog's default.
	Log *slog.Logger
}

// Message is what is known of an event besides its body.
type Message struct {
	// ID is the same whenever the same event is emitted again.
	ID   string
	Type string
	// Time is when it was emitted, Sequence its place on EVENTS.
	Time     time.Time
	Sequence uint64
	Subject  string
	// Correlation is the HTTP request that started it all, Causation the message that led to this one.
	Correlation, Causation string
	// Delivery counts from 1.
	Delivery uint64
}

type handler func(ctx context.Context, m Message, fact events.Message) error

// Consumer reads events. Say with On what is done with them, then Run it.
type Consumer struct {
	js      jetstream.JetStream
	o       Options
	work    map[string]handler
	filters []string
	done    recent
}

// New makes a reader. It does no I/O.
func New(js jetstream.JetStream, o Options) *Consumer {
	o.AtOnce = max(o.AtOnce, 1)
	o.AckWait = cmp.Or(o.AckWait, 30*time.Second)
	o.Patience = cmp.Or(o.Patience, time.Second)
	o.Log = cmp.Or(o.Log, slog.Default())
	return &Consumer{js: js, o: o, work: map[string]handler{}}
}

// On says what is done with the events of a type. nil is done; with an error the event comes again after a pause.
func On[E events.Event](c *Consumer, do func(ctx context.Context, m Message, fact E) error) {
	var none E
	c.filters = append(c.filters, c.subjectOf(none))
	c.work[none.Type()] = func(ctx context.Context, m Message, fact events.Message) error {
		e, ok := fact.(E)
		if !ok {
			return fmt.Errorf("a %s was read as %T", m.Type, fact)
		}
		return do(ctx, m, e)
	}
}

// OnPost says what is done with every event of posts, whatever it is.
func OnPost(c *Consumer, do func(ctx context.Context, m Message, fact events.PostEvent) error) {
	for _, msg := range events.All() {
		if _, ok := msg.(events.PostEvent); ok {
			c.work[msg.Type()] = func(ctx context.Context, m Message, fact events.Message) error {
				e, ok := fact.(events.PostEvent)
				if !ok {
					return fmt.Errorf("a %s was read as %T", m.Type, fact)
				}
				return do(ctx, m, e)
			}
		}
	}
	c.filters = append(c.filters, events.PostFacts(cmp.Or(c.o.Account, "*"), cmp.Or(c.o.Post, "*"), "*"))
}

// subjectOf is where events of a type are emitted, of the accounts and posts asked for.
func (c *Consumer) subjectOf(none events.Event) string {
	words := strings.Split(none.Subject(), ".") // an empty event has empty words for its ids: account, then post
	ids := []string{cmp.Or(c.o.Account, "*"), cmp.Or(c.o.Post, "*")}
	for i, word := range words {
		if word == "" && len(ids) > 0 {
			words[i], ids = ids[0], ids[1:]
		}
	}
	return strings.Join(words, ".")
}

// Run reads until ctx ends; then it finishes what it has in hand. It returns at once when it cannot be relied on: no name,
// nothing to do, or a durable of that name that works otherwise.
func (c *Consumer) Run(ctx context.Context) error {
	consumer, err := c.open(ctx)
	if err != nil {
		return err
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx)) // what is in hand when ctx ends is finished
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopWithin, cancel) })()
	places := make(chan struct{}, c.o.AtOnce)
	var working sync.WaitGroup
	defer working.Wait()
	for {
		// No more is asked for than is worked on at once: an event that lies in a buffer gives no sign of life.
		n := take(ctx, places)
		if n == 0 {
			return nil
		}
		asked, done := context.WithTimeout(ctx, fetchWait)
		batch, err := consumer.Fetch(n, jetstream.FetchContext(asked))
		if err == nil {
			for m := range batch.Messages() {
				n--
				working.Go(func() {
					defer func() { <-places }()
					c.handle(work, m)
				})
			}
			err = batch.Error()
		}
		done()
		for ; n > 0; n-- {
			<-places
		}
		switch {
		case ctx.Err() != nil:
			return nil // told to stop
		case err == nil, errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout): // nothing was emitted
		case errors.Is(err, jetstream.ErrConsumerDeleted), errors.Is(err, jetstream.ErrConsumerNotFound),
			errors.Is(err, nats.ErrConnectionClosed):
			return fmt.Errorf("read %s as %s: %w", events.StreamEvents, c.o.Durable, err)
		default:
			c.o.Log.Warn("the server does not answer; asking again", "durable", c.o.Durable, "error", err)
			pause(ctx, time.Second)
		}
	}
}

const (
	// stopWithin is how long what is in hand may take once Run is told to stop.
	stopWithin = 10 * time.Second
	// fetchWait is how long events are asked for at a time.
	fetchWait = 5 * time.Second
)

// take waits for one place and takes with it all that are free. None are taken once ctx has ended.
func take(ctx context.Context, places chan struct{}) (n int) {
	select {
	case places <- struct{}{}:
		n = 1
	case <-ctx.Done():
		return 0
	}
	for {
		select {
		case places <- struct{}{}:
			n++
		default:
			return n
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// open makes the durable, or finds the one that is there and sees that it works as this package must rely on.
func (c *Consumer) open(ctx context.Context) (jetstream.Consumer, error) {
	switch {
	case c.o.Durable == "":
		return nil, errors.New("a consumer needs the name of its durable: billing-published")
	case len(c.work) == 0:
		return nil, fmt.Errorf("%s has nothing to do; say with On what", c.o.Durable)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c.tidy()
	config := jetstream.ConsumerConfig{
		Durable: c.o.Durable, FilterSubjects: c.filters, AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.o.AckWait,
		MaxDeliver:    -1, // the one who does the work says what is hopeless, never the counter
		MaxAckPending: max(4*c.o.AtOnce, 64), DeliverPolicy: jetstream.DeliverAllPolicy,
		Description: "made by events/consume",
	}
	if c.o.InOrder {
		config.MaxAckPending = 1
	}
	if !c.o.Since.IsZero() {
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &c.o.Since
	}
	consumer, err := c.js.Consumer(ctx, events.StreamEvents, c.o.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = c.js.CreateConsumer(ctx, events.StreamEvents, config)
	}
	if err != nil {
		return nil, fmt.Errorf("open the durable %s: %w", c.o.Durable, err)
	}
	return consumer, c.check(consumer.CachedInfo().Config)
}

// tidy leaves out filters that another one covers: the server takes no overlapping ones.
func (c *Consumer) tidy() {
	slices.Sort(c.filters)
	c.filters = slices.Compact(c.filters)
	everyPost := events.PostFacts(cmp.Or(c.o.Account, "*"), cmp.Or(c.o.Post, "*"), "*")
	if slices.Contains(c.filters, everyPost) {
		all := strings.TrimSuffix(everyPost, "*")
		c.filters = slices.DeleteFunc(c.filters, func(f string) bool { return f != everyPost && strings.HasPrefix(f, all) })
	}
}

// check says why a durable that somebody made cannot be relied on.
func (c *Consumer) check(is jetstream.ConsumerConfig) error {
	filters := append([]string{}, is.FilterSubjects...)
	if is.FilterSubject != "" {
		filters = append(filters, is.FilterSubject)
	}
	slices.Sort(filters)
	var wrong error
	switch {
	case is.AckPolicy != jetstream.AckExplicitPolicy:
		wrong = fmt.Errorf("its ack policy is %s: facts would count as done before they are", is.AckPolicy)
	case is.AckWait != c.o.AckWait:
		wrong = fmt.Errorf("its AckWait is %s and not %s: signs of life would come too late or too often", is.AckWait, c.o.AckWait)
	case is.MaxDeliver > 0:
		wrong = fmt.Errorf("it gives a fact up after %d tries, without a word", is.MaxDeliver)
	case c.o.InOrder && is.MaxAckPending != 1:
		wrong = fmt.Errorf("it gives out %d facts at a time, and they are wanted in order", is.MaxAckPending)
	case !slices.Equal(filters, c.filters):
		wrong = fmt.Errorf("it reads %s and not %s", strings.Join(filters, ", "), strings.Join(c.filters, ", "))
	default:
		return nil
	}
	return fmt.Errorf("the durable %s cannot be used: %w; change or delete it, or take another name", c.o.Durable, wrong)
}

// handle sees one event through.
func (c *Consumer) handle(ctx context.Context, m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		c.o.Log.Error("this is no message of a stream", "subject", m.Subject(), "error", err)
		return
	}
	msg := Message{
		ID: attribute(m.Headers(), events.HeaderID), Type: attribute(m.Headers(), events.HeaderType), Subject: m.Subject(),
		Sequence: meta.Sequence.Stream, Delivery: meta.NumDelivered,
		Correlation: attribute(m.Headers(), events.HeaderCorrelation), Causation: attribute(m.Headers(), events.HeaderCausation),
	}
	msg.Time, _ = time.Parse(time.RFC3339Nano, attribute(m.Headers(), events.HeaderTime))
	log := c.o.Log.With("durable", c.o.Durable, "type", msg.Type, "id", msg.ID, "sequence", msg.Sequence)
	switch err := c.do(ctx, m, msg); {
	case err == nil:
		c.done.add(msg.ID)
		sure, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := m.DoubleAck(sure); err != nil { // the server says that it has it
			log.Warn("done, but not acknowledged; it may come again", "error", err)
		}
	case ctx.Err() != nil: // it took too long to stop
		_ = m.Nak()
	default:
		wait := min(c.o.Patience<<min(msg.Delivery-1, 20), 5*time.Minute)
		log.Warn("failed, and will come again", "error", err, "delivery", msg.Delivery, "in", wait)
		_ = m.NakWithDelay(wait)
	}
}

func (c *Consumer) do(ctx context.Context, m jetstream.Msg, msg Message) (err error) {
	work := c.work[msg.Type]
	if work == nil || c.done.has(msg.ID) || attribute(m.Headers(), events.HeaderReplay) != "" {
		return nil
	}
	fact, err := events.Decode(msg.Type, m.Data())
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go keepAlive(ctx, m, c.o.AckWait/3)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return work(ctx, msg, fact)
}

// keepAlive tells the server that the work goes on.
func keepAlive(ctx context.Context, m jetstream.Msg, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			_ = m.InProgress()
		case <-ctx.Done():
			return
		}
	}
}

// attribute reads a header. Not every client keeps the case of its name.
func attribute(h nats.Header, name string) string {
	for key, values := range h {
		if len(values) > 0 && strings.EqualFold(key, name) {
			return values[0]
		}
	}
	return ""
}

// recent remembers the ids of what this process has done, the last hundred thousand.
type recent struct {
	mu   sync.Mutex
	ids  map[string]bool
	ring []string
	next int
}

const remembered = 100_000

func (r *recent) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ids[id]
}

func (r *recent) add(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id == "" || r.ids[id] {
		return
	}
	if r.ids == nil {
		r.ids = map[string]bool{}
	}
	if len(r.ring) < remembered {
		r.ring = append(r.ring, id)
	} else {
		delete(r.ids, r.ring[r.next])
		r.ring[r.next] = id
		r.next = (r.next + 1) % remembered
	}
	r.ids[id] = true
}
