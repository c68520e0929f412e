package edge

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/omni-write/threads/events"
)

var (
	inFlight = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_http_in_flight", Help: "Requests that are worked on, without live streams.",
	})
	tooMany = promauto.NewCounter(prometheus.CounterOpts{
		Name: "threads_http_overload_total", Help: "Requests that were turned away because too many were worked on.",
	})
)

const (
	// maxURL is the most that a request's address may have; a cursor and a few filters have some hundred bytes.
	maxURL = 8 << 10
	// maxHeaders is the most that the headers may have, with room for a bearer token and a browser's cookies. What is more
	// than MaxHeadersRead is not even read: net/http answers 431 in its own words, and hangs up.
	maxHeaders     = 32 << 10
	MaxHeadersRead = 64 << 10
)

// limitConcurrency bounds the requests that are worked on at once, and what their addresses, headers and time may take.
func (e *Edge) limitConcurrency(next http.Handler) http.Handler {
	slots := make(chan struct{}, e.Limits.MaxInFlight)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w = e.setDeadlines(w, r)
		switch {
		case len(r.RequestURI) > maxURL:
			NewProblem(http.StatusRequestURITooLong, CodeAddressTooLong, "The address is too long",
				"An address may have up to 8 KiB, with its query.").write(w, r)
			return
		case headerBytes(r) > maxHeaders:
			NewProblem(http.StatusRequestHeaderFieldsTooLarge, codeHeadersTooLarge, "The headers are too large",
				"The headers of a request may have up to 32 KiB.").write(w, r)
			return
		case e.Exempt(r):
			next.ServeHTTP(w, r)
			return
		}
		select {
		case slots <- struct{}{}:
			inFlight.Inc()
			defer func() { inFlight.Dec(); <-slots }()
			next.ServeHTTP(w, r)
		default:
			tooMany.Inc()
			FromFault(events.Faultf(events.Unavailable, "We have more to do at the moment than we can take on; please try again in a moment.").
				After(time.Second)).write(w, r)
		}
	})
}

func headerBytes(r *http.Request) (n int) {
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n + len(r.Host)
}
