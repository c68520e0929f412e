package threadssim

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// call is one API request on its way through the checks.
type call struct {
	api    *api
	store  *store
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

// handler decides a call and changes the state. It runs under the store's lock; what it answers must not point into
// the state.
type handler func(*call) answer

// as makes the call that of an account, or of nobody, with the knobs and the luck of theirs.
func (c *call) as(u *user) {
	c.user, c.knobs, c.rng = u, c.store.layers.all, c.store.layers.rng
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

// authenticate is steps 1 to 3: the token, its life, its grant.
func authenticate(c *call) (answer, bool) {
	t := c.store.tokens[digestOf(c.params.Get("access_token"))]
	if t == nil {
		return unparsable(), false
	}
	c.as(c.store.users[t.UserID])
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
