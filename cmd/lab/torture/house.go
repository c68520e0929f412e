package torture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/local"
)

// normal is what the simulator is like between the troubles: quick. It takes what a round needs no longer.
const normal = `{"processing_time":{"text":"100ms","image":"250ms","video":"400ms","carousel":"150ms"}}`

// waits are the publishers' waits, shrunk together with the simulator's delays: no trouble holds a publish call back for
// longer than CALL_TIMEOUT and SECOND_CALL_AFTER together, so that a second call is as safe here as it is at Threads.
var waits = map[string]string{
	"PUBLISHER_LEAD_TEXT": "2s", "PUBLISHER_LEAD_IMAGE": "3s", "PUBLISHER_LEAD_VIDEO": "4s",
	"PUBLISHER_SWEEP_EVERY": "500ms", "PUBLISHER_SWEEP_GRACE": "400ms",
	"PUBLISHER_LEASE": "2s", "PUBLISHER_CALL_TIMEOUT": "2s",
	"PUBLISHER_SECOND_CALL_AFTER": "2s", "PUBLISHER_FINISHED_APART": "300ms", "PUBLISHER_CONFIRM_FOR": "10m",
	"PUBLISHER_LATE_AFTER": "8s", "PUBLISHER_SPACING": "50ms",
	"PUBLISHER_BREAKER_RETRY": "500ms", "PUBLISHER_THROTTLE_WAIT": "1s", "PUBLISHER_QUOTA_LOOK": "2s",
	"PUBLISHER_PERMALINK_WAIT": "1s", "DATABASE_CONNS": "12",
}

// house is everything that a run needs. All of it is real, and all but this one is in a process of its own.
type house struct {
	o   options
	out io.Writer

	dir      string
	natsPort int
	natsURL  string
	nats     *child
	natsMu   sync.Mutex // one at a time stops it or starts it
	postgres *local.Server
	pgMu     sync.Mutex
	door     *door
	dbURL    string
	pictures *pictureHost
	sim      *child
	keyset   string
	vault    *accounts.Vault
	bus      *bus.Bus
	db       *bun.DB
	crew     []*worker
	read     uint64 // of EVENTS
	told     map[string][]string
	judged   map[string]bool // the simulator's mistakes that were judged already
	old      []string        // posts of earlier rounds
	closers  []func()
	ctx      context.Context //nolint:containedctx // of the processes, which live as long as the house
}

