package threadssim

import (
	"fmt"
	"net/http"

	"github.com/omni-write/threads/internal/threads"
)

// The headers by which a request asks for its own misfortune. The real Threads ignores them.
const (
	faultHeader = "X-Sim-Fault" // a Fault without op, nth and times: it is this call, once
	knobsHeader = "X-Sim-Knobs" // knobs for this call alone
)

// requestFault is what a request asks to go wrong.
type requestFault struct {
	fault *Fault
	knobs Patch
}

func readRequestFault(h http.Header, op string) (w requestFault, err error) {
	if raw := h.Get(faultHeader); raw != "" {
		w.fault = &Fault{}
		if err := strict([]byte(raw), w.fault); err != nil {
			return w, fmt.Errorf("%s: %w", faultHeader, err)
		}
		if w.fault.Nth > 1 || w.fault.Times > 1 || w.fault.Op != "" || w.fault.UserID != "" {
			return w, fmt.Errorf("%s is for this one call: leave out op, nth, times and user_id", faultHeader)
		}
		if w.fault.Op = op; op == "" {
			w.fault.Op = threads.OpMedia // or a profile's or a container's read: the kinds are the same
		}
		if err := w.fault.check(); err != nil {
			return w, fmt.Errorf("%s: %w", faultHeader, err)
		}
	}
	if raw := h.Get(knobsHeader); raw != "" {
		if w.knobs, err = jsonPatch([]byte(raw)); err != nil {
			return w, fmt.Errorf("%s: %w", knobsHeader, err)
		}
	}
	return w, nil
}
