package issuer

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Client is the one client that signs people in here: the console of the gateway beside us.
const Client = "console"

//go:embed authorize.html
var authorizeHTML string

var authorizeTemplate = template.Must(template.New("authorize").Parse(authorizeHTML)) //nolint:gochecknoglobals // as good as a constant

// request is what a client asks for (OpenID Connect, code flow with PKCE).
type request struct {
	Redirect, State, Challenge, Nonce string
	to                                *url.URL
}

// asked reads what a client asks for; a sentence says what is wrong with it. Who would get the code must be on this machine: the
// issuer believes whoever comes, so a code that leaves it would be a token for anybody.
func asked(form url.Values) (q request, wrong string) {
	q = request{Redirect: form.Get("redirect_uri"), State: form.Get("state"), Challenge: form.Get("code_challenge"), Nonce: form.Get("nonce")}
	var err error
	if q.to, err = url.Parse(q.Redirect); err != nil || q.to.Scheme != "http" || q.to.User != nil || !loopback(q.to.Hostname()) {
		return q, "redirect_uri is not an address of this machine"
	}
	switch {
	case form.Get("client_id") != Client:
		return q, "client_id is not known here"
	case form.Get("response_type") != "code":
		return q, "response_type is not code"
	case q.Challenge == "" || form.Get("code_challenge_method") != "S256":
		return q, "code_challenge is missing, or is not S256"
	}
	return q, ""
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (i *Issuer) authorizePage(w http.ResponseWriter, r *http.Request) {
	q, wrong := asked(r.URL.Query())
	if wrong != "" {
		http.Error(w, wrong, http.StatusBadRequest)
		return
	}
	// Browsers hold what a form leads to against the page's policy as well.
	w.Header().Set("Content-Security-Policy", strings.Replace(loginPolicy, "form-action 'self'", "form-action 'self' "+q.to.Scheme+"://"+q.to.Host, 1))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = authorizeTemplate.Execute(w, q) // the browser is gone: nobody to tell
}

func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<12)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "this form cannot be read", http.StatusBadRequest)
		return
	}
	q, wrong := asked(r.PostForm)
	sub := r.PostForm.Get("sub")
	if wrong == "" && (sub == "" || len(sub) > 255) {
		wrong = "say who you are, in up to 255 characters"
	}
	if wrong != "" {
		http.Error(w, wrong, http.StatusBadRequest)
		return
	}
	back := q.to.Query()
	back.Set("code", i.codes.give(grant{request: q, sub: sub, until: i.now().Add(codeLife)}))
	back.Set("state", q.State)
	q.to.RawQuery = back.Encode()
	http.Redirect(w, r, q.to.String(), http.StatusSeeOther)
}

// exchange is the token endpoint's part: a code, and the proof that it is the client's that asked for it.
func (i *Issuer) exchange(w http.ResponseWriter, r *http.Request) {
	refuse := func() {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant"}) // the client is gone: nobody to tell
	}
	g, ok := i.codes.take(r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	proof := base64.RawURLEncoding.EncodeToString(sum[:])
	if !ok || !i.now().Before(g.until) || r.PostFormValue("redirect_uri") != g.Redirect || r.PostFormValue("client_id") != Client ||
		subtle.ConstantTimeCompare([]byte(proof), []byte(g.Challenge)) != 1 {
		refuse()
		return
	}
	access, err := i.Token(g.sub, Life)
	if err == nil {
		var id string
		if id, err = i.idToken(g); err == nil {
			reply(w, signedIn{Grant{AccessToken: access, TokenType: "Bearer", ExpiresIn: int(Life / time.Second)}, id})
			return
		}
	}
	http.Error(w, "the token cannot be signed", http.StatusInternalServerError)
}

// signedIn is the answer to a code.
type signedIn struct {
	Grant
	IDToken string `json:"id_token"`
}

// idToken says to the client who signed in. It opens no API: it has an audience and a nonce.
func (i *Issuer) idToken(g grant) (string, error) {
	now := i.now()
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": i.url, "sub": g.sub, "aud": Client, "nonce": g.Nonce, "iat": now.Unix(), "exp": now.Add(codeLife).Unix(),
	})
	t.Header["kid"] = i.id
	return t.SignedString(i.key)
}

// grant is what a code stands for.
type grant struct {
	request
	sub   string
	until time.Time
}

const (
	codeLife = time.Minute
	// maxCodes bounds what is given out and never taken back.
	maxCodes = 1000
)

// codes are good once.
type codes struct {
	mu  sync.Mutex
	all map[string]grant
}

func (c *codes) give(g grant) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil || len(c.all) >= maxCodes {
		c.all = map[string]grant{}
	}
	code := rand.Text()
	c.all[code] = g
	return code
}

func (c *codes) take(code string) (grant, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, ok := c.all[code]
	delete(c.all, code)
	return g, ok
}
