// Package home has the pages that a person at their own machine meets on the way of connecting an account: one that begins, and
// the one where Threads sends the browser back to where no frontend runs. They take tokens from the issuer of this machine, for
// whoever is named, so they are served beside it and to this machine only.
package home

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The addresses of the pages.
const (
	PathConnect   = "/connect"
	PathConnected = "/connected"
)

// beganCookie holds who began to connect an account here, until the browser comes back.
const beganCookie = "home_began"

// Options are what the pages need.
type Options struct {
	// User begins where nobody else is named.
	User string
	// Token makes a bearer token for a user; TokenLine is how a shell gets it.
	Token     func(user string) (string, error)
	TokenLine func(user string) string
	// Gateway and Simulator are where those are, once they listen. The simulator's is empty where the real Threads is used.
	Gateway, Simulator func() string
	// Frontend is the address of the page for who comes back of a frontend that may run on this machine.
	Frontend func() string
}

// Register adds the pages to a mux.
func Register(mux *http.ServeMux, o Options, guard func(http.Handler) http.Handler) {
	p := &pages{Options: o, client: &http.Client{Timeout: time.Minute}}
	for pattern, handler := range map[string]http.HandlerFunc{
		"GET " + PathConnect: p.connect, "GET " + PathConnected: p.connected, "POST " + PathConnected: p.finish,
	} {
		mux.Handle(pattern, guard(handler))
	}
}

type pages struct {
	Options

	client *http.Client
}

// connect begins, as the person that `as` names, and sends the browser on to Threads.
func (p *pages) connect(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" { // it would begin for somebody whom that page names
		p.show(w, http.StatusForbidden, page{Title: "Not begun", Says: "Another site tried to begin this. Open the address yourself: " + PathConnect})
		return
	}
	user := r.URL.Query().Get("as")
	if user == "" {
		user = p.User
	}
	var begun struct {
		AuthorizationURL string `json:"authorizationUrl"`
	}
	if err := p.call(r.Context(), user, http.MethodGet, "/api/auth/threads?finish=frontend", nil, &begun); err != nil {
		p.show(w, http.StatusBadGateway, page{Title: "Not begun", Says: err.Error(), Again: true})
		return
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // this machine has no https
		Name: beganCookie, Value: base64.RawURLEncoding.EncodeToString([]byte(user)), Path: PathConnected, MaxAge: 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, begun.AuthorizationURL, http.StatusFound)
}

// connected is where the browser comes back to. A flow that began here ends here, for whoever began; any other is the frontend's,
// if one runs, and else ends here for whoever the person says began.
func (p *pages) connected(w http.ResponseWriter, r *http.Request) {
	q, user := r.URL.Query(), began(r)
	if frontend, runs := p.frontend(r.Context()); user == "" && runs {
		frontend.RawQuery = r.URL.RawQuery
		http.Redirect(w, r, frontend.String(), http.StatusFound)
		return
	}
	switch code := q.Get("connectCode"); {
	case code != "" && user != "":
		p.end(w, r, user, code)
	case code != "":
		p.show(w, http.StatusOK, page{Title: "Who began?", Code: code, User: p.User,
			Says: "Threads said yes. The account is connected to whoever began: give the name for which the token was made."})
	case q.Get("account") != "":
		p.welcome(w, r, user, q.Get("account"))
	default:
		p.show(w, http.StatusOK, page{Title: "Not connected", Reason: q.Get("reason"), Again: true, Says: "No account was connected."})
	}
}

// finish is the answer to the question who began.
func (p *pages) finish(w http.ResponseWriter, r *http.Request) {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		p.show(w, http.StatusForbidden, page{Title: "Not connected", Says: "This answer is not from our page.", Again: true})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 1<<12)
	p.end(w, r, r.PostFormValue("user"), r.PostFormValue("code"))
}

// end connects the account, and sends the browser to an address that may be loaded again.
func (p *pages) end(w http.ResponseWriter, r *http.Request, user, code string) {
	var connection struct {
		ID string `json:"id"`
	}
	err := p.call(r.Context(), user, http.MethodPost, "/api/threads/connect/finish", map[string]string{"code": code}, &connection)
	if err != nil {
		p.show(w, http.StatusOK, page{Title: "Not connected", Says: err.Error(), Again: true})
		return
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // this machine has no https
		Name: beganCookie, Value: base64.RawURLEncoding.EncodeToString([]byte(user)), Path: PathConnected, MaxAge: 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, PathConnected+"?account="+url.QueryEscape(connection.ID), http.StatusSeeOther)
}

// welcome says which account is connected, and how to go on.
func (p *pages) welcome(w http.ResponseWriter, r *http.Request, user, account string) {
	if user == "" {
		user = p.User
	}
	var all []struct {
		ID       string `json:"id"`
		Username string `json:"username"`
	}
	name := "The account"
	if err := p.call(r.Context(), user, http.MethodGet, "/api/threads/connections", nil, &all); err == nil {
		for _, c := range all {
			if c.ID == account && c.Username != "" {
				name = "@" + c.Username
			}
		}
	}
	named := ""
	if len(all) > 1 { // only then a post has to say whose it is
		named = account
	}
	p.show(w, http.StatusOK, page{
		Title: name + " is connected", Next: true, User: user, Account: named, TokenLine: p.TokenLine(user),
		At: time.Now().Add(2 * time.Minute).UTC().Format(time.RFC3339),
	})
}

// call asks the gateway as a user. An error has the gateway's own words.
func (p *pages) call(ctx context.Context, user, method, path string, body, into any) error {
	token, err := p.Token(user)
	if err != nil {
		return fmt.Errorf("a token for %s could not be had: %w", user, err)
	}
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.Gateway()+path, payload)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return fmt.Errorf("the gateway does not answer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		var problem struct {
			Detail string `json:"detail"`
		}
		if json.Unmarshal(answer, &problem) != nil || problem.Detail == "" {
			problem.Detail = "the gateway answered " + resp.Status
		}
		return fmt.Errorf("%s", problem.Detail)
	}
	return json.Unmarshal(answer, into)
}

// began is who began in this browser.
func began(r *http.Request) string {
	c, err := r.Cookie(beganCookie)
	if err != nil {
		return ""
	}
	user, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return ""
	}
	return string(user)
}

// frontend is the frontend's page, and whether anything listens there.
func (p *pages) frontend(ctx context.Context) (at *url.URL, runs bool) {
	at, err := url.Parse(p.Frontend())
	if err != nil || at.Port() == "" {
		return nil, false
	}
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return nil, false
	}
	_ = c.Close()
	return at, true
}

// page is what a page shows.
type page struct {
	Title, Says, Reason string
	Code, User          string // asks who began
	Again               bool   // offers to begin again
	Next                bool   // says how to go on
	TokenLine, At       string
	Account             string // to be named in a post
	Gateway, Simulator  string
}

//go:embed page.html
var source string

var shown = template.Must(template.New("page").Parse(source))

// policy allows the page its own style, its form and its icon.
var policy = func() string { //nolint:gochecknoglobals // made of the page
	_, rest, _ := strings.Cut(source, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

func (p *pages) show(w http.ResponseWriter, status int, content page) {
	content.Gateway, content.Simulator = p.Gateway(), p.Simulator()
	var body bytes.Buffer
	if err := shown.Execute(&body, content); err != nil {
		http.Error(w, "This page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}
