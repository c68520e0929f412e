package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
)

// AlreadyPublishedError says that another PostPublished stands on the subject, or the same one (ID is StandsID) with another
// body: a post is emitted as published once.
type AlreadyPublishedError struct {
	Subject, ID, StandingID string
}

func (e *AlreadyPublishedError) Error() string {
	return fmt.Sprintf("%s already has event %s; %s was not stored", e.Subject, e.StandingID, e.ID)
}

var (
	errClosed = fmt.Errorf("the bus is closed: %w", nats.ErrConnectionClosed) // nothing was sent
	errCutOff = errors.New("the bus was closed while this was on its way")
)

// Emit puts events on EVENTS. It returns when each of them is on disk, or with the errors of those that are not. They are stored in
// their order, unless one has to be tried again. An event that was emitted before is no error. When ctx ends first, an event may
// be stored all the same: emitting it again settles that.
func (b *Bus) Emit(ctx context.Context, evs ...events.Event) (err error) {
	ctx, span := beginEmitting(ctx, evs)
	defer func() { end(span, err) }()
	emitted := make([]*emission, len(evs))
	for i, ev := range evs {
		m, err := encode(ctx, ev, ev.EventID(), b.now())
		if err != nil {
			return err
		}
		m.Header.Set(jetstream.ExpectedStreamHeader, events.StreamEvents)
		// A post is published once: the stream itself refuses a second such event on the post's subject.
		guarded := ev.Type() == (events.PostPublished{}).Type()
		if guarded {
			m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
		}
		emitted[i] = &emission{msg: m, guarded: guarded, outcome: make(chan error, 1)}
	}
	return b.events.emit(ctx, emitted)
}

const emitLimit = 15 * time.Second

// followEvent sees one event through, from the answer to its first try.
func (b *Bus) followEvent(em *emission, ack *jetstream.PubAck, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), emitLimit)
	defer cancel()
	for {
		settled, result := b.decideEvent(ctx, em, ack, err)
		if settled || !backoff(ctx) {
			em.outcome <- result
			return
		}
		once, cancel := context.WithTimeout(ctx, b.patience)
		sent := b.now()
		ack, err = b.js.PublishMsg(once, copyOf(em.msg))
		cancel()
		b.noteStoring(events.StreamEvents, sent, ack, err)
	}
}

// decideEvent says what the answer to a try means for an event, and whether that is the last word.
func (b *Bus) decideEvent(ctx context.Context, em *emission, ack *jetstream.PubAck, err error) (settled bool, result error) {
	if err == nil && !(em.guarded && ack.Duplicate) {
		return true, nil
	}
	if err == nil || errorCode(err) == codeWrongLastSequence {
		return b.readStanding(ctx, em, err == nil)
	}
	return storingOf(err) == notEver, fmt.Errorf("store event on %s: %w", em.msg.Subject, err)
}

// readStanding reads what stands on the subject: our own event from an earlier try, or another. It asks the stream's leader (a
// direct get, which EVENTS does not allow, could be answered by a replica that lags). remembered says that JetStream
// knows the event's id: then it was emitted, even if its subject was erased since.
func (b *Bus) readStanding(ctx context.Context, em *emission, remembered bool) (settled bool, result error) {
	once, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	stream, err := b.stream(once, events.StreamEvents)
	if err != nil {
		return false, err
	}
	last, err := stream.GetLastMsgForSubject(once, em.msg.Subject)
	if err != nil {
		gone := errors.Is(err, jetstream.ErrMsgNotFound)
		if gone && remembered {
			return true, nil
		}
		return false, fmt.Errorf("read the last event on %s: %w", em.msg.Subject, err)
	}
	mine, standing := header(em.msg.Header, events.HeaderID), header(last.Header, events.HeaderID)
	if mine == standing && bytes.Equal(em.msg.Data, last.Data) {
		return true, nil
	}
	return true, &AlreadyPublishedError{Subject: em.msg.Subject, ID: mine, StandingID: standing}
}
