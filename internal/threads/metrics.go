package threads

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// How a call ended, beside the classes of errors.
const (
	outcomeOK      = "ok"
	outcomeNotSent = "not_sent" // nothing has left this process
)

// A publish may take minutes; the others should not take seconds.
var callSeconds = promauto.NewHistogramVec(prometheus.HistogramOpts{
	Name:    "threads_api_call_seconds",
	Help:    "How long calls to Threads took, by call and outcome: ok, not_sent, or the class of the error (transient, ambiguous, not_ready, invalid, permission, reauthorize, quota, blocked, not_found).",
	Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 240},
}, []string{"call", "outcome"})

func measure(op string, err error, took time.Duration) {
	outcome := outcomeOK
	switch {
	case errors.Is(err, ErrNotSent):
		outcome = outcomeNotSent
	case err != nil:
		outcome = string(ClassOf(err))
	}
	callSeconds.WithLabelValues(op, outcome).Observe(took.Seconds())
}
