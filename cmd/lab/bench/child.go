package bench

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/internal/process"
)

// The bench runs what it measures in processes of their own: this program again, under these words. They end when their
// standard input does, so none outlives the bench however that ends, and their first line of output is their address.
const (
	wordTarget    = "target"
	wordPublisher = "publisher"
	wordGateway   = "gateway"
)

// child is such a process.
type child struct {
	url   string
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{}
}

// spawn starts this program again and waits for its address.
func spawn(ctx context.Context, env []string, errOut io.Writer, words ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	c := &child{cmd: exec.CommandContext(ctx, self, append([]string{"bench"}, words...)...), ended: make(chan struct{})}
	c.cmd.Env, c.cmd.Stderr = append(os.Environ(), env...), errOut
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", words[0], err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() {
		_, _ = io.Copy(io.Discard, out)
		_ = c.cmd.Wait()
		close(c.ended)
	}()
	c.url = strings.TrimSpace(line)
	if err != nil || !strings.HasPrefix(c.url, "http://") {
		c.kill()
		return nil, fmt.Errorf("%s did not come up; it said %q", words[0], c.url)
	}
	return c, nil
}

// stop lets the process end by itself, and kills it when it does not.
func (c *child) stop() {
	_ = c.stdin.Close()
	select {
	case <-c.ended:
	case <-time.After(10 * time.Second):
		c.kill()
	}
}

// kill is kill -9.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.ended
}

// memory is what the process holds now and has held at most, in bytes; 0 where the system does not say.
func (c *child) memory() (now, most int64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(line, ":")
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		switch {
		case err != nil:
		case name == "VmRSS":
			now = kb << 10
		case name == "VmHWM":
			most = kb << 10
		}
	}
	return now, most
}

// untilEOF ends ctx with the standard input.
func untilEOF(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx, cancel
}

// runService is a service as production puts it together, with its admin handler on a port of its own.
func runService(ctx context.Context, name string, getenv func(string) string, out io.Writer) error {
	ctx, cancel := untilEOF(ctx)
	defer cancel()
	log, err := process.Logger(getenv("LOG_LEVEL"), getenv("LOG_FORMAT"))
	if err != nil {
		return err
	}
	s, err := boot.Builders()[name](ctx, getenv, log)
	if err != nil {
		return err
	}
	return process.Run(ctx, log, s.Part, served("admin", "127.0.0.1:0", withProfile(process.AdminHandler(s.Ready)), out, log))
}

// runTarget serves a target until ctx ends, then says what it saw.
func runTarget(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench target", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:9097", "where to listen, `host:port`")
	simulator := flags.Bool("simulator", false,
		"the whole simulator at zero latency, with all checks of Threads (default: the two calls and nothing more)")
	forward := flags.String("front", "",
		"hand the two calls on to the server at this `URL`, and answer reads of containers and posts in its place")
	parent := flags.Bool("child", false, "end with the standard input, and print no report")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("bench target takes flags only, not %q", flags.Arg(0))
	}
	t, err := newTarget(*simulator, *forward)
	if err != nil {
		return err
	}
	if *parent {
		var cancel context.CancelFunc
		ctx, cancel = untilEOF(ctx)
		defer cancel()
	}
	mux := http.NewServeMux()
	mux.Handle("/", t)
	mux.HandleFunc("GET /_bench/report", func(w http.ResponseWriter, _ *http.Request) { printArrivals(w, t.Arrivals()) })
	if err := process.Run(ctx, zap.NewNop(), served("target", *addr, withProfile(mux), out, zap.NewNop())); err != nil {
		return err
	}
	if !*parent {
		printArrivals(out, t.Arrivals())
	}
	return nil
}

func newTarget(simulator bool, forward string) (target, error) {
	switch {
	case simulator && forward != "":
		return nil, errors.New("-simulator and -front are two different targets")
	case forward != "":
		return newFront(forward)
	case simulator:
		return newSimulated()
	}
	return newCounter(), nil
}

// served is a part that serves HTTP, and says where on its first line of output.
func served(name, addr string, h http.Handler, out io.Writer, log *zap.Logger) process.Part {
	return process.Part{Name: name, StopWithin: 5 * time.Second, Run: func(ctx context.Context) error {
		var listen net.ListenConfig
		l, err := listen.Listen(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute}
		stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
		defer stop()
		if _, err := fmt.Fprintln(out, "http://"+l.Addr().String()); err != nil {
			return err
		}
		log.Debug("serving", zap.String("part", name))
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}}
}

// printArrivals tells what a target saw, from whoever drove it.
func printArrivals(w io.Writer, arrivals []Arrival) {
	d := weigh(arrivals)
	_, _ = fmt.Fprintf(w, "%d publishes took effect, %d of them with a text that says when it was due\n",
		len(arrivals), d.Posts+d.Doubles)
	if d.Posts > 0 {
		d.print(w)
	}
}

// withProfile adds GET /profile?seconds=5, a CPU profile of this process.
func withProfile(h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("GET /profile", func(w http.ResponseWriter, r *http.Request) {
		seconds, err := strconv.Atoi(r.URL.Query().Get("seconds"))
		if err != nil || seconds < 1 || seconds > 600 {
			http.Error(w, "seconds must be from 1 to 600", http.StatusBadRequest)
			return
		}
		if err := profile(r.Context(), w, time.Duration(seconds)*time.Second); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
	return mux
}

// profile writes a CPU profile of this process over a time.
func profile(ctx context.Context, w io.Writer, d time.Duration) error {
	if err := pprof.StartCPUProfile(w); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return sleep(ctx, d)
}

// request makes one HTTP request, with a JSON body or none.
func request(ctx context.Context, method, url, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body)) //nolint:gosec // G704: our own parts, or what the user wants measured
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return http.DefaultClient.Do(req) //nolint:gosec // G704: as above
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sleepUntil waits for an instant of the wall clock, never less.
func sleepUntil(ctx context.Context, at time.Time) error {
	for {
		wait := time.Until(at.Round(0))
		if wait <= 0 {
			return nil
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}
