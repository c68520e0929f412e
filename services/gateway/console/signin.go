package console

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"go.uber.org/zap"
	"golang.org/x/oauth2"
)

// signin is our side of OpenID Connect: a public client with PKCE. There is no store of sessions; the access token itself is
// the session, in a cookie that no script can read.
type signin struct {
	issuer, client string
	scopes         []string
	audience       string
	callback       string
	web            *http.Client

	mu       sync.Mutex
	provider *oidc.Provider
}

const (
	cookieFlow = "console_signin"
	flowLife   = 10 * time.Minute
	// issuerWithin is how long the issuer may take to answer.
	issuerWithin = 10 * time.Second
)

func newSignin(o Options) *signin {
	s := &signin{
		issuer: o.Issuer, client: o.ClientID, scopes: o.Scopes, callback: o.Base.JoinPath(Root, "callback").String(),
		web: &http.Client{Timeout: issuerWithin},
	}
	if len(o.Audience) > 0 {
		s.audience = o.Audience[0]
	}
	return s
}

// config is the issuer's addresses, read when they are needed first: an issuer that is away must not keep a gateway from starting.
func (s *signin) config(ctx context.Context) (*oauth2.Config, *oidc.Provider, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.provider == nil {
		p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), s.web), s.issuer) // it keeps the context for its keys
		if err != nil {
			return nil, nil, err
		}
		s.provider = p
	}
	endpoint := s.provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInParams // a public client has no secret to put into a header
	return &oauth2.Config{ClientID: s.client, Endpoint: endpoint, RedirectURL: s.callback, Scopes: s.scopes}, s.provider, nil
}

// flow is what is remembered while the person is at the issuer. It is in a cookie, and binds the answer to this browser.
type flow struct {
	State, Verifier, Nonce, Return string
}

// inside is an address of ours to return to; whatever else was asked for is Today. It is a path below the console's and
// nothing that a browser could read as another host.
func (c *Console) inside(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || strings.ContainsAny(to, "\\\r\n\t") ||
		!strings.HasPrefix(u.Path, c.at("/")) || strings.Contains(u.Path, "//") || strings.Contains(u.Path, "..") || strings.HasPrefix(u.Path, c.at("/sign")) {
		return c.at("/")
	}
	return u.RequestURI()
}

// toSignIn sends somebody who is not signed in to the door, and back afterwards.
func (c *Console) toSignIn(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, c.at("/sign-in")+"?return="+url.QueryEscape(c.asAsked(r)), http.StatusSeeOther)
}

type signInData struct{ Start, Issuer string }

func (c *Console) signInPage(w http.ResponseWriter, r *http.Request) {
	to := c.inside(r.URL.Query().Get("return"))
	if c.visitOf(r).token != "" {
		http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // inside has looked at it
		return
	}
	host := c.Issuer
	if u, err := url.Parse(c.Issuer); err == nil {
		host = u.Host
	}
	c.show(w, r, http.StatusOK, "signin", &view{Title: "Sign in", Data: signInData{c.at("/sign-in/start") + "?return=" + url.QueryEscape(to), host}})
}

// startSignIn sends the browser to the issuer.
func (c *Console) startSignIn(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" { // it would end a sign-in that is under way
		http.Redirect(w, r, c.at("/sign-in"), http.StatusSeeOther)
		return
	}
	cfg, _, err := c.signin.config(r.Context())
	if err != nil {
		c.issuerAway(w, r, err)
		return
	}
	f := flow{State: rand.Text(), Verifier: oauth2.GenerateVerifier(), Nonce: rand.Text(), Return: c.inside(r.URL.Query().Get("return"))}
	if len(f.Return) > 1500 { // a cookie has room for some 4,000 bytes
		f.Return = c.at("/")
	}
	value := url.Values{"s": {f.State}, "v": {f.Verifier}, "n": {f.Nonce}, "r": {f.Return}}.Encode()
	c.setCookie(w, cookieFlow, value, flowLife)
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(f.Verifier), oidc.Nonce(f.Nonce)}
	if c.signin.audience != "" { // Auth0 and others make no JWT without; who does not know the word leaves it alone
		options = append(options, oauth2.SetAuthURLParam("audience", c.signin.audience))
	}
	http.Redirect(w, r, cfg.AuthCodeURL(f.State, options...), http.StatusSeeOther)
}

