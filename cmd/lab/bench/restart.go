package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
)

// RestartFigure is how long a publisher takes from kill -9 to ready, with many posts waiting for their time.
type RestartFigure struct {
	Scheduled int `json:"scheduled"`
	// Seconds is from the start of the process to ready, Empty the same without those posts.
	Seconds float64 `json:"seconds"`
	Empty   float64 `json:"emptySeconds"`
	// Memory is what the publisher holds once it is ready and its first sweep is over, EmptyMemory the same without those
	// posts, in bytes.
	Memory      int64 `json:"publisherMemory"`
	EmptyMemory int64 `json:"emptyMemory"`
	// First is how late a post went out that was due two seconds after ready, in milliseconds.
	First    float64  `json:"firstPostLateMs"`
	Failures []string `json:"failures"`
}

func (e *env) restart(ctx context.Context) (*RestartFigure, error) {
	const run = "restart"
	f := &RestartFigure{Scheduled: e.o.scheduled}
	e.say("restart: with an empty schedule")
	var err error
	if f.Empty, f.EmptyMemory, err = e.again(ctx); err != nil {
		return nil, err
	}
	e.say("restart: writing %d scheduled posts", e.o.scheduled)
	if err := e.fill(ctx, e.o.scheduled); err != nil {
		return nil, err
	}
	e.say("restart: killing the publisher and starting it again")
	if f.Seconds, f.Memory, err = e.again(ctx); err != nil {
		return nil, err
	}
	e.say("restart: ready after %.2f s; one post to see that it works", f.Seconds)
	from, err := e.end(ctx)
	if err != nil {
		return nil, err
	}
	due := time.Now().Add(2 * time.Second)
	posts := e.plan(run, 1, func(int) time.Time { return due })
	if _, err := e.schedule(ctx, posts); err != nil {
		return nil, err
	}
	if err := e.settled(ctx, run, 1); err != nil {
		return nil, err
	}
	arrivals, v, err := e.verify(ctx, run, posts, from)
	if err != nil {
		return nil, err
	}
	f.Failures = v
	f.First = weigh(arrivals).Lateness.Max
	m, err := e.states(ctx, filler)
	if err != nil {
		return nil, err
	}
	if m[events.StateScheduled] != e.o.scheduled || len(m) > 1 {
		f.Failures = append(f.Failures, fmt.Sprintf("of %d scheduled posts there are now %v", e.o.scheduled, m))
	}
	return f, nil
}

// again kills the publisher, starts it, and reads its memory a moment later.
func (e *env) again(ctx context.Context) (seconds float64, memory int64, err error) {
	if e.publisher == nil {
		return 0, 0, errors.New("there is no publisher to restart")
	}
	e.publisher.Kill()
	took, err := e.startPublisher(ctx)
	if err != nil {
		return 0, 0, err
	}
	if !clock.Sleep(ctx, e.o.sweepFor()) {
		return 0, 0, ctx.Err()
	}
	memory, _ = e.publisher.Memory()
	return took.Seconds(), memory, nil
}

// filler begins the texts of the posts that only wait.
const filler = "waiting"

// empty takes the posts that only wait away again.
func (e *env) empty(ctx context.Context) error {
	if _, err := e.DB.NewDelete().Table("posts").Where("text LIKE ?", filler+" %").Exec(ctx); err != nil {
		return fmt.Errorf("empty the table: %w", err)
	}
	return nil
}

// fill writes posts for a far future straight into the table, as the publisher leaves them when it has accepted and emitted
// them: beyond the arming horizon they have no alarm. A million commands would take the better part of an hour.
func (e *env) fill(ctx context.Context, n int) error {
	conn, err := pgx.Connect(ctx, e.DatabaseURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	now := time.Now().UTC().Truncate(time.Microsecond)
	first, spread := now.Add(30*24*time.Hour), 335*24*time.Hour // within a year
	columns := []string{
		"id", "user_id", "account_id", "text", "content_hash", "publish_at", "publish_within", "state",
		"created_at", "updated_at", "rev", "told_rev", "fact", "wake_at",
	}
	defer e.begin(ctx, "writing posts", "posts", n)()
	i := 0
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"posts"}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		if i == n {
			return nil, nil
		}
		a := e.accounts[i%len(e.accounts)]
		at := first.Add(time.Duration(float64(spread) * float64(i) / float64(n))).Truncate(time.Microsecond)
		i++
		e.task.Set(int64(i), 0)
		text := fmt.Sprintf("%s %d for a long time, with words enough to be a post of usual length on Threads", filler, i)
		return []any{
			events.NewPostID(), a.UserID, a.ID, text, fmt.Sprintf("%064x", i), at, 24 * 60 * 60, string(events.StateScheduled),
			now, now, int64(1), int64(1), string(events.FactScheduled), at.Add(-2 * time.Minute),
		}, nil
	}))
	if err != nil {
		return fmt.Errorf("write scheduled posts: %w", err)
	}
	// As autovacuum would have done long before a table has grown so large.
	if _, err := conn.Exec(ctx, "VACUUM ANALYZE posts"); err != nil {
		return fmt.Errorf("analyze the table: %w", err)
	}
	return nil
}
