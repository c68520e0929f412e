package projector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/uptrace/bun"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
)

// Rebuilder builds the table of posts anew from EVENTS, beside the live one, and says where they differ. Law 5: they may
// differ in the working columns only, and by what has not been told yet.
type Rebuilder struct {
	Bus      *bus.Bus
	DB       *bun.DB
	Cfg      Config
	Log      *zap.Logger
	Progress func(done, all uint64) // called now and then; may be nil
}

// Rebuilt is what a rebuild found.
type Rebuilt struct {
	Events  uint64  `json:"events"` // facts of posts read
	Last    uint64  `json:"last"`   // sequence up to which EVENTS was read
	Seconds float64 `json:"seconds"`

	Posts int `json:"posts"` // in the rebuilt table
	Equal int `json:"equal"`
	// Ahead are live rows with a change that EVENTS does not have yet: the sweep tells it.
	Ahead int `json:"ahead"`
	// OnlyLive are live rows without any fact on EVENTS: it does not reach back so far, or was purged. They are left alone.
	OnlyLive    int          `json:"onlyLive"`
	Differences []Difference `json:"differences"` // the first of them
	Different   int          `json:"different"`   // all of them
	Swapped     int          `json:"swapped"`     // rows that were made what EVENTS says
}

// Difference is a post whose row is not what EVENTS says.
type Difference struct {
	ID      string   `bun:"id" json:"id"`
	LiveRev int64    `bun:"live_rev" json:"liveRev"` // 0: there is no such row
	Rev     int64    `bun:"rev" json:"rev"`          // on EVENTS
	Columns []string `bun:"columns,array" json:"columns"`
}

const (
	rebuiltTable  = "posts_rebuilt"
	rebuildBatch  = 8192
	rebuildInsert = 512 // rows of one statement
)

// Run builds the table, compares, and shows at most so many differences. With swap, rows that differ become what EVENTS
// says, under the rule of a restored database: every post that is due is looked for on Threads before anything is made.
// That needs all publishers stopped.
func (b Rebuilder) Run(ctx context.Context, show int, swap bool) (*Rebuilt, error) {
	r := New(b.Cfg, Deps{Bus: b.Bus, DB: b.DB, Log: b.Log, Now: time.Now})
	if swap {
		free, err := b.standStill(ctx)
		if err != nil {
			return nil, err
		}
		defer free()
	}
	began := time.Now()
	_, err := b.DB.ExecContext(ctx, "DROP TABLE IF EXISTS "+rebuiltTable+"; CREATE UNLOGGED TABLE "+rebuiltTable+
		" (LIKE posts INCLUDING DEFAULTS, PRIMARY KEY (id))")
	if err != nil {
		return nil, fmt.Errorf("make the table %s: %w", rebuiltTable, err)
	}
	defer func() { _, _ = b.DB.ExecContext(context.WithoutCancel(ctx), "DROP TABLE IF EXISTS "+rebuiltTable) }()
	found := &Rebuilt{Differences: []Difference{}}
	if err := b.fill(ctx, r, found); err != nil {
		return nil, err
	}
	found.Seconds = time.Since(began).Seconds()
	if err := b.compare(ctx, found, show); err != nil {
		return nil, err
	}
	if swap {
		err = b.swap(ctx, r, found)
	}
	return found, err
}

// standStill makes sure that no publisher runs, and keeps any from recording until free is called.
func (b Rebuilder) standStill(ctx context.Context) (free func(), err error) {
	conn, err := b.DB.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	free = func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(?)", LockKey)
		_ = conn.Close()
	}
	var mine bool
	if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock(?)", LockKey).Scan(&mine); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("take the recorder's lock: %w", err)
	}
	var running int
	if mine {
		err = conn.QueryRowContext(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'threads-publisher'").Scan(&running)
		if err != nil {
			free()
			return nil, fmt.Errorf("look for publishers: %w", err)
		}
	}
	if !mine || running > 0 {
		free()
		return nil, errors.New("a publisher is running; stop all of them before the rows are swapped")
	}
	return free, nil
}

