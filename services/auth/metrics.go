package auth

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/omni-write/threads/events"
)

var connects = promauto.NewCounterVec(prometheus.CounterOpts{
	Name: "threads_connects_total",
	Help: "OAuth flows that came back from Threads, by outcome: connected, or the code of what was wrong (access_denied, state_invalid, exchange_failed and others).",
}, []string{"outcome"})

func measureConnect(err error) {
	outcome := "connected"
	if fault, ok := errors.AsType[*events.Fault](err); ok {
		outcome = string(fault.Code)
		if len(fault.Details) > 0 {
			outcome = fault.Details[0].Code
		}
	} else if err != nil {
		outcome = "error"
	}
	connects.WithLabelValues(outcome).Inc()
}
