package projector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/uptrace/bun"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
)

// Rebuilder builds the table of posts anew from EVENTS, beside the live one, and says where they differ. Law 5: they may
// differ in the working columns only, and by what has not been emitted yet.
type Rebuilder struct {
	Bus      *bus.Bus
	DB       *bun.DB
	Cfg      Config
	Log      *zap.Logger
	Progress func(done, all uint64) // called now and then; may be nil
	// Patience is how long a publisher that has just stopped is waited for before a swap; 0: as long as Postgres may take to end its session.
	Patience time.Duration
}

// Rebuilt is what a rebuild found.
type Rebuilt struct {
	Events  uint64  `json:"events"` // events of posts read
	Last    uint64  `json:"last"`   // sequence up to which EVENTS was read
	Seconds float64 `json:"seconds"`

	Posts int `json:"posts"` // in the rebuilt table
	Equal int `json:"equal"`
	// Ahead are live rows with a change that EVENTS does not have yet: the sweep emits it.
	Ahead int `json:"ahead"`
	// OnlyLive are live rows without any event on EVENTS: it does not reach back so far, or was purged. They are left alone.
	OnlyLive    int          `json:"onlyLive"`
	Differences []Difference `json:"differences"` // the first of them
	Different   int          `json:"different"`   // all of them
	Swapped     int          `json:"swapped"`     // rows that were made what EVENTS says
	// Skipped are the events that are on EVENTS and not in the tables; Applied, how many of them a swap has put there, or found to be no longer on EVENTS.
	Skipped []Skipped `json:"skipped"`
	Applied int       `json:"applied"`
}

// Difference is a post whose row is not what EVENTS says.
type Difference struct {
	ID      string   `json:"id"`
	LiveRev int64    `json:"liveRev"` // 0: there is no such row
	Rev     int64    `json:"rev"`     // on EVENTS
	Columns []string `json:"columns"`
}

// rebuildBatch is how many events are read before the posts that they are about are written.
const rebuildBatch = 8192

// Run builds the table, compares, and shows at most so many differences. With swap, rows that differ become what EVENTS
// says, under the rule of a restored database: every post that is due is looked for on Threads before anything is made.
// That needs all publishers stopped.
func (b Rebuilder) Run(ctx context.Context, show int, swap bool) (*Rebuilt, error) {
	r := New(b.Cfg, Deps{Bus: b.Bus, DB: b.DB, Store: posts.NewStore(b.DB, 0, 0), Log: b.Log, Now: time.Now})
	if swap {
		free, err := b.stopFollowing(ctx)
		if err != nil {
			return nil, err
		}
		defer free()
	}
	began := time.Now()
	table, err := posts.CreateRebuilt(ctx, b.DB)
	if err != nil {
		return nil, err
	}
	defer table.Drop(ctx)
	found := &Rebuilt{Differences: []Difference{}}
	if err := b.fill(ctx, table, found); err != nil {
		return nil, err
	}
	found.Seconds = time.Since(began).Seconds()
	if err := b.compare(ctx, table, found, show); err != nil {
		return nil, err
	}
	if swap {
		if err := b.swap(ctx, r, table, found); err != nil {
			return nil, err
		}
		if found.Applied, err = r.applySkipped(ctx); err != nil {
			return nil, err
		}
		found.Skipped = nil // all are noted now
	}
	noted, err := listNotes(ctx, b.DB)
	found.Skipped = mergeSkipped(noted, found.Skipped)
	return found, err
}

// stopFollowing makes sure that no publisher runs, and keeps any from following EVENTS until free is called. One that has just
// stopped is waited for: Postgres may take a moment to end its sessions.
func (b Rebuilder) stopFollowing(ctx context.Context) (free func(), err error) {
	for until := time.Now().Add(cmp.Or(b.Patience, lockSilence)); ; {
		if free, err = b.tryStopFollowing(ctx); !errors.Is(err, errRunning) || time.Now().After(until) || !clock.Sleep(ctx, 100*time.Millisecond) {
			return free, err
		}
	}
}

var errRunning = errors.New("a publisher is running; stop all of them before the rows are swapped")

func (b Rebuilder) tryStopFollowing(ctx context.Context) (free func(), err error) {
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
		return nil, fmt.Errorf("take the projector's lock: %w", err)
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
		return nil, errRunning
	}
	return free, nil
}