// fill reads EVENTS from its start and keeps the latest of each post.
func (b Rebuilder) fill(ctx context.Context, r *Projector, found *Rebuilt) error {
	stream, err := b.Bus.JetStream().Stream(ctx, events.StreamEvents)
	if err != nil {
		return fmt.Errorf("find EVENTS: %w", err)
	}
	found.Last = stream.CachedInfo().State.LastSeq
	consumer, err := b.Bus.JetStream().OrderedConsumer(ctx, events.StreamEvents, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{events.PostFacts("*", "*", "*")}, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("read EVENTS: %w", err)
	}
	all := consumer.CachedInfo().NumPending
	messages, err := consumer.Messages(jetstream.PullMaxMessages(rebuildBatch))
	if err != nil {
		return fmt.Errorf("read EVENTS: %w", err)
	}
	defer messages.Stop()
	g, ctx := errgroup.WithContext(ctx)
	batches := make(chan []posts.Post, 1) // one is read while another is written
	g.Go(func() error {
		defer close(batches)
		batch := newLatest()
		for found.Events < all {
			next, cancel := context.WithTimeout(ctx, replayPatience)
			m, err := messages.Next(jetstream.NextContext(next))
			cancel()
			if err != nil {
				return errors.Join(fmt.Errorf("EVENTS stopped after %d facts: %w", found.Events, err), ctx.Err())
			}
			fact, err := r.decode(m)
			if err != nil {
				return err
			}
			if fact.Seq > found.Last {
				break
			}
			found.Events++
			batch.add(fact.Message)
			if found.Events%rebuildBatch == 0 || found.Events == all {
				select {
				case batches <- batch.take():
				case <-ctx.Done():
					return ctx.Err()
				}
				if b.Progress != nil {
					b.Progress(found.Events, all)
				}
			}
		}
		if rest := batch.take(); len(rest) > 0 {
			select {
			case batches <- rest:
			case <-ctx.Done():
			}
		}
		return nil
	})
	g.Go(func() error {
		for batch := range batches {
			if err := b.write(ctx, batch); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// latest keeps the highest rev of each post.
type latest struct{ posts map[string]posts.Post }

func newLatest() *latest { return &latest{posts: map[string]posts.Post{}} }

func (l *latest) add(msg events.Message) {
	ev, ok := msg.(events.PostEvent)
	if !ok {
		return
	}
	p := posts.FromSnapshot(ev.Snapshot())
	if l.posts[p.ID].Rev < p.Rev {
		p.Fact, p.ToldRev = ev.Fact(), p.Rev
		l.posts[p.ID] = p
	}
}

func (l *latest) take() []posts.Post {
	list := make([]posts.Post, 0, len(l.posts))
	for _, p := range l.posts {
		p.Canonicalize()
		list = append(list, p)
	}
	clear(l.posts)
	return list
}

func (b Rebuilder) write(ctx context.Context, list []posts.Post) error {
	for part := range slices.Chunk(list, rebuildInsert) {
		_, err := b.DB.NewInsert().Model(&part).ModelTableExpr(rebuiltTable + " AS post").On("CONFLICT (id) DO UPDATE").
			Set(posts.Excluded(append(posts.EmittedColumns(), "content_hash", "updated_at", "told_rev"))).
			Where("post.rev < EXCLUDED.rev").Exec(ctx)
		if err != nil {
			return fmt.Errorf("write rebuilt posts: %w", err)
		}
	}
	return nil
}

// compare counts and lists where the two tables differ.
func (b Rebuilder) compare(ctx context.Context, found *Rebuilt, show int) error {
	_, err := b.DB.ExecContext(ctx, "ANALYZE "+rebuiltTable)
	if err != nil {
		return fmt.Errorf("analyze the rebuilt table: %w", err)
	}
	err = b.DB.NewRaw(fmt.Sprintf(`SELECT count(n.id) AS posts, count(*) FILTER (WHERE l.rev > n.rev) AS ahead, count(*) FILTER (WHERE n.id IS NULL) AS only_live
		FROM %s n FULL JOIN posts l ON l.id = n.id`, rebuiltTable)).Scan(ctx, &found.Posts, &found.Ahead, &found.OnlyLive)
	if err != nil {
		return fmt.Errorf("compare the tables: %w", err)
	}
	apart := 0 // with those that are ahead
	err = b.eachDifference(ctx, b.DB, func(d difference) error {
		apart++
		if d.ahead() {
			return nil
		}
		if found.Different++; len(found.Differences) < show {
			found.Differences = append(found.Differences, d.Difference)
		}
		return nil
	})
	found.Equal = found.Posts - apart
	return err
}

// difference is a post whose row does not say what EVENTS says, with what it was to be.
type difference struct {
	Difference
	post posts.Post
}

// ahead says that the live row has a change that EVENTS does not have yet.
func (d difference) ahead() bool { return d.LiveRev > d.Rev }

// eachDifference calls do for every post whose two rows say different things, by id. Most rows are equal to the letter:
// Postgres passes over those, and what the others say is compared here.
func (b Rebuilder) eachDifference(ctx context.Context, db bun.IDB, do func(difference) error) error {
	var apart []string
	for _, c := range posts.EmittedColumns() {
		apart = append(apart, fmt.Sprintf("post.%s IS DISTINCT FROM l.%s", c, c))
	}
	for after := ""; ; {
		var rebuilt, rows []posts.Post
		err := db.NewSelect().Model(&rebuilt).ModelTableExpr(rebuiltTable+" AS post").Join("LEFT JOIN posts l ON l.id = post.id").
			Where("post.id > ?", after).Where("l.id IS NULL OR "+strings.Join(apart, " OR ")).
			OrderBy("post.id", bun.OrderAsc).Limit(rebuildInsert).Scan(ctx)
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
		live := make(map[string]*posts.Post, len(rows))
		for i := range rows {
			live[rows[i].ID] = &rows[i]
		}
		for _, p := range rebuilt {
			d := difference{Difference{ID: p.ID, Rev: p.Rev, Columns: []string{"id"}}, p}
			if row := live[p.ID]; row != nil {
				d.LiveRev = row.Rev
				if d.Columns, err = row.DiffersFrom(&p); err != nil {
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

// swap makes the rows that differ what EVENTS says. What they were is kept in posts_before_rebuild.
func (b Rebuilder) swap(ctx context.Context, r *Projector, found *Rebuilt) error {
	return pg.InTx(ctx, b.DB, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.ExecContext(ctx, "DROP TABLE IF EXISTS posts_before_rebuild; CREATE TABLE posts_before_rebuild AS TABLE posts WITH NO DATA"); err != nil {
			return fmt.Errorf("make the table posts_before_rebuild: %w", err)
		}
		found.Swapped = 0
		var list []posts.Post
		replace := func() error {
			if len(list) == 0 {
				return nil
			}
			found.Swapped += len(list)
			defer func() { list = nil }()
			return r.replace(ctx, tx, list)
		}
		err := b.eachDifference(ctx, tx, func(d difference) error {
			if d.ahead() { // it stands: what it knows more will be told
				return nil
			}
			if list = append(list, d.post); len(list) < rebuildInsert {
				return nil
			}
			return replace()
		})
		if err == nil {
			err = replace()
		}
		if err != nil {
			return err
		}
		if err := r.MarkAllUnconfirmed(ctx, tx); err != nil {
			return err
		}
		return r.setPosition(ctx, tx, found.Last)
	})
}

// replace writes posts as EVENTS has them over their rows.
func (r *Projector) replace(ctx context.Context, tx bun.Tx, list []posts.Post) error {
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
		list[i].WakeAfterReplay(r.cfg.Timing, r.Now())
		list[i].Canonicalize()
	}
	if _, err := tx.NewRaw("INSERT INTO posts_before_rebuild SELECT * FROM posts WHERE id IN (?)", bun.List(ids)).Exec(ctx); err != nil {
		return fmt.Errorf("keep the rows as they were: %w", err)
	}
	if _, err := tx.NewDelete().Model((*posts.Post)(nil)).Where("id IN (?)", bun.List(ids)).Exec(ctx); err != nil {
		return fmt.Errorf("take the rows away: %w", err)
	}
	if _, err := tx.NewInsert().Model(&list).Exec(ctx); err != nil {
		return fmt.Errorf("write the rows anew: %w", err)
	}
	// No event tells it, and it outlives revisions.
	_, err := tx.NewRaw("UPDATE posts SET recalled = true FROM posts_before_rebuild AS b WHERE b.id = posts.id AND b.recalled AND posts.id IN (?)", bun.List(ids)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("recall posts: %w", err)
	}
	// Whenever their calls were made, they have ended by now; as where an event is applied.
	_, err = tx.NewUpdate().Model((*posts.Post)(nil)).Set("call_deadline = clock_timestamp()").Where("id IN (?) AND doubt", bun.List(ids)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("note the end of calls: %w", err)
	}
	return nil
}
