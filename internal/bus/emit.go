package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
)

const (
	emitGather   = 5 * time.Millisecond // no event waits longer for company
	emitBatch    = 256
	emitInFlight = 4
	emitTimeout  = 5 * time.Second
	emitTries    = 3
)

// JetStream's words for "this was not stored, because".
const (
	codeWrongLastSequence jetstream.ErrorCode = 10071
	codeBatchDuplicate    jetstream.ErrorCode = 10201
	codeSubjectInFlight   jetstream.ErrorCode = 10164
	codeIDInFlight        jetstream.ErrorCode = 10158
)

// AlreadyPublishedError says that another PostPublished stands on the subject: a post is told as published once.
type AlreadyPublishedError struct {
	Subject, ID, StandsID string
}

func (e *AlreadyPublishedError) Error() string {
	return fmt.Sprintf("%s already has event %s; %s was not stored", e.Subject, e.StandsID, e.ID)
}

// emitter gathers the events that are told at the same moment into one atomic batch: one sync of the disk for all of
// them, and an acknowledgement that means on disk. When nothing else is on its way, an event goes alone and at once.
type emitter struct {
	bus   *Bus
	queue chan *emission
	slots chan struct{}
	done  chan struct{}
	once  sync.Once
}

type emission struct {
	msg  *nats.Msg
	told chan error
}

func newEmitter(b *Bus) *emitter {
	e := &emitter{bus: b, queue: make(chan *emission, 4*emitBatch), slots: make(chan struct{}, emitInFlight), done: make(chan struct{})}
	go e.run()
	return e
}

func (e *emitter) close() { e.once.Do(func() { close(e.done) }) }

// Emit tells facts. It returns when each of them is on disk, or with the errors of those that are not.
func (b *Bus) Emit(ctx context.Context, evs ...events.Event) error {
	waiting := make([]*emission, len(evs))
	for i, ev := range evs {
		m, err := encode(ctx, ev, ev.EventID(), b.now())
		if err != nil {
			return err
		}
		if ev.Type() == (events.PostPublished{}).Type() {
			m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
		}
		waiting[i] = &emission{msg: m, told: make(chan error, 1)}
		select {
		case b.emitter.queue <- waiting[i]:
		case <-b.emitter.done:
			return errors.New("the bus is closed")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	var failed []error
	for _, w := range waiting {
		select {
		case err := <-w.told:
			failed = append(failed, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.Join(failed...)
}

func (e *emitter) run() {
	for {
		var batch []*emission
		select {
		case first := <-e.queue:
			batch = append(batch, first)
		case <-e.done:
			return
		}
		alone := len(e.slots) == 0
		e.slots <- struct{}{} // while all slots are taken, company gathers
		batch = e.gather(batch, alone)
		go func() {
			defer func() { <-e.slots }()
			e.tell(batch)
		}()
	}
}

// gather adds what is queued already; when other batches are on their way, it waits a little for more.
func (e *emitter) gather(batch []*emission, alone bool) []*emission {
	timer := time.NewTimer(emitGather)
	defer timer.Stop()
	for len(batch) < emitBatch {
		select {
		case next := <-e.queue:
			batch = append(batch, next)
			continue
		default:
		}
		if alone {
			break
		}
		select {
		case next := <-e.queue:
			batch = append(batch, next)
		case <-timer.C:
			return batch
		}
	}
	return batch
}

// tell stores a batch at once, or, when that fails for whatever reason, message by message, each judged alone.
func (e *emitter) tell(batch []*emission) {
	if len(batch) > 1 && e.atomically(batch) == nil {
		for _, em := range batch {
			em.told <- nil
		}
		return
	}
	var wg sync.WaitGroup
	for _, em := range batch {
		wg.Go(func() { em.told <- e.one(em.msg) })
	}
	wg.Wait()
}

func (e *emitter) atomically(batch []*emission) error {
	ctx, cancel := context.WithTimeout(context.Background(), emitTimeout)
	defer cancel()
	p, err := jetstreamext.NewBatchPublisher(e.bus.js)
	if err != nil {
		return err
	}
	last := len(batch) - 1
	for _, em := range batch[:last] {
		if err := p.AddMsg(copyOf(em.msg)); err != nil {
			_ = p.Discard()
			return err
		}
	}
	if _, err = p.CommitMsg(ctx, copyOf(batch[last].msg)); err != nil {
		e.bus.log.Debug("batch of events goes one by one", zap.Int("events", len(batch)), zap.Error(err))
	}
	return err
}

// copyOf keeps the batch's headers out of a message that may have to go alone afterwards.
func copyOf(m *nats.Msg) *nats.Msg {
	c := *m
	c.Header = nats.Header{}
	for k, v := range m.Header {
		c.Header[k] = v
	}
	return &c
}

// one stores a single event. The same event twice is stored once and is no error.
func (e *emitter) one(m *nats.Msg) (err error) {
	for try := 1; try <= emitTries; try++ {
		ctx, cancel := context.WithTimeout(context.Background(), emitTimeout)
		_, err = e.bus.js.PublishMsg(ctx, copyOf(m), jetstream.WithExpectStream(events.StreamEvents))
		cancel()
		switch errorCode(err) {
		case codeWrongLastSequence, codeBatchDuplicate:
			return e.stands(m)
		case codeSubjectInFlight, codeIDInFlight:
		default:
			if err == nil {
				return nil
			}
		}
		pause(context.Background(), 100*time.Millisecond)
	}
	return fmt.Errorf("store event on %s: %w", m.Subject, err)
}

// stands reads what stands on the subject, from the stream's leader: our own event from an earlier try, or another.
func (e *emitter) stands(m *nats.Msg) error {
	ctx, cancel := context.WithTimeout(context.Background(), emitTimeout)
	defer cancel()
	stream, err := e.bus.js.Stream(ctx, events.StreamEvents)
	if err != nil {
		return fmt.Errorf("find %s: %w", events.StreamEvents, err)
	}
	last, err := stream.GetLastMsgForSubject(ctx, m.Subject)
	if err != nil {
		return fmt.Errorf("read the last event on %s: %w", m.Subject, err)
	}
	mine, standing := header(m.Header, events.HeaderID), header(last.Header, events.HeaderID)
	if mine == standing {
		return nil
	}
	return &AlreadyPublishedError{Subject: m.Subject, ID: mine, StandsID: standing}
}
