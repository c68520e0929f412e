package edge

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Most requests are answered in milliseconds; those that publish wait for Threads, up to half a minute.
var requestSeconds = promauto.NewHistogramVec(prometheus.HistogramOpts{
	Name:    "threads_http_request_seconds",
	Help:    "How long HTTP requests took, by route, method and status.",
	Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
}, []string{"route", "method", "status"})

func measure(route, method string, status int, took time.Duration) {
	if route == "none" {
		method = "any" // methods are free text; only those of our routes are few
	}
	requestSeconds.WithLabelValues(route, method, strconv.Itoa(status)).Observe(took.Seconds())
}
