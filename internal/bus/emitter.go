package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"go.uber.org/zap"
)

const (
	emitGather   = 2 * time.Millisecond // no message waits longer for company
	emitBatch    = 256
	emitFew      = 24          // up to so many go one by one on a fast disk; see fewer
	emitInFlight = 4           // batches; the server allows 50 for a stream, from all processes together
	aloneHolds   = time.Second // so long a message that went alone may hold others back
)

// emission is one message on its way to its stream.
type emission struct {
	msg     *nats.Msg
	guarded bool // EVENTS may have one such event of a post only
	unsure  bool // it went in a batch of which nobody said whether it was stored
	outcome chan error
}

// emitter gathers the messages that are sent at the same moment into one atomic batch: one sync of the disk for all of
// them, and an acknowledgement that means on disk. A few go one by one; when nothing else is on its way, at once.
type emitter struct {
	bus    *Bus
	stream string
	// follow takes over a message that went alone, with the answer to it, and gives it its outcome.
	follow func(*emission, *jetstream.PubAck, error)

	queue chan []*emission // what one call emits stays together
	slots chan struct{}    // one for each batch in flight
	alone atomic.Int64     // nanoseconds that a message of those that went alone took of late
	calls *gate
	done  chan struct{} // closed when no call is left, or waited for no longer
	once  sync.Once
}

func newEmitter(b *Bus, stream string, follow func(*emission, *jetstream.PubAck, error)) *emitter {
	e := &emitter{
		bus: b, stream: stream, follow: follow, queue: make(chan []*emission, emitBatch), slots: make(chan struct{}, emitInFlight),
		calls: newGate(), done: make(chan struct{}),
	}
	go e.run()
	return e
}

// emit queues messages and waits for what becomes of them.
func (e *emitter) emit(ctx context.Context, all []*emission) error {
	if !e.calls.enter() {
		return errClosed
	}
	defer e.calls.leave()
	var failed []error
	for len(all) > 0 {
		part := all[:min(len(all), emitBatch)]
		all = all[len(part):]
		select {
		case e.queue <- part:
		case <-e.done:
			return errClosed
		case <-ctx.Done():
			return ctx.Err()
		}
		for _, em := range part {
			select {
			case err := <-em.outcome:
				failed = append(failed, err)
			case <-e.done:
				return errCutOff
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return errors.Join(failed...)
}

// close takes no more messages, and waits for those on their way until ctx ends.
func (e *emitter) close(ctx context.Context) error {
	defer e.once.Do(func() { close(e.done) })
	if err := e.calls.shut(ctx); err != nil {
		return fmt.Errorf("send the last messages: %w", err)
	}
	return nil
}

func (e *emitter) run() {
	for {
		select {
		case batch := <-e.queue:
			if batch = e.gather(batch); batch == nil {
				return
			}
			go e.send(batch)
		case <-e.done:
			return
		}
	}
}

// gather adds to a batch what is emitted meanwhile, and returns it with a slot taken: at once when nothing else is on its
// way, otherwise when it is full or emitGather old and a slot is free. Nil means that the emitter was closed.
func (e *emitter) gather(batch []*emission) []*emission {
	timer := time.NewTimer(emitGather)
	defer timer.Stop()
	ripe := len(e.slots) == 0
	for {
		slots, queue := e.slots, e.queue
		if len(batch) >= emitBatch {
			queue = nil
		} else if !ripe {
			slots = nil
		}
		select {
		case more := <-queue:
			batch = append(batch, more...)
		case slots <- struct{}{}:
			return batch
		case <-timer.C:
			ripe = true
		case <-e.done:
			return nil
		}
	}
}

// fewer is up to how many messages go faster one by one, where one alone takes so long: nats-server makes a small store of files for
// each batch, which costs some 2 ms and the syncs of eight messages.
func fewer(alone time.Duration) int {
	const syncs, files = 8, 2 * time.Millisecond
	if alone <= files/(emitFew-syncs) {
		return emitFew
	}
	return syncs + int(files/alone)
}

// send stores a batch at once. When that fails, for whatever reason, its messages go one by one, each judged alone.
func (e *emitter) send(batch []*emission) {
	defer func() { <-e.slots }()
	if len(batch) > fewer(time.Duration(e.alone.Load())) && e.atomically(batch) == nil {
		for _, em := range batch {
			em.outcome <- nil
		}
		return
	}
	e.singly(batch)
}

func (e *emitter) atomically(batch []*emission) error {
	ctx, cancel := context.WithTimeout(context.Background(), e.bus.patience)
	defer cancel()
	defer context.AfterFunc(e.bus.stores.stuck(e.stream), cancel)()
	msgs := make([]*nats.Msg, len(batch))
	for i, em := range batch {
		msgs[i] = copyOf(em.msg)
	}
	// Nothing is waited for before the commit: a batch that the server did not begin is refused there as incomplete.
	sent, answered := e.bus.now(), e.bus.stores.suspectAfter(e.stream)
	last, err := jetstreamext.PublishMsgBatch(ctx, e.bus.js, msgs, jetstreamext.BatchFlowControl{})
	answered()
	ack := new(jetstream.PubAck)
	if err == nil {
		ack.Sequence = last.Sequence
	}
	e.bus.noteStoring(e.stream, sent, ack, err)
	if err != nil {
		e.bus.log.Debug("batch goes one by one", zap.Int("messages", len(batch)), zap.Error(err))
		for _, em := range batch {
			em.unsure = storingOf(err) == unsure
		}
	}
	return err
}

// singly publishes messages in their order without waiting between them. It returns when all were answered, or after a
// while: a message without an answer is followed further, but holds up nobody.
func (e *emitter) singly(batch []*emission) {
	answered, began := make(chan struct{}, len(batch)), time.Now()
	defer func() { // a running mean of some eight
		before, took := e.alone.Load(), int64(time.Since(began))/int64(len(batch))
		e.alone.Store(before + (took-before)/8)
	}()
	for _, em := range batch {
		future, err := e.bus.js.PublishMsgAsync(copyOf(em.msg), jetstream.WithRetryAttempts(0)) // who sent it tries again
		go func() {
			var ack *jetstream.PubAck
			sent := e.bus.now()
			if err == nil {
				inTime := e.bus.stores.suspectAfter(e.stream)
				ack, err = await(future, e.bus.patience, e.bus.stores.stuck(e.stream))
				inTime()
			}
			e.bus.noteStoring(e.stream, sent, ack, err)
			answered <- struct{}{}
			e.follow(em, ack, err)
		}()
	}
	enough := time.NewTimer(aloneHolds)
	defer enough.Stop()
	for range batch {
		select {
		case <-answered:
		case <-enough.C:
			return
		}
	}
}

// errNobodyAnswers ends a wait on a stream of which it is known by now that it stores nothing, and so answers nothing.
var errNobodyAnswers = errors.New("the stream stores nothing")

func await(future jetstream.PubAckFuture, patience time.Duration, stuck context.Context) (*jetstream.PubAck, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case ack := <-future.Ok():
		return ack, nil
	case err := <-future.Err():
		return nil, err
	case <-stuck.Done():
		return nil, errNobodyAnswers
	case <-timer.C:
		return nil, nats.ErrTimeout
	}
}

// copyOf keeps the headers that a try adds out of the next one.
func copyOf(m *nats.Msg) *nats.Msg {
	return &nats.Msg{Subject: m.Subject, Data: m.Data, Header: maps.Clone(m.Header)}
}
