package gateway

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/edge"
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

// issueTicket gives out a ticket that stands for the user once, where a browser cannot send a header.
func (h *accountHandlers) issueTicket(ctx context.Context, in *issueTicketInput) (*ticketOutput, error) {
	purpose := asks.TicketStream
	if in.Body != nil {
		purpose = cmp.Or(in.Body.Purpose, purpose)
	}
	ticket, err := bus.Ask[asks.Ticket](ctx, h.bus, issueFor(sessionOf(ctx), purpose))
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

	onceOnly
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

// startOAuth begins to connect an account. The state cookie must be set in a navigation of the browser to this very
// origin: a page on another origin that calls us with fetch could not keep it. So such a page gets an address with a
// ticket, and navigates there.
func (h *accountHandlers) startOAuth(ctx context.Context, in *startOAuthInput) (*redirect, error) {
	out, err := h.beginOAuth(ctx, in)
	if err != nil && in.Authorization == "" && accepts(in.Accept, "text/html") {
		out = h.failed(err) // a person looks at this: back to the frontend, which can explain
		out.SetCookie = ""  // another flow of this browser may be under way
		return out, nil
	}
	return out, err
}

// issueFor asks for a ticket of somebody who is signed in.
func issueFor(who session, purpose asks.TicketPurpose) asks.IssueTicket {
	return asks.IssueTicket{UserID: who.user, SignedInUntil: who.until, Purpose: purpose, SignedInAs: who.as}
}

func (h *accountHandlers) beginOAuth(ctx context.Context, in *startOAuthInput) (*redirect, error) {
	if in.repeated != "" {
		return nil, in.refuse()
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
		who, err := h.verifier.session(ctx, in.Authorization)
		if err != nil {
			return nil, err
		}
		edge.InfoOf(ctx).User = who.user
		if accepts(in.Accept, "application/json") {
			return h.authorization(ctx, who, in)
		}
		question.UserID, question.SignedInAs = who.user, who.as
	} else {
		ours, err := h.startedHere(in.FetchSite, in.Referer)
		if err != nil {
			return nil, err
		}
		question.Page = ours && in.Finish != finishAtFrontend
	}
	begun, err := bus.Ask[asks.OAuthBegun](ctx, h.bus, question)
	if err != nil {
		return nil, err
	}
	return &redirect{
		Status: http.StatusFound, Location: begun.AuthorizeURL,
		SetCookie: h.stateCookie(begun.Cookie, int(events.OAuthStateLife/time.Second)), Body: noBody,
	}, nil
}

func (h *accountHandlers) authorization(ctx context.Context, who session, in *startOAuthInput) (*redirect, error) {
	ticket, err := bus.Ask[asks.Ticket](ctx, h.bus, issueFor(who, asks.TicketConnect))
	if err != nil {
		return nil, err
	}
	to := h.public.JoinPath(routeStartOAuth)
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

	onceOnly
	cookies []*http.Cookie
}

// Resolve looks for repeated parameters, and keeps the cookies.
func (in *finishOAuthInput) Resolve(ctx huma.Context) []error {
	in.check(ctx)
	in.cookies = huma.ReadCookies(ctx)
	return nil
}

// cookieName is the cookie's exact name. Where there is https it has the prefix that keeps a page on plain http, or
// anyone else's, from planting one: a planted cookie would connect one person's account to another's user.
func (h *accountHandlers) cookieName() string {
	if h.public.Scheme == "https" {
		return "__Secure-" + oauthCookie
	}
	return oauthCookie
}

// stateFrom is the value of our cookie. Two of the name leave open which is ours, and count as none.
func (h *accountHandlers) stateFrom(cookies []*http.Cookie) (value string) {
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

// finishOAuth is where Threads sends the browser back to. Nothing is connected yet: whoever came back proves only that they
// followed an address, which somebody else may have handed to them. The frontend gets a code that the beginner confirms with
// their bearer token; or, where a page of the frontend began in this very browser, we ask on a page of ours.
func (h *accountHandlers) finishOAuth(ctx context.Context, in *finishOAuthInput) (*redirect, error) {
	if in.repeated != "" {
		return h.failed(in.refuse()), nil
	}
	ctx, cancel := context.WithTimeout(ctx, finishWithin)
	defer cancel()
	returned, err := bus.Ask[asks.OAuthReturned](ctx, h.bus, asks.ReturnOAuth{
		State: in.State, Cookie: h.stateFrom(in.cookies), Code: in.Code, Error: in.Error,
	})
	if err != nil {
		return h.failed(err), nil
	}
	edge.InfoOf(ctx).User = returned.UserID
	if returned.Page {
		return askToConnect(returned)
	}
	return &redirect{
		Status: http.StatusFound, SetCookie: h.stateCookie("", -1), Body: noBody,
		Location: withQuery(h.successURL, func(q url.Values) { q.Set("connectCode", returned.Code) }),
	}, nil
}

// failed sends the browser to the failure address with the reason in a word. The frontend's own error stays if the
// address brings one, as the original's did.
func (h *accountHandlers) failed(err error) *redirect {
	reason := reasonOf(err)
	cookie := ""
	if flowOver(err) {
		cookie = h.stateCookie("", -1)
	}
	return &redirect{
		Status: http.StatusFound, SetCookie: cookie, Body: noBody,
		Location: withQuery(h.failureURL, func(q url.Values) {
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
func (h *accountHandlers) stateCookie(value string, maxAge int) string {
	base := h.public
	c := http.Cookie{ //nolint:gosec // Secure is set below, where there is https
		Name: h.cookieName(), Value: value, Path: base.Path + routeStartOAuth, MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	c.Secure = base.Scheme == "https"
	return c.String()
}

// onceOnly refuses a query that says the same thing twice: which of two tickets or codes is meant would be a guess, and
// proxies on the way may guess otherwise.
type onceOnly struct{ repeated string }

// Resolve looks for repeated parameters.
func (o *onceOnly) Resolve(ctx huma.Context) []error {
	o.check(ctx)
	return nil
}

func (o *onceOnly) check(ctx huma.Context) {
	u := ctx.URL()
	for _, name := range []string{"ticket", "accountId", "finish", "state", "code", "error"} {
		if len(u.Query()[name]) > 1 {
			o.repeated = name
		}
	}
}

func (o *onceOnly) refuse() error {
	const sentence = "This parameter is in the address more than once; please start again."
	return events.Faultf(events.Invalid, sentence).At("/"+o.repeated, "repeated_parameter", sentence)
}

// accepts says that an Accept header names a media type itself; wildcards, which every browser and tool sends, do not
// count.
func accepts(header, mediaType string) bool {
	return slices.ContainsFunc(strings.Split(header, ","), func(offer string) bool {
		name, _, _ := strings.Cut(offer, ";")
		return strings.EqualFold(strings.TrimSpace(name), mediaType)
	})
}
