package threadssim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

const askURL = "/oauth/authorize?client_id=" + threadssim.DefaultAppID +
	"&redirect_uri=https://app.example/cb&response_type=code&state=s&scope=threads_basic,threads_content_publish,threads_delete"

func TestConsentPage(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{AppName: "Tea & <Co>"})
	w.person(threadssim.Person{Username: "ann"})
	r := w.send(http.MethodGet, askURL+"&username=ann", "", "")
	has(t, r, "Tea &amp; &lt;Co&gt; would like", `value="ann" checked`, `value="demo.user">`, "Delete your posts",
		`value="threads_basic" checked disabled`, `for="username"`, "<legend>")
	if strings.Contains(r.raw, "<script") || strings.Contains(r.raw, " style=") {
		t.Error("the page holds what its policy forbids")
	}

	answer := url.Values{
		"client_id": {threadssim.DefaultAppID}, "redirect_uri": {"https://app.example/cb"}, "response_type": {"code"}, "state": {"s"},
		"scope": {"threads_basic,threads_content_publish,threads_delete"}, "decision": {"allow"}, "person": {"ann"}, "username": {""},
		"choose": {"1"}, "grant": {"threads_content_publish"},
	}
	scopes := func(form url.Values) (who, list string) {
		t.Helper()
		r := w.send(http.MethodPost, "/oauth/authorize", "application/x-www-form-urlencoded", form.Encode())
		if r.status != http.StatusFound {
			t.Fatalf("got %d %s", r.status, r.raw)
		}
		_, rest, _ := strings.Cut(r.raw, "code=")
		code, _, _ := strings.Cut(rest, "&")
		token := fine(t, w.send(http.MethodPost, "/oauth/access_token", "application/x-www-form-urlencoded", url.Values{
			"client_id": {threadssim.DefaultAppID}, "client_secret": {threadssim.DefaultAppSecret}, "grant_type": {"authorization_code"},
			"redirect_uri": {"https://app.example/cb"}, "code": {strings.TrimSuffix(code, "#_")},
		}.Encode())).str("access_token")
		debug := fine(t, w.send(http.MethodGet, "/debug_token?input_token="+token, "", "", "Authorization", "Bearer "+token))
		data, _ := debug.body["data"].(map[string]any)
		for _, scope := range data["scopes"].([]any) {
			list += scope.(string) + " "
		}
		me := fine(t, w.send(http.MethodGet, "/me?fields=username", "", "", "Authorization", "Bearer "+token))
		return me.str("username"), strings.TrimSpace(list)
	}
	if who, list := scopes(answer); who != "ann" || list != "threads_basic threads_content_publish" {
		t.Errorf("%s granted %q", who, list)
	}
	answer.Set("username", "@New.One") // a typed name wins
	delete(answer, "grant")
	if who, list := scopes(answer); who != "new.one" || list != "threads_basic" {
		t.Errorf("%s granted %q", who, list)
	}
	answer.Set("username", "no such name!")
	if r := w.send(http.MethodPost, "/oauth/authorize", "application/x-www-form-urlencoded", answer.Encode()); r.status != http.StatusBadRequest ||
		!strings.Contains(r.raw, `role="alert"`) {
		t.Errorf("got %d %s", r.status, r.raw)
	}
	answer.Set("decision", "deny")
	if r := w.send(http.MethodPost, "/oauth/authorize", "application/x-www-form-urlencoded", answer.Encode()); !strings.Contains(r.raw, "error=access_denied") {
		t.Errorf("got %s", r.raw)
	}
}

func TestPostPage(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.person(threadssim.Person{Username: "ann"})
	first := w.says("ann", "text", "the first <one>", "image_urls", "https://example.org/a.png,https://example.org/b.png")
	quote := w.as("demo.user", append(allScopes, threads.ScopeBasic)...).
		publish("media_type", "TEXT", "text", "look & see", "quote_post_id", first, "poll_attachment", `{"option_a":"yes","option_b":"no"}`)
	w.says("ann", "text", "an answer", "reply_to_id", quote)
	page := func(id string) reply {
		link, err := url.Parse(w.get("/"+id, "fields", "permalink").str("permalink"))
		if err != nil {
			t.Fatal(err)
		}
		return w.send(http.MethodGet, link.Path, "", "")
	}
	has(t, page(quote), "look &amp; see", "the first &lt;one&gt;", "<meter", "yes", "an answer", "1 reply")
	has(t, w.send(http.MethodGet, "/", "", ""), "look &amp; see", "@ann", "3 posts")
	wide := w.as("demo.user", allScopes...)
	w.token = wide.token
	has(t, page(first), `src="https://example.org/b.png"`, `aria-label="2 pictures"`)
	fine(t, wide.delete("/"+quote))
	r := w.send(http.MethodGet, "/@demo.user/post/gone", "", "")
	if r.status != http.StatusNotFound || !strings.Contains(r.raw, "not here") {
		t.Errorf("got %d %s", r.status, r.raw)
	}
	pic := w.send(http.MethodGet, "/_sim/pictures/ann", "", "")
	has(t, pic, "<svg", ">A<")
}

// What is for a browser begins with the address that browsers know, whatever the host that a call came to; a page of a list is
// for who called.
func TestPublicURL(t *testing.T) {
	t.Parallel()
	const public = "http://localhost:9099"
	w := setup(t, threadssim.Options{PublicURL: public + "/"})
	first := w.publish("media_type", "TEXT", "text", "one")
	w.publish("media_type", "TEXT", "text", "two")
	if link := w.get("/"+first, "fields", "permalink").str("permalink"); !strings.HasPrefix(link, public+"/@demo.user/post/") {
		t.Errorf("the permalink is %s", link)
	}
	if picture := w.get("/me", "fields", "threads_profile_picture_url").str("threads_profile_picture_url"); !strings.HasPrefix(picture, public+"/_sim/pictures/") {
		t.Errorf("the picture is %s", picture)
	}
	paging, _ := w.get("/me/threads", "limit", "1").body["paging"].(map[string]any)
	if next, _ := paging["next"].(string); !strings.HasPrefix(next, w.server.URL+"/") {
		t.Errorf("the next page is at %q", next)
	}
	if link := w.sim.Posts()[0].Permalink; !strings.HasPrefix(link, public+"/") {
		t.Errorf("inspection says %s", link)
	}
}
