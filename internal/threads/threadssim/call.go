package threadssim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// call is one API request on its way through the checks.
type call struct {
	sim    *Sim
	host   string // begins permalinks
	op     string
	at     time.Time // when the whole request had arrived
	params url.Values
	path   string // the {user} or {id} of the path
	token  *token
	user   *user
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

// handle runs a call through Threads' order of checks: token, grant, throttle (here: faults before the commit), then
// the handler's object, scope, parameters, state and commit, and only then the faults of the response.
func (s *Sim) handle(mux *http.ServeMux, pattern, op string, auth func(*call) (answer, bool), h handler) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		params, err := readParams(w, r)
		c := &call{sim: s, host: origin(r), op: op, params: params, at: s.now()}
		c.path = r.PathValue("user") + r.PathValue("id")
		var a answer
		if err != nil {
			a = refuse(http.StatusBadRequest, oauthException, 100, 0, "Invalid request body")
		} else {
			if op == threads.OpCreate && s.opts.FetchMedia {
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
	if a, ok := auth(c); !ok {
		return a
	}
	if c.op == "" {
		c.op = s.opOf(c.path)
	}
	userID := ""
	if c.user != nil {
		userID = c.user.ID
	}
	c.hit = s.strike(c.op, userID)
	if c.hit.before != nil {
		return *c.hit.before
	}
	return h(c)
}

// respond sends the answer, or does to it what a fault asks for. By now the state has changed.
func (s *Sim) respond(w http.ResponseWriter, r *http.Request, c *call, a answer) {
	if c.hit.after != nil && (a.ok() || c.hit.after.cut) {
		a = *c.hit.after
	}
	if c.hit.latency > 0 {
		timer := time.NewTimer(c.hit.latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
	}
	s.note(c, r, a.status)
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
		return refuse(http.StatusBadRequest, oauthException, 190, 0,
			"Invalid OAuth access token - Cannot parse access token"), false
	}
	if a, ok := c.alive(t); !ok {
		return a, false
	}
	if !t.has(threads.ScopeBasic) {
		return refuse(http.StatusBadRequest, thAPIException, 100, 10,
			"This action requires the threads_basic permission. Please see App Review and Threads testers."), false
	}
	c.token, c.user = t, c.sim.users[t.UserID]
	return answer{}, true
}

// alive refuses a token that a person revoked or that outlived itself.
func (c *call) alive(t *token) (answer, bool) {
	switch {
	case t.Revoked != 0:
		return refuse(http.StatusBadRequest, oauthException, 190, t.Revoked,
			"Error validating access token: The session has been invalidated."), false
	case !c.at.Before(t.Expires):
		return refuse(http.StatusBadRequest, oauthException, 190, 463,
			"Error validating access token: Session has expired on "+t.Expires.Format("Monday, 02-Jan-06 15:04:05 MST")+
				". The current time is "+c.at.Format("Monday, 02-Jan-06 15:04:05 MST")+"."), false
	}
	return answer{}, true
}

// fields returns those asked for without their sub-selections: "id,children{id}" is [id children].
func (c *call) fields(def ...string) []string {
	raw := c.params.Get("fields")
	if raw == "" {
		return def
	}
	var names []string
	depth, name := 0, strings.Builder{}
	for _, r := range raw + "," {
		switch {
		case r == '{':
			depth++
		case r == '}':
			depth--
		case r == ',' && depth <= 0:
			if name.Len() > 0 {
				names = append(names, strings.TrimSpace(name.String()))
			}
			name.Reset()
		case depth <= 0:
			name.WriteRune(r)
		}
	}
	return names
}

// pick answers the fields asked for. A field without a value is left out, a field that does not exist fails the call.
func (c *call) pick(values map[string]any, known []string, def ...string) answer {
	body := map[string]any{}
	for _, name := range c.fields(def...) {
		if !slices.Contains(known, name) {
			return refuse(http.StatusInternalServerError, thAPIException, 100, 0,
				"Tried accessing nonexisting field ("+name+")")
		}
		if v, ok := values[name]; ok && v != nil && v != "" {
			body[name] = v
		}
	}
	// The id comes with every object, asked for or not.
	if v, ok := values["id"]; ok {
		body["id"] = v
	}
	return success(body)
}
