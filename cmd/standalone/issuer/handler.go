package issuer

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/omni-write/threads/internal/page"
)

//go:embed login.html
var loginPage []byte

// loginPolicy allows the page its own style, its form and its icon.
var loginPolicy = func() string { //nolint:gochecknoglobals // made of the page
	_, rest, _ := bytes.Cut(loginPage, []byte("<style>"))
	style, _, _ := bytes.Cut(rest, []byte("</style>"))
	sum := sha256.Sum256(style)
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

// Handler serves discovery, the key, tokens for the asking, and a page to ask on.
func (i *Issuer) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /.well-known/jwks.json", i.keys)
	mux.HandleFunc("GET /token", i.token)
	mux.HandleFunc("POST /token", i.token)
	mux.HandleFunc("GET /authorize", i.authorizePage)
	mux.HandleFunc("POST /authorize", i.authorize)
	mux.HandleFunc("GET /{$}", login)
	mux.Handle("GET /icon.svg", page.Icon)
	mux.Handle("GET /favicon.ico", page.Icon)
	return i.HomeOnly(forPagesAtHome(mux))
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	reply(w, map[string]any{
		"issuer": i.url, "jwks_uri": i.url + "/.well-known/jwks.json", "token_endpoint": i.url + "/token",
		"authorization_endpoint": i.url + "/authorize", "response_types_supported": []string{"code"}, "code_challenge_methods_supported": []string{"S256"},
		"id_token_signing_alg_values_supported": []string{"ES256"}, "subject_types_supported": []string{"public"},
	})
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	key, err := i.public()
	if err != nil {
		http.Error(w, "the key cannot be read", http.StatusInternalServerError)
		return
	}
	reply(w, keySet(key))
}

// Grant is the answer of /token, in OAuth's words.
type Grant struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"` // seconds
}

func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<12)
	if r.FormValue("grant_type") == "authorization_code" {
		i.exchange(w, r)
		return
	}
	sub := r.FormValue("sub") // in the query or in a form
	if sub == "" || len(sub) > 255 {
		http.Error(w, "say who you are with sub, in up to 255 characters: /token?sub=ada", http.StatusBadRequest)
		return
	}
	token, err := i.Token(sub, Life)
	if err != nil {
		http.Error(w, "the token cannot be signed", http.StatusInternalServerError)
		return
	}
	if r.Header.Get("Accept") == "text/plain" { // for a shell
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintln(w, token) //nolint:gosec // text, and what we signed
		return
	}
	reply(w, Grant{AccessToken: token, TokenType: "Bearer", ExpiresIn: int(Life / time.Second)})
}

func login(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(loginPage)
}

// HomeOnly turns requests away that were not meant for this machine or for the issuer's own name. A page on the web can
// point a name of its own at 127.0.0.1 and would then read tokens as its own; it cannot change the Host that it sends.
func (i *Issuer) HomeOnly(next http.Handler) http.Handler {
	own := ""
	if u, err := url.Parse(i.url); err == nil {
		own = u.Hostname()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		ip := net.ParseIP(host)
		if host != own && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "this issuer is for this machine only", http.StatusForbidden)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Content-Security-Policy", loginPolicy)
		next.ServeHTTP(w, r)
	})
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone: nobody to tell
}
