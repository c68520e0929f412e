package threadssim

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
)

// style is the whole look. Its hash stands in the policy, so nothing else may style a page and nothing may script one.
const style = `
:root{color-scheme:light dark;--ink:#141414;--soft:#6b6b6b;--line:#dcdcdc;--card:#fff;--back:#f6f6f6;--strong:#141414;--onstrong:#fff;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#f1f1f1;--soft:#a6a6a6;--line:#333;--card:#181818;--back:#0d0d0d;--strong:#f1f1f1;--onstrong:#141414;--bad:#ff8a80}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;color:var(--ink);background:var(--back);margin:0;padding:clamp(1rem,6vh,4rem) 1rem}
main{max-width:32rem;margin:0 auto;background:var(--card);border:1px solid var(--line);border-radius:1.25rem;padding:1.5rem}
h1{font-size:1.375rem;line-height:1.25;margin:0 0 .75rem;text-wrap:balance}
h2{font-size:1rem;margin:1.75rem 0 .5rem}
p{margin:.5rem 0}
a{color:inherit;text-underline-offset:.2em;text-decoration-color:var(--soft)}
ul{list-style:none;margin:0;padding:0}
ul ul{margin-left:1.25rem;padding-left:1rem;border-left:2px solid var(--line)}
fieldset{border:0;margin:1.5rem 0 0;padding:0;min-width:0}
legend{font-weight:600;padding:0;margin-bottom:.25rem}
fieldset label{display:flex;gap:.75rem;align-items:center;padding:.6rem .25rem;border-bottom:1px solid var(--line);cursor:pointer}
fieldset label:last-of-type{border-bottom:0}
label.name{display:block;border:0;padding:.75rem 0 .25rem}
input[type=checkbox],input[type=radio]{width:1.15rem;height:1.15rem;flex:none;margin:0;accent-color:var(--strong)}
input[type=text]{font:inherit;color:inherit;background:transparent;width:100%;padding:.65rem .8rem;border:1px solid var(--soft);border-radius:.75rem}
button{font:inherit;font-weight:600;flex:1;padding:.75rem 1rem;border-radius:.9rem;border:1px solid var(--soft);background:none;color:inherit;cursor:pointer}
button.yes{background:var(--strong);color:var(--onstrong);border-color:var(--strong)}
:focus-visible{outline:3px solid #5b8def;outline-offset:2px}
.row{display:flex;gap:.75rem;margin-top:1.5rem}
.who{display:flex;gap:.75rem;align-items:center;margin:0 0 .5rem}
.who img{width:2.25rem;height:2.25rem;border-radius:50%;flex:none}
.who b,.who .note{display:block;line-height:1.3}
.note{color:var(--soft);font-size:.875rem}
.problem{color:var(--bad);border:1px solid;border-radius:.75rem;padding:.6rem .8rem}
.text{white-space:pre-wrap;overflow-wrap:anywhere}
.media{width:100%;border-radius:1rem;border:1px solid var(--line);display:block}
.row.media{display:flex;overflow-x:auto;scroll-snap-type:x mandatory;padding:.5rem}
.row.media img{height:16rem;min-width:10rem;max-width:85%;background:var(--back);object-fit:cover;border-radius:.75rem;scroll-snap-align:start}
.card{display:block;border:1px solid var(--line);border-radius:1rem;padding:.75rem 1rem;margin:.75rem 0;overflow-wrap:anywhere}
.poll li{display:grid;grid-template-columns:1fr auto;gap:0 .75rem;margin:.5rem 0}
.poll meter{grid-column:1/-1;width:100%;height:.8rem}
.list li{padding:.75rem 0;border-top:1px solid var(--line)}
.list li:first-child{border-top:0}
.links{display:flex;flex-wrap:wrap;gap:.5rem 1.25rem}
`

// policy allows the style above, and images and films, which posts have from anywhere. There is no form-action: browsers
// apply it to the redirects after a form too, and this form ends at the app's address and wherever that one leads.
var policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; img-src https: http:; media-src https: http:; style-src 'sha256-" +
		base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; frame-ancestors 'none'"
}()

func page(title, body string) *template.Template {
	return template.Must(template.New(title).Parse(`<!doctype html><html lang="en"><head><meta charset="utf-8">` +
		`<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="/favicon.ico" type="image/svg+xml"><title>` + title + `</title><style>` + style +
		`</style></head><body><main>` + body + `</main></body></html>`))
}

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

var indexTemplate = page("Simulated Threads", `
<h1>Simulated Threads</h1>
<p>This process plays the Threads API. No account at Meta is involved.</p>
<p class="note">{{.PeopleCount}} people · {{.PostCount}} posts · its clock says <time datetime="{{.Now}}">{{.Now}}</time></p>
<h2>Latest posts</h2>
{{if .Posts}}<ul class="list">{{range .Posts}}<li>
<div class="who"><img src="{{.Picture}}" alt=""><span><b>@{{.Username}}</b><span class="note">{{.Time}}{{if .Note}} · {{.Note}}{{end}}</span></span></div>
<a class="text" href="{{.Link}}">{{if .Text}}{{.Text}}{{else}}{{.Kind}}{{end}}</a></li>{{end}}</ul>
{{else}}<p class="note">Nothing was published yet.</p>{{end}}
<h2>Look inside</h2>
<ul class="links">
<li><a href="/_sim/people">People</a></li>
<li><a href="/_sim/posts">Posts</a></li>
<li><a href="/_sim/containers">Containers</a></li>
<li><a href="/_sim/calls">Latest calls</a></li>
<li><a href="/_sim/invariants">Rules kept</a></li>
<li><a href="/_sim/knobs">Knobs</a></li>
<li><a href="/_sim/faults">Faults</a></li>
<li><a href="/_sim/clock">Clock</a></li>
<li><a href="/_sim/webhooks/deliveries">Webhooks</a></li>
<li><a href="/_sim/callbacks">Callbacks</a></li>
</ul>`)

// pages are for people: what was posted, and what a permalink leads to.
type pages struct {
	store *store
	links addresses
}

const indexPosts = 10

func (s pages) index(w http.ResponseWriter, r *http.Request) {
	s.store.mu.Lock()
	view := struct {
		PeopleCount, PostCount int
		Now                    string
		Posts                  []postView
	}{len(s.store.users), 0, spoken(s.store.now()), nil}
	for i := len(s.store.order) - 1; i >= 0; i-- {
		m := s.store.order[i]
		if m.deleted {
			continue
		}
		view.PostCount++
		if len(view.Posts) < indexPosts {
			view.Posts = append(view.Posts, s.brief(origin(r), m))
		}
	}
	s.store.mu.Unlock()
	render(w, http.StatusOK, indexTemplate, view)
}
