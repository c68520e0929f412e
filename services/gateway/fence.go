package gateway

import (
	"errors"
	"io"
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
	// than maxHeadersRead is not even read: net/http answers 431 in its own words, and hangs up.
	maxHeaders     = 32 << 10
	maxHeadersRead = 64 << 10
	// takeWithin is how long a client may take to take its answer.
	takeWithin = 30 * time.Second
	// leaveWithin is how long the rest of a body is read that nobody wanted. net/http reads it before it answers.
	leaveWithin = time.Second
)

// fence keeps out what is too much: of requests at once, of address, of headers, of time.
func (s *Service) fence(next http.Handler) http.Handler {
	places := make(chan struct{}, s.cfg.MaxInFlight)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w = s.hurry(w, r)
		switch {
		case len(r.RequestURI) > maxURL:
			newProblem(http.StatusRequestURITooLong, codeAddressTooLong, "The address is too long",
				"An address may have up to 8 KiB, with its query.").write(w, r)
			return
		case headerBytes(r) > maxHeaders:
			newProblem(http.StatusRequestHeaderFieldsTooLarge, codeHeadersTooLarge, "The headers are too large",
				"The headers of a request may have up to 32 KiB.").write(w, r)
			return
		case needsNoPlace(r):
			next.ServeHTTP(w, r)
			return
		}
		select {
		case places <- struct{}{}:
			inFlight.Inc()
			defer func() { inFlight.Dec(); <-places }()
			next.ServeHTTP(w, r)
		default:
			tooMany.Inc()
			ofFault(events.Faultf(events.Unavailable, "We have more to do at the moment than we can take on; please try again in a moment.").
				After(time.Second)).write(w, r)
		}
	})
}

// needsNoPlace says of a request that it costs nothing, or has a limit of its own.
func needsNoPlace(r *http.Request) bool {
	return r.URL.Path == pathHealth || r.URL.Path == routeEvents && r.Method == http.MethodGet
}

func headerBytes(r *http.Request) (n int) {
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n + len(r.Host)
}

// hurry limits how long a body may take to arrive, and the client to take the answer. The server's own limits would be of
// the whole request, and cut what waits for its outcome, or streams.
func (s *Service) hurry(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	ctl := http.NewResponseController(w)
	_ = ctl.SetWriteDeadline(time.Time{}) // of the answer before on this connection; some writers have none, and are for tests
	hurried := &hurriedWriter{ResponseWriter: w, ctl: ctl}
	if r.Body != nil && r.Body != http.NoBody {
		_ = ctl.SetReadDeadline(time.Now().Add(s.cfg.BodyTimeout))
		hurried.body = &hurriedBody{ReadCloser: r.Body, ctl: ctl}
		r.Body = hurried.body
	}
	return hurried
}

// hurriedBody lifts the limit when it has arrived: from then on the server reads ahead, only to notice when the client
// leaves, and the limit would look like that.
type hurriedBody struct {
	io.ReadCloser
	ctl  *http.ResponseController
	read bool // to its end
}

// Read reads the body.
func (b *hurriedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.read = true
		_ = b.ctl.SetReadDeadline(time.Time{})
	}
	return n, err
}

// hurriedWriter sets the limit when the answer begins.
type hurriedWriter struct {
	http.ResponseWriter
	ctl   *http.ResponseController
	body  *hurriedBody // nil: none
	begun bool
}

func (w *hurriedWriter) begin() {
	if !w.begun {
		w.begun = true
		if w.body != nil && !w.body.read {
			_ = w.ctl.SetReadDeadline(time.Now().Add(leaveWithin))
		}
		_ = w.ctl.SetWriteDeadline(time.Now().Add(takeWithin))
	}
}

// WriteHeader begins the answer.
func (w *hurriedWriter) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.begin()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write begins the answer, too. A stream that sets limits of its own does so after this.
func (w *hurriedWriter) Write(b []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *hurriedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
