package threadssim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/omni-write/threads/internal/threads"
)

const demoUser = "demo.user"

// authRequest is what the app asks of a person.
type authRequest struct {
	ClientID     string
	RedirectURI  string
	Scope        string
	State        string
	ResponseType string
	Username     string
	Problem      string
}

func authRequestFrom(v url.Values) authRequest {
	return authRequest{
		ClientID:     v.Get("client_id"),
		RedirectURI:  v.Get("redirect_uri"),
		Scope:        v.Get("scope"),
		State:        v.Get("state"),
		ResponseType: v.Get("response_type"),
		Username:     v.Get("username"),
	}
}

// Scopes splits the list, which may be separated by commas or spaces.
func (q authRequest) Scopes() []string {
	return strings.FieldsFunc(q.Scope, func(r rune) bool { return r == ',' || r == ' ' })
}

// windowError is the window's own shape of errors; there is no redirect to an address nobody vouches for.
func windowError(code int, message string) answer {
	return answer{status: http.StatusBadRequest, body: map[string]any{"error_message": message, "error_code": code}}
}

func (s *Sim) checkAuthRequest(q authRequest) (answer, bool) {
	target, err := url.Parse(q.RedirectURI)
	registered := err == nil && target.Host != "" && (target.Scheme == "https" || target.Scheme == "http")
	if len(s.opts.RedirectURIs) > 0 {
		registered = slices.Contains(s.opts.RedirectURIs, q.RedirectURI)
	}
	switch {
	case q.ClientID != s.opts.AppID:
		return windowError(1349026, "Invalid App ID: The provided app ID does not look like a valid app ID."), false
	case !registered:
		return windowError(1349168, "URL Blocked: This redirect failed because the redirect URI is not whitelisted in the app's Client OAuth Settings."), false
	case q.ResponseType != "" && q.ResponseType != "code":
		return windowError(1349000, "Invalid response_type: it must be code."), false
	case !slices.Contains(q.Scopes(), threads.ScopeBasic):
		return windowError(1349000, "Invalid scope: threads_basic is required."), false
	}
	return answer{}, true
}

// authorizeWindow asks a person, or answers for them when the simulator was told to.
func (s *Sim) authorizeWindow(w http.ResponseWriter, r *http.Request) {
	q := authRequestFrom(r.URL.Query())
	if a, ok := s.checkAuthRequest(q); !ok {
		write(w, a)
		return
	}
	if q.Username == "" {
		q.Username = demoUser
	}
	if s.opts.AutoApprove {
		s.allow(w, r, q)
		return
	}
	render(w, http.StatusOK, authorizeTemplate, q)
}

// authorizeDecision is the person's answer.
func (s *Sim) authorizeDecision(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		write(w, complaint(err))
		return
	}
	q := authRequestFrom(r.PostForm)
	if a, ok := s.checkAuthRequest(q); !ok {
		write(w, a)
		return
	}
	if r.PostForm.Get("decision") == "allow" {
		s.allow(w, r, q)
		return
	}
	redirect(w, r, q, url.Values{
		"error":             {"access_denied"},
		"error_reason":      {"user_denied"},
		"error_description": {"The user denied your request"},
	}, "")
}

func (s *Sim) allow(w http.ResponseWriter, r *http.Request, q authRequest) {
	secret, err := s.issueCode(q)
	if err != nil {
		q.Problem = err.Error()
		render(w, http.StatusBadRequest, authorizeTemplate, q)
		return
	}
	redirect(w, r, q, url.Values{"code": {secret}}, "#_")
}

func (s *Sim) issueCode(q authRequest) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, err := s.account(q.Username)
	if err != nil {
		return "", err
	}
	secret := newSecret("AQB")
	return secret, s.commit(entry{Code: &code{
		Digest: digestOf(secret), UserID: u.ID, RedirectURI: q.RedirectURI, Scopes: q.Scopes(), Issued: s.now(),
	}})
}

// redirect goes back to the app. It keeps a query the address already has, and ends a success in Meta's odd "#_".
func redirect(w http.ResponseWriter, r *http.Request, q authRequest, with url.Values, end string) {
	if q.State != "" {
		with.Set("state", q.State)
	}
	sep := "?"
	if strings.Contains(q.RedirectURI, "?") {
		sep = "&"
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, q.RedirectURI+sep+with.Encode()+end, http.StatusFound)
}
