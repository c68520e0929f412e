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
func (r *river) insert(ctx context.Context, posts []planned) (perSecond, p99 float64, err error) {
	type job struct {
		User string    `json:"user"`
		Text string    `json:"text"`
		Due  time.Time `json:"due"`
	}
	jobs := make([]job, len(posts))
	for i, p := range posts {
		jobs[i] = job{p.user, p.text, p.due}
	}
	body, err := json.Marshal(map[string]any{"posts": jobs})
	if err != nil {
		return 0, 0, err
	}
	resp, err := request(ctx, http.MethodPost, r.URL, string(body))
	if err != nil {
		return 0, 0, fmt.Errorf("have River insert: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return 0, 0, errors.New("have River insert: it answers " + resp.Status)
	}
	var answer struct {
		River     string  `json:"river"`
		PerSecond float64 `json:"perSecond"`
		P99       float64 `json:"p99Ms"`
	}
	err = json.NewDecoder(resp.Body).Decode(&answer)
	r.version = answer.River
	return answer.PerSecond, answer.P99, err
}

// idle is content when every job is completed.
func (r *river) idle(ctx context.Context) error {
	waiting, err := r.db.NewSelect().Table("river_job").Where("state <> 'completed'").Exists(ctx)
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
func (r *river) deliver(ctx context.Context, run string, posts []planned) (d Delivery, perSecond, p99 float64, wrong []string, err error) {
	if perSecond, p99, err = r.insert(ctx, posts); err != nil {
		return d, 0, 0, nil, err
	}
	if err := sleepUntil(ctx, posts[len(posts)-1].due); err != nil {
		return d, 0, 0, nil, err
	}
	if err := rig.Within(ctx, 5*time.Minute, "River to complete its jobs", r.idle); err != nil {
		return d, 0, 0, nil, err
	}
	all, err := r.e.arrivals(ctx)
	d = weigh(slices.DeleteFunc(all, func(a Arrival) bool { return !strings.HasPrefix(a.Text, run+" ") }))
	if d.Posts != len(posts) || d.Doubles > 0 || d.Early > 0 {
		wrong = []string{fmt.Sprintf("River: of %d posts of %s %d arrived, %d more than once, %d early", len(posts), run, d.Posts, d.Doubles, d.Early)}
	}
	return d, perSecond, p99, wrong, err
}

// peerRiver is River's turn: the process that works the jobs inserts them, with nothing before it.
func (e *env) peerRiver(ctx context.Context, program, run string, report *PeersReport) (f PeerRun, err error) {
	r, err := e.startRiver(ctx, program, run)
	if err != nil {
		return f, err
	}
	defer r.close()
	e.say("%s: %d jobs at one second", run, e.o.posts)
	before, err := r.meter(ctx)
	if err != nil {
		return f, err
	}
	var wrong []string
	burst := run + "-burst"
	if f.Burst, f.AcceptedPerSecond, f.AcceptedP99, wrong, err = r.deliver(ctx, burst, e.burstOf(burst)); err != nil {
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
	e.say("%s: inserted %.0f a second, the last was %.1f s late; now %d a second", run, f.AcceptedPerSecond, f.Burst.Took, e.o.rate)
	stream := run + "-stream"
	f.Lateness, _, _, wrong, err = r.deliver(ctx, stream, e.streamOf(stream))
	report.Failures = append(report.Failures, wrong...)
	return f, err
}
