package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/subprocess"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// Word is the program's command for the parts that a rig starts. It is not for people, and not in the help.
const Word = "lab"

// The parts, by the word after it.
const (
	PartNATS      = "nats"
	PartSimulator = "simulator"
	PartPublisher = "publisher"
	PartGateway   = "gateway"
	PartAuth      = "auth"
)

// Part is what a process of a rig is told.
type Part struct {
	Name    string
	Dir     string // of NATS: where the streams are kept
	Port    int    // of NATS
	Config  string // of NATS: its configuration file, of which all but the place and the port hold
	Journal string // of the simulator: file for what must survive a restart
	Knobs   string // of the simulator: on top of its quick profile
	Ahead   string // of a publisher: by how much its clock is ahead; each line of its input sets it anew. Empty: the machine's clock
}

// AddFlags adds what a part can be told to a set of flags.
func (p *Part) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&p.Dir, "dir", "", "nats: where the streams are kept")
	f.IntVar(&p.Port, "port", 0, "nats: where to listen, on this machine only")
	f.StringVar(&p.Config, "config", "", "nats: its configuration file, of which all but the place and the port hold")
	f.StringVar(&p.Journal, "journal", "", "simulator: file for what must survive a restart")
	f.StringVar(&p.Knobs, "knobs", "", "simulator: JSON on top of the quick profile")
	f.StringVar(&p.Ahead, "ahead", "", "publisher: by how much its clock is ahead; each line of its input sets it anew (default: the machine's clock)")
}

// Run runs the part until in ends or ctx does. Its address is the first line of out.
func (p *Part) Run(ctx context.Context, getenv func(string) string, in io.Reader, out io.Writer) error {
	if err := crash.Arm(getenv); err != nil {
		return err
	}
	build := boot.Builders()[p.Name]
	until := subprocess.UntilEOF
	if p.Ahead != "" {
		ahead, err := time.ParseDuration(p.Ahead)
		if err != nil {
			return fmt.Errorf("--ahead: %w", err)
		}
		clock := &setClock{}
		clock.set(ahead)
		build, until = boot.PublisherBy(clock.now), clock.obey
	}
	ctx, cancel := until(ctx, in)
	defer cancel()
	switch p.Name {
	case PartNATS:
		return p.runNATS(ctx, out)
	case PartSimulator:
		return p.runSimulator(ctx, out)
	case PartPublisher, PartGateway, PartAuth:
		return runService(ctx, build, getenv, out)
	}
	return fmt.Errorf("a rig has no part %q", p.Name)
}

// runNATS is a nats-server that syncs every message.
func (p *Part) runNATS(ctx context.Context, out io.Writer) error {
	log, err := process.Logger("warn", "json")
	if err != nil {
		return err
	}
	s, err := natsd.Start(natsd.Options{StoreDir: p.Dir, Host: loopback, Port: p.Port, SyncAlways: true, Config: p.Config, Log: log})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, s.ClientURL()); err != nil {
		return err
	}
	<-ctx.Done()
	return s.Close()
}

// runSimulator is the simulated Threads in its quick profile.
func (p *Part) runSimulator(ctx context.Context, out io.Writer) error {
	knobs := threadssim.Quick()
	if p.Knobs != "" {
		if err := knobs.Read([]byte(p.Knobs)); err != nil {
			return err
		}
	}
	sim, err := threadssim.New(threadssim.Options{
		Journal: p.Journal, Knobs: &knobs, MediaNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	if err != nil {
		return err
	}
	defer func() { _ = sim.Close() }()
	return process.Run(ctx, zap.NewNop(), Served("simulator", loopback+":0", sim, out))
}

// runService is a service as production puts it together, with its admin handler on a port of its own.
func runService(ctx context.Context, build boot.Builder, getenv func(string) string, out io.Writer) error {
	log, err := process.Logger(getenv("LOG_LEVEL"), getenv("LOG_FORMAT"))
	if err != nil {
		return err
	}
	s, err := build(ctx, getenv, log)
	if err != nil {
		return err
	}
	return process.Run(ctx, log, s.Part, Served("admin", loopback+":0", WithProfile(process.AdminHandler(s.Ready)), out))
}

// Served is a part that serves HTTP, and says where on its first line of output.
func Served(name, addr string, h http.Handler, out io.Writer) process.Part {
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
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}}
}

// WithProfile adds GET /profile?seconds=5, a CPU profile of this process.
func WithProfile(h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("GET /profile", func(w http.ResponseWriter, r *http.Request) {
		seconds, err := strconv.Atoi(r.URL.Query().Get("seconds"))
		if err != nil || seconds < 1 || seconds > 600 {
			http.Error(w, "seconds must be from 1 to 600", http.StatusBadRequest)
			return
		}
		if err := Profile(r.Context(), w, time.Duration(seconds)*time.Second); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
	return mux
}

// Profile writes a CPU profile of this process over a time.
func Profile(ctx context.Context, w io.Writer, d time.Duration) error {
	if err := pprof.StartCPUProfile(w); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	if !clock.Sleep(ctx, d) {
		return ctx.Err()
	}
	return nil
}
