package publisher

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/pg"
)

// markDeletedRemotely marks the rows that have learned their media id since Threads told that the post is deleted.
func (s *Service) markDeletedRemotely(ctx context.Context) (int, error) {
	if err := s.store.ForgetRemoteDeletions(ctx, s.db, s.now()); err != nil {
		return 0, err
	}
	found, err := s.store.UnmarkedRemoteDeletions(ctx, s.db, s.unmarked.ids(s.now()), sweepBatch)
	if err != nil {
		return 0, err
	}
	ids := make([]string, len(found))
	for i, d := range found {
		ids[i] = d.MediaID
	}
	return 0, s.eachOf(ctx, "gone", &s.unmarked, ids, func(ctx context.Context, i int) error {
		err := pg.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
			return s.store.MarkDeletedRemotely(ctx, tx, found[i])
		})
		if err == nil {
			sweepRepairs.WithLabelValues("gone").Inc()
		}
		return err
	}) // one pass is enough: what is leased now is found in the next
}
