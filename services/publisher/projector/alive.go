package projector

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
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

// noteAlive notes that a publisher lives, by the database's clock.
func (*Projector) saveAlive(ctx context.Context, db bun.IDB) error {
	_, err := db.NewRaw(`INSERT INTO recorder_positions (name, seq, updated_at) VALUES (?, 0, clock_timestamp())
		ON CONFLICT (name) DO UPDATE SET updated_at = EXCLUDED.updated_at`, AliveRow).Exec(ctx)
	if err != nil {
		return fmt.Errorf("note that a publisher lives: %w", err)
	}
	return nil
}

// keepAlive notes it until ctx ends.
func (r *Projector) KeepAlive(ctx context.Context) error {
	for clock.Sleep(ctx, aliveEvery) {
		if err := r.saveAlive(ctx, r.DB); err != nil && ctx.Err() == nil {
			r.Log.Warn("not noted that this publisher lives; after its end posts are looked for once more than necessary", zap.Error(err))
		}
	}
	return nil
}

// presumeCalls has every post that was due, and is not known to have gone out, looked for on Threads first, unless a
// publisher lived until now.
func (r *Projector) PresumeCalls(ctx context.Context) error {
	return pg.InTx(ctx, r.DB, func(ctx context.Context, tx bun.Tx) error {
		var gap float64
		err := tx.NewRaw(`SELECT extract(epoch FROM clock_timestamp() - updated_at) FROM recorder_positions WHERE name = ? FOR UPDATE`,
			AliveRow).Scan(ctx, &gap)
		switch {
		case errors.Is(err, sql.ErrNoRows): // the first publisher ever, or the first that notes it
			return r.saveAlive(ctx, tx)
		case err != nil:
			return fmt.Errorf("ask when a publisher was last alive: %w", err)
		case gap <= aliveFor.Seconds():
			return r.saveAlive(ctx, tx)
		}
		reason := events.Faultf(events.Unknown, "Publishing was interrupted at this post's time; we are looking whether it went out before it does.")
		res, err := tx.NewUpdate().Model((*posts.Post)(nil)).
			Set("state = ?, reason = ?, wake_at = ?, updated_at = ?", events.StateUnconfirmed, reason, r.Now(), r.Now()).
			Set("on_absent = CASE WHEN doubt THEN ? ELSE ? END", posts.AbsentRetry, posts.AbsentResume).
			Set("doubt_since = least(doubt_since, publish_at), doubt = true, failures = 0").
			Set("lease = NULL, lease_until = NULL, armed_at = NULL").
			// By its wake-up a post that is due is found without reading all of them.
			Where("wake_at < ? AND publish_at <= ?", r.Now().Add(25*time.Hour), r.Now()).
			Where("state IN (?)", bun.List([]events.State{events.StateScheduled, events.StateReady, events.StateWaiting})).
			// Who waits for a reconnect, a pause or a quota goes on waiting: its owner may still take it back.
			Where("state <> ? OR wake_at <= ?", events.StateWaiting, r.Now()).Exec(ctx)
		if err != nil {
			return fmt.Errorf("have posts looked for that were due while no publisher lived: %w", err)
		}
		if n, _ := res.RowsAffected(); n > 0 {
			r.Log.Warn("no publisher lived for a while; posts that were due are looked for on Threads before they go out",
				zap.Int64("posts", n), zap.Float64("seconds_without_publisher", gap))
		}
		return r.saveAlive(ctx, tx)
	})
}