func open(ctx context.Context, o options, out io.Writer) (_ *house, err error) {
	h := &house{o: o, out: out, told: map[string][]string{}, judged: map[string]bool{}, ctx: ctx}
	defer func() {
		if err != nil {
			h.close(false)
		}
	}()
	steps := []func(context.Context) error{h.makeDir, h.startPictures, h.startPostgres, h.startNATS, h.startSimulator, h.prepare}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// close ends everything. keep leaves the directory behind, with the logs of all processes.
func (h *house) close(keep bool) {
	for _, p := range h.crew {
		p.retire()
	}
	for i := len(h.closers) - 1; i >= 0; i-- {
		h.closers[i]()
	}
	if keep {
		h.say("the logs of all processes are in %s", h.dir)
	} else if h.dir != "" {
		_ = os.RemoveAll(h.dir)
	}
}

func (h *house) say(format string, args ...any) { _, _ = fmt.Fprintf(h.out, format+"\n", args...) }

func (h *house) makeDir(context.Context) (err error) {
	if h.dir, err = os.MkdirTemp(h.o.dir, "threads-torture-"); err != nil {
		return fmt.Errorf("make a directory for the run: %w", err)
	}
	return os.Chmod(h.dir, 0o755) //nolint:gosec // Postgres runs as another user when we are root, and must enter
}

func (h *house) startPictures(ctx context.Context) (err error) {
	if h.pictures, err = openPictureHost(ctx); err != nil {
		return err
	}
	h.closers = append(h.closers, h.pictures.close)
	return nil
}

// startPostgres starts Postgres without fsync: processes die here, machines do not, and what a process has written survives
// it. It is only ever stopped in order, since commits that were answered may not be on disk yet.
func (h *house) startPostgres(ctx context.Context) (err error) {
	if h.door, err = openDoor(h.ctx); err != nil {
		return err
	}
	h.closers = append(h.closers, h.door.close)
	if err := h.openPostgres(ctx); err != nil {
		return err
	}
	h.closers = append(h.closers, func() { _ = h.postgres.Close() })
	u, err := url.Parse(h.postgres.URL())
	if err != nil {
		return fmt.Errorf("read the address of Postgres: %w", err)
	}
	u.Host = h.door.addr()
	h.dbURL = u.String()
	h.db, err = pg.Open(ctx, pg.Config{URL: h.dbURL, Application: "torture", MaxConns: 8}, zap.NewNop())
	if err != nil {
		return err
	}
	h.closers = append(h.closers, func() { _ = h.db.Close() })
	return nil
}

func (h *house) openPostgres(ctx context.Context) (err error) {
	h.postgres, err = local.Start(ctx, local.Options{StateDir: filepath.Join(h.dir, "postgres"), BinDir: os.Getenv("PG_BINDIR"), Throwaway: true})
	if err != nil {
		return err
	}
	u, err := url.Parse(h.postgres.URL())
	if err != nil {
		return fmt.Errorf("read the address of Postgres: %w", err)
	}
	h.door.lead(u.Host)
	return nil
}

// withoutPostgres stops Postgres, lets some time pass and starts it again.
func (h *house) withoutPostgres(ctx context.Context, d time.Duration) error {
	h.pgMu.Lock()
	defer h.pgMu.Unlock()
	h.door.lead("")
	if err := h.postgres.Close(); err != nil {
		return fmt.Errorf("stop Postgres: %w", err)
	}
	pause(ctx, d)
	return h.openPostgres(context.WithoutCancel(ctx))
}

func (h *house) startNATS(ctx context.Context) error {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a port for NATS: %w", err)
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil || !ok {
		return fmt.Errorf("find a port for NATS: %w", err)
	}
	h.natsPort = addr.Port
	h.natsURL = "nats://" + addr.String()
	h.closers = append(h.closers, func() {
		if h.nats != nil {
			h.nats.stop()
		}
	})
	return h.openNATS()
}

func (h *house) openNATS() (err error) {
	log, err := h.logOf("nats")
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has its own handle
	h.nats, err = spawn(h.ctx, nil, log, wordNATS, "-dir", filepath.Join(h.dir, "nats"), "-port", strconv.Itoa(h.natsPort))
	return err
}

// withoutNATS stops NATS, in order or by kill -9, lets some time pass and starts it again.
func (h *house) withoutNATS(ctx context.Context, d time.Duration, inOrder bool) error {
	h.natsMu.Lock()
	defer h.natsMu.Unlock()
	if inOrder {
		h.nats.stop()
	} else {
		h.nats.kill()
	}
	pause(ctx, d)
	return h.openNATS()
}

func (h *house) startSimulator(context.Context) error {
	log, err := h.logOf("simulator")
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	if h.sim, err = spawn(h.ctx, nil, log, wordSimulator, "-journal", filepath.Join(h.dir, "simulator.journal")); err != nil {
		return err
	}
	h.closers = append(h.closers, h.sim.stop)
	return nil
}

// prepare makes tables and streams, and connects as a gateway would, whose part the run plays.
func (h *house) prepare(ctx context.Context) error {
	keyset, err := accounts.NewKeyset()
	if err != nil {
		return err
	}
	h.keyset = string(keyset)
	if h.vault, err = accounts.OpenVault(keyset); err != nil {
		return err
	}
	if err := boot.Migrate(ctx, h.getenv, zap.NewNop()); err != nil {
		return err
	}
	if h.bus, err = bus.Connect(ctx, bus.Config{URL: h.natsURL, Name: "gateway"}); err != nil {
		return err
	}
	h.closers = append(h.closers, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = h.bus.Close(ctx)
	})
	return nil
}

func (h *house) env() map[string]string {
	m := map[string]string{
		"DATABASE_URL": h.dbURL, "NATS_URL": h.natsURL, "TOKEN_KEYSET": h.keyset, "TOKEN_KEYSET_FILE": "",
		"THREADS_API_URL": h.sim.url, "LOG_LEVEL": "info", "LOG_FORMAT": "json",
		"PUBLISHER_MEDIA_NETWORKS": h.pictures.network(), "PUBLISHER_MEDIA_PORTS": h.pictures.port(),
	}
	for name, v := range waits {
		m[name] = v
	}
	return m
}

func (h *house) getenv(name string) string {
	if v, ok := h.env()[name]; ok {
		return v
	}
	return os.Getenv(name)
}

// ask is one call to the simulator's own side.
func (h *house) ask(ctx context.Context, method, path, body string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, h.sim.url+"/_sim/"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the simulator: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("ask the simulator: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the simulator answered %s to %s %s: %s", resp.Status, method, path, b)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("read the simulator's answer to %s: %w", path, err)
	}
	return nil
}

// pause waits, and says whether the time has passed.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// within asks again until check is content, or the time is over.
func within(ctx context.Context, d time.Duration, what string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	last := errNotYet
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err // what the end of the time does to a check says nothing
		}
		if !pause(ctx, 50*time.Millisecond) {
			return fmt.Errorf("waited %s in vain for %s: %w", d, what, last)
		}
	}
}

var errNotYet = errors.New("not yet")
