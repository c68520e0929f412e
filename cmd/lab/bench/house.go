package bench

import (
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

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/local"
	"github.com/omni-write/threads/internal/threads"
)

// house is everything that a run needs: nats-server in this process, Postgres, target and publisher in their own.
type house struct {
	o      options
	errOut io.Writer

	dir       string
	nats      *natsd.Server
	postgres  *local.Server
	bus       *bus.Bus
	db        *bun.DB
	vault     *accounts.Vault
	keyset    string
	target    *child // nil: the target of the user, called directly
	targetURL string
	tells     bool // the target knows when each post arrived
	publisher *child
	api       *threads.Client
	accounts  []accounts.Account
	bareRuns  int // how often bare calls were prepared
	quiet     *zap.Logger
	closers   []func()
}

// open starts all but the publisher.
func open(ctx context.Context, o options, errOut io.Writer) (_ *house, err error) {
	h := &house{o: o, errOut: errOut, quiet: zap.NewNop()}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	for _, step := range []func(context.Context) error{h.makeDir, h.startPostgres, h.startNATS, h.startTarget} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *house) close() {
	h.stopPublisher()
	for i := len(h.closers) - 1; i >= 0; i-- {
		h.closers[i]()
	}
	h.closers = nil
}

func (h *house) onClose(f func()) { h.closers = append(h.closers, f) }

func (h *house) say(format string, args ...any) {
	_, _ = fmt.Fprintf(h.errOut, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

func (h *house) makeDir(context.Context) (err error) {
	if h.dir, err = os.MkdirTemp(h.o.dir, "threads-bench-"); err != nil {
		return fmt.Errorf("make a directory for the run: %w", err)
	}
	h.onClose(func() { _ = os.RemoveAll(h.dir) })
	return os.Chmod(h.dir, 0o755) //nolint:gosec // Postgres runs as another user when we are root, and must enter
}

func (h *house) startPostgres(ctx context.Context) (err error) {
	h.say("starting Postgres and nats-server in %s", h.dir)
	h.postgres, err = local.Start(ctx, local.Options{
		StateDir: filepath.Join(h.dir, "postgres"), BinDir: os.Getenv("PG_BINDIR"),
	})
	if err != nil {
		return err
	}
	h.onClose(func() { _ = h.postgres.Close() })
	h.db, err = pg.Open(ctx, pg.Config{URL: h.postgres.URL(), Application: "bench"}, h.quiet)
	if err != nil {
		return err
	}
	h.onClose(func() { _ = h.db.Close() })
	return nil
}

func (h *house) startNATS(ctx context.Context) (err error) {
	h.nats, err = natsd.Start(natsd.Options{
		StoreDir: filepath.Join(h.dir, "nats"), Host: "127.0.0.1", Port: -1, SyncAlways: true,
	})
	if err != nil {
		return err
	}
	h.onClose(func() { _ = h.nats.Close() })
	keyset, err := accounts.NewKeyset()
	if err != nil {
		return err
	}
	h.keyset = string(keyset)
	if h.vault, err = accounts.OpenVault(keyset); err != nil {
		return err
	}
	if err := boot.Migrate(ctx, h.getenv, h.quiet); err != nil {
		return err
	}
	// As the gateway, whose part the bench plays: it hands in the posts.
	h.bus, err = bus.Connect(ctx, bus.Config{URL: h.nats.ClientURL(), Name: "gateway"})
	if err != nil {
		return err
	}
	h.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = h.bus.Close(ctx)
	})
	return nil
}

// env are the settings of the services; whatever else is set in the environment holds for them too.
func (h *house) env() map[string]string {
	level := os.Getenv("LOG_LEVEL")
	if level == "" {
		level = "warn"
	}
	return map[string]string{
		"DATABASE_URL": h.postgres.URL(), "NATS_URL": h.nats.ClientURL(), "TOKEN_KEYSET": h.keyset,
		"TOKEN_KEYSET_FILE": "",
		"THREADS_API_URL":   h.targetURL, "LOG_LEVEL": level, "LOG_FORMAT": "json",
	}
}

func (h *house) getenv(name string) string {
	if v, ok := h.env()[name]; ok {
		return v
	}
	return os.Getenv(name)
}

// startTarget starts the simulator, or looks what the user's target can do.
func (h *house) startTarget(ctx context.Context) (err error) {
	switch {
	case h.o.target == "":
		h.tells = true
		err = h.spawnTarget(ctx, "-simulator")
	default:
		h.targetURL = strings.TrimRight(h.o.target, "/")
		h.api = threads.New(threads.Config{BaseURL: h.targetURL})
		var reads bool
		if reads, err = h.probe(ctx); err == nil && !reads {
			h.say("the target answers no reads of containers and posts: they are answered in its place")
			err = h.spawnTarget(ctx, "-front", h.targetURL)
		}
	}
	if err != nil {
		return err
	}
	h.api = threads.New(threads.Config{BaseURL: h.targetURL})
	return nil
}

func (h *house) spawnTarget(ctx context.Context, words ...string) (err error) {
	h.target, err = spawn(ctx, nil, h.errOut, append([]string{wordTarget, "-child", "-addr", "127.0.0.1:0"}, words...)...)
	if err != nil {
		return err
	}
	h.onClose(h.target.stop)
	h.targetURL = h.target.url
	return nil
}

