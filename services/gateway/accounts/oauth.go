package accounts

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/signin"
)

const (
	// oauthCookie ties the flow to the browser that began it.
	oauthCookie = "threads_oauth_state"
	// finishWithin is longer than other questions get: auth calls Threads four times. It is not asked again, because the
	// code is good once; a lost answer means to start anew.
	finishWithin = 60 * time.Second
)

type ticketOutput struct{ Body asks.Ticket }

type issueTicketInput struct{ Body *TicketRequest }

// TicketRequest says what a ticket is for.
type TicketRequest struct {
	Purpose asks.TicketPurpose `json:"purpose,omitempty" enum:"stream,connect" doc:"stream, for GET /api/threads/events, or connect, for GET /api/auth/threads. Left out: stream."`
}

// IssueTicket gives out a ticket that stands for the user once, where a browser cannot send a header.
func (h *Handlers) IssueTicket(ctx context.Context, in *issueTicketInput) (*ticketOutput, error) {
	purpose := asks.TicketStream
	if in.Body != nil {
		purpose = cmp.Or(in.Body.Purpose, purpose)
	}
	ticket, err := bus.Ask[asks.Ticket](ctx, h.Bus, issueFor(signin.SessionOf(ctx), purpose))
	if err != nil {
		return nil, err
	}
	return &ticketOutput{Body: ticket}, nil
}

// finishAtFrontend is what a frontend says that ends the flow itself.
const finishAtFrontend = "frontend"

type startOAuthInput struct {
	Ticket        string `query:"ticket" doc:"A ticket, for browsers; instead of the bearer token."`
	AccountID     string `query:"accountId" doc:"The account to connect again; then no other Threads user will do."`
	Finish        string `query:"finish" doc:"frontend: the browser always comes back with connectCode, for POST /api/threads/connect/finish. Left out, it may be asked on a page of ours instead."`
	Authorization string `header:"Authorization" hidden:"true"`
	Accept        string `header:"Accept" hidden:"true"`
	FetchSite     string `header:"Sec-Fetch-Site" hidden:"true"`
	Referer       string `header:"Referer" hidden:"true"`

	edge.OnceOnly
}

// Authorization is where to send the browser to connect an account.
type Authorization struct {
	AuthorizationURL string `json:"authorizationUrl" doc:"Navigate the browser there; it goes on to Threads. Good once."`
	ExpiresIn        int    `json:"expiresIn" doc:"Seconds."`
}

// redirect is an answer that sends the browser elsewhere, or, to a page that cannot follow, tells it where to.
type redirect struct {
	Status      int
	Location    string `header:"Location"`
	SetCookie   string `header:"Set-Cookie"`
	ContentType string `header:"Content-Type"`
	Body        any
}

// noBody keeps huma from writing "null" under a redirect.
var noBody = []byte{}

// StartOAuth begins to connect an account. The state cookie must be set in a navigation of the browser to this very
// origin: a page on another origin that calls us with fetch could not keep it. So such a page gets an address with a
// ticket, and navigates there.
func (h *Handlers) StartOAuth(ctx context.Context, in *startOAuthInput) (*redirect, error) {
	out, err := h.beginOAuth(ctx, in)
	if err != nil && in.Authorization == "" && edge.Accepts(in.Accept, "text/html") {
		out = h.Failed(err) // a person looks at this: back to the frontend, which can explain
		out.SetCookie = ""  // another flow of this browser may be under way
		return out, nil
	}
	return out, err
}

// issueFor asks for a ticket of somebody who is signed in.
func issueFor(who signin.Session, purpose asks.TicketPurpose) asks.IssueTicket {
	return asks.IssueTicket{UserID: who.User, SignedInUntil: who.Until, Purpose: purpose, SignedInAs: who.As}
}

func (h *Handlers) beginOAuth(ctx context.Context, in *startOAuthInput) (*redirect, error) {
	if in.Repeated != "" {
		return nil, in.Refuse()
	}
	if !edge.Storable(in.AccountID) {
		return nil, edge.UnreadableAddress()
	}
	if in.Finish != "" && in.Finish != finishAtFrontend {
		const sentence = "finish is frontend, or is left out."
		return nil, events.Faultf(events.Invalid, sentence).At("/finish", "finish_unknown", sentence)
	}
	question := asks.BeginOAuth{Ticket: in.Ticket, AccountID: in.AccountID, Confirmed: true}
	if in.Ticket == "" {
		who, err := h.Verifier.Session(ctx, in.Authorization)
		if err != nil {
			return nil, err
		}
		edge.InfoOf(ctx).User = who.User
		if edge.Accepts(in.Accept, "application/json") {
			return h.authorization(ctx, who, in)
		}
		question.UserID, question.SignedInAs = who.User, who.As
	} else {
		ours, err := h.startedHere(in.FetchSite, in.Referer)
		if err != nil {
			return nil, err
		}
		question.Page = ours && in.Finish != finishAtFrontend
	}
	begun, err := bus.Ask[asks.OAuthBegun](ctx, h.Bus, question)
	if err != nil {
		return nil, err
	}
	return &redirect{
		Status: http.StatusFound, Location: begun.AuthorizeURL,
		SetCookie: h.stateCookie(begun.Cookie, int(events.OAuthStateLife/time.Second)), Body: noBody,
	}, nil
}

