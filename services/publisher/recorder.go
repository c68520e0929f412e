package publisher

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
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/posts"
)

// recorder writes what EVENTS tells into Postgres: final states, how far each post is told, and how far it has read.
// One process at a time records, under a lock of Postgres, so that its position is exact; the others stand by.
type recorder struct {
	db    *bun.DB
	bus   *bus.Bus
	log   *zap.Logger
	now   func() time.Time
	cfg   Config
	store *posts.Store
	// outcomes are applied at once, by whoever told them, together with those of other posts.
	outcomes *batch.Batcher[outcome]
	// nudge asks for a sweep now: an account came or went, and its posts should not wait for the next round.
	nudge chan struct{}
	// holder is the session that another recorder leads with, as it was logged last.
	holder int
}

const (
	recorderName  = "publisher-recorder"
	recorderBatch = 512
	// recorderMoment is how far the recorder stays behind: longer than it takes to apply an event that was just told.
	recorderMoment = 250 * time.Millisecond
	standBy        = 2 * time.Second
)

// run records until ctx ends. It stands by while another process records.
func (r *recorder) run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := r.lead(ctx)
		if err != nil && ctx.Err() == nil {
			r.log.Warn("recorder starts over", zap.Error(err))
		}
		if !pause(ctx, standBy) {
			break
		}
	}
	return nil
}

// lead takes the lock and records. The lock lives as long as its connection, and every batch is written through that
// very connection: who has lost the lock can no longer write.
func (r *recorder) lead(ctx context.Context) error {
	conn, mine, err := r.lock(ctx)
	if err != nil || !mine {
		return err
	}
	defer unlock(ctx, conn)
	consumer, err := r.bus.JetStream().Consumer(ctx, events.StreamEvents, events.PublisherRecorder)
	if err != nil {
		return fmt.Errorf("find the durable %s: %w", events.PublisherRecorder, err)
	}
	if err := r.catchUp(ctx, conn); err != nil {
		return err
	}
	messages, err := consumer.Messages(bus.Pulls(2 * recorderBatch)...)
	if err != nil {
		return fmt.Errorf("read EVENTS: %w", err)
	}
	defer messages.Stop()
	incoming := make(chan jetstream.Msg, recorderBatch)
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
			case incoming <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	beat := time.NewTicker(recorderBeat)
	defer beat.Stop()
	for {
		batch, ok := gather(ctx, incoming, beat.C)
		if len(batch) == 0 && ok {
			if err := stillMine(ctx, conn); err != nil {
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

// catchUp applies what was told since the position, up to the end of EVENTS as it is now.
func (r *recorder) catchUp(ctx context.Context, conn *bun.Conn) error {
	position, err := r.position(ctx, conn)
	if err != nil {
		return err
	}
	stream, err := r.bus.JetStream().Stream(ctx, events.StreamEvents)
	if err != nil {
		return fmt.Errorf("find EVENTS: %w", err)
	}
	return r.replay(ctx, conn, position+1, stream.CachedInfo().State.LastSeq)
}

// gather waits for one message and takes with it what comes in the moment after. Whoever told an event applies it at once;
// the recorder, who would only get in their way, comes after them. With the beat it returns empty-handed.
func gather(ctx context.Context, incoming <-chan jetstream.Msg, beat <-chan time.Time) (batch []jetstream.Msg, ok bool) {
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
	moment := time.After(recorderMoment)
	for len(batch) < recorderBatch {
		select {
		case m, ok := <-incoming:
			if !ok {
				return batch, false
			}
			batch = append(batch, m)
		case <-moment:
			return batch, true
		case <-ctx.Done():
			return batch, true
		}
	}
	select {
	case <-moment:
	case <-ctx.Done():
	}
	return batch, true
}

// told is an event with its place in the stream.
type told struct {
	seq uint64
	ev  events.Message // nil: a type that this version does not know
}

// decode reads a message of EVENTS.
func (r *recorder) decode(m jetstream.Msg) (told, error) {
	meta, err := m.Metadata()
	if err != nil {
		return told{}, fmt.Errorf("read metadata: %w", err)
	}
	ev, err := events.Decode(m.Headers().Get(events.HeaderType), m.Data())
	if err != nil {
		// A fact that this version cannot read is not lost: it stays on EVENTS, for a newer one to rebuild from.
		r.setAside(meta.Sequence.Stream, err)
	}
	return told{meta.Sequence.Stream, ev}, nil
}

// applyBatch applies messages and moves the position, in one transaction.
func (r *recorder) applyBatch(ctx context.Context, conn *bun.Conn, batch []jetstream.Msg) error {
	facts := make([]told, len(batch))
	for i, m := range batch {
		var err error
		if facts[i], err = r.decode(m); err != nil {
			return err
		}
	}
	position, err := r.position(ctx, conn)
	if err != nil {
		return err
	}
	next, end, gap := position+1, position, false
	for _, f := range facts {
		gap = gap || f.seq > next
		next, end = max(next, f.seq+1), max(end, f.seq)
	}
	if gap { // the durable gave what lies between to somebody who is gone: read it from the stream itself
		return r.replay(ctx, conn, position+1, end)
	}
	return r.applyAll(ctx, conn, facts)
}

// position is the sequence of the last event that is in the tables; 0 before the first.
func (r *recorder) position(ctx context.Context, db bun.IDB) (uint64, error) {
	var seq uint64
	err := db.NewSelect().Table("recorder_positions").Column("seq").Where("name = ?", recorderName).Scan(ctx, &seq)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read the recorder's position: %w", err)
	}
	return seq, nil
}

func (r *recorder) setPosition(ctx context.Context, db bun.IDB, seq uint64) error {
	_, err := db.NewRaw(`INSERT INTO recorder_positions (name, seq, updated_at) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET seq = EXCLUDED.seq, updated_at = EXCLUDED.updated_at
		WHERE recorder_positions.seq < EXCLUDED.seq`, recorderName, int64(seq), r.now()).Exec(ctx) //nolint:gosec // a stream sequence fits
	if err != nil {
		return fmt.Errorf("move the recorder's position: %w", err)
	}
	return nil
}

// pause waits, and says whether ctx still stands.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
