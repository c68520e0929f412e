package bench

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/cmd/lab/rig"
	"github.com/omni-write/threads/events"
)

// Cost is what posts cost, each figure by post, without the target.
type Cost struct {
	// CPU is processor time in milliseconds, by process; TotalCPU is all of it. Zero where the system has no /proc.
	CPU      map[string]float64 `json:"cpuMs"`
	TotalCPU float64            `json:"cpuTotalMs"`
	// Statements are SQL calls, begin and commit among them; -1 where pg_stat_statements is not installed.
	Statements float64 `json:"statements"`
	Commits    float64 `json:"postgresCommits"`
	// Database is by how many bytes the database has grown, WAL what was written to its log.
	Database float64 `json:"databaseBytes"`
	WAL      float64 `json:"walBytes"`
	// Stored are messages that JetStream stored on EVENTS and POST_ALARMS, Delivered those that it delivered to the publisher
	// from there; Streams is by how many bytes the files of all streams have grown.
	Stored    float64 `json:"messagesStored"`
	Delivered float64 `json:"messagesDelivered"`
	Streams   float64 `json:"streamBytes"`
}

// meter is what all of it has used so far.
type meter struct {
	cpu                       map[string]time.Duration
	statements, commits       int64
	database, wal             int64
	stored, delivered, onDisk int64
}

// meter reads the processes, Postgres and JetStream. Postgres' count of transactions lags up to a second behind.
func (e *env) meter(ctx context.Context) (m meter, err error) {
	if m.cpu, err = e.cpu(ctx); err != nil {
		return m, err
	}
	if m.statements, err = e.Statements(ctx); err != nil {
		return m, fmt.Errorf("count statements: %w", err)
	}
	if err := m.readDatabase(ctx, e.DB); err != nil {
		return m, err
	}
	if m.onDisk, err = e.NATSBytes(); err != nil {
		return m, err
	}
	for stream, durable := range map[string]string{
		events.StreamEvents: events.PublisherProjector, events.StreamPostAlarms: events.PublisherDue,
	} {
		s, err := e.Bus.JetStream().Stream(ctx, stream)
		if err != nil {
			return m, fmt.Errorf("look at %s: %w", stream, err)
		}
		c, err := s.Consumer(ctx, durable)
		if err != nil {
			return m, fmt.Errorf("look at %s: %w", durable, err)
		}
		m.stored += int64(s.CachedInfo().State.LastSeq)         //nolint:gosec // no stream is that long
		m.delivered += int64(c.CachedInfo().Delivered.Consumer) //nolint:gosec // as above
	}
	return m, nil
}

// readDatabase reads what Postgres counts of a database.
func (m *meter) readDatabase(ctx context.Context, db *bun.DB) error {
	err := db.NewRaw("SELECT xact_commit, pg_database_size(datname), (pg_current_wal_lsn() - '0/0')::bigint FROM pg_stat_database "+
		"WHERE datname = current_database()").Scan(ctx, &m.commits, &m.database, &m.wal)
	if err != nil {
		return fmt.Errorf("count what Postgres did: %w", err)
	}
	return nil
}

// cpu is the processor time of each process that has a part in a post.
func (e *env) cpu(ctx context.Context) (map[string]time.Duration, error) {
	postgres, nats, err := e.CPU(ctx)
	if err != nil {
		return nil, err
	}
	m := map[string]time.Duration{"postgres": postgres, "nats": nats}
	if e.publisher != nil {
		m["publisher"] = rig.CPUOf(e.publisher.PID())
	}
	if e.gateway != nil {
		m["gateway"] = rig.CPUOf(e.gateway.PID())
	}
	return m, nil
}

// since is what n posts have cost from one reading to another.
func (m meter) since(before meter, n int) Cost {
	by := func(after, before int64) float64 { return float64(after-before) / float64(n) }
	c := Cost{
		CPU: map[string]float64{}, Statements: -1, Commits: by(m.commits, before.commits), Database: by(m.database, before.database),
		WAL: by(m.wal, before.wal), Stored: by(m.stored, before.stored), Delivered: by(m.delivered, before.delivered),
		Streams: by(m.onDisk, before.onDisk),
	}
	for process, used := range m.cpu {
		ms := by(int64(used), int64(before.cpu[process])) / float64(time.Millisecond)
		c.CPU[process] = ms
		c.TotalCPU += ms
	}
	if m.statements >= 0 {
		c.Statements = by(m.statements, before.statements)
	}
	return c
}

