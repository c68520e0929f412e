package threadssim

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
)

// style is the whole look. Its hash stands in the policy, so nothing else may style a page and nothing may script one.
const style = `
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:30rem;margin:8vh auto;padding:0 1.25rem}
main{border:1px solid #8884;border-radius:1rem;padding:1.5rem}
h1{font-size:1.25rem;margin:0 0 .75rem}
label{display:block;margin:1rem 0 .25rem}
input[type=text]{font:inherit;width:100%;box-sizing:border-box;padding:.5rem .75rem;border:1px solid #8888;border-radius:.5rem}
button{font:inherit;padding:.55rem 1.25rem;border-radius:.6rem;border:1px solid #8888;background:none;color:inherit;cursor:pointer}
button.yes{background:#111;color:#fff;border-color:#111}
button:focus-visible,input:focus-visible,a:focus-visible{outline:3px solid #5b8def;outline-offset:2px}
.row{display:flex;gap:.75rem;margin-top:1.25rem}
.note{color:#767676;font-size:.875rem}
.problem{color:#c62828}
.text{white-space:pre-wrap;overflow-wrap:anywhere}
img{max-width:100%;border-radius:.75rem}
@media(prefers-color-scheme:dark){button.yes{background:#eee;color:#111}.note{color:#aaa}.problem{color:#ff8a80}}
`

// policy allows the style above and images, which posts have from anywhere. There is no form-action: browsers apply it
// to the redirects after a form too, and this form ends at the app's address and wherever that one leads.
var policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; img-src https: http:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; frame-ancestors 'none'"
}()

func page(title, body string) *template.Template {
	return template.Must(template.New(title).Parse(`<!doctype html><html lang="en"><head><meta charset="utf-8">` +
		`<meta name="viewport" content="width=device-width,initial-scale=1"><title>` + title + `</title><style>` + style +
		`</style></head><body><main>` + body + `</main></body></html>`))
}

var authorizeTemplate = page("Simulated Threads: connect", `
<h1>An app would like to use your Threads account</h1>
<p class="note">This is the simulator. No account at Meta is involved, and nothing leaves this machine.</p>
{{with .Problem}}<p class="problem" role="alert">{{.}}</p>{{end}}
<p>It asks for:</p>
<ul>{{range .Scopes}}<li>{{.}}</li>{{end}}</ul>
<form method="post" action="/oauth/authorize">
<input type="hidden" name="client_id" value="{{.ClientID}}">
<input type="hidden" name="redirect_uri" value="{{.RedirectURI}}">
<input type="hidden" name="scope" value="{{.Scope}}">
<input type="hidden" name="state" value="{{.State}}">
<input type="hidden" name="response_type" value="{{.ResponseType}}">
<label for="username">Continue as</label>
<input type="text" id="username" name="username" value="{{.Username}}" autocomplete="username" autocapitalize="none" spellcheck="false">
<div class="row"><button class="yes" name="decision" value="allow">Allow</button><button name="decision" value="deny">Deny</button></div>
</form>`)

var indexTemplate = page("Simulated Threads", `
<h1>Simulated Threads</h1>
<p>This process plays the Threads API. It knows {{.Users}} people and {{.Posts}} posts.</p>
<ul>
<li><a href="/_sim/posts">What was published</a></li>
<li><a href="/_sim/containers">Containers</a></li>
<li><a href="/_sim/calls">Latest calls</a></li>
<li><a href="/_sim/faults">Faults waiting to happen</a></li>
</ul>`)

var postTemplate = page("Simulated post", `
<h1>@{{.Username}}</h1>
{{with .Text}}<p class="text">{{.}}</p>{{end}}
{{with .ImageURL}}<p><img src="{{.}}" alt="{{$.AltText}}"></p>{{end}}
{{with .VideoURL}}<p><a href="{{.}}">Video</a></p>{{end}}
<p class="note"><time datetime="{{.Time}}">{{.Time}}</time> · {{.Replies}} replies</p>`)

func render(w http.ResponseWriter, status int, t *template.Template, data any) {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	write(w, answer{status: status, html: b.String()})
}

func (s *Sim) indexPage(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	counts := struct{ Users, Posts int }{len(s.users), len(s.order)}
	s.mu.Unlock()
	render(w, http.StatusOK, indexTemplate, counts)
}

// postView is what the page of a post shows.
type postView struct {
	Username, Text, ImageURL, VideoURL, AltText, Time string
	Replies                                           int
}

// postPage is what a permalink leads to.
func (s *Sim) postPage(w http.ResponseWriter, r *http.Request) {
	name, isHandle := strings.CutPrefix(r.PathValue("handle"), "@")
	view, ok := s.view(name, r.PathValue("code"))
	if !ok || !isHandle {
		http.NotFound(w, r)
		return
	}
	render(w, http.StatusOK, postTemplate, view)
}

func (s *Sim) view(username, shortcode string) (postView, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.byShort[shortcode]
	if m == nil || m.deleted || m.owner.Username != username {
		return postView{}, false
	}
	shown := m.of
	if len(shown.Children) > 0 {
		shown = s.containers[shown.Children[0]] // a carousel shows its first picture
	}
	v := postView{Username: username, Text: m.of.Text, AltText: shown.AltText, Time: stamp(m.Committed), Replies: m.replies}
	switch readTypes[shown.MediaType] {
	case "IMAGE":
		v.ImageURL = shown.MediaURL
	case "VIDEO":
		v.VideoURL = shown.MediaURL
	}
	return v, true
}
