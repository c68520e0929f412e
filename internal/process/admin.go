package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Check says why a process should not be relied on, in a sentence for whoever is on call; nil when it may be.
type Check struct {
	Name  string
	Ready func(ctx context.Context) error
}

// checkWithin is how long a check may take. Probes commonly give up after a few seconds.
const checkWithin = 2 * time.Second

// Admin serves AdminHandler on addr, host:port. It is not for the public: bind it to loopback or a private network. An
// empty addr serves nothing.
func Admin(addr string, checks ...Check) Part {
	return Part{Name: "admin", StopWithin: 5 * time.Second, Run: func(ctx context.Context) error {
		if addr == "" {
			<-ctx.Done()
			return nil
		}
		var listen net.ListenConfig
		l, err := listen.Listen(ctx, "tcp", addr)
		if err != nil {
			return fmt.Errorf("nothing can listen for probes and metrics at ADMIN_ADDR: %w", err)
		}
		return serve(ctx, l, AdminHandler(checks...))
	}}
}

func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
	}
	// Probes are asked until the very end; nobody waits for them then.
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve probes and metrics: %w", err)
	}
	return nil
}

// AdminHandler answers /livez (the process runs), /readyz (every check holds; otherwise 503 with the sentence of each
// that does not), /metrics (Prometheus) and /debug/pprof (Go's profiles).
func AdminHandler(checks ...Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { reply(w, readiness{Ready: true}) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { reply(w, examine(r.Context(), checks)) })
	mux.Handle("GET /metrics", promhttp.Handler())
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// readiness is the answer of /readyz. Failing is what is wrong, by the name of the check.
type readiness struct {
	Ready   bool              `json:"ready"`
	Failing map[string]string `json:"failing,omitempty"`
}

func examine(ctx context.Context, checks []Check) readiness {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	var (
		mu      sync.Mutex
		failing = map[string]string{}
		asked   sync.WaitGroup
	)
	for _, c := range checks {
		asked.Go(func() {
			if err := c.Ready(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failing[c.Name] = err.Error()
			}
		})
	}
	asked.Wait()
	return readiness{Ready: len(failing) == 0, Failing: failing}
}

func reply(w http.ResponseWriter, r readiness) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !r.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(r) // the prober is gone: nobody to tell
}