// probe publishes one post at the user's target, and says whether the target can be read as the publisher reads Threads.
func (h *house) probe(ctx context.Context) (reads bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	g, err := h.grant(ctx, "probe")
	if err != nil {
		return false, err
	}
	id, err := h.api.CreateContainer(ctx, g, threads.Container{MediaType: threads.Text, Text: "bench probe"})
	if err != nil {
		return false, fmt.Errorf("the target %s did not make a container: %w", h.targetURL, err)
	}
	status, err := h.api.ContainerStatus(ctx, g, id)
	reads = err == nil && status.Status == threads.StatusFinished
	media, err := h.api.Publish(ctx, g, id, nil)
	if err != nil {
		return false, fmt.Errorf("the target %s did not publish: %w", h.targetURL, err)
	}
	seen, err := h.api.Media(ctx, g, media)
	reads = reads && err == nil && seen.Permalink != ""
	_, err = h.arrivals(ctx)
	h.tells = reads && err == nil
	return reads, nil
}

// grant gets a token: the simulator makes a real one; another target is given one that we made up.
func (h *house) grant(ctx context.Context, username string) (threads.Token, error) {
	var g struct {
		AccessToken string `json:"access_token"`
	}
	err := h.call(ctx, http.MethodPost, "/_sim/token", `{"username":"`+username+`"}`, &g)
	switch {
	case err == nil && g.AccessToken != "":
		return threads.Token(g.AccessToken), nil
	case h.o.target == "":
		return "", fmt.Errorf("get a token of the simulator: %w", err)
	}
	return threads.Token("bench-token-" + username), nil
}

// arrivals asks the target what has arrived.
func (h *house) arrivals(ctx context.Context) ([]Arrival, error) {
	var posts struct {
		Data []Arrival `json:"data"`
	}
	if err := h.call(ctx, http.MethodGet, "/_sim/posts", "", &posts); err != nil {
		return nil, fmt.Errorf("ask the target what has arrived: %w", err)
	}
	return posts.Data, nil
}

func (h *house) call(ctx context.Context, method, path, body string, out any) error {
	resp, err := request(ctx, method, h.targetURL+path, body)
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
func (h *house) startPublisher(ctx context.Context) (took time.Duration, err error) {
	began := time.Now()
	var env []string
	for name, v := range h.env() {
		env = append(env, name+"="+v)
	}
	// Its log goes to a file, as it would in production: a reader of the bench would be told of every slow query.
	log, err := os.OpenFile(h.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("open the publisher's log: %w", err)
	}
	defer func() { _ = log.Close() }() // the child has its own handle
	if h.publisher, err = spawn(ctx, env, log, wordPublisher); err != nil {
		return 0, errors.Join(err, h.lastWords())
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		if h.ready(ctx) {
			return time.Since(began), nil
		}
		select {
		case <-h.publisher.ended:
			return 0, errors.Join(errors.New("the publisher ended by itself"), h.lastWords())
		case <-ctx.Done():
			return 0, errors.New("the publisher did not become ready")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (h *house) logFile() string { return h.logOf(wordPublisher) }

// logOf is where a service's log goes: beside the profiles when there are any, to be read afterwards.
func (h *house) logOf(service string) string {
	if h.o.profile != "" {
		return filepath.Join(h.o.profile, service+".log")
	}
	return filepath.Join(h.dir, service+".log")
}

// lastWords is the end of the publisher's log.
func (h *house) lastWords() error {
	b, err := os.ReadFile(h.logFile())
	if err != nil || len(b) == 0 {
		return err
	}
	return errors.New("its log ends: " + string(b[max(0, len(b)-2000):]))
}

// warnings counts the lines of the publisher's log by what they say.
func (h *house) warnings() map[string]int {
	m := map[string]int{}
	f, err := os.Open(h.logFile())
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

func (h *house) ready(ctx context.Context) bool {
	resp, err := request(ctx, http.MethodGet, h.publisher.url+"/readyz", "")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (h *house) stopPublisher() {
	if h.publisher != nil {
		h.publisher.stop()
		h.publisher = nil
	}
}

// connect makes the accounts, each with a token that the target takes.
func (h *house) connect(ctx context.Context) error {
	h.say("connecting %d accounts", h.o.accounts)
	const together = 100
	for len(h.accounts) < h.o.accounts {
		n := min(together, h.o.accounts-len(h.accounts))
		err := pg.InTx(ctx, h.db, func(ctx context.Context, tx bun.Tx) error {
			for i := len(h.accounts); n > 0; i, n = i+1, n-1 {
				name := fmt.Sprintf("bench.%d", i)
				token, err := h.grant(ctx, name)
				if err != nil {
					return err
				}
				a, err := accounts.Connect(ctx, tx, h.vault, accounts.Grant{
					UserID: fmt.Sprintf("bench_user_%d", i), ProviderUserID: name, Username: name, Scopes: scopes, Token: token,
					ExpiresAt: time.Now().Add(59 * 24 * time.Hour),
				}, time.Now())
				if err != nil {
					return err
				}
				h.accounts = append(h.accounts, a)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("connect accounts: %w", err)
		}
	}
	return nil
}

var scopes = []string{
	threads.ScopeBasic, threads.ScopeContentPublish, threads.ScopeReadReplies,
	threads.ScopeManageReplies, threads.ScopeManageInsights, threads.ScopeDelete,
}
