package projector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
)

// Check compares how far the projector has acknowledged EVENTS with how far Postgres has applied it. Postgres behind
// the acknowledgements can only mean that it was restored from a backup: then rows may call posts unpublished that are
// live, and nothing is published until an operator has said since when.
func (r *Projector) Check(ctx context.Context) error {
	consumer, err := r.Bus.JetStream().Consumer(ctx, events.StreamEvents, events.PublisherProjector)
	if err != nil {
		return fmt.Errorf("find the durable %s: %w", events.PublisherProjector, err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("read the durable %s: %w", events.PublisherProjector, err)
	}
	position, err := r.Position(ctx, r.DB)
	if err != nil {
		return err
	}
	if err := r.startOverOnNewStream(ctx, position); err != nil {
		return err
	}
	floor := info.AckFloor.Stream
	unfinished, err := r.DB.NewSelect().Table("recorder_positions").Where("name = ?", RestoringRow).Exists(ctx)
	if err != nil {
		return fmt.Errorf("look for an unfinished restore: %w", err)
	}
	if floor <= position && !unfinished {
		return r.PresumeCalls(ctx)
	}
	if r.cfg.RestoredSince.IsZero() {
		return fmt.Errorf("postgres has applied EVENTS up to %d, but %d was acknowledged: the database was restored from a backup or replaced. "+
			"Nothing is published, for posts that look unpublished may be live. Set PUBLISHER_RESTORED_SINCE to the time of the backup "+
			"(RFC 3339) and start again: every post due by now is then looked for on Threads first", position, floor)
	}
	r.Log.Warn("postgres was restored: applying the events it lacks", zap.Uint64("from", position+1), zap.Uint64("to", floor))
	// Marked until every due post is unconfirmed: a crash in between, or a second publisher that starts meanwhile, must not
	// take the rows as they were in the backup for the truth.
	_, err = r.DB.NewRaw("INSERT INTO recorder_positions (name, seq, updated_at) VALUES (?, 0, ?) ON CONFLICT DO NOTHING", RestoringRow, r.Now()).Exec(ctx)
	if err != nil {
		return fmt.Errorf("mark the restore: %w", err)
	}
	// To the very end, not only to what was acknowledged: a post must not become unconfirmed whose outcome is on EVENTS.
	stream, err := r.Bus.JetStream().Stream(ctx, events.StreamEvents)
	if err != nil {
		return fmt.Errorf("find EVENTS: %w", err)
	}
	if err := r.Replay(ctx, r.DB, position+1, stream.CachedInfo().State.LastSeq); err != nil {
		return err
	}
	return pg.InTx(ctx, r.DB, func(ctx context.Context, tx bun.Tx) error {
		if err := r.markAllUnconfirmed(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.NewDelete().Table("recorder_positions").Where("name = ?", RestoringRow).Exec(ctx); err != nil {
			return fmt.Errorf("end the restore: %w", err)
		}
		return errors.Join(r.saveRestored(ctx, tx), r.saveAlive(ctx, tx))
	})
}

// startOverOnNewStream begins to count anew where EVENTS is younger than Postgres: it was deleted, and what it holds now has
// sequences that Postgres would take for known. The rows stand; they were applied.
func (r *Projector) startOverOnNewStream(ctx context.Context, position uint64) error {
	stream, err := r.Bus.JetStream().Stream(ctx, events.StreamEvents)
	if err != nil {
		return fmt.Errorf("find EVENTS: %w", err)
	}
	end := stream.CachedInfo().State.LastSeq
	if position <= end {
		return nil
	}
	r.Log.Warn("EVENTS was replaced by a new stream: counting from its start", zap.Uint64("applied", position), zap.Uint64("end", end))
	return pg.InTx(ctx, r.DB, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewDelete().Table("recorder_positions").Where("name = ? AND seq = ?", PositionRow, position).Exec(ctx); err != nil {
			return fmt.Errorf("begin to count anew: %w", err)
		}
		if _, err := tx.NewDelete().Model((*Skipped)(nil)).Where("seq <= ?", position).Exec(ctx); err != nil { // of the old stream
			return fmt.Errorf("drop the skipped events of the old stream: %w", err)
		}
		return nil
	})
}

// RestoringRow is the row of recorder_positions that stands while a restore is worked off.
const RestoringRow = "publisher-restoring"

// Replay applies the events of a range, straight from the stream. The durable would not deliver again what it counts as
// acknowledged, and holds back for AckWait what a dead process had in hand.
func (r *Projector) Replay(ctx context.Context, db bun.IDB, from, to uint64) error {
	if from > to {
		return nil
	}
	consumer, err := r.Bus.JetStream().OrderedConsumer(ctx, events.StreamEvents, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
		InactiveThreshold: 30 * time.Second, // it stays that long after we are done
	})
	if err != nil {
		return fmt.Errorf("read EVENTS from %d: %w", from, err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("read EVENTS from %d: %w", from, err)
	}
	defer messages.Stop()
	stream, err := r.Bus.JetStream().Stream(ctx, events.StreamEvents)
	if err != nil {
		return fmt.Errorf("find EVENTS: %w", err)
	}
	var batch []Event
	for from <= to {
		m, err := messages.Next(jetstream.NextMaxWait(replayPatience))
		if errors.Is(err, nats.ErrTimeout) || errors.Is(err, jetstream.ErrNoMessages) {
			// Purged, or slow? The stream knows what its next message is.
			next, getErr := stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(events.EveryFact))
			if errors.Is(getErr, jetstream.ErrMsgNotFound) || getErr == nil && next.Sequence > to {
				break
			}
			return errors.Join(fmt.Errorf("EVENTS did not send %d in time", from), getErr)
		}
		if err != nil {
			return fmt.Errorf("read EVENTS at %d: %w", from, err)
		}
		e, err := decode(m)
		if err != nil {
			return err
		}
		from = e.Seq + 1
		if batch = append(batch, e); len(batch) == followBatch || from > to {
			if err := r.ApplyAll(ctx, db, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if err := r.ApplyAll(ctx, db, batch); err != nil {
		return err
	}
	return r.setPosition(ctx, db, to)
}

// replayPatience is how long the next event of a replay may take to come.
const replayPatience = 2 * time.Second

// markAllUnconfirmed makes every post unconfirmed that is due and not final: each is looked for on Threads before a container
// is made for it.
func (r *Projector) markAllUnconfirmed(ctx context.Context, tx bun.Tx) error {
	n, err := posts.MarkAllUnconfirmed(ctx, tx, r.Now())
	if err != nil {
		return err
	}
	r.Log.Warn("posts are looked for on Threads before anything else", zap.Int64("posts", n), zap.Time("restored_since", r.cfg.RestoredSince))
	return nil
}

// CatchUp opens the publisher for business once EVENTS, as it stood at the start, is applied to its end: until then a
// row may not know yet that its post went out. It applies what is missing itself and needs no lock for it: a process that
// holds the lock may be frozen, and one that works is not disturbed, since nothing is applied twice and the position
// only moves past what is applied.
func (r *Projector) CatchUp(ctx context.Context) error {
	for {
		position, err := r.applyToEnd(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // told to stop
		case err == nil:
			r.current.Store(true)
			r.Log.Info("events applied; posts may go out", zap.Uint64("position", position))
			return nil
		}
		r.Log.Warn("events cannot be applied yet; trying again", zap.Error(err))
		if !clock.Sleep(ctx, time.Second) {
			return nil
		}
	}
}

// applyToEnd applies EVENTS up to its end as it is now, and says where that is.
func (r *Projector) applyToEnd(ctx context.Context) (uint64, error) {
	stream, err := r.Bus.JetStream().Stream(ctx, events.StreamEvents)
	if err != nil {
		return 0, fmt.Errorf("find EVENTS: %w", err)
	}
	end := stream.CachedInfo().State.LastSeq
	position, err := r.Position(ctx, r.DB)
	if err != nil || position >= end || r.drained(ctx, position) {
		return position, err
	}
	return end, r.Replay(ctx, r.DB, position+1, end)
}

// drained says that nothing is left for the projector to read, though the stream's end lies ahead of the position. What it has
// acknowledged and Postgres does not have is read again.
func (r *Projector) drained(ctx context.Context, position uint64) bool {
	consumer, err := r.Bus.JetStream().Consumer(ctx, events.StreamEvents, events.PublisherProjector)
	if err != nil {
		return false
	}
	info := consumer.CachedInfo() // as of the lookup just now
	return info.NumPending == 0 && info.NumAckPending == 0 && info.AckFloor.Stream <= position
}

// Behind is how far EVENTS is applied, and how far EVENTS goes.
func (r *Projector) Behind(ctx context.Context) (position, end uint64, err error) {
	if position, err = r.Position(ctx, r.DB); err != nil {
		return 0, 0, err
	}
	stream, err := r.Bus.JetStream().Stream(ctx, events.StreamEvents)
	if err != nil {
		return 0, 0, fmt.Errorf("find EVENTS: %w", err)
	}
	return position, max(position, stream.CachedInfo().State.LastSeq), nil
}
