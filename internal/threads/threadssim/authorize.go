package threadssim

import (
	"cmp"
	"maps"
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

	// People are those who exist already, for the window to choose from.
	AppName string
	People  []personView
	// denied are the scopes the person took away.
	denied []string
}

// personView is someone to continue as.
type personView struct {
	Username, Picture string
	Chosen            bool
}

// scopeView is a scope in words.
type scopeView struct {
	Name, Words  string
	Fixed, Given bool
}

// Asks are the scopes asked for, in words.
func (q authRequest) Asks() []scopeView {
	var list []scopeView
	for _, name := range q.Scopes() {
		words := scopeWords[name]
		if words == "" {
			words = name
		}
		list = append(list, scopeView{name, words, name == threads.ScopeBasic, !slices.Contains(q.denied, name)})
	}
	return list
}

// granted are the scopes the person agrees to.
func (q authRequest) granted() []string {
	return slices.DeleteFunc(q.Scopes(), func(name string) bool {
		return name != threads.ScopeBasic && slices.Contains(q.denied, name)
	})
}

// decided reads the person's choices. The window sends "choose" with its form, so a form without it takes nothing away.
func (q *authRequest) decided(form url.Values) {
	if form.Get("choose") != "" {
		for _, name := range q.Scopes() {
			if !slices.Contains(form["grant"], name) {
				q.denied = append(q.denied, name)
			}
		}
	}
	if strings.TrimSpace(q.Username) == "" { // a name that was typed wins over one that was chosen
		q.Username = form.Get("person")
	}
}

// maxChoices is how many people the window offers.
const maxChoices = 6

// oauthWindow is the authorization window.
type oauthWindow struct {
	store       *store
	app         app
	links       addresses
	autoApprove bool
}

// ask shows the window.
func (s oauthWindow) ask(w http.ResponseWriter, r *http.Request, status int, q authRequest) {
	s.store.mu.Lock()
	names := slices.Sorted(maps.Keys(s.store.byName))
	s.store.mu.Unlock()
	wanted := account(q.Username)
	slices.SortStableFunc(names, func(a, b string) int { // the one wanted comes first
		return cmp.Compare(btoi(a != wanted), btoi(b != wanted))
	})
	for _, name := range names[:min(len(names), maxChoices)] {
		q.People = append(q.People, personView{name, s.links.picture(origin(r), name), name == wanted})
	}
	if slices.Contains(names, wanted) {
		q.Username = ""
	}
	q.AppName = s.app.name
	render(w, status, authorizeTemplate, q)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

var authorizeTemplate = page("Connect to simulated Threads", `
<h1>{{.AppName}} would like to use your Threads account</h1>
<p class="note">This is the simulator. No account at Meta is involved, and nothing leaves this machine.</p>
{{with .Problem}}<p class="problem" role="alert">{{.}}</p>{{end}}
<form method="post" action="/oauth/authorize">
<input type="hidden" name="client_id" value="{{.ClientID}}">
<input type="hidden" name="redirect_uri" value="{{.RedirectURI}}">
<input type="hidden" name="scope" value="{{.Scope}}">
<input type="hidden" name="state" value="{{.State}}">
<input type="hidden" name="response_type" value="{{.ResponseType}}">
<input type="hidden" name="choose" value="1">
<fieldset><legend>Continue as</legend>
{{range .People}}<label class="who"><input type="radio" name="person" value="{{.Username}}"{{if .Chosen}} checked{{end}}><img src="{{.Picture}}" alt="">@{{.Username}}</label>
{{end}}<label class="name" for="username">{{if .People}}Or as someone else, by username{{else}}Username{{end}}</label>
<input type="text" id="username" name="username" value="{{.Username}}" maxlength="31" autocomplete="username" autocapitalize="none" spellcheck="false">
</fieldset>
<fieldset><legend>{{.AppName}} may</legend>
{{range .Asks}}<label><input type="checkbox" name="grant" value="{{.Name}}"{{if .Fixed}} checked disabled{{else if .Given}} checked{{end}}><span>{{.Words}}{{if .Fixed}} <span class="note">(always)</span>{{end}}</span></label>
{{end}}</fieldset>
<div class="row"><button class="yes" name="decision" value="allow">Allow</button><button name="decision" value="deny">Deny</button></div>
</form>`)

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

// show asks a person, or answers for them when the simulator was told to.
func (s oauthWindow) show(w http.ResponseWriter, r *http.Request) {
	q := authRequestFrom(r.URL.Query())
	if a, ok := s.app.check(q); !ok {
		write(w, a)
		return
	}
	if q.Username == "" {
		q.Username = demoUser
	}
	if s.autoApprove {
		s.allow(w, r, q)
		return
	}
	s.ask(w, r, http.StatusOK, q)
}

// decide takes the person's answer.
func (s oauthWindow) decide(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		write(w, complaint(err))
		return
	}
	q := authRequestFrom(r.PostForm)
	if a, ok := s.app.check(q); !ok {
		write(w, a)
		return
	}
	q.decided(r.PostForm)
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

func (s oauthWindow) allow(w http.ResponseWriter, r *http.Request, q authRequest) {
	secret, err := s.issueCode(q)
	if err != nil {
		q.Problem = err.Error()
		s.ask(w, r, http.StatusBadRequest, q)
		return
	}
	redirect(w, r, q, url.Values{"code": {secret}}, "#_")
}

func (s oauthWindow) issueCode(q authRequest) (string, error) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	u, err := s.store.account(q.Username)
	if err != nil {
		return "", err
	}
	secret := newSecret("AQB")
	return secret, s.store.commit(entry{Code: &code{
		Digest: digestOf(secret), UserID: u.ID, RedirectURI: q.RedirectURI, Scopes: q.granted(), Issued: s.store.now(),
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
