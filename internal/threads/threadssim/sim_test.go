package threadssim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

func TestIDsDoNotSurviveAFloat(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	container := w.create("media_type", "TEXT", "text", "x")
	for _, id := range []string{w.userID, container, w.publish("media_type", "TEXT", "text", "y")} {
		var f float64
		if _, err := fmt.Sscan(id, &f); err != nil || fmt.Sprintf("%.0f", f) == id {
			t.Errorf("id %s survives a float", id)
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	var ids []string
	for i := range 5 {
		ids = append(ids, w.publish("media_type", "TEXT", "text", fmt.Sprint(i)))
	}
	ghost := w.publish("media_type", "TEXT", "text", "boo", "is_ghost_post", "true")
	w.delete("/v1.0/" + ids[2])

	list := func(path string, params ...string) (found string, r reply) {
		r = w.get(path, params...)
		for _, item := range r.body["data"].([]any) {
			found += item.(map[string]any)["id"].(string) + " "
		}
		return strings.TrimSpace(found), r
	}
	join := func(ids ...string) string { return strings.Join(ids, " ") }

	got, first := list("/v1.0/me/threads", "limit", "2")
	if got != join(ids[4], ids[3]) {
		t.Errorf("first page %s", got)
	}
	paging := first.body["paging"].(map[string]any)
	if next, _ := paging["next"].(string); next == "" || strings.Contains(next, w.token) {
		t.Errorf("next is %q", next)
	}
	after := paging["cursors"].(map[string]any)["after"].(string)
	got, second := list("/v1.0/me/threads", "limit", "2", "after", after)
	if got != join(ids[1], ids[0]) {
		t.Errorf("second page %s", got)
	}
	paging = second.body["paging"].(map[string]any)
	if _, more := paging["next"]; more {
		t.Error("the last page has a next")
	}
	before := paging["cursors"].(map[string]any)["before"].(string)
	if got, _ := list("/v1.0/me/threads", "limit", "2", "before", before); got != join(ids[4], ids[3]) {
		t.Errorf("the page before %s", got)
	}
	if got, _ := list("/v1.0/me/ghost_posts"); got != ghost {
		t.Errorf("ghost posts %s", got)
	}
	if r := w.get("/v1.0/me/replies"); r.raw != `{"data":[]}` {
		t.Errorf("no replies: %s", r.raw)
	}
}

func TestControlPages(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	id := w.publish("media_type", "IMAGE", "image_url", "https://cdn.example/a.jpg", "text", "<b>hello</b>", "alt_text", "a cat")

	posts := w.send(http.MethodGet, "/_sim/posts", "", "")
	if !strings.Contains(posts.raw, `"id":"`+id+`"`) || !strings.Contains(posts.raw, `"arrived_ns":1793610000000000000`) {
		t.Errorf("posts: %s", posts.raw)
	}
	link := w.get("/v1.0/"+id, "fields", "permalink").str("permalink")
	page := w.send(http.MethodGet, strings.TrimPrefix(link, w.server.URL), "", "")
	for _, want := range []string{"&lt;b&gt;hello&lt;/b&gt;", `src="https://cdn.example/a.jpg"`, `alt="a cat"`, "@demo.user"} {
		if !strings.Contains(page.raw, want) {
			t.Errorf("page of %s lacks %s:\n%s", link, want, page.raw)
		}
	}
	w.delete("/v1.0/" + id)
	if r := w.send(http.MethodGet, strings.TrimPrefix(link, w.server.URL), "", ""); r.status != 404 {
		t.Errorf("page of a deleted post: %d", r.status)
	}
	if r := w.send(http.MethodGet, "/", "", ""); r.status != 200 || !strings.Contains(r.raw, "/_sim/posts") {
		t.Errorf("index: %d %s", r.status, r.raw)
	}
	for _, root := range []string{"/v1.0", "/v1.0/", "/v1.0/?ids=" + id} { // the API's own root is no page
		refused(t, w.send(http.MethodGet, root, "", ""), 400, "2500")
	}
	if r := w.send(http.MethodGet, "/_sim/containers", "", ""); !strings.Contains(r.raw, `"status":"PUBLISHED"`) {
		t.Errorf("containers: %s", r.raw)
	}
	w.get("/v1.0/me", "access_token", w.token)
	if r := w.send(http.MethodGet, "/_sim/calls", "", ""); !strings.Contains(r.raw, `"op":"me"`) || strings.Contains(r.raw, w.token) {
		t.Errorf("calls: %s", r.raw)
	}
}

func TestFetchMedia(t *testing.T) {
	t.Parallel()
	cdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/a.png" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "image/png")
	}))
	t.Cleanup(cdn.Close)
	w := setup(t, threadssim.Options{FetchMedia: true, MediaNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	w.create("media_type", "IMAGE", "image_url", cdn.URL+"/a.png")
	refused(t, w.post("/v1.0/me/threads", "media_type", "IMAGE", "image_url", cdn.URL+"/b.png"), 400, "1/2207052")
	id := w.create("media_type", "VIDEO", "video_url", cdn.URL+"/a.png")
	if r := w.get("/v1.0/"+id, "fields", "status,error_message"); r.str("error_message") != "FAILED_DOWNLOADING_VIDEO" {
		t.Errorf("video: %s", r.raw)
	}
}

// Many at once publish the same containers: each becomes one post.
func TestConcurrentPublishes(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	var containers []string
	for i := range 20 {
		containers = append(containers, w.create("media_type", "TEXT", "text", fmt.Sprint(i)))
	}
	var wg sync.WaitGroup
	for _, id := range append(containers, containers...) {
		wg.Go(func() { w.post("/v1.0/me/threads_publish", "creation_id", id) })
	}
	wg.Wait()
	if n := len(w.sim.Posts()); n != len(containers) {
		t.Errorf("%d posts of %d containers", n, len(containers))
	}
}

// BenchmarkPublish is the handler alone, with a journal: the simulator must never be what a measurement measures.
func BenchmarkPublish(b *testing.B) {
	sim, err := threadssim.New(threadssim.Options{
		Processing: threadssim.Processing{Text: -1}, Journal: b.TempDir() + "/threads.journal",
	})
	if err != nil {
		b.Fatal(err)
	}
	call := func(path, token, body string) string {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", form)
		r.Header.Set("Authorization", "Bearer "+token)
		rec := httptest.NewRecorder()
		sim.ServeHTTP(rec, r)
		if rec.Code != http.StatusOK {
			b.Fatal(rec.Body.String())
		}
		return strings.TrimSuffix(strings.TrimPrefix(rec.Body.String(), `{"id":"`), `"}`)
	}
	type job struct{ token, container string }
	var jobs []job
	var token threads.Token
	for i := range b.N {
		if i%200 == 0 { // under the quota of one account
			g, err := sim.Token(fmt.Sprintf("u%d", i))
			if err != nil {
				b.Fatal(err)
			}
			token = g.AccessToken
		}
		jobs = append(jobs, job{token.Reveal(), call("/v1.0/me/threads", token.Reveal(), "media_type=TEXT&text=hello")})
	}
	b.ResetTimer()
	for _, j := range jobs {
		call("/v1.0/me/threads_publish", j.token, "creation_id="+j.container)
	}
}