func (h *Handlers) authorization(ctx context.Context, who signin.Session, in *startOAuthInput) (*redirect, error) {
	ticket, err := bus.Ask[asks.Ticket](ctx, h.Bus, issueFor(who, asks.TicketConnect))
	if err != nil {
		return nil, err
	}
	to := h.Public.JoinPath(RouteStartOAuth)
	q := url.Values{"ticket": {ticket.Ticket}}
	if in.AccountID != "" {
		q.Set("accountId", in.AccountID)
	}
	if in.Finish != "" {
		q.Set("finish", in.Finish)
	}
	to.RawQuery = q.Encode()
	return &redirect{Status: http.StatusOK, Body: Authorization{AuthorizationURL: to.String(), ExpiresIn: ticket.ExpiresIn}}, nil
}

type finishOAuthInput struct {
	State string `query:"state" doc:"What we gave Threads when the OAuth flow began."`
	Code  string `query:"code" doc:"What Threads gives the person who allowed it."`
	Error string `query:"error" doc:"Why there is no code."`

	edge.OnceOnly
	cookies []*http.Cookie
}

// Resolve looks for repeated parameters, and keeps the cookies.
func (in *finishOAuthInput) Resolve(ctx huma.Context) []error {
	in.Check(ctx)
	in.cookies = huma.ReadCookies(ctx)
	return nil
}

// cookieName is the cookie's exact name. Where there is https it has the prefix that keeps a page on plain http, or
// anyone else's, from planting one: a planted cookie would connect one person's account to another's user.
func (h *Handlers) cookieName() string {
	if h.Public.Scheme == "https" {
		return "__Secure-" + oauthCookie
	}
	return oauthCookie
}

// stateFrom is the value of our cookie. Two of the name leave open which is ours, and count as none.
func (h *Handlers) stateFrom(cookies []*http.Cookie) (value string) {
	found := 0
	for _, c := range cookies {
		if c.Name == h.cookieName() {
			value = c.Value
			found++
		}
	}
	if found != 1 {
		return ""
	}
	return value
}

// FinishOAuth is where Threads sends the browser back to. Nothing is connected yet: whoever came back proves only that they
// followed an address, which somebody else may have handed to them. The frontend gets a code that the beginner confirms with
// their bearer token; or, where a page of the frontend began in this very browser, we ask on a page of ours.
func (h *Handlers) FinishOAuth(ctx context.Context, in *finishOAuthInput) (*redirect, error) {
	if in.Repeated != "" {
		return h.Failed(in.Refuse()), nil
	}
	ctx, cancel := context.WithTimeout(ctx, finishWithin)
	defer cancel()
	returned, err := bus.Ask[asks.OAuthReturned](ctx, h.Bus, asks.ReturnOAuth{
		State: in.State, Cookie: h.stateFrom(in.cookies), Code: in.Code, Error: in.Error,
	})
	if err != nil {
		return h.Failed(err), nil
	}
	edge.InfoOf(ctx).User = returned.UserID
	if returned.Page {
		return askToConnect(returned)
	}
	return &redirect{
		Status: http.StatusFound, SetCookie: h.stateCookie("", -1), Body: noBody,
		Location: withQuery(h.SuccessURL, func(q url.Values) { q.Set("connectCode", returned.Code) }),
	}, nil
}

// Failed sends the browser to the failure address with the reason in a word. The frontend's own error stays if the
// address brings one, as the original's did.
func (h *Handlers) Failed(err error) *redirect {
	reason := reasonOf(err)
	cookie := ""
	if flowOver(err) {
		cookie = h.stateCookie("", -1)
	}
	return &redirect{
		Status: http.StatusFound, SetCookie: cookie, Body: noBody,
		Location: withQuery(h.FailureURL, func(q url.Values) {
			if !q.Has("error") {
				q.Set("error", reason)
			}
			q.Set("reason", reason)
		}),
	}
}

// flowOver says whether a failure has ended the flow of this browser. One that was not even recognised has not: whoever
// lures a person to our callback with a made-up state must not take away the cookie of the flow that they are in.
func flowOver(err error) bool {
	p := edge.FromError(err)
	switch p.Code {
	case events.Invalid, events.Unauthorized, events.Internal, events.Unknown:
		return false
	case events.Unavailable: // auth was away, or Threads was, when the code was spent
		return len(p.Errors) > 0
	}
	return true
}

// reasonOf is the finest word that there is for a failure.
func reasonOf(err error) string {
	p := edge.FromError(err)
	if len(p.Errors) > 0 {
		return cmp.Or(p.Errors[0].Code, string(p.Code))
	}
	return string(p.Code)
}

func withQuery(address string, change func(url.Values)) string {
	u, err := url.Parse(address)
	if err != nil {
		return address // not after Config's own check
	}
	q := u.Query()
	change(q)
	u.RawQuery = q.Encode()
	return u.String()
}

// stateCookie is the cookie of the flow. SameSite is Lax and not Strict: the browser comes back from Threads.
func (h *Handlers) stateCookie(value string, maxAge int) string {
	base := h.Public
	c := http.Cookie{ //nolint:gosec // Secure is set below, where there is https
		Name: h.cookieName(), Value: value, Path: base.Path + RouteStartOAuth, MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	c.Secure = base.Scheme == "https"
	return c.String()
}

// RouteStartOAuth is where connecting an account begins.
const RouteStartOAuth = "/api/auth/threads"