// finishSignIn is where the issuer sends the browser back to.
func (c *Console) finishSignIn(w http.ResponseWriter, r *http.Request) {
	kept, err := url.ParseQuery(c.cookie(r, cookieFlow))
	f := flow{State: kept.Get("s"), Verifier: kept.Get("v"), Nonce: kept.Get("n"), Return: c.inside(kept.Get("r"))}
	q := r.URL.Query()
	if err != nil || f.State == "" || subtle.ConstantTimeCompare([]byte(f.State), []byte(q.Get("state"))) != 1 {
		c.again(w, r, "This sign-in was not begun in this browser, or it took longer than ten minutes.", f.Return)
		return
	}
	c.setCookie(w, cookieFlow, "", 0)
	if q.Get("code") == "" {
		c.again(w, r, "The sign-in was not finished, so you are not signed in.", f.Return)
		return
	}
	cfg, provider, err := c.signin.config(r.Context())
	if err != nil {
		c.issuerAway(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(r.Context(), c.signin.web), issuerWithin)
	defer cancel()
	token, err := cfg.Exchange(ctx, q.Get("code"), oauth2.VerifierOption(f.Verifier))
	if err != nil {
		c.Log.Warn("the issuer did not take a code back", zap.String("reason", reasonOf(err)))
		c.again(w, r, "Your sign-in could not be finished; the issuer did not take its own code back.", f.Return)
		return
	}
	// Who has asked for openid gets an ID token as well. It is not what opens the API, but one for another sign-in says that
	// somebody put an answer of theirs into this one.
	if raw, ok := token.Extra("id_token").(string); ok {
		id, err := provider.Verifier(&oidc.Config{ClientID: c.ClientID, Now: c.Now}).Verify(ctx, raw)
		if err != nil || id.Nonce != f.Nonce {
			c.again(w, r, "Your sign-in could not be finished; what the issuer answered is not for this one.", f.Return)
			return
		}
	}
	const most = 3800 // bytes; browsers drop a cookie of more than 4,096 with its name and attributes
	if len(token.AccessToken) > most {
		c.again(w, r, "The issuer's tokens are longer than a cookie may be. Whoever runs this system can have fewer claims put into them.", f.Return)
		return
	}
	// The API is asked before the person is: a token that it does not take would send them round in a circle.
	v := &visit{Request: r, c: c, token: token.AccessToken}
	if err := v.get("/api/threads/connections", nil); err != nil {
		if p := asProblem(err); p != nil && p.Status == http.StatusUnauthorized {
			c.again(w, r, "You are signed in at the issuer, but this API does not take the token that it gave. Whoever runs the system finds the settings under AUTH_AUDIENCE and CONSOLE_CLIENT_ID.", f.Return)
			return
		}
	}
	life := time.Until(token.Expiry)
	if token.Expiry.IsZero() || life > 24*time.Hour {
		life = 24 * time.Hour
	}
	c.setCookie(w, cookieSession, token.AccessToken, max(life, time.Second))
	http.Redirect(w, r, f.Return, http.StatusSeeOther)
}

// reasonOf is the issuer's word for a refusal; the rest of its answer may have what is secret.
func reasonOf(err error) string {
	if refused, ok := err.(*oauth2.RetrieveError); ok && refused.ErrorCode != "" { //nolint:errorlint // oauth2 wraps nothing
		return refused.ErrorCode
	}
	return "no answer"
}

func (c *Console) again(w http.ResponseWriter, r *http.Request, words, to string) {
	c.show(w, r, http.StatusBadRequest, "message", &view{Title: "Please sign in again", Data: message{
		Words: words, Link: c.at("/sign-in") + "?return=" + url.QueryEscape(to), Label: "Sign in",
	}})
}

func (c *Console) issuerAway(w http.ResponseWriter, r *http.Request, err error) {
	c.Log.Warn("the issuer cannot be reached for a sign-in", zap.Error(err))
	c.show(w, r, http.StatusServiceUnavailable, "message", &view{Title: "Nobody can sign in at the moment", Data: message{
		Words: "The service that signs people in does not answer. Your posts go out all the same; please try again shortly.", Link: c.asAsked(r), Label: "Try again",
	}})
}

// signOut forgets the session, and with it the forms of this browser: whoever is next begins anew.
func (c *Console) signOut(w http.ResponseWriter, r *http.Request) {
	v := c.visitOf(r)
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if v.sub == "" || r.PostFormValue("form") == formToken(c.cookie(r, cookieForm), v.sub) {
		c.setCookie(w, cookieSession, "", 0)
		c.setCookie(w, cookieForm, "", 0)
	}
	http.Redirect(w, r, c.at("/signed-out"), http.StatusSeeOther)
}

func (c *Console) signedOut(w http.ResponseWriter, r *http.Request) {
	c.show(w, r, http.StatusOK, "message", &view{Title: "You are signed out", Data: message{
		Words: "What is scheduled goes out all the same.", Link: c.at("/sign-in"), Label: "Sign in again",
	}})
}

// live is the stream of events for the pages of whoever is signed in. A page cannot read the cookie, so it cannot ask the API itself.
func (c *Console) live(w http.ResponseWriter, r *http.Request) {
	v := c.visitOf(r)
	c.Waits(r)
	if site := r.Header.Get("Sec-Fetch-Site"); v.token == "" || site != "" && site != "same-origin" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(map[string]string{"detail": "Sign in first."})
		return
	}
	req := v.request(http.MethodGet, "/api/threads/events", nil)
	for _, name := range []string{"Last-Event-Id", "Accept"} {
		if value := r.Header.Get(name); value != "" {
			req.Header.Set(name, value)
		}
	}
	c.API.ServeHTTP(w, req)
}
