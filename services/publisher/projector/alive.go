package projector

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
)

// Postgres and EVENTS may have been restored from the same night: then nothing shows that posts went out since, and they
// would go out again. So publishers note that they live, and the first one after a time without any looks for what was due
// meanwhile before it goes on. An outage costs one list an account; a restore needs nobody's memory.

const (
	AliveRow   = "publisher-alive" // its row of recorder_positions
	aliveEvery = 500 * time.Millisecond
	// aliveFor is how old the note may be for the rows to be taken as they are: publishers were there all the time.
	aliveFor = 2 * time.Second
)

// saveAlive notes that a publisher lives, by the database's clock.
func (*Projector) saveAlive(ctx context.Context, db bun.IDB) error {
	_, err := db.NewRaw(`INSERT INTO recorder_positions (name, seq, updated_at) VALUES (?, 0, clock_timestamp())
		ON CONFLICT (name) DO UPDATE SET updated_at = EXCLUDED.updated_at`, AliveRow).Exec(ctx)
	if err != nil {
		return fmt.Errorf("note that a publisher lives: %w", err)
	}
	return nil
}

// KeepAlive notes it until ctx ends.
func (r *Projector) KeepAlive(ctx context.Context) error {
	for clock.Sleep(ctx, aliveEvery) {
		if err := r.saveAlive(ctx, r.DB); err != nil && ctx.Err() == nil {
			r.Log.Warn("not noted that this publisher lives; after its end posts are looked for once more than necessary", zap.Error(err))
		}
	}
	return nil
}

// restoredRow is the row of recorder_positions that has the time of the restore that was worked off last.
const restoredRow = "publisher-restored"

// restoreSaid says that the setting names a restore that was not worked off yet. A note of life says nothing then: it may be in the
// backup, and young.
func (r *Projector) restoreSaid(ctx context.Context, tx bun.Tx) (bool, error) {
	if r.cfg.RestoredSince.IsZero() {
		return false, nil
	}
	known, err := tx.NewSelect().Table("recorder_positions").Where("name = ? AND updated_at = ?", restoredRow, r.cfg.RestoredSince).Exists(ctx)
	if err != nil {
		return false, fmt.Errorf("ask for the restore before: %w", err)
	}
	return !known, nil
}

func (r *Projector) saveRestored(ctx context.Context, tx bun.Tx) error {
	_, err := tx.NewRaw(`INSERT INTO recorder_positions (name, seq, updated_at) VALUES (?, 0, ?)
		ON CONFLICT (name) DO UPDATE SET updated_at = EXCLUDED.updated_at`, restoredRow, r.cfg.RestoredSince).Exec(ctx)
	if err != nil {
		return fmt.Errorf("note that the restore is worked off: %w", err)
	}
	return nil
}

// PresumeCalls has every post that was due, and is not known to have gone out, looked for on Threads first, unless a
// publisher lived until now.
func (r *Projector) PresumeCalls(ctx context.Context) error {
	return pg.InTx(ctx, r.DB, func(ctx context.Context, tx bun.Tx) error {
		var gap float64
		err := tx.NewRaw(`SELECT extract(epoch FROM clock_timestamp() - updated_at) FROM recorder_positions WHERE name = ? FOR UPDATE`,
			AliveRow).Scan(ctx, &gap)
		first := errors.Is(err, sql.ErrNoRows) // the first publisher ever, or the first that notes it
		if err != nil && !first {
			return fmt.Errorf("ask when a publisher was last alive: %w", err)
		}
		lived := !first && gap <= aliveFor.Seconds()
		said, err := r.restoreSaid(ctx, tx)
		switch {
		case err != nil:
			return err
		case said, !lived && !r.cfg.RestoredSince.IsZero():
			// An operator says that both were restored: what waited for a reconnect, a pause or a quota may have gone out since as well.
			if err := r.markAllUnconfirmed(ctx, tx); err != nil {
				return err
			}
			return errors.Join(r.saveRestored(ctx, tx), r.saveAlive(ctx, tx))
		case lived:
			return r.saveAlive(ctx, tx)
		case first:
			return r.saveAlive(ctx, tx)
		}
		n, err := posts.PresumeCalls(ctx, tx, r.Now())
		if err != nil {
			return err
		}
		if n > 0 {
			r.Log.Warn("no publisher lived for a while; posts that were due are looked for on Threads before they go out",
				zap.Int64("posts", n), zap.Float64("seconds_without_publisher", gap))
		}
		return r.saveAlive(ctx, tx)
	})
}
