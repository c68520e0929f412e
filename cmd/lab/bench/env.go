package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/lab/rig"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/progress"
	"github.com/omni-write/threads/internal/subprocess"
	"github.com/omni-write/threads/internal/threads"
)

// env is everything that a run needs: nats-server in this process, Postgres, target and publisher in their own.
type env struct {
	*rig.System

	o      Options
	errOut io.Writer

	target    *subprocess.Process // nil: the target of the user, called directly
	tells     bool                // the target knows when each post arrived
	publisher *subprocess.Process
	gateway   *subprocess.Process // nil: posts are handed in on the bus
	api       *threads.Client
	accounts  []accounts.Account
	bareRuns  int // how often bare calls were prepared
	// firstOf is the least id of the posts of a run: those of a run are looked for from there, without a scan of all that were before.
	firstOf map[string]string
	quiet   *zap.Logger
	task    *progress.Task // what is under way
}

// open starts all but the publisher.
func open(ctx context.Context, o Options, errOut io.Writer) (_ *env, err error) {
	e := &env{o: o, errOut: errOut, quiet: zap.NewNop(), firstOf: map[string]string{}}
	e.say("starting Postgres and nats-server")
	settings := map[string]string{"LOG_LEVEL": cmp.Or(os.Getenv("LOG_LEVEL"), "warn")}
	if e.System, err = rig.Open(ctx, rig.Options{Name: "bench", Dir: o.dir, Settings: settings, Counted: true}); err != nil {
		return nil, err
	}
	e.say("they are in %s", e.Dir)
	if err := e.startTarget(ctx); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *env) close() {
	e.stopPublisher()
	e.Close(false)
}

