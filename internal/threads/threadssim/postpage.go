package threadssim

import (
	"net/http"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

var postTemplate = page("Simulated post", `
{{define "who"}}<div class="who"><img src="{{.Picture}}" alt=""><span><b>@{{.Username}}</b><span class="note"><time datetime="{{.Stamp}}">{{.Time}}</time>{{if .Note}} · {{.Note}}{{end}}</span></span></div>{{end}}
{{define "body"}}{{if .Text}}<p class="text">{{.Text}}</p>{{end}}
{{if eq (len .Pictures) 1}}{{range .Pictures}}<p><img class="media" src="{{.URL}}" alt="{{.Alt}}"></p>{{end}}
{{else if .Pictures}}<div class="row media" role="region" aria-label="{{len .Pictures}} pictures" tabindex="0">{{range .Pictures}}{{if .Film}}<a href="{{.URL}}">Video</a>{{else}}<img src="{{.URL}}" alt="{{.Alt}}">{{end}}{{end}}</div>{{end}}
{{if .Film}}<p><video class="media" controls preload="none" src="{{.Film}}"></video></p>{{end}}
{{if .Poll}}<ul class="card poll" aria-label="Poll">{{range .Poll}}<li><span>{{.Option}}</span><span>{{.Percent}} %</span><meter min="0" max="100" value="{{.Percent}}">{{.Percent}} %</meter></li>{{end}}</ul>{{end}}
{{with .GIF}}<p class="note">GIF {{.}}</p>{{end}}
{{with .Long}}<p class="card text">{{.}}</p>{{end}}
{{with .URL}}<a class="card" href="{{.}}" rel="noreferrer">{{.}}</a>{{end}}
{{with .Shown}}<div class="card">{{template "who" .}}{{template "body" .}}</div>{{end}}
{{if or .Tag .Place}}<p class="note">{{with .Tag}}#{{.}}{{end}}{{if and .Tag .Place}} · {{end}}{{.Place}}</p>{{end}}{{end}}
{{define "replies"}}<ul class="list">{{range .Replies}}<li>{{template "who" .}}{{template "body" .}}{{if .Replies}}{{template "replies" .}}{{end}}</li>{{end}}</ul>{{end}}
<h1>Post of @{{.Username}}</h1>
{{with .Parent}}<p class="note">In reply to <a href="{{.Link}}">@{{.Username}}</a></p>{{end}}
{{template "who" .}}{{template "body" .}}
<p class="note">{{.Likes}} likes · {{.Count}} {{if eq .Count 1}}reply{{else}}replies{{end}}</p>
{{if .Replies}}<h2>Replies</h2>{{template "replies" .}}{{end}}`)

var gonePage = page("Not here", `<h1>This post is not here</h1>
<p>It was deleted, waits for approval, or belongs to a private profile.</p><p><a href="/">All posts</a></p>`)

// postView is what a page shows of a post.
type postView struct {
	Username, Picture, Link, Note, Time, Stamp string

	Text, Kind, Film, GIF, Long, URL, Tag, Place string
	Pictures                                     []pictureView
	Poll                                         []optionView
	// Shown is the post that this one quotes or reposts, Parent the one it replies to.
	Shown, Parent *postView
	Replies       []postView
	Likes, Count  int
}

type pictureView struct {
	URL, Alt string
	Film     bool
}

type optionView struct {
	Option  string
	Percent int
}

// spoken is a time for people.
func spoken(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 MST") }

// post is what a permalink leads to.
func (s pages) post(w http.ResponseWriter, r *http.Request) {
	name, isHandle := strings.CutPrefix(r.PathValue("handle"), "@")
	view, ok := s.view(origin(r), name, r.PathValue("code"))
	if !ok || !isHandle {
		render(w, http.StatusNotFound, gonePage, nil)
		return
	}
	render(w, http.StatusOK, postTemplate, view)
}

func (s pages) view(host, username, shortcode string) (postView, bool) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	m := s.store.byShort[shortcode]
	if m == nil || m.owner.Username != username || !s.store.public(m) {
		return postView{}, false
	}
	now := figures{s.store, s.store.now()}
	v := s.look(host, now, m)
	v.Replies, v.Count, v.Likes = s.lookBelow(host, now, m), s.store.replyCount(m), now.likes(m)
	if parent := s.store.media[m.of.ReplyTo]; parent != nil && s.store.public(parent) {
		above := s.brief(host, parent)
		v.Parent = &above
	}
	return v, true
}

// brief is a post in a list: who, when, and the words.
func (s pages) brief(host string, m *media) postView {
	v := postView{
		Username: m.owner.Username, Picture: s.links.picture(host, m.owner.Username), Link: s.links.permalink(host, m),
		Time: spoken(m.Committed), Stamp: m.Committed.Format(time.RFC3339), Text: m.of.Text, Kind: "A post without words",
	}
	switch {
	case m.RepostOf != "":
		v.Note, v.Kind = "repost", "A repost"
	case m.approval.waits():
		v.Note = "waits for approval"
	case m.of.ReplyTo != "":
		v.Note = "reply"
	case m.of.Ghost:
		v.Note = "ghost post"
	}
	return v
}

// look is a post with everything on it.
func (s pages) look(host string, now figures, m *media) postView {
	k := m.of
	v := s.brief(host, m)
	v.URL, v.Tag = k.Link, k.TopicTag // one in the text is there to be read
	switch k.MediaType {
	case threads.Image:
		v.Pictures = []pictureView{{URL: k.MediaURL, Alt: k.AltText}}
	case threads.Video:
		v.Film = k.MediaURL
	}
	for _, id := range k.Children {
		child := s.store.containers[id]
		v.Pictures = append(v.Pictures, pictureView{child.MediaURL, child.AltText, child.MediaType == threads.Video})
	}
	if k.GIF != nil {
		v.GIF = k.GIF.ID
	}
	if k.TextAttachment != nil {
		v.Long = k.TextAttachment.Plaintext
	}
	if p := placeOf(k.Location); p != nil {
		v.Place = p.name + ", " + p.city
	}
	for i, percent := range now.pollShares(m) {
		v.Poll = append(v.Poll, optionView{k.Poll[i], percent})
	}
	for _, id := range []string{k.Quote, m.RepostOf} {
		if shown := s.store.media[id]; shown != nil && s.store.public(shown) {
			inner := s.brief(host, shown)
			inner.Note = ""
			v.Shown = &inner
		}
	}
	return v
}

// lookBelow are the replies to a post, the oldest first, each with those below it.
func (s pages) lookBelow(host string, now figures, m *media) []postView {
	var all []postView
	for _, reply := range m.answers {
		if s.store.public(reply) {
			v := s.look(host, now, reply)
			v.Note, v.Replies = "", s.lookBelow(host, now, reply)
			all = append(all, v)
		}
	}
	return all
}
