package edge

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/omni-write/threads/events"
)

var (
	inFlight = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_http_in_flight", Help: "Requests that are worked on, without live streams and those that wait for their outcome.",
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

	// leastPlaces is the least that one client's share of MaxInFlight is.
	leastPlaces = 16
	// costOfBody is the least that a request with a body is charged, for what holding any of them takes.
	costOfBody = 4 << 10
)

// limitSize bounds what the address, the headers and the time of a request may take, and gives back in the end what it held.
func (e *Edge) limitSize(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w = e.setDeadlines(w, r)
		switch {
		case len(r.RequestURI) > maxURL:
			NewProblem(http.StatusRequestURITooLong, CodeAddressTooLong, "The address is too long",
				"An address may have up to 8 KiB, with its query; shorten it.").write(w, r)
			return
		case headerBytes(r) > maxHeaders:
			NewProblem(http.StatusRequestHeaderFieldsTooLarge, codeHeadersTooLarge, "The headers are too large",
				"The headers of a request may have up to 32 KiB; send fewer, or shorter ones.").write(w, r)
			return
		}
		h := &held{edge: e}
		defer h.end()
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), heldKey{}, h)))
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

type heldKey struct{}

// held is what a request holds of what all share: a place among those that are worked on, and room for its body.
type held struct {
	edge *Edge
	who  client

	mu    sync.Mutex
	place bool
	bytes int64
}

// take takes a place and so many bytes, or says why there are none.
func (h *held) take(who client, bytes int64) error {
	switch h.edge.places.take(who, 1) {
	case ownFull:
		return tooManyOfOne("You have more requests in progress here than one client may at a time; wait for their answers before you send more.")
	case allTaken:
		return tooManyAtOnce()
	}
	switch h.edge.bodies.take(who, bytes) {
	case ownFull:
		h.edge.places.give(who, 1)
		return tooManyOfOne("The bodies of your requests in progress are larger together than one client's may be; wait for their answers before you send more.")
	case allTaken:
		h.edge.places.give(who, 1)
		return tooManyAtOnce()
	}
	inFlight.Inc()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.who, h.place, h.bytes = who, true, bytes
	return nil
}

func tooManyOfOne(sentence string) error {
	rateLimited.WithLabelValues("in_progress").Inc()
	return events.Faultf(events.RateLimited, "%s", sentence).After(time.Second)
}

func tooManyAtOnce() error {
	tooMany.Inc()
	return events.Faultf(events.Unavailable, "We have more to do at the moment than we can take on; please try again in a moment.").After(time.Second)
}

// leave gives the place back.
func (h *held) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.place {
		h.place = false
		h.edge.places.give(h.who, 1)
		inFlight.Dec()
	}
}

// end gives everything back.
func (h *held) end() {
	h.leave()
	if h.bytes > 0 {
		h.edge.bodies.give(h.who, h.bytes)
	}
}

// Leave gives the place of a request back that from now on only waits, or streams. Its body stays charged: it is still in
// memory.
func Leave(ctx context.Context) {
	if h, ok := ctx.Value(heldKey{}).(*held); ok {
		h.leave()
	}
}

// Admit lets a request be worked on when there is room for it, before anything of its body is read: a user's by what that
// user has in progress, any other by its address.
func (e *Edge) Admit(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, _ := humago.Unwrap(ctx)
		if err := e.admit(r, e.User(ctx.Context()), bodyCost(r, ctx.Operation())); err != nil {
			e.refuse(api, ctx, err)
			return
		}
		next(ctx)
	}
}

func (e *Edge) admit(r *http.Request, user string, bytes int64) error {
	h, ok := r.Context().Value(heldKey{}).(*held)
	if !ok {
		return nil // not through Chain
	}
	if user != "" {
		return h.take(client{user, true}, bytes)
	}
	return h.take(client{clientKey(addressOf(r, e.trusted)), false}, bytes)
}

// bodyCost is what a body is charged: what is announced, or else as much as it may be.
func bodyCost(r *http.Request, op *huma.Operation) int64 {
	switch {
	case op.RequestBody == nil || r.ContentLength == 0:
		return 0
	case r.ContentLength < 0:
		return op.MaxBodyBytes
	}
	return max(r.ContentLength, costOfBody)
}

// admitOthers gives places to what is no operation of the API: pages, and what is not there.
func (e *Edge) admitOthers(w http.ResponseWriter, r *http.Request, pattern string) bool {
	_, path, _ := strings.Cut(pattern, " ")
	if e.Exempt(r) || strings.HasPrefix(path, e.API) {
		return true
	}
	err := e.admit(r, "", 0)
	if err != nil {
		FromError(err).write(w, r)
	}
	return err == nil
}
