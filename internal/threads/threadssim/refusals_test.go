package threadssim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

func TestTokenIsChecked(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	good := w.token

	t.Run("absent", func(t *testing.T) {
		refused(t, w.send(http.MethodGet, "/v1.0/me", "", ""), 400, "190")
	})
	t.Run("garbage", func(t *testing.T) {
		w.token = "garbage"
		refused(t, w.get("/v1.0/me"), 400, "190")
	})
	t.Run("granted nothing", func(t *testing.T) {
		r := w.send(http.MethodPost, "/_sim/token", "application/json", `{"username":"nobody","scopes":[]}`)
		w.token = r.str("access_token")
		refused(t, w.get("/v1.0/me"), 400, "100/10")
	})
	t.Run("lacking a scope", func(t *testing.T) {
		w.token, _ = w.grant("reader", threads.ScopeBasic)
		refused(t, w.post("/v1.0/me/threads", "media_type", "TEXT", "text", "x"), 500, "10")
		refused(t, w.post("/v1.0/me/threads_publish", "creation_id", "1"), 500, "10")
		refused(t, w.get("/v1.0/me/replies"), 500, "10")
		refused(t, w.get("/v1.0/me/threads_publishing_limit"), 500, "10")
		refused(t, w.get("/v1.0/me/threads_publishing_limit", "fields", "delete_quota_usage"), 500, "10")
	})
	t.Run("another's id", func(t *testing.T) {
		_, other := w.grant("other")
		w.token = good
		refused(t, w.get("/v1.0/"+other), 400, "100/33")
		refused(t, w.get("/v1.0/"+other+"/threads"), 400, "100/33")
	})
	t.Run("revoked", func(t *testing.T) {
		w.token, _ = w.grant("leaver")
		if err := w.sim.Revoke("leaver", 0); err != nil {
			t.Fatal(err)
		}
		refused(t, w.get("/v1.0/me"), 400, "190/458")
	})
	t.Run("expired", func(t *testing.T) {
		w.token = good
		w.clock.Add(60 * 24 * time.Hour)
		refused(t, w.get("/v1.0/me"), 400, "190/463")
	})
}

func TestCreateRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	child := []string{"media_type", "IMAGE", "image_url", "https://cdn.example/a.jpg", "is_carousel_item", "true"}
	one, two := w.create(child...), w.create(child...)
	notAChild := w.create("media_type", "IMAGE", "image_url", "https://cdn.example/a.jpg")
	gone := w.publish("media_type", "TEXT", "text", "soon gone")
	w.delete("/v1.0/" + gone)
	many := strings.Repeat(one+",", 20) + two
	links := ""
	for i := range 6 {
		links += fmt.Sprintf("https://example.org/%d ", i)
	}

	for name, tc := range map[string]struct {
		params []string
		status int
		code   string
	}{
		"no type":            {[]string{"text", "x"}, 500, "100"},
		"unknown type":       {[]string{"media_type", "GIF"}, 500, "100"},
		"no text":            {[]string{"media_type", "TEXT"}, 500, "100"},
		"501 characters":     {[]string{"media_type", "TEXT", "text", strings.Repeat("x", 501)}, 500, "100"},
		"126 emoji":          {[]string{"media_type", "TEXT", "text", strings.Repeat("🚀", 126)}, 500, "100"},
		"not UTF-8":          {[]string{"media_type", "TEXT", "text", "a\xff"}, 500, "100"},
		"six links":          {[]string{"media_type", "TEXT", "text", links}, 400, "100"},
		"no image":           {[]string{"media_type", "IMAGE"}, 500, "100"},
		"no web address":     {[]string{"media_type", "VIDEO", "video_url", "file:///a.mp4"}, 500, "100"},
		"bad link":           {[]string{"media_type", "TEXT", "text", "x", "link_attachment", "nope"}, 400, "-1/4279047"},
		"long alt text":      {[]string{"media_type", "IMAGE", "image_url", "https://a.example/a", "alt_text", strings.Repeat("x", 1001)}, 500, "100"},
		"tag with a dot":     {[]string{"media_type", "TEXT", "text", "x", "topic_tag", "a.b"}, 500, "100"},
		"long tag":           {[]string{"media_type", "TEXT", "text", "x", "topic_tag", strings.Repeat("x", 51)}, 500, "100"},
		"reply control":      {[]string{"media_type", "TEXT", "text", "x", "reply_control", "nobody"}, 500, "100"},
		"one child":          {[]string{"media_type", "CAROUSEL", "children", one}, 400, "100/4279004"},
		"21 children":        {[]string{"media_type", "CAROUSEL", "children", many}, 400, "100/4279004"},
		"unmarked child":     {[]string{"media_type", "CAROUSEL", "children", one + "," + notAChild}, 400, "100/4279004"},
		"unknown child":      {[]string{"media_type", "CAROUSEL", "children", one + ",1"}, 400, "100/4279004"},
		"text as a child":    {[]string{"media_type", "TEXT", "text", "x", "is_carousel_item", "true"}, 500, "100"},
		"ghost with a photo": {[]string{"media_type", "IMAGE", "image_url", "https://a.example/a", "is_ghost_post", "true"}, 500, "100"},
		"reply to the gone":  {[]string{"media_type", "TEXT", "text", "x", "reply_to_id", gone}, 400, "24/4279009"},
		"quote of the gone":  {[]string{"media_type", "TEXT", "text", "x", "quote_post_id", gone}, 400, "24/4279009"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(w.sim.Containers())
			refused(t, w.post("/v1.0/me/threads", tc.params...), tc.status, tc.code)
			if len(w.sim.Containers()) != before {
				t.Error("a refused creation left a container")
			}
		})
	}
	if r := w.post("/v1.0/me/threads", "media_type", "TEXT", "text", links); !strings.Contains(r.raw, "THREADS_API__LINK_LIMIT_EXCEEDED") {
		t.Errorf("too many links: %s", r.raw)
	}
	t.Run("reply in another's conversation", func(t *testing.T) {
		root := w.publish("media_type", "TEXT", "text", "mine")
		w.token, _ = w.grant("stranger")
		refused(t, w.post("/v1.0/me/threads", "media_type", "TEXT", "text", "x", "reply_to_id", root), 500, "10")
	})
}

func TestPublishRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{
		Processing:      threadssim.Processing{Text: -1, Image: 2 * time.Second, Video: 20 * time.Second},
		VisibilityDelay: time.Second,
	})
	publish := func(id string) reply { return w.post("/v1.0/me/threads_publish", "creation_id", id) }
	text := w.create("media_type", "TEXT", "text", "x")
	image := w.create("media_type", "IMAGE", "image_url", "https://cdn.example/a.jpg")

	refused(t, publish(""), 500, "100")
	refused(t, publish("1"), 400, "24/4279009")
	refused(t, publish(text), 400, "24/4279009") // FINISHED, and still not visible
	w.clock.Add(time.Second)
	refused(t, publish(image), 400, "24/4279009") // IN_PROGRESS
	if r := publish(text); r.status != 200 {
		t.Errorf("publish: %s", r.raw)
	}
	refused(t, publish(text), 400, "24/4279009") // a second time
	w.clock.Add(24 * time.Hour)
	refused(t, publish(image), 400, "24/4279009") // EXPIRED
	if r := w.get("/v1.0/" + image); r.str("status") != threads.StatusExpired {
		t.Errorf("status: %s", r.raw)
	}
	if r := w.get("/v1.0/" + text); r.str("status") != threads.StatusPublished {
		t.Errorf("status: %s", r.raw)
	}
	fresh := w.create("media_type", "TEXT", "text", "x")
	w.clock.Add(time.Minute)
	mine := w.token
	w.token, _ = w.grant("thief")
	refused(t, publish(fresh), 400, "24/4279009") // another's
	refused(t, w.get("/v1.0/"+fresh), 400, "100/33")
	w.token = mine
	if n := len(w.sim.Posts()); n != 1 {
		t.Errorf("%d posts, want 1", n)
	}
}

func TestReadRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{PermalinkLag: 3 * time.Second, ListLag: time.Minute})
	id := w.publish("media_type", "text", "text", "lower-case type")

	refused(t, w.get("/v1.0/"+id, "fields", "status"), 500, "100")
	refused(t, w.get("/v1.0/"+id, "fields", "id,quoted_post_id"), 500, "100")
	refused(t, w.get("/v1.0/me/threads", "fields", "nope"), 500, "100")
	refused(t, w.get("/v1.0/me/threads", "limit", "101"), 500, "100")
	refused(t, w.get("/v1.0/me/threads", "before", "a", "after", "b"), 500, "100")
	refused(t, w.get("/v1.0/me/threads", "since", "1"), 500, "100")
	refused(t, w.get("/v1.0/me/threads", "until", fmt.Sprint(w.clock.Now().Unix()+60)), 500, "100")
	refused(t, w.get("/v1.0/1"), 400, "100/33")
	refused(t, w.get("/v1.0/no/such/path"), 400, "2500")

	r := w.get("/v1.0/"+id, "fields", "permalink,media_type,timestamp,children{id},alt_text")
	if _, there := r.body["permalink"]; there || r.str("media_type") != "TEXT_POST" || r.str("timestamp") != "2026-11-02T09:00:00+0000" {
		t.Errorf("fresh post: %s", r.raw)
	}
	if strings.Contains(r.raw, "children") || strings.Contains(r.raw, "alt_text") {
		t.Errorf("null fields are not left out: %s", r.raw)
	}
	if r := w.get("/v1.0/me/threads"); strings.Contains(r.raw, id) {
		t.Errorf("the list does not lag: %s", r.raw)
	}
	w.clock.Add(time.Minute)
	if r := w.get("/v1.0/me/threads", "fields", "permalink"); !strings.Contains(r.raw, "/@demo.user/post/") {
		t.Errorf("a minute later: %s", r.raw)
	}
}

func TestQuotaMovesWithTheClock(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	for i := range 250 {
		if i == 1 {
			w.clock.Add(time.Hour)
		}
		w.publish("media_type", "TEXT", "text", "the same text every time")
	}
	id := w.create("media_type", "TEXT", "text", "one more") // creation costs nothing
	refused(t, w.post("/v1.0/me/threads_publish", "creation_id", id), 400, "9/2207042")
	if r := w.get("/v1.0/me/threads_publishing_limit", "fields", "quota_usage,config"); r.raw !=
		`{"data":[{"config":{"quota_duration":86400,"quota_total":250},"quota_usage":250}]}` {
		t.Errorf("limits: %s", r.raw)
	}
	// Replies are counted apart, and a deletion gives nothing back.
	last := w.sim.Posts()[249].ID
	w.publish("media_type", "TEXT", "text", "a reply", "reply_to_id", last)
	w.delete("/v1.0/" + last)
	refused(t, w.post("/v1.0/me/threads_publish", "creation_id", id), 400, "9/2207042")
	// The first of them leaves the window, and only the first.
	w.clock.Add(23 * time.Hour)
	if r := w.post("/v1.0/me/threads_publish", "creation_id", id); r.status != 200 {
		t.Fatalf("a day after the first: %s", r.raw)
	}
	next := w.create("media_type", "TEXT", "text", "another")
	refused(t, w.post("/v1.0/me/threads_publish", "creation_id", next), 400, "9/2207042")
}

func TestDelete(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	id := w.publish("media_type", "TEXT", "text", "x")
	mine := w.token
	w.token, _ = w.grant("other")
	refused(t, w.delete("/v1.0/"+id), 400, "100/33")
	w.token, _ = w.grant("demo.user", threads.ScopeBasic)
	refused(t, w.delete("/v1.0/"+id), 500, "10")
	w.token = mine
	if r := w.delete("/v1.0/" + id); r.raw != `{"deleted_id":"`+id+`","success":true}` {
		t.Errorf("delete: %s", r.raw)
	}
	refused(t, w.delete("/v1.0/"+id), 400, "100/33")
	refused(t, w.get("/v1.0/"+id), 400, "100/33")
	for i := range 99 {
		if r := w.delete("/v1.0/" + w.publish("media_type", "TEXT", "text", fmt.Sprint(i))); r.status != 200 {
			t.Fatalf("delete %d: %s", i, r.raw)
		}
	}
	refused(t, w.delete("/v1.0/"+w.publish("media_type", "TEXT", "text", "x")), 400, "9/2207042")
}
