package publisher

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/pg"
)

// markDeletedRemotely marks the rows that have learned their media id since Threads told that the post is deleted.
func (w *sweeper) markDeletedRemotely(ctx context.Context) (int, error) {
	if err := w.store.ForgetRemoteDeletions(ctx, w.db, w.now()); err != nil {
		return 0, err
	}
	found, err := w.store.UnmarkedRemoteDeletions(ctx, w.db, w.unmarked.ids(w.now()), sweepBatch)
	if err != nil {
		return 0, err
	}
	ids := make([]string, len(found))
	for i, d := range found {
		ids[i] = d.MediaID
	}
	return 0, w.eachOf(ctx, "gone", &w.unmarked, ids, func(ctx context.Context, i int) error {
		err := pg.InTx(ctx, w.db, func(ctx context.Context, tx bun.Tx) error {
			return w.store.MarkDeletedRemotely(ctx, tx, found[i])
		})
		if err == nil {
			sweepRepairs.WithLabelValues("gone").Inc()
		}
		return err
	}) // one pass is enough: what is leased now is found in the next
}
