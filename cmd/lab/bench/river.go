package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/lab/rig"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/subprocess"
)

// river is River's program at work, on a database of its own of the same server.
type river struct {
	*subprocess.Process

	e       *env
	db      *bun.DB
	version string
}

// startRiver makes the database and starts the program.
func (e *env) startRiver(ctx context.Context, program, name string) (_ *river, err error) {
	if _, err := e.DB.ExecContext(ctx, "CREATE DATABASE ?", bun.Ident(name)); err != nil {
		return nil, fmt.Errorf("make a database for River: %w", err)
	}
	u, err := url.Parse(e.DatabaseURL)
	if err != nil {
		return nil, err
	}
	u.Path = "/" + name
	r := &river{e: e}
	r.Process, err = subprocess.Serve(ctx, subprocess.Command{
		Program: program, Words: []string{"--target", e.ThreadsURL, "--database", u.String()}, Log: e.errOut,
	})
	if err != nil {
		return nil, err
	}
	if r.db, err = pg.Open(ctx, pg.Config{URL: u.String(), Application: "bench", MaxConns: 1}, zap.NewNop()); err != nil {
		r.Stop()
		return nil, err
	}
	return r, nil
}

func (r *river) close() {
	_ = r.db.Close()
	r.Stop()
}

// insert hands in a job for each post, as many at a time as our clients are.
func (r *river) insert(ctx context.Context, posts []planned, gap time.Duration) (answers Answers, perSecond float64, err error) {
	type job struct {
		User string    `json:"user"`
		Text string    `json:"text"`
		Due  time.Time `json:"due"`
	}
	jobs := make([]job, len(posts))
	for i, p := range posts {
		jobs[i] = job{p.user, p.text, p.due}
	}
	body, err := json.Marshal(map[string]any{"posts": jobs, "gap": gap})
	if err != nil {
		return answers, 0, err
	}
	resp, err := request(ctx, http.MethodPost, r.URL, string(body))
	if err != nil {
		return answers, 0, fmt.Errorf("have River insert: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return answers, 0, errors.New("have River insert: it answers " + resp.Status)
	}
	var answer struct {
		River     string    `json:"river"`
		PerSecond float64   `json:"perSecond"`
		Took      []float64 `json:"tookMs"`
	}
	err = json.NewDecoder(resp.Body).Decode(&answer)
	r.version = answer.River
	return answersOf(answer.Took), answer.PerSecond, err
}

// fill writes jobs for a later year, as many as there are posts in our table.
func (r *river) fill(ctx context.Context, n int) error {
	_, err := r.db.NewRaw(`INSERT INTO river_job (args, kind, max_attempts, state, scheduled_at)
		SELECT jsonb_build_object('user', 'bench_user_' || i % 1000, 'text', 'waiting ' || i || ' for a long time, with words enough to be a post of usual length'),
			'publish', 25, 'scheduled', now() + interval '30 days' + i * interval '335 days' / ? FROM generate_series(1, ?) AS i`, n, n).Exec(ctx)
	if err == nil {
		_, err = r.db.ExecContext(ctx, "VACUUM ANALYZE river_job")
	}
	if err != nil {
		return fmt.Errorf("write River's jobs for a later year: %w", err)
	}
	return nil
}

// idle is content when every job but those for tomorrow and later is completed.
func (r *river) idle(ctx context.Context) error {
	waiting, err := r.db.NewSelect().Table("river_job").Where("state <> 'completed' AND scheduled_at < now() + interval '1 hour'").Exists(ctx)
	if err == nil && waiting {
		return rig.ErrNotYet
	}
	return err
}

func (r *river) meter(ctx context.Context) (m meter, err error) {
	postgres, _, err := r.e.CPU(ctx)
	if err != nil {
		return m, err
	}
	m.cpu = map[string]time.Duration{"postgres": postgres, "river": rig.CPUOf(r.PID())}
	if m.statements, err = r.e.Statements(ctx); err != nil {
		return m, err
	}
	return m, m.readDatabase(ctx, r.db)
}

// deliver has River do the work of posts.
func (r *river) deliver(ctx context.Context, run string, posts []planned) (d Delivery, wrong []string, err error) {
	if _, _, err = r.insert(ctx, posts, 0); err != nil {
		return d, nil, err
	}
	if err := sleepUntil(ctx, posts[len(posts)-1].due); err != nil {
		return d, nil, err
	}
	if err := rig.Within(ctx, 5*time.Minute, "River to complete its jobs", r.idle); err != nil {
		return d, nil, err
	}
	all, err := r.e.arrivals(ctx)
	d = weigh(slices.DeleteFunc(all, func(a Arrival) bool { return !strings.HasPrefix(a.Text, run+" ") }))
	if d.Posts != len(posts) || d.Doubles > 0 || d.Early > 0 {
		wrong = []string{fmt.Sprintf("River: of %d posts of %s %d arrived, %d more than once, %d early", len(posts), run, d.Posts, d.Doubles, d.Early)}
	}
	return d, wrong, err
}

// peerRiver is River's turn: the process that works the jobs inserts them, with nothing before it.
func (e *env) peerRiver(ctx context.Context, o *PeerOptions, run string, report *PeersReport) (f PeerRun, err error) {
	r, err := e.startRiver(ctx, o.program, run)
	if err != nil {
		return f, err
	}
	defer r.close()
	if o.rows > 0 {
		e.say("%s: writing %d jobs for a later year", run, o.rows)
		if err := r.fill(ctx, o.rows); err != nil {
			return f, err
		}
	}
	e.say("%s: inserting %d jobs for tomorrow", run, e.o.posts)
	if f.Accept, err = e.acceptance(ctx, run, r.insert, r.meter); err != nil {
		return f, err
	}
	e.say("%s: %d jobs at one second", run, e.o.posts)
	before, err := r.meter(ctx)
	if err != nil {
		return f, err
	}
	var wrong []string
	burst := run + "-burst"
	if f.Burst, wrong, err = r.deliver(ctx, burst, e.burstOf(burst)); err != nil {
		return f, err
	}
	report.Failures = append(report.Failures, wrong...)
	after, err := r.meter(ctx)
	if err != nil {
		return f, err
	}
	f.Cost = after.since(before, e.o.posts)
	_, f.Memory = r.Memory()
	report.River = r.version
	e.say("%s: the last was %.1f s late; now %d a second", run, f.Burst.Took, e.o.rate)
	stream := run + "-stream"
	f.Lateness, wrong, err = r.deliver(ctx, stream, e.streamOf(stream))
	report.Failures = append(report.Failures, wrong...)
	return f, err
}
