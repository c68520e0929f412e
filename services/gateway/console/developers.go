package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/omni-write/threads/events"
)

// developerPages are the pages for who writes programs: events, webhooks, a token to try the API with.
type developerPages struct{ *Console }

// pastEvent is an event that was told before, as the API tells it.
type pastEvent struct {
	ID   string          `json:"id"`
	Name string          `json:"name"`
	At   time.Time       `json:"at"`
	Data json.RawMessage `json:"data"`
}

// Badge is for the eye: what kind of event it is.
func (e pastEvent) Badge() badge {
	about, what, _ := strings.Cut(e.Name, ".")
	b := badge{"calm", "clock", e.Name}
	switch {
	case about == "account" && strings.HasPrefix(what, "reconnect"):
		b.Tone, b.Icon = "warn", "people"
	case about == "account":
		b.Icon = "people"
	case strings.HasSuffix(what, "published"):
		b.Tone, b.Icon = "good", "check"
	case strings.HasSuffix(what, "failed"):
		b.Tone, b.Icon = "bad", "cross"
	case what == "parked":
		b.Tone, b.Icon = "bad", "hand"
	case what == "postponed", what == "unconfirmed":
		b.Tone, b.Icon = "warn", "pause"
	case what == "cancelled", what == "deleted":
		b.Tone, b.Icon = "off", "bin"
	}
	return b
}

// subject is whom or what an event is about, of all that the data of events may have.
type subject struct {
	Post       *events.Post `json:"post"`
	Connection *struct {
		ID       string  `json:"id"`
		Username *string `json:"username"`
	} `json:"connection"`
	AccountID string `json:"accountId"`
	Username  string `json:"username"`
	Text      string `json:"text"`
}

func (e pastEvent) subject() (s subject) {
	_ = json.Unmarshal(e.Data, &s) // an event of tomorrow may look otherwise; its name and its JSON are shown all the same
	return s
}

// Words are what a list shows of an event beside its name.
func (e pastEvent) Words() string {
	switch s := e.subject(); {
	case s.Post != nil:
		return wordsOf(*s.Post)
	case s.Connection != nil && s.Connection.Username != nil:
		return "@" + *s.Connection.Username
	case s.Connection != nil:
		return s.Connection.ID
	case s.Username != "":
		return strings.TrimSpace("@" + s.Username + " " + excerpt(120, s.Text))
	default:
		return cmp.Or(s.AccountID, e.Name)
	}
}

// PostID is of the post that the event is about, empty where it is about none.
func (e pastEvent) PostID() string {
	if s := e.subject(); s.Post != nil {
		return s.Post.ID
	}
	return ""
}

type developersData struct {
	Kinds    []string
	Kind     string
	Events   []pastEvent
	Problem  string // why there are no events to be seen
	Webhooks []webhook
	Stream   string
	Tokens   bool
}

const (
	// eventsShown is how many events the page has. eventsKept is among how many of the latest one can be looked at.
	eventsShown = 40
	eventsKept  = 200
)

// developers is what happens, webhooks, and where to read on.
func (c developerPages) developers(w http.ResponseWriter, v *visit) error {
	d := developersData{Kinds: c.Facts, Kind: v.URL.Query().Get("kind"), Tokens: c.DevTokens, Stream: c.curl("$TOKEN", "-N", "/api/threads/events")}
	if !slices.Contains(c.Facts, d.Kind) {
		d.Kind = ""
	}
	err := together(
		func() (err error) { d.Webhooks, err = v.webhooks(); return err },
		func() error {
			var err error
			d.Events, err = v.recentEvents(d.Kind, eventsShown)
			if p := asProblem(err); p != nil && p.Status != http.StatusUnauthorized {
				d.Problem, err = p.words(), nil // the rest of the page does not depend on it
			}
			return err
		},
	)
	if err != nil {
		return err
	}
	c.show(w, v.Request, http.StatusOK, "developers", &view{Title: "Developers", Section: "developers", V: v, Data: d, Notice: notices[v.URL.Query().Get("done")]})
	return nil
}

func (v *visit) recentEvents(kind string, limit int) ([]pastEvent, error) {
	q := url.Values{"limit": {fmt.Sprint(limit)}}
	if kind != "" {
		q.Set("facts", kind)
	}
	var past struct {
		Events []pastEvent `json:"events"`
	}
	err := v.get("/api/threads/events/recent?"+q.Encode(), &past)
	return past.Events, err
}

type eventData struct {
	pastEvent
	JSON string
}

// event is one event, with all that it says.
func (c developerPages) event(w http.ResponseWriter, v *visit) error {
	all, err := v.recentEvents("", eventsKept)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(e pastEvent) bool { return e.ID == v.PathValue("id") })
	if i < 0 {
		c.show(w, v.Request, http.StatusNotFound, "message", &view{Title: "This event is not among the latest", Section: "developers", V: v, Data: message{
			Words: fmt.Sprintf("This page can show the latest %d. Whoever reads the stream, or has a webhook, keeps what they need.", eventsKept), Link: c.at("/developers"), Label: "Back to the events",
		}})
		return nil
	}
	d := eventData{pastEvent: all[i]}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, d.Data, "", "  "); err != nil {
		return err
	}
	d.JSON = pretty.String()
	c.show(w, v.Request, http.StatusOK, "event", &view{Title: d.Name, Section: "developers", V: v, Data: d})
	return nil
}

type tokenData struct {
	Token, Use string
	Until      time.Time
}

// showToken shows the token of this sign-in, to be copied, where the issuer gives one to whoever asks anyway. It is the answer to a
// form, so that it is in no history and no cache.
func (c developerPages) showToken(w http.ResponseWriter, v *visit) error {
	d := tokenData{Token: v.token, Use: c.curl("$TOKEN", "", "/api/threads/posts?limit=5")}
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(v.token, &claims); err == nil && claims.ExpiresAt != nil {
		d.Until = claims.ExpiresAt.Time
	}
	w.Header().Set("Cache-Control", "no-store")
	c.show(w, v.Request, http.StatusOK, "token", &view{Title: "Your token", Section: "developers", V: v, Data: d})
	return nil
}

// curl is a call of the API for a shell.
func (c developerPages) curl(token, flags, path string) string {
	if flags != "" {
		flags += " "
	}
	return fmt.Sprintf("curl %s-H \"Authorization: Bearer %s\" '%s'", flags, token, c.Base.String()+path)
}
