package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/threads"
)

// Baseline is what this machine does without us, at the time of the run: the parts that a delivery is made of, bare.
type Baseline struct {
	// CallsPerSecond are publish calls to the target with neither queue nor database, CallsAtOnce at a time.
	CallsPerSecond float64 `json:"publishCallsPerSecond"`
	CallsAtOnce    int     `json:"callsAtOnce"`
	// SinglesPerSecond are JetStream publishes, each synced and acknowledged by itself; BatchedPerSecond are messages in
	// atomic batches of BatchSize, one sync a batch.
	SinglesPerSecond float64 `json:"jetStreamSinglesPerSecond"`
	BatchedPerSecond float64 `json:"jetStreamBatchedPerSecond"`
	BatchSize        int     `json:"batchSize"`
	// CommitsPerSecond are transactions of one small insert, on as many connections as a service has.
	CommitsPerSecond float64 `json:"postgresCommitsPerSecond"`
	Connections      int     `json:"postgresConnections"`
	// SyncMs is how long one small write and its sync take on the disk of the run, the median in milliseconds.
	SyncMs float64 `json:"syncMs"`
}

// The same as the publisher's and the bus's own defaults.
const (
	bareCalls       = 128
	bareBatch       = 256
	bareBatches     = 4
	bareConnections = 16
)

func (e *env) baseline(ctx context.Context) (*Baseline, error) {
	b := &Baseline{CallsAtOnce: bareCalls, BatchSize: bareBatch, Connections: bareConnections}
	e.say("baseline: bare publish calls")
	var err error
	if b.CallsPerSecond, err = e.bareCalls(ctx, e.o.bareCalls()); err != nil {
		return nil, err
	}
	e.say("baseline: bare JetStream publishes")
	if err := e.bareStream(ctx, b); err != nil {
		return nil, err
	}
	e.say("baseline: bare Postgres commits")
	if b.CommitsPerSecond, err = e.bareCommits(ctx); err != nil {
		return nil, err
	}
	b.SyncMs, err = syncs(e.Dir, e.o.syncDelay)
	return b, err
}

