package commands

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Forget deletes up to so many records of commands that ended before a time, the oldest first. One that has not ended is
// kept. Two who forget at the same time take different ones.
func Forget(ctx context.Context, db bun.IDB, before time.Time, most int) error {
	_, err := db.NewRaw(`DELETE FROM commands AS c USING (
			SELECT id FROM commands WHERE finished_at < ? AND outcome IS NOT NULL ORDER BY finished_at LIMIT ? FOR UPDATE SKIP LOCKED
		) AS old WHERE c.id = old.id`, before.UTC(), most).Exec(ctx)
	if err != nil {
		return fmt.Errorf("forget old commands: %w", err)
	}
	return nil
}
