package bench

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
)

// LatenessFigure is how late the publish call is on a steady stream of posts.
type LatenessFigure struct {
	Rate    int     `json:"postsPerSecond"`
	Seconds float64 `json:"seconds"`
	// AcceptedPerSecond is how fast the posts were handed in beforehand, a command each.
	AcceptedPerSecond float64  `json:"acceptedPerSecond"`
	Ours              Delivery `json:"ours"`
	// Bare are bare calls at the same pace, each from a goroutine that sleeps until its time.
	Bare Delivery `json:"bare"`
	// By says who told when a post arrived: target, or calledAt.
	By       string   `json:"arrivalBy"`
	Failures []string `json:"failures"`
}

// BurstFigure is how fast many posts go out that are due at the same second.
type BurstFigure struct {
	Accounts          int     `json:"accounts"`
	AcceptedPerSecond float64 `json:"acceptedPerSecond"`
	// Prepared are the posts whose containers were ready a second and a half before the due second.
	Prepared int      `json:"prepared"`
	Ours     Delivery `json:"ours"`
	// CallsPerSecond are bare calls, measured again right before the burst when there was time; OfBare is our rate by theirs.
	CallsPerSecond float64 `json:"bareCallsPerSecond"`
	OfBare         float64 `json:"ofBareCalls"`
	// Concluded is how long after the due second the last row said POSTED, in seconds; looked at twice a second.
	Concluded float64 `json:"concludedSeconds"`
	// Cost is from the due second to the last row.
	Cost Cost `json:"cost"`
	// Memory is the most that the publisher held, in bytes.
	Memory   int64    `json:"publisherMemory"`
	By       string   `json:"arrivalBy"`
	Failures []string `json:"failures"`
}

// by says who tells when posts arrive.
func (e *env) by() string {
	if e.tells {
		return "target"
	}
	return "calledAt"
}

func (e *env) lateness(ctx context.Context) (*LatenessFigure, error) {
	const run = "lateness"
	n := e.o.rate * e.o.seconds
	gap := time.Second / time.Duration(e.o.rate)
	f := &LatenessFigure{Rate: e.o.rate, Seconds: float64(e.o.seconds), By: e.by()}
	var err error
	e.say("lateness: bare calls at the same pace, %d a second for %d s", e.o.rate, e.o.seconds)
	if f.Bare, err = e.bareLateness(ctx, "punctual", n, gap); err != nil {
		return nil, err
	}
	from, err := e.end(ctx)
	if err != nil {
		return nil, err
	}
	first := time.Now().Add(e.o.lead(n))
	posts := e.plan(run, n, func(i int) time.Time { return first.Add(time.Duration(i) * gap) })
	e.say("lateness: handing in %d posts, the first due in %s", n, e.o.lead(n))
	if f.AcceptedPerSecond, err = e.schedule(ctx, posts); err != nil {
		return nil, err
	}
	e.say("lateness: accepted %.0f a second; waiting for the last due time", f.AcceptedPerSecond)
	if err := sleepUntil(ctx, posts[n-1].due); err != nil {
		return nil, err
	}
	if err := e.settled(ctx, run, n); err != nil {
		return nil, err
	}
	arrivals, v, err := e.verify(ctx, run, posts, from)
	if err != nil {
		return nil, err
	}
	f.Ours, f.Failures = weigh(arrivals), v
	if f.Ours.Early > 0 {
		f.Failures = append(f.Failures, fmt.Sprintf("%d posts of %s were early", f.Ours.Early, run))
	}
	return f, nil
}

func (e *env) burst(ctx context.Context, b *Baseline) (*BurstFigure, error) {
	const run = "burst"
	n := e.o.posts
	f := &BurstFigure{Accounts: len(e.accounts), By: e.by(), CallsPerSecond: b.CallsPerSecond}
	from, err := e.end(ctx)
	if err != nil {
		return nil, err
	}
	if e.o.rows > 0 {
		if err := e.fill(ctx, e.o.rows); err != nil {
			return nil, err
		}
	}
	due := time.Now().Add(e.o.lead(n)).Truncate(time.Second).Add(time.Second)
	posts := e.plan(run, n, func(int) time.Time { return due })
	e.say("burst: handing in %d posts of %d accounts, all due at %s", n, len(e.accounts), due.Format("15:04:05"))
	if f.AcceptedPerSecond, err = e.schedule(ctx, posts); err != nil {
		return nil, err
	}
	e.say("burst: accepted %.0f a second; waiting for the containers", f.AcceptedPerSecond)
	bare := e.o.bareCalls()
	// Time for the bare calls and then a moment's rest.
	quiet := due.Add(-1600*time.Millisecond - time.Duration(bare)*time.Millisecond)
	if err := e.awaitPrepared(ctx, run, n, quiet); err != nil {
		return nil, err
	}
	// In the quiet before the burst, so that both see the same machine.
	if time.Now().Before(quiet) {
		e.say("burst: bare calls")
		if f.CallsPerSecond, err = e.bareCalls(ctx, bare); err != nil {
			return nil, err
		}
	}
	if err := sleepUntil(ctx, due.Add(-1500*time.Millisecond)); err != nil {
		return nil, err
	}
	m, err := e.states(ctx, run)
	if err != nil {
		return nil, err
	}
	f.Prepared = m[events.StateReady]
	before, err := e.meter(ctx)
	if err != nil {
		return nil, err
	}
	profiles, profiling := errgroup.WithContext(ctx)
	if e.o.profile != "" {
		profiles.Go(func() error { return e.profileAll(profiling, run, due) })
	}
	if err := e.settled(ctx, run, n); err != nil {
		return nil, err
	}
	f.Concluded = time.Since(due).Seconds()
	after, err := e.meter(ctx)
	if err != nil {
		return nil, err
	}
	f.Cost = after.since(before, n)
	_, f.Memory = e.publisher.Memory()
	if err := profiles.Wait(); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	arrivals, v, err := e.verify(ctx, run, posts, from)
	if err != nil {
		return nil, err
	}
	f.Ours, f.Failures = weigh(arrivals), v
	f.OfBare = f.Ours.PerSecond / f.CallsPerSecond
	if f.Ours.Early > 0 {
		f.Failures = append(f.Failures, fmt.Sprintf("%d posts of %s were early", f.Ours.Early, run))
	}
	return f, nil
}

// awaitPrepared waits until the containers of a run are ready, or until a time.
func (e *env) awaitPrepared(ctx context.Context, run string, n int, until time.Time) error {
	for time.Now().Before(until) {
		m, err := e.states(ctx, run)
		if err != nil || m[events.StateReady] == n {
			return err
		}
		if !clock.Sleep(ctx, lookEvery) {
			return ctx.Err()
		}
	}
	return nil
}
