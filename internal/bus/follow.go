package bus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
)

// StoredEvent is an event as it lies on EVENTS, with its place there.
type StoredEvent struct {
	Sequence uint64
	Meta     events.Meta
	Subject  string
	Body     []byte
}

// Extent is what EVENTS holds: from First to Last, with holes where something was purged. Born distinguishes this stream from one
// that was made in its place later, whose sequences begin anew.
type Extent struct {
	Born        time.Time
	First, Last uint64
}

// Holds asks EVENTS how far it reaches.
func (b *Bus) Holds(ctx context.Context) (Extent, error) {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	s, err := b.js.Stream(ctx, events.StreamEvents) // not a kept handle: it would say what it knew when it was made
	if err != nil {
		return Extent{}, fmt.Errorf("find stream %s: %w", events.StreamEvents, err)
	}
	info := s.CachedInfo()
	return Extent{Born: info.Created, First: info.State.FirstSeq, Last: info.State.LastSeq}, nil
}

// Has says whether EVENTS still has the message with this sequence. The stream's leader is asked.
func (b *Bus) Has(ctx context.Context, sequence uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	s, err := b.stream(ctx, events.StreamEvents)
	if err != nil {
		return false, err
	}
	_, err = s.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read event %d: %w", sequence, err)
	}
	return true, nil
}

// TooManyError says that more events match than the reader wanted to read.
type TooManyError struct{ Matching uint64 }

func (e *TooManyError) Error() string { return fmt.Sprintf("%d events match", e.Matching) }

// quietFor is how long a reading that has ended, or whose process has died, leaves its consumer on the server.
const quietFor = 30 * time.Second

// Follow delivers the events after a sequence that match one of the subjects, in their order, as they come. It is a
// reader of its own: nothing is acknowledged, and nobody else gets less. It ends with ctx, with fn's error, or when the
// server was away; then the caller looks at what the stream holds, and begins again after the last event it got.
func (b *Bus) Follow(ctx context.Context, after uint64, subjects []string, fn func(StoredEvent) error) error {
	r, err := b.read(ctx, after, subjects)
	if err != nil {
		return err
	}
	defer r.close()
	for {
		f, _, err := r.next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = fn(f)
		}
		if err != nil {
			return err
		}
	}
}

// Replay hands over what matches after one sequence and up to another, and ends. When more than most match it reads
// nothing and returns a TooManyError.
func (b *Bus) Replay(ctx context.Context, after, upTo, most uint64, subjects []string, fn func(StoredEvent) error) error {
	if after >= upTo || len(subjects) == 0 {
		return nil
	}
	if err := b.copyReaches(ctx, upTo); err != nil {
		return err
	}
	return b.readUpTo(ctx, after, upTo, most, subjects, fn)
}

// Facts hands over what matches up to a sequence, however much it is, from EVENTS itself.
func (b *Bus) Facts(ctx context.Context, upTo uint64, subjects []string, fn func(StoredEvent) error) error {
	if upTo == 0 {
		return nil
	}
	return b.readUpTo(ctx, 0, upTo, math.MaxUint64, subjects, fn)
}

func (b *Bus) readUpTo(ctx context.Context, after, upTo, most uint64, subjects []string, fn func(StoredEvent) error) error {
	r, err := b.read(ctx, after, subjects)
	if err != nil {
		return err
	}
	defer r.close()
	switch {
	case r.matching == 0:
		return nil
	case r.matching > most:
		return &TooManyError{r.matching}
	}
	for {
		f, left, err := r.next(jetstream.NextMaxWait(b.patience))
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case f.Sequence > upTo:
			return nil
		}
		if err := fn(f); err != nil {
			return err
		}
		if f.Sequence == upTo || left == 0 {
			return nil
		}
	}
}

// reading is a consumer of our own: nothing is acknowledged, and it lies in the server's memory. It is not the library's
// ordered consumer, which makes itself anew after trouble, on whatever stream has the name by then: a reading that was
// cut ends, and who reads on looks first whether it is still the same stream.
type reading struct {
	messages jetstream.MessagesContext
	matching uint64 // events that match already
	handed   uint64
	close    func()
}

// read opens a reading. close takes its consumer from the server.
func (b *Bus) read(ctx context.Context, after uint64, subjects []string) (*reading, error) {
	limited, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	consumer, err := b.js.CreateConsumer(limited, events.StreamEvents, jetstream.ConsumerConfig{
		FilterSubjects: subjects, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: quietFor,
	})
	if err != nil {
		return nil, fmt.Errorf("read %s from %d: %w", events.StreamEvents, after+1, err)
	}
	messages, err := consumer.Messages(jetstream.PullExpiry(pullFor), jetstream.PullHeartbeat(pullBeat))
	if err != nil {
		return nil, fmt.Errorf("read %s from %d: %w", events.StreamEvents, after+1, err)
	}
	return &reading{messages: messages, matching: consumer.CachedInfo().NumPending, close: func() {
		messages.Stop()
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		// If it does not get through, quietFor does the same.
		_ = b.js.DeleteConsumer(limited, events.StreamEvents, consumer.CachedInfo().Name)
	}}, nil
}

// pullFor is how long one request for messages stands.
const pullFor = 10 * time.Second

// next is the next event, and how many lie behind it. A gap means that the connection lost some: then the reading is over.
func (r *reading) next(how jetstream.NextOpt) (StoredEvent, uint64, error) {
	m, err := r.messages.Next(how)
	if err != nil {
		return StoredEvent{}, 0, fmt.Errorf("read %s: %w", events.StreamEvents, err)
	}
	meta, err := m.Metadata()
	if err != nil {
		return StoredEvent{}, 0, fmt.Errorf("read an event's sequence: %w", err)
	}
	if r.handed++; meta.Sequence.Consumer != r.handed {
		return StoredEvent{}, 0, fmt.Errorf("read %s: %d events were sent, and %d came", events.StreamEvents, meta.Sequence.Consumer, r.handed)
	}
	h := m.Headers()
	if h == nil {
		h = nats.Header{}
	}
	return StoredEvent{Sequence: meta.Sequence.Stream, Meta: MetaOf(h), Subject: m.Subject(), Body: m.Data()}, meta.NumPending, nil
}
