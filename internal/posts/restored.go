package posts

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// MarkAllUnconfirmed makes every post unconfirmed that is due and not final, after a restore from a backup: each is looked
// for on Threads before a container is made for it. It says how many there are.
func MarkAllUnconfirmed(ctx context.Context, tx bun.Tx, now time.Time) (int64, error) {
	reason := events.Faultf(events.Unknown, "The database was restored from a backup; we are asking Threads whether this post went out.")
	res, err := tx.NewUpdate().Model((*Post)(nil)).
		Set("state = ?", events.StateUnconfirmed).Set("reason = ?", reason).Set("wake_at = ?", now).
		Set("lease = NULL, lease_until = NULL, armed_at = NULL").
		Set("rev = rev + 1").Set("fact = ?", events.FactUnconfirmed).Set("updated_at = ?", now). // emitted by the sweep
		Set("doubt = true, doubt_since = least(doubt_since, publish_at), on_absent = ?", AbsentRetry).
		// A backup may know no deadline, or an old one: without it a single lagging list would allow a second post.
		Set("call_deadline = greatest(call_deadline, clock_timestamp())"). // greatest passes over NULL
		Where("publish_at <= ?", now).
		// What was only presumed when the backup was made may have gone out since.
		Where("state IN (?) OR state = ? AND on_absent = ?", bun.List([]events.State{events.StateScheduled, events.StateReady, events.StateWaiting, events.StatePublishing}),
			events.StateUnconfirmed, AbsentResume).
		Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("mark the posts that were due as unconfirmed: %w", err)
	}
	return res.RowsAffected()
}

// PresumeCalls makes every post unconfirmed that was due, and is not known to have gone out, while no publisher lived: each
// is looked for on Threads first. It says how many there are.
func PresumeCalls(ctx context.Context, tx bun.Tx, now time.Time) (int64, error) {
	reason := events.Faultf(events.Unknown, "Publishing was interrupted at this post's time; we are looking whether it went out before it does.")
	res, err := tx.NewUpdate().Model((*Post)(nil)).
		Set("state = ?, reason = ?, wake_at = ?, updated_at = ?", events.StateUnconfirmed, reason, now, now).
		Set("on_absent = CASE WHEN doubt THEN ? ELSE ? END", AbsentRetry, AbsentResume).
		Set("doubt_since = least(doubt_since, publish_at), doubt = true, failures = 0").
		Set("lease = NULL, lease_until = NULL, armed_at = NULL").
		// By its wake-up a post that is due is found without reading all of them.
		Where("wake_at < ? AND publish_at <= ?", now.Add(25*time.Hour), now).
		Where("state IN (?)", bun.List([]events.State{events.StateScheduled, events.StateReady, events.StateWaiting})).
		// Who waits for a reconnect, a pause or a quota goes on waiting: its owner may still take it back.
		Where("state <> ? OR wake_at <= ?", events.StateWaiting, now).Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("have posts looked for that were due while no publisher lived: %w", err)
	}
	return res.RowsAffected()
}
