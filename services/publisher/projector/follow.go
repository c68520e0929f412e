package projector

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/crash"
)

const (
	PositionRow = "publisher-recorder"
	followBatch = 512
	// followBehind is how far it stays behind: longer than it takes to apply an event that was just emitted.
	followBehind = 250 * time.Millisecond
	// followTogether is how long it gathers what it applies in one transaction.
	followTogether = 250 * time.Millisecond
	standByEvery   = 2 * time.Second
)

// Run follows EVENTS until ctx ends. It stands by while another process does.
func (r *Projector) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := r.lead(ctx)
		if err != nil && ctx.Err() == nil {
			r.Log.Warn("projector starts over", zap.Error(err))
		}
		if !clock.Sleep(ctx, standByEvery) {
			break
		}
	}
	return nil
}

// lead takes the lock and records. The lock lives as long as its connection, and every batch is written through that
// very connection: who has lost the lock can no longer write.
func (r *Projector) lead(ctx context.Context) error {
	conn, mine, err := r.lock(ctx)
	if err != nil || !mine {
		return err
	}
	defer unlock(ctx, conn)
	consumer, err := r.Bus.JetStream().Consumer(ctx, events.StreamEvents, events.PublisherProjector)
	if err != nil {
		return fmt.Errorf("find the durable %s: %w", events.PublisherProjector, err)
	}
	if err := r.catchUpUnderLock(ctx, conn); err != nil {
		return err
	}
	messages, err := consumer.Messages(bus.Pulls(2 * followBatch)...)
	if err != nil {
		return fmt.Errorf("read EVENTS: %w", err)
	}
	defer messages.Stop()
	incoming := make(chan received, followBatch)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(incoming)
		for {
			m, err := messages.Next(jetstream.NextContext(ctx))
			if err != nil {
				return
			}
			select {
			case incoming <- received{m, time.Now()}:
			case <-ctx.Done():
				return
			}
		}
	}()
	beat := time.NewTicker(lockBeat)
	defer beat.Stop()
	for {
		batch, ok := gather(ctx, incoming, beat.C)
		if len(batch) == 0 && ok {
			if err := heartbeat(ctx, conn); err != nil {
				return err
			}
		}
		if len(batch) > 0 {
			if err := r.applyBatch(ctx, conn, batch); err != nil {
				return err // unacked: they come again
			}
			for _, m := range batch {
				if err := m.Ack(); err != nil {
					return fmt.Errorf("ack: %w", err)
				}
			}
			crash.At(crash.RecordAcked)
		}
		if !ok {
			return ctx.Err()
		}
	}
}

// catchUpUnderLock applies what was emitted since the position, up to the end of EVENTS as it is now.
func (r *Projector) catchUpUnderLock(ctx context.Context, conn *bun.Conn) error {
	position, err := r.Position(ctx, conn)
	if err != nil {
		return err
	}
	stream, err := r.Bus.JetStream().Stream(ctx, events.StreamEvents)
	if err != nil {
		return fmt.Errorf("find EVENTS: %w", err)
	}
	return r.Replay(ctx, conn, position+1, stream.CachedInfo().State.LastSeq)
}

// received is a message of EVENTS, and when it came.
type received struct {
	jetstream.Msg
	at time.Time
}

// gather waits for one message and takes with it what comes in the moment after. Whoever emitted an event applies it
// at once; the projector would only get in their way, so the last of them too is left to itself for a while. With the beat it
// returns empty-handed.
func gather(ctx context.Context, incoming <-chan received, beat <-chan time.Time) (batch []received, ok bool) {
	select {
	case m, ok := <-incoming:
		if !ok {
			return nil, false
		}
		batch = append(batch, m)
	case <-beat:
		return nil, true
	case <-ctx.Done():
		return nil, false
	}
	ok = true
	moment := time.After(followTogether)
	for more := true; more && len(batch) < followBatch; {
		select {
		case m, open := <-incoming:
			if more, ok = open, open; open {
				batch = append(batch, m)
			}
		case <-moment:
			more = false
		case <-ctx.Done():
			return batch, true
		}
	}
	clock.Sleep(ctx, time.Until(batch[len(batch)-1].at.Add(followBehind)))
	return batch, ok
}

// Event is an event with its place in the stream.
type Event struct {
	Seq     uint64
	Message events.Message // nil: it is not applied

	subject, typ string
	unfit        error // why it cannot be applied
}

// decode reads a message of EVENTS.
func decode(m jetstream.Msg) (Event, error) {
	meta, err := m.Metadata()
	if err != nil {
		return Event{}, fmt.Errorf("read metadata: %w", err)
	}
	e := Event{Seq: meta.Sequence.Stream, subject: m.Subject(), typ: m.Headers().Get(events.HeaderType)}
	// An event that this version cannot read is not lost: it stays on EVENTS, for a newer one to rebuild from.
	e.Message, e.unfit = events.Decode(e.typ, m.Data())
	return e, nil
}

// applyBatch applies messages and moves the position, in one transaction.
func (r *Projector) applyBatch(ctx context.Context, conn *bun.Conn, batch []received) error {
	evs := make([]Event, len(batch))
	for i, m := range batch {
		var err error
		if evs[i], err = decode(m); err != nil {
			return err
		}
	}
	position, err := r.Position(ctx, conn)
	if err != nil {
		return err
	}
	next, end, gap := position+1, position, false
	for _, e := range evs {
		gap = gap || e.Seq > next
		next, end = max(next, e.Seq+1), max(end, e.Seq)
	}
	if gap { // the durable gave what lies between to somebody who is gone: read it from the stream itself
		return r.Replay(ctx, conn, position+1, end)
	}
	return r.ApplyAll(ctx, conn, evs)
}

// position is the sequence of the last event that is in the tables; 0 before the first.
func (r *Projector) Position(ctx context.Context, db bun.IDB) (uint64, error) {
	var seq uint64
	err := db.NewSelect().Table("recorder_positions").Column("seq").Where("name = ?", PositionRow).Scan(ctx, &seq)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read the projector's position: %w", err)
	}
	return seq, nil
}

func (r *Projector) setPosition(ctx context.Context, db bun.IDB, seq uint64) error {
	_, err := db.NewRaw(`INSERT INTO recorder_positions (name, seq, updated_at) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET seq = EXCLUDED.seq, updated_at = EXCLUDED.updated_at
		WHERE recorder_positions.seq < EXCLUDED.seq`, PositionRow, int64(seq), r.Now()).Exec(ctx) //nolint:gosec // a stream sequence fits
	if err != nil {
		return fmt.Errorf("move the projector's position: %w", err)
	}
	return nil
}