func (e *env) say(format string, args ...any) {
	e.task.Aside(func() {
		_, _ = fmt.Fprintf(e.errOut, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
	})
}

// begin shows how far a step of the run is, until the returned function is called.
func (e *env) begin(ctx context.Context, what, unit string, total int) (end func()) {
	task := progress.Start(ctx, what, unit, int64(total))
	e.task = task
	return func() {
		task.Stop()
		e.task = nil
	}
}

// startTarget starts the simulator, or looks what the user's target can do.
func (e *env) startTarget(ctx context.Context) (err error) {
	switch {
	case e.o.plain:
		e.tells = true
		err = e.spawnTarget(ctx)
	case e.o.target == "":
		e.tells = true
		err = e.spawnTarget(ctx, "--simulator")
	default:
		e.ThreadsURL = strings.TrimRight(e.o.target, "/")
		e.api = threads.New(threads.Config{BaseURL: e.ThreadsURL})
		var reads bool
		if reads, err = e.probe(ctx); err == nil && !reads {
			e.say("the target answers no reads of containers and posts: they are answered in its place")
			err = e.spawnTarget(ctx, "--front", e.ThreadsURL)
		}
	}
	if err != nil {
		return err
	}
	e.api = threads.New(threads.Config{BaseURL: e.ThreadsURL})
	return nil
}

func (e *env) spawnTarget(ctx context.Context, words ...string) (err error) {
	e.target, err = subprocess.Serve(ctx, subprocess.Command{Words: append([]string{"bench", "target", "--child", "--addr", "127.0.0.1:0"}, words...), Log: e.errOut})
	if err != nil {
		return err
	}
	e.OnClose(e.target.Stop)
	e.ThreadsURL = e.target.URL
	return nil
}

// probe publishes one post at the user's target, and says whether the target can be read as the publisher reads Threads.
func (e *env) probe(ctx context.Context) (reads bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	g, err := e.grant(ctx, "probe")
	if err != nil {
		return false, err
	}
	id, err := e.api.CreateContainer(ctx, g, threads.Container{MediaType: threads.Text, Text: "bench probe"})
	if err != nil {
		return false, fmt.Errorf("the target %s did not make a container: %w", e.ThreadsURL, err)
	}
	status, err := e.api.ContainerStatus(ctx, g, id)
	reads = err == nil && status.Status == threads.StatusFinished
	media, err := e.api.Publish(ctx, g, id, nil)
	if err != nil {
		return false, fmt.Errorf("the target %s did not publish: %w", e.ThreadsURL, err)
	}
	seen, err := e.api.Media(ctx, g, media)
	reads = reads && err == nil && seen.Permalink != ""
	_, err = e.arrivals(ctx)
	e.tells = reads && err == nil
	return reads, nil
}

// grant gets a token: the simulator makes a real one; another target is given one that we made up.
func (e *env) grant(ctx context.Context, username string) (threads.Token, error) {
	var g struct {
		AccessToken string `json:"access_token"`
	}
	err := e.call(ctx, http.MethodPost, "/_sim/token", `{"username":"`+username+`"}`, &g)
	switch {
	case err == nil && g.AccessToken != "":
		return threads.Token(g.AccessToken), nil
	case e.o.target == "" && !e.o.plain:
		return "", fmt.Errorf("get a token of the simulator: %w", err)
	}
	return threads.Token("bench-token-" + username), nil
}

// arrivals asks the target what has arrived.
func (e *env) arrivals(ctx context.Context) ([]Arrival, error) {
	var posts struct {
		Data []Arrival `json:"data"`
	}
	if err := e.call(ctx, http.MethodGet, "/_sim/posts", "", &posts); err != nil {
		return nil, fmt.Errorf("ask the target what has arrived: %w", err)
	}
	return posts.Data, nil
}

func (e *env) call(ctx context.Context, method, path, body string, out any) error {
	resp, err := request(ctx, method, e.ThreadsURL+path, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// startPublisher starts the publisher and waits until it is ready. It returns how long that took, from before the process
// was made.
func (e *env) startPublisher(ctx context.Context) (took time.Duration, err error) {
	began := time.Now()
	// Its log goes to a file, as it would in production: a reader of the bench would be told of every slow query.
	if e.publisher, err = e.StartPart(ctx, e.logOf(rig.PartPublisher), e.Env(), rig.PartPublisher); err != nil {
		return 0, errors.Join(err, e.lastWords())
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		if e.publisher.Ready(ctx) == nil {
			return time.Since(began), nil
		}
		select {
		case <-e.publisher.Ended():
			return 0, errors.Join(errors.New("the publisher ended by itself"), e.lastWords())
		case <-ctx.Done():
			return 0, errors.New("the publisher did not become ready")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// logOf is where a service's log goes, without its ending: beside the profiles when there are any, to be read afterwards.
func (e *env) logOf(service string) string { return filepath.Join(cmp.Or(e.o.profile, e.Dir), service) }

// lastWords is the end of the publisher's log.
func (e *env) lastWords() error {
	b, err := os.ReadFile(e.logOf(rig.PartPublisher) + ".log")
	if err != nil || len(b) == 0 {
		return err
	}
	return errors.New("its log ends: " + string(b[max(0, len(b)-2000):]))
}

// warnings counts the lines of the publisher's log by what they say.
func (e *env) warnings() map[string]int {
	m := map[string]int{}
	f, err := os.Open(e.logOf(rig.PartPublisher) + ".log")
	if err != nil {
		return m // there was no publisher
	}
	defer func() { _ = f.Close() }()
	for lines := json.NewDecoder(f); ; {
		var line struct {
			Level   string `json:"level"`
			Message string `json:"message"`
		}
		if err := lines.Decode(&line); err != nil {
			return m
		}
		if line.Level == "warn" || line.Level == "error" {
			m[line.Message]++
		}
	}
}

func (e *env) stopPublisher() {
	if e.publisher != nil {
		e.publisher.Stop()
		e.publisher = nil
	}
}

// connect makes the accounts, each with a token that the target takes.
func (e *env) connect(ctx context.Context) error {
	e.say("connecting %d accounts", e.o.accounts)
	defer e.begin(ctx, "connecting accounts", "accounts", e.o.accounts)()
	const together = 100
	for len(e.accounts) < e.o.accounts {
		n := min(together, e.o.accounts-len(e.accounts))
		err := pg.InTx(ctx, e.DB, func(ctx context.Context, tx bun.Tx) error {
			for i := len(e.accounts); n > 0; i, n = i+1, n-1 {
				name := fmt.Sprintf("bench.%d", i)
				token, err := e.grant(ctx, name)
				if err != nil {
					return err
				}
				a, err := accounts.Connect(ctx, tx, e.Vault, accounts.Grant{
					UserID: fmt.Sprintf("bench_user_%d", i), ProviderUserID: name, Username: name, Scopes: scopes, Token: token,
					ExpiresAt: time.Now().Add(59 * 24 * time.Hour),
				}, time.Now())
				if err != nil {
					return err
				}
				e.accounts = append(e.accounts, a)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("connect accounts: %w", err)
		}
		e.task.Set(int64(len(e.accounts)), 0)
	}
	return nil
}

var scopes = []string{
	threads.ScopeBasic, threads.ScopeContentPublish, threads.ScopeReadReplies,
	threads.ScopeManageReplies, threads.ScopeManageInsights, threads.ScopeDelete,
}
