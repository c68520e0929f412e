package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
)

// planned is a post that a figure hands in.
type planned struct {
	id, user, account, text string
	due                     time.Time
}

// plan makes n posts, spread over the accounts in turn; dueOf says when the i-th is due. The run's name begins their
// texts. Seed decides how long the texts are and in which order the accounts come.
func (e *env) plan(run string, n int, dueOf func(i int) time.Time) []planned {
	rng := rand.New(rand.NewPCG(e.o.seed, uint64(n))) //nolint:gosec // makes texts, guards nothing
	order := rng.Perm(len(e.accounts))
	posts := make([]planned, n)
	e.firstOf[run] = events.NewPostID()
	for i := range posts {
		a := e.accounts[order[i%len(order)]]
		due := dueOf(i).Truncate(time.Microsecond) // no finer than Postgres keeps it
		posts[i] = planned{id: events.NewPostID(), user: a.UserID, account: a.ID, due: due, text: text(rng, run, i, due)}
	}
	return posts
}

// text is one that no other post has, of a length that posts have.
func text(rng *rand.Rand, run string, i int, due time.Time) string {
	return fmt.Sprintf("%s %d %s%s", run, i, dueWord(due), strings.Repeat(" lorem", 5+rng.IntN(55)))
}

// sendersAtOnce is how many posts are handed in at the same time.
const sendersAtOnce = 64

// schedule hands posts in as the gateway does, a command each, and waits until each is accepted.
func (e *env) schedule(ctx context.Context, posts []planned) (perSecond float64, err error) {
	defer e.begin(ctx, "handing in posts", "posts", len(posts))()
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(sendersAtOnce)
	for _, p := range posts {
		g.Go(func() error {
			outcome, err := e.Bus.Do(ctx, events.SchedulePost{
				PostID: p.id, UserID: p.user, PublishAt: p.due, Draft: events.Draft{AccountID: p.account, Text: p.text},
			}, bus.CommandOptions{ID: events.NewCommandID()}, time.Minute)
			switch {
			case err != nil:
				return err
			case !outcome.Done:
				return errors.New("a post was not accepted within a minute")
			case outcome.Fault != nil:
				return fmt.Errorf("a post was refused: %s", outcome.Fault.Message)
			}
			e.task.Add(1)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return 0, fmt.Errorf("hand in posts (when their time passed meanwhile, give them longer with --ahead): %w", err)
	}
	return float64(len(posts)) / time.Since(began).Seconds(), nil
}

// states counts the posts of a run by state.
func (e *env) states(ctx context.Context, run string) (map[events.State]int, error) {
	var rows []struct {
		State events.State `bun:"state"`
		Posts int          `bun:"posts"`
	}
	err := e.DB.NewSelect().Table("posts").Column("state").ColumnExpr("count(*) AS posts").
		Where("id >= ? AND text LIKE ?", e.firstOf[run], run+" %").Group("state").Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("count the posts of %s: %w", run, err)
	}
	m := map[events.State]int{}
	for _, r := range rows {
		m[r.State] = r.Posts
	}
	return m, nil
}

const (
	lookEvery = 500 * time.Millisecond
	// standstill is how long nothing may change before a run is given up.
	standstill = 90 * time.Second
)

// settled waits until n posts of a run have come to an end, or nothing moves any more.
func (e *env) settled(ctx context.Context, run string, n int) error {
	before, since := -1, time.Now()
	for {
		m, err := e.states(ctx, run)
		if err != nil {
			return err
		}
		done := m[events.StatePublished] + m[events.StateFailed] + m[events.StateCancelled] + m[events.StateParked]
		if done >= n {
			return nil
		}
		if done != before {
			before, since = done, time.Now()
		}
		if time.Since(since) > standstill {
			return fmt.Errorf("%s: %d of %d posts have come to an end, and for %s no other has; they are %v",
				run, done, n, standstill, m)
		}
		if !clock.Sleep(ctx, lookEvery) {
			return ctx.Err()
		}
	}
}