// fill reads EVENTS from its start and keeps the latest of each post.
func (b Rebuilder) fill(ctx context.Context, table posts.Rebuilt, found *Rebuilt) error {
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
	var unread, unfit []Skipped
	batches := make(chan []Event, 1) // one is read while another is written
	g.Go(func() error {
		defer close(batches)
		batch := newLatest()
		for found.Events < all {
			next, cancel := context.WithTimeout(ctx, replayPatience)
			m, err := messages.Next(jetstream.NextContext(next))
			cancel()
			if err != nil {
				return errors.Join(fmt.Errorf("EVENTS stopped after %d events: %w", found.Events, err), ctx.Err())
			}
			fact, err := decode(m)
			if err != nil {
				return err
			}
			if fact.Seq > found.Last {
				break
			}
			found.Events++
			if fact.unfit != nil {
				unread = append(unread, fact.note(time.Now()))
			}
			batch.add(fact)
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
			refused, err := write(ctx, table, batch)
			if err != nil {
				return err
			}
			unfit = append(unfit, refused...)
		}
		return nil
	})
	err = g.Wait()
	found.Skipped = append(unread, unfit...)
	return err
}

// write writes the posts of events, and returns the events whose values have no place in the table.
func write(ctx context.Context, table posts.Rebuilt, evs []Event) ([]Skipped, error) {
	list := make([]posts.Post, 0, len(evs))
	for _, e := range evs {
		ev, ok := e.Message.(events.PostEvent)
		if !ok {
			continue
		}
		p := posts.FromSnapshot(ev.Snapshot())
		p.Fact, p.EmittedRev = ev.Fact(), p.Rev
		list = append(list, p)
	}
	err := table.Write(ctx, list)
	switch {
	case !pg.Unfit(err):
		return nil, err
	case len(evs) == 1:
		return []Skipped{evs[0].skippedFor(err).note(time.Now())}, nil
	}
	half := len(evs) / 2
	first, err := write(ctx, table, evs[:half])
	if err != nil {
		return nil, err
	}
	second, err := write(ctx, table, evs[half:])
	return append(first, second...), err
}

// latest keeps the highest rev of each post.
type latest struct {
	revs map[string]int64
	evs  map[string]Event
}

func newLatest() *latest { return &latest{map[string]int64{}, map[string]Event{}} }

func (l *latest) add(e Event) {
	ev, ok := e.Message.(events.PostEvent)
	if !ok {
		return
	}
	if p := ev.Snapshot(); l.revs[p.ID] < p.Rev {
		l.revs[p.ID], l.evs[p.ID] = p.Rev, e
	}
}

func (l *latest) take() []Event {
	list := slices.Collect(maps.Values(l.evs))
	clear(l.revs)
	clear(l.evs)
	return list
}

// compare counts and lists where the two tables differ.
func (b Rebuilder) compare(ctx context.Context, table posts.Rebuilt, found *Rebuilt, show int) (err error) {
	if found.Posts, found.Ahead, found.OnlyLive, err = table.Count(ctx); err != nil {
		return err
	}
	apart := 0 // with those that are ahead
	err = table.EachDifference(ctx, b.DB, func(d posts.Difference) error {
		apart++
		if d.Ahead() {
			return nil
		}
		if found.Different++; len(found.Differences) < show {
			found.Differences = append(found.Differences, Difference{ID: d.Post.ID, LiveRev: d.LiveRev, Rev: d.Post.Rev, Columns: d.Columns})
		}
		return nil
	})
	found.Equal = found.Posts - apart
	return err
}

// swap makes the rows that differ what EVENTS says.
func (b Rebuilder) swap(ctx context.Context, r *Projector, table posts.Rebuilt, found *Rebuilt) error {
	return pg.InTx(ctx, b.DB, func(ctx context.Context, tx bun.Tx) (err error) {
		if found.Swapped, err = table.Swap(ctx, tx, b.Cfg.Timing, r.Now()); err != nil {
			return err
		}
		if err := r.markAllUnconfirmed(ctx, tx); err != nil {
			return err
		}
		if err := insertSkipped(ctx, tx, found.Skipped); err != nil {
			return err
		}
		return r.setPosition(ctx, tx, found.Last)
	})
}
