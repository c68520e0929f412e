// Command peers is River, a job queue on Postgres, doing the work that `bench peers` gives to ours too: a job a post, two HTTP
// calls at the same target, due at the second that the text names. It is a module of its own so that the product does not
// depend on River.
//
// Its first line of output is its address. POST / inserts jobs; it ends with its standard input.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"golang.org/x/sync/errgroup"
)

func main() {
	if err := run(context.Background(), os.Stdin, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// order are the posts of a run, to be inserted as fast as it goes or, with a gap, each so much after the one before.
type order struct {
	Posts []post        `json:"posts"`
	Gap   time.Duration `json:"gap"`
}

type post struct {
	User string    `json:"user"`
	Text string    `json:"text"`
	Due  time.Time `json:"due"`
}

// inserted is the answer.
type inserted struct {
	River     string    `json:"river"`
	PerSecond float64   `json:"perSecond"`
	Took      []float64 `json:"tookMs"` // of each, from when it was to be inserted
}

func run(ctx context.Context, in io.Reader, out io.Writer) error {
	target := flag.String("target", "", "`URL` of the server that takes the posts")
	database := flag.String("database", "", "`URL` of a database of its own")
	conns := flag.Int("conns", 30, "connections to Postgres")
	workers := flag.Int("workers", 500, "jobs at a time")
	atOnce := flag.Int("at-once", 64, "inserts at a time")
	flag.Parse()

	config, err := pgxpool.ParseConfig(*database)
	if err != nil {
		return err
	}
	config.MaxConns = int32(*conns) //nolint:gosec // a few dozen
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	client, err := open(ctx, pool, *target, *workers)
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	defer func() { _ = client.Stop(ctx) }()
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var o order
		err := json.NewDecoder(r.Body).Decode(&o)
		var answer inserted
		if err == nil {
			answer, err = insert(r.Context(), client, o, *atOnce)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		_ = server.Close()
	}()
	if _, err := fmt.Fprintln(out, "http://"+listener.Addr().String()); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// open makes River's tables and a client. Its fetches are as frequent as it allows without a message (FetchCooldown) and every
// 50 ms at least; all else is as River comes.
func open(ctx context.Context, pool *pgxpool.Pool, target string, workers int) (*river.Client[pgx.Tx], error) {
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	all := river.NewWorkers()
	river.AddWorker(all, &publisher{
		target: strings.TrimRight(target, "/"),
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: workers}},
	})
	return river.NewClient(driver, &river.Config{
		Queues:        map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}},
		Workers:       all,
		FetchCooldown: 10 * time.Millisecond, FetchPollInterval: 50 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}

// insert inserts the posts, one job and one transaction each.
func insert(ctx context.Context, client *river.Client[pgx.Tx], o order, atOnce int) (inserted, error) {
	took := make([]float64, len(o.Posts))
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, p := range o.Posts {
		g.Go(func() error {
			from := time.Now()
			if o.Gap > 0 {
				from = began.Add(time.Duration(i) * o.Gap)
				time.Sleep(time.Until(from))
			}
			_, err := client.Insert(ctx, publish{User: p.User, Text: p.Text}, &river.InsertOpts{ScheduledAt: p.Due})
			took[i] = float64(time.Since(from)) / float64(time.Millisecond)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return inserted{}, err
	}
	return inserted{River: version(), PerSecond: float64(len(took)) / time.Since(began).Seconds(), Took: took}, nil
}

// publish is the job of a post.
type publish struct {
	User string `json:"user"`
	Text string `json:"text"`
}

// Kind names the job.
func (publish) Kind() string { return "publish" }

type publisher struct {
	river.WorkerDefaults[publish]

	target string
	client *http.Client
}

// Work makes the container and publishes it.
func (p *publisher) Work(ctx context.Context, job *river.Job[publish]) error {
	container, err := p.call(ctx, "/v1.0/me/threads", url.Values{"media_type": {"TEXT"}, "text": {job.Args.Text}})
	if err != nil {
		return err
	}
	_, err = p.call(ctx, "/v1.0/me/threads_publish", url.Values{"creation_id": {container}})
	return err
}

func (p *publisher) call(ctx context.Context, path string, form url.Values) (id string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.target+path, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := p.client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		ID string `json:"id"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK || answer.ID == "" {
		return "", errors.New("the target answers " + resp.Status)
	}
	return answer.ID, nil
}

// version is River's, as it was built in.
func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == "github.com/riverqueue/river" {
			return m.Version
		}
	}
	return "unknown"
}