func (c Cost) print(p printer) {
	var parts []string
	for _, process := range slices.Sorted(maps.Keys(c.CPU)) {
		parts = append(parts, fmt.Sprintf("%s %.2f", process, c.CPU[process]))
	}
	p.row("processor time for each post", fmt.Sprintf("%.2f ms", c.TotalCPU), strings.Join(parts, ", "))
	if c.Statements >= 0 {
		p.row("SQL calls for each post", fmt.Sprintf("%.2f", c.Statements), fmt.Sprintf("in %.2f transactions", c.Commits))
	} else {
		p.row("transactions for each post", fmt.Sprintf("%.2f", c.Commits), "SQL calls: pg_stat_statements is not installed")
	}
	p.row("Postgres grew for each post by", kib(c.Database), kib(c.WAL)+" of WAL")
	p.row("JetStream messages for each post", fmt.Sprintf("%.2f", c.Stored), fmt.Sprintf("stored; %.2f delivered", c.Delivered))
	p.row("the streams grew for each post by", kib(c.Streams), "")
}

func kib(bytes float64) string { return fmt.Sprintf("%.1f KiB", bytes/1024) }

// CostFigure is what a post costs on a steady stream, from the HTTP request that schedules it to POSTED.
type CostFigure struct {
	Rate    int     `json:"postsPerSecond"`
	Seconds float64 `json:"seconds"`
	Accept  Answers `json:"accept"`
	Ours    Delivery
	Cost    Cost `json:"cost"`
	// Memory is the most that the publisher held, in bytes.
	Memory   int64    `json:"publisherMemory"`
	Failures []string `json:"failures"`
}

// costRate is how many posts a second the cost figure hands in, each due costAhead later.
const costRate = 50

// costFor is long enough for 10,000 posts: pages of the indexes of open posts, which later posts fill again, and the last block of a
// stream, which is not compressed yet, are otherwise a large part of what a post seems to take.
func (o Options) costFor() time.Duration {
	if o.quick {
		return 2 * time.Second
	}
	return 200 * time.Second
}

func (o Options) costAhead() time.Duration {
	if o.quick {
		return 3 * time.Second
	}
	return 30 * time.Second
}

func (e *env) cost(ctx context.Context) (*CostFigure, error) {
	const run = "cost"
	d, err := e.openGateway(ctx)
	if err != nil {
		return nil, err
	}
	defer d.stop()
	n := costRate * int(e.o.costFor().Seconds())
	f := &CostFigure{Rate: costRate, Seconds: e.o.costFor().Seconds()}
	from, err := e.end(ctx)
	if err != nil {
		return nil, err
	}
	gap := time.Second / costRate
	first := time.Now().Add(time.Second)
	posts := e.plan(run, n, func(i int) time.Time { return first.Add(e.o.costAhead() + time.Duration(i)*gap) })
	e.say("cost: %d posts over HTTP, %d a second, each due %s later", n, costRate, e.o.costAhead())
	before, err := e.meter(ctx)
	if err != nil {
		return nil, err
	}
	if f.Accept, _, err = e.handIn(ctx, d, posts, func(i int) time.Time { return first.Add(time.Duration(i) * gap) }); err != nil {
		return nil, err
	}
	if err := e.settled(ctx, run, n); err != nil {
		return nil, err
	}
	after, err := e.meter(ctx)
	if err != nil {
		return nil, err
	}
	f.Cost = after.since(before, n)
	_, f.Memory = e.publisher.Memory()
	arrivals, v, err := e.verify(ctx, run, posts, from)
	if err != nil {
		return nil, err
	}
	f.Ours, f.Failures = weigh(arrivals), v
	return f, nil
}

func (f *CostFigure) print(p printer) {
	p.line("")
	p.line("Cost of a post, %d a second over HTTP for %.0f s, from the request to POSTED", f.Rate, f.Seconds)
	f.Cost.print(p)
	p.row("accepted: p50, p99", ms(f.Accept.P50), ms(f.Accept.P99))
	p.row("late: p50, p99, max", ms(f.Ours.Lateness.P50), ms(f.Ours.Lateness.P99)+", "+ms(f.Ours.Lateness.Max))
	p.row("publisher's memory at most", fmt.Sprintf("%.0f MiB", float64(f.Memory)/(1<<20)), "")
}
