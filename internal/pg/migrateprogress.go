package pg

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/progress"
)

// watchEvery is how often a migration is looked at while it runs.
const watchEvery = time.Second

// showMigration shows how far a migration is, until ctx ends: how many steps are done, and of an index that is being built on a
// large table how much. It only looks, by a connection of its own; what it cannot see it leaves out.
func showMigration(ctx context.Context, db *bun.DB) {
	pending, err := Pending(ctx, db)
	if err != nil || len(pending) == 0 {
		return
	}
	all := int64(len(pending))
	task := progress.Start(ctx, "migrate", "migrations", all)
	defer task.Stop()
	again := time.NewTicker(watchEvery)
	defer again.Stop()
	var index *progress.Task
	defer func() { index.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		done, total, err := indexProgress(ctx, db)
		switch {
		case err == nil && total > 0:
			if index == nil {
				index = progress.Start(ctx, "migrate, building an index", "blocks", total)
			}
			index.Set(done, total)
			continue
		case index != nil:
			index.Stop()
			index = nil
		}
		if left, err := Pending(ctx, db); err == nil {
			if len(left) > 0 {
				task.Note("migrate, " + left[0])
			}
			task.Set(all-int64(len(left)), 0)
		}
	}
}

// indexProgress says how much of a table the index that is being built in this database has read.
func indexProgress(ctx context.Context, db *bun.DB) (done, total int64, err error) {
	err = db.NewRaw(`SELECT coalesce(sum(blocks_done), 0), coalesce(sum(blocks_total), 0) FROM pg_stat_progress_create_index
		WHERE datname = current_database()`).Scan(ctx, &done, &total)
	return done, total, err
}