// bareSync writes a page and syncs it, over and over.
func bareSync(dir string) (median float64, err error) {
	file, err := os.CreateTemp(dir, "sync-")
	if err != nil {
		return 0, fmt.Errorf("make a file for the baseline: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	page := make([]byte, 4096)
	took := make([]float64, 200)
	for i := range took {
		began := time.Now()
		if _, err := file.Write(page); err != nil {
			return 0, fmt.Errorf("bare sync: %w", err)
		}
		if err := file.Sync(); err != nil {
			return 0, fmt.Errorf("bare sync: %w", err)
		}
		took[i] = float64(time.Since(began)) / float64(time.Millisecond)
	}
	slices.Sort(took)
	return quantile(took, 0.5), nil
}

// prepared is a container that waits for its publish call.
type prepared struct {
	token threads.Token
	id    string
}

// perAccount is how many bare posts one account gets, under the 250 of a day.
const perAccount = 200

// prepare makes containers of accounts that serve for nothing else. run names them, textOf says what is in them.
func (e *env) prepare(ctx context.Context, run string, n int, textOf func(i int) string) ([]prepared, error) {
	made := make([]prepared, n)
	tokens := make([]threads.Token, (n+perAccount-1)/perAccount)
	e.bareRuns++
	for i := range tokens {
		var err error
		if tokens[i], err = e.grant(ctx, fmt.Sprintf("bare.%d.%d", e.bareRuns, i)); err != nil {
			return nil, err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(bareCalls)
	for i := range made {
		g.Go(func() (err error) {
			made[i].token = tokens[i%len(tokens)]
			made[i].id, err = e.api.CreateContainer(ctx, made[i].token, threads.Container{MediaType: threads.Text, Text: textOf(i)})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("prepare the bare calls of %s: %w", run, err)
	}
	return made, nil
}

// bareCalls publishes n containers as fast as the target takes them.
func (e *env) bareCalls(ctx context.Context, n int) (perSecond float64, err error) {
	containers, err := e.prepare(ctx, "bare", n, func(i int) string { return fmt.Sprintf("bare %d", i) })
	if err != nil {
		return 0, err
	}
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(bareCalls)
	for _, c := range containers {
		g.Go(func() error {
			_, err := e.api.Publish(ctx, c.token, c.id, nil)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return 0, fmt.Errorf("bare publish calls: %w", err)
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

// bareLateness publishes n containers at a pace, each from a goroutine that sleeps until its time: as punctual as this
// machine can be. It is empty where the target cannot tell when they arrived.
func (e *env) bareLateness(ctx context.Context, run string, n int, gap time.Duration) (d Delivery, err error) {
	if !e.tells {
		return d, nil
	}
	var first time.Time
	due := func(i int) time.Time { return first.Add(time.Duration(i) * gap) }
	var containers []prepared
	// The texts say when they are due, so the containers are made anew when that has passed meanwhile.
	for ahead := 500*time.Millisecond + time.Duration(n)*2*time.Millisecond; time.Now().After(first); ahead *= 2 {
		first = time.Now().Add(ahead)
		containers, err = e.prepare(ctx, run, n, func(i int) string {
			return fmt.Sprintf("%s %d %s", run, i, dueWord(due(i)))
		})
		if err != nil {
			return d, err
		}
	}
	g, calls := errgroup.WithContext(ctx)
	for i, c := range containers {
		g.Go(func() error {
			if err := sleepUntil(calls, due(i)); err != nil {
				return err
			}
			_, err := e.api.Publish(calls, c.token, c.id, nil)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return d, fmt.Errorf("bare publish calls at a pace: %w", err)
	}
	all, err := e.arrivals(ctx)
	if err != nil {
		return d, err
	}
	return weigh(of(run, all)), nil
}

// of are the arrivals of one run.
func of(run string, all []Arrival) (some []Arrival) {
	for _, a := range all {
		if strings.HasPrefix(a.Text, run+" ") {
			some = append(some, a)
		}
	}
	return some
}

// bareStream measures a stream with the settings of EVENTS, on the same server.
func (e *env) bareStream(ctx context.Context, b *Baseline) error {
	js := e.Bus.JetStream()
	const name, subject = "BENCH", "bench.bare"
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: name, Subjects: []string{subject}, Storage: jetstream.FileStorage, AllowAtomicPublish: true,
	})
	if err != nil {
		return fmt.Errorf("make a stream for the baseline: %w", err)
	}
	body := make([]byte, 900) // about a PostPublished
	b.SinglesPerSecond, err = repeat(ctx, e.o.bareFor(), bareCalls, func(ctx context.Context) (int, error) {
		_, err := js.Publish(ctx, subject, body)
		return 1, err
	})
	if err != nil {
		return fmt.Errorf("bare JetStream publishes: %w", err)
	}
	b.BatchedPerSecond, err = repeat(ctx, e.o.bareFor(), bareBatches, func(ctx context.Context) (int, error) {
		batch := make([]*nats.Msg, bareBatch)
		for i := range batch {
			batch[i] = &nats.Msg{Subject: subject, Data: body, Header: nats.Header{}}
		}
		_, err := jetstreamext.PublishMsgBatch(ctx, js, batch, jetstreamext.BatchFlowControl{})
		return bareBatch, err
	})
	if err != nil {
		return fmt.Errorf("bare JetStream batches: %w", err)
	}
	return js.DeleteStream(ctx, name)
}

func (e *env) bareCommits(ctx context.Context) (float64, error) {
	db, err := pg.Open(ctx, pg.Config{URL: e.DatabaseURL, MaxConns: bareConnections}, e.quiet)
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, "CREATE TABLE bench_commits (at timestamptz NOT NULL)"); err != nil {
		return 0, fmt.Errorf("make a table for the baseline: %w", err)
	}
	perSecond, err := repeat(ctx, e.o.bareFor(), bareConnections, func(ctx context.Context) (int, error) {
		_, err := db.ExecContext(ctx, "INSERT INTO bench_commits VALUES (now())")
		return 1, err
	})
	if err != nil {
		return 0, fmt.Errorf("bare Postgres commits: %w", err)
	}
	_, err = db.ExecContext(ctx, "DROP TABLE bench_commits")
	return perSecond, err
}

// repeat does something over and over for a time, so many at once, and returns how much of it was done in a second.
func repeat(ctx context.Context, d time.Duration, atOnce int, do func(context.Context) (int, error)) (perSecond float64, err error) {
	var done atomic.Int64
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for range atOnce {
		g.Go(func() error {
			for time.Since(began) < d {
				n, err := do(ctx)
				if err != nil {
					return err
				}
				done.Add(int64(n))
			}
			return nil
		})
	}
	err = g.Wait()
	return float64(done.Load()) / time.Since(began).Seconds(), err
}
