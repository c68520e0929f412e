package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/lab/rig"
	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/subprocess"
)

// TargetOptions are what a target is asked for.
type TargetOptions struct {
	addr, front      string
	simulator, child bool
}

// AddFlags adds what a target can be asked for to a set of flags.
func (o *TargetOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.addr, "addr", "127.0.0.1:9097", "where to listen, `host:port`")
	f.BoolVar(&o.simulator, "simulator", false,
		"the whole simulator at zero latency, with all checks of Threads (default: the two calls and nothing more)")
	f.StringVar(&o.front, "front", "",
		"hand the two calls on to the server at this `URL`, and answer reads of containers and posts in its place")
	f.BoolVar(&o.child, "child", false, "end with the standard input, and print no report")
}

// Mistakes names what is not valid.
func (o TargetOptions) Mistakes() error {
	if o.simulator && o.front != "" {
		return errors.New("--simulator and --front are two different targets")
	}
	return nil
}

// Run serves a target until ctx ends, then says what it saw.
func (o TargetOptions) Run(ctx context.Context, in io.Reader, out io.Writer) error {
	t, err := newTarget(o.simulator, o.front)
	if err != nil {
		return err
	}
	if o.child {
		var cancel context.CancelFunc
		ctx, cancel = subprocess.UntilEOF(ctx, in)
		defer cancel()
	}
	mux := http.NewServeMux()
	mux.Handle("/", t)
	mux.HandleFunc("GET /_bench/report", func(w http.ResponseWriter, _ *http.Request) { printArrivals(w, t.Arrivals()) })
	if err := process.Run(ctx, zap.NewNop(), rig.Served("target", o.addr, rig.WithProfile(mux), out)); err != nil {
		return err
	}
	if !o.child {
		printArrivals(out, t.Arrivals())
	}
	return nil
}

func newTarget(simulator bool, forward string) (target, error) {
	switch {
	case forward != "":
		return newFront(forward)
	case simulator:
		return newSimulated()
	}
	return newCounter(), nil
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
