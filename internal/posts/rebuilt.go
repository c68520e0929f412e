package posts

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

const (
	rebuiltTable = "posts_rebuilt"
	rebuiltBatch = 512 // rows of one statement
)

// Rebuilt is a second table of posts, made from EVENTS beside the live one. EVENTS is the truth: the two may differ in the
// working columns only, and by what has not been emitted yet.
type Rebuilt struct{ db *bun.DB }

// CreateRebuilt makes the table, empty.
func CreateRebuilt(ctx context.Context, db *bun.DB) (Rebuilt, error) {
	_, err := db.ExecContext(ctx, "DROP TABLE IF EXISTS "+rebuiltTable+"; CREATE UNLOGGED TABLE "+rebuiltTable+
		" (LIKE posts INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (id))")
	if err != nil {
		return Rebuilt{}, fmt.Errorf("make the table %s: %w", rebuiltTable, err)
	}
	return Rebuilt{db}, nil
}

// Drop takes the table away.
func (t Rebuilt) Drop(ctx context.Context) {
	_, _ = t.db.ExecContext(context.WithoutCancel(ctx), "DROP TABLE IF EXISTS "+rebuiltTable)
}

// Write writes posts as events say they are; a higher rev replaces a lower one.
func (t Rebuilt) Write(ctx context.Context, list []Post) error {
	for part := range slices.Chunk(list, rebuiltBatch) {
		for i := range part {
			part[i].Canonicalize()
		}
		_, err := t.db.NewInsert().Model(&part).ModelTableExpr(rebuiltTable + " AS post").On("CONFLICT (id) DO UPDATE").
			Set(excluded(append(emittedColumns(), "content_hash", "updated_at", "told_rev"))).
			Where("post.rev < EXCLUDED.rev").Exec(ctx)
		if err != nil {
			return fmt.Errorf("write rebuilt posts: %w", err)
		}
	}
	return nil
}

// Count says how many posts were rebuilt, how many live rows are ahead of EVENTS, and how many of them EVENTS does not know.
func (t Rebuilt) Count(ctx context.Context) (rebuilt, ahead, onlyLive int, err error) {
	if _, err := t.db.ExecContext(ctx, "ANALYZE "+rebuiltTable); err != nil {
		return 0, 0, 0, fmt.Errorf("analyze the rebuilt table: %w", err)
	}
	err = t.db.NewRaw(fmt.Sprintf(`SELECT count(n.id) AS posts, count(*) FILTER (WHERE l.rev > n.rev) AS ahead, count(*) FILTER (WHERE n.id IS NULL) AS only_live
		FROM %s n FULL JOIN posts l ON l.id = n.id`, rebuiltTable)).Scan(ctx, &rebuilt, &ahead, &onlyLive)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("compare the tables: %w", err)
	}
	return rebuilt, ahead, onlyLive, nil
}

// Difference is a post whose row is not what EVENTS says.
type Difference struct {
	Post    Post     // as EVENTS says it is
	LiveRev int64    // 0: there is no such row
	Columns []string // in which they differ
}

// Ahead says that the live row has a change that EVENTS does not have yet.
func (d Difference) Ahead() bool { return d.LiveRev > d.Post.Rev }

// EachDifference calls do for every post whose two rows say different things, by id. Most rows are equal to the letter:
// Postgres passes over those, and what the others say is compared here.
func (t Rebuilt) EachDifference(ctx context.Context, db bun.IDB, do func(Difference) error) error {
	var apart []string
	for _, c := range emittedColumns() {
		apart = append(apart, fmt.Sprintf("post.%s IS DISTINCT FROM l.%s", c, c))
	}
	for after := ""; ; {
		var rebuilt, rows []Post
		err := db.NewSelect().Model(&rebuilt).ModelTableExpr(rebuiltTable+" AS post").Join("LEFT JOIN posts l ON l.id = post.id").
			Where("post.id > ?", after).Where("l.id IS NULL OR "+strings.Join(apart, " OR ")).
			OrderBy("post.id", bun.OrderAsc).Limit(rebuiltBatch).Scan(ctx)
		if err != nil {
			return fmt.Errorf("read rebuilt posts: %w", err)
		}
		if len(rebuilt) == 0 {
			return nil
		}
		after = rebuilt[len(rebuilt)-1].ID
		ids := make([]string, len(rebuilt))
		for i := range rebuilt {
			ids[i] = rebuilt[i].ID
		}
		if err := db.NewSelect().Model(&rows).Where("id IN (?)", bun.List(ids)).Scan(ctx); err != nil {
			return fmt.Errorf("read posts: %w", err)
		}
		live := make(map[string]*Post, len(rows))
		for i := range rows {
			live[rows[i].ID] = &rows[i]
		}
		for _, p := range rebuilt {
			d := Difference{Post: p, Columns: []string{"id"}}
			if row := live[p.ID]; row != nil {
				d.LiveRev = row.Rev
				if d.Columns, err = differsFrom(row, &p); err != nil {
					return err
				}
			}
			if len(d.Columns) == 0 {
				continue
			}
			if err := do(d); err != nil {
				return err
			}
		}
	}
}

// Swap makes live rows what EVENTS says, but for those that are ahead: what they know more will be emitted. What the rows
// were is kept in posts_before_rebuild. It says how many rows were replaced.
func (t Rebuilt) Swap(ctx context.Context, tx bun.Tx, timing Timing, now time.Time) (swapped int, err error) {
	if _, err := tx.ExecContext(ctx, "DROP TABLE IF EXISTS posts_before_rebuild; CREATE TABLE posts_before_rebuild AS TABLE posts WITH NO DATA"); err != nil {
		return 0, fmt.Errorf("make the table posts_before_rebuild: %w", err)
	}
	var list []Post
	err = t.EachDifference(ctx, tx, func(d Difference) error {
		if d.Ahead() {
			return nil
		}
		swapped++
		if list = append(list, d.Post); len(list) < rebuiltBatch {
			return nil
		}
		full := list
		list = nil
		return replace(ctx, tx, full, timing, now)
	})
	if err != nil || len(list) == 0 {
		return swapped, err
	}
	return swapped, replace(ctx, tx, list, timing, now)
}

// replace writes posts as EVENTS has them over their rows.
func replace(ctx context.Context, tx bun.Tx, list []Post, timing Timing, now time.Time) error {
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
		timing.WakeAfterReplay(&list[i], now)
		list[i].Canonicalize()
	}
	if _, err := tx.NewRaw("INSERT INTO posts_before_rebuild SELECT * FROM posts WHERE id IN (?)", bun.List(ids)).Exec(ctx); err != nil {
		return fmt.Errorf("keep the rows as they were: %w", err)
	}
	if _, err := tx.NewDelete().Model((*Post)(nil)).Where("id IN (?)", bun.List(ids)).Exec(ctx); err != nil {
		return fmt.Errorf("take the rows away: %w", err)
	}
	if _, err := tx.NewInsert().Model(&list).Exec(ctx); err != nil {
		return fmt.Errorf("write the rows anew: %w", err)
	}
	// No event says it, and it outlives revisions.
	_, err := tx.NewRaw("UPDATE posts SET recalled = true FROM posts_before_rebuild AS b WHERE b.id = posts.id AND b.recalled AND posts.id IN (?)", bun.List(ids)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("recall posts: %w", err)
	}
	// Whenever their calls were made, they have ended by now; as where an event is applied.
	_, err = tx.NewUpdate().Model((*Post)(nil)).Set("call_deadline = clock_timestamp()").Where("id IN (?) AND doubt", bun.List(ids)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("note the end of calls: %w", err)
	}
	return nil
}
