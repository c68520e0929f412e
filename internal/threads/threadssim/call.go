package threadssim

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// call is one API request on its way through the checks.
type call struct {
	sim    *Sim
	method string
	host   string // begins permalinks
	op     string
	at     time.Time // when the whole request had arrived
	params url.Values
	path   string       // the {user} or {id} of the path
	edge   string       // the whole path, without the version
	hidden bool         // the token came in a header, and not among the parameters
	asked  requestFault // what the request itself asks to go wrong
	token  *token
	user   *user
	knobs  *Knobs
	rng    *rand.Rand
	hit    hit
	// unfetched says that the media could not be fetched, when the simulator fetches at all.
	unfetched bool
}

// handler decides a call and changes the state. It runs under the simulator's lock; what it answers must not point into
// the state.
type handler func(*call) answer

func (s *Sim) open(mux *http.ServeMux, pattern, op string, h handler) {
	s.handle(mux, pattern, op, func(c *call) (answer, bool) { return answer{}, true }, h)
}

func (s *Sim) api(mux *http.ServeMux, pattern, op, scope string, h handler) {
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
func (s *Sim) handle(mux *http.ServeMux, pattern, op string, auth func(*call) (answer, bool), h handler) {
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
		c := &call{sim: s, method: r.Method, host: origin(r), op: op, params: params, at: s.now(), asked: asked}
		c.path, c.edge = r.PathValue("user")+r.PathValue("id"), r.URL.Path
		_, c.hidden = bearer(r)
		var a answer
		if err != nil {
			a = refuse(http.StatusBadRequest, oauthException, 100, 0, "Invalid request body")
		} else {
			if op == threads.OpCreate && s.fetches(c) {
				c.unfetched = s.unfetchable(r, c)
			}
			a = s.decide(c, auth, h)
		}
		s.respond(w, r, c, a)
	})
}

func (s *Sim) decide(c *call, auth func(*call) (answer, bool), h handler) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.as(nil)
	a, ok := auth(c)
	if ok {
		if c.op == "" {
			c.op = s.opOf(c.path)
		}
		c.hit = c.strike()
		if c.hit.before != nil {
			return c.counted(*c.hit.before)
		}
		a = h(c)
	}
	return c.counted(c.worded(a))
}

// as makes the call that of an account, or of nobody, with the knobs and the luck of theirs.
func (c *call) as(u *user) {
	c.user, c.knobs, c.rng = u, c.sim.layers.all, c.sim.layers.rng
	if u != nil {
		c.knobs, c.rng = u.knobs, u.rng
	}
	if c.asked.knobs != nil {
		k := *c.knobs
		if c.asked.knobs(&k) == nil {
			c.knobs = &k
		}
	}
}

// respond sends the answer, or does to it what a fault asks for. By now the state has changed.
func (s *Sim) respond(w http.ResponseWriter, r *http.Request, c *call, a answer) {
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

// authenticate is steps 1 to 3: the token, its life, its grant.
func authenticate(c *call) (answer, bool) {
	t := c.sim.tokens[digestOf(c.params.Get("access_token"))]
	if t == nil {
		return unparsable(), false
	}
	c.as(c.sim.users[t.UserID])
	if a, ok := c.alive(t, c.knobs); !ok {
		return a, false
	}
	if a, ok := c.granted(t); !ok {
		return a, false
	}
	c.token = t
	return answer{}, true
}

func unparsable() answer {
	return refuse(http.StatusBadRequest, oauthException, 190, 0, "Invalid OAuth access token - Cannot parse access token")
}

// alive refuses a token that a person revoked or that outlived itself.
func (c *call) alive(t *token, k *Knobs) (answer, bool) {
	revoked := t.Revoked
	if k.Uninstall && revoked == 0 {
		revoked = appRemoved
	}
	switch {
	case revoked != 0:
		return refuse(http.StatusBadRequest, oauthException, 190, revoked,
			"Error validating access token: "+revocations[revoked]), false
	case !c.at.Before(t.Expires):
		return refuse(http.StatusBadRequest, oauthException, 190, 463,
			"Error validating access token: Session has expired on "+t.Expires.Format("Monday, 02-Jan-06 15:04:05 MST")+
				". The current time is "+c.at.Format("Monday, 02-Jan-06 15:04:05 MST")+"."), false
	}
	return answer{}, true
}

// appRemoved is the subcode of a person who removed the app.
const appRemoved = 458

// revocations are the reasons a token may die of, by subcode.
var revocations = map[int]string{
	appRemoved: "The user has not authorized application.",
	459:        "You cannot access the app till you log in and follow the instructions given.",
	460:        "The session has been invalidated because the user changed the password.",
	463:        "Session has expired.",
	464:        "Sessions for the user are not allowed because the user is not a confirmed user.",
	467:        "The session is invalid because the user logged out.",
	492:        "The session is invalid.",
}

// granted refuses a token that stands for no permission: none was ever given, or it ran out. The grant has a clock of
// its own, which a refresh renews for public profiles only.
func (c *call) granted(t *token) (answer, bool) {
	if c.knobs.Ungranted || !t.has(threads.ScopeBasic) || !c.at.Before(t.grantEnds(c.knobs)) {
		return refuse(http.StatusBadRequest, thAPIException, 100, 10,
			"This action requires the threads_basic permission. Please see App Review and Threads testers."), false
	}
	return answer{}, true
}
