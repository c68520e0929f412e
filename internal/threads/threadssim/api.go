package threadssim

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// api is Threads' API: it runs calls through Threads' order of checks, with what is to go wrong in between. A call is
// decided under the store's lock; what is armed, logged and found has locks of its own.
type api struct {
	store    *store
	app      app
	links    addresses
	fetcher  mediaFetcher
	faults   faultList
	log      callLog
	mistakes mistakeList
}

func (s *api) open(mux *http.ServeMux, pattern, op string, h handler) {
	s.handle(mux, pattern, op, func(c *call) (answer, bool) { return answer{}, true }, h)
}

func (s *api) withToken(mux *http.ServeMux, pattern, op, scope string, h handler) {
	edge := strings.Contains(pattern, "{user}")
	s.handle(mux, pattern, op, authenticate, func(c *call) answer {
		if edge && c.path != "me" && c.path != c.user.ID {
			return noSuchObject(c.path)
		}
		if scope != "" && !c.token.has(scope) {
			return noPermission()
		}
		return h(c)
	})
}

// handle runs a call through Threads' order of checks: token, its life, grant, throttle (and the faults before the
// commit), then the handler's object, scope, parameters, state and commit, and only then the faults of the response.
func (s *api) handle(mux *http.ServeMux, pattern, op string, auth func(*call) (answer, bool), h handler) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		asked, err := readRequestFault(r.Header, op)
		if err != nil {
			write(w, complaint(err)) // no part of Threads, so not in its shape
			return
		}
		params, err := readParams(w, r)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			panic(http.ErrAbortHandler) // its sender died on the way: such a request never gets as far as Threads
		}
		c := &call{api: s, store: s.store, method: r.Method, host: origin(r), op: op, params: params, at: s.store.now(), asked: asked}
		c.path, c.edge = r.PathValue("user")+r.PathValue("id"), r.URL.Path
		_, c.hidden = bearer(r)
		var a answer
		if err != nil {
			a = refuse(http.StatusBadRequest, oauthException, 100, 0, "Invalid request body")
		} else {
			if op == threads.OpCreate && s.fetches(c) {
				c.unfetched = s.fetcher.unfetchable(r.Context(), params)
			}
			a = s.decide(c, auth, h)
		}
		s.respond(w, r, c, a)
	})
}

func (s *api) decide(c *call, auth func(*call) (answer, bool), h handler) answer {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	c.as(nil)
	a, ok := auth(c)
	if ok {
		if c.op == "" {
			c.op = s.store.opOf(c.path)
		}
		c.hit = c.strike()
		if c.hit.before != nil {
			return c.counted(*c.hit.before)
		}
		a = h(c)
	}
	return c.counted(c.worded(a))
}

// respond sends the answer, or does to it what a fault asks for. By now the state has changed.
func (s *api) respond(w http.ResponseWriter, r *http.Request, c *call, a answer) {
	if c.hit.after != nil && (a.ok() || c.hit.after.cut) {
		header := a.header
		a = *c.hit.after
		a.header = header
	}
	if c.hit.latency > 0 {
		timer := time.NewTimer(c.hit.latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
	}
	s.note(c, r, a)
	if a.cut {
		// The one way to drop a connection without a word that works for every protocol.
		panic(http.ErrAbortHandler)
	}
	write(w, a)
}

// fetches says whether Threads would look at the media of this call now: only for those it knows.
func (s *api) fetches(c *call) bool {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	_, known := authenticate(c)
	return known && c.knobs.FetchMedia
}

// note remembers a call. It is noted when its fate is known and before it is answered, so who has the answer finds the
// call.
func (s *api) note(c *call, r *http.Request, a answer) {
	seen := Call{Method: r.Method, Path: r.URL.Path, Op: c.op, Status: a.status, AtNS: c.at.UnixNano()}
	if c.user != nil {
		seen.User = c.user.Username
	}
	if body, ok := a.body.(map[string]any); ok {
		if e, ok := body["error"].(graphError); ok {
			seen.Code, seen.Subcode, seen.same = e.Code, e.Subcode, c.fingerprint(r)
		}
	}
	s.log.add(seen)
}
