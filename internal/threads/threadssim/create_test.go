package threadssim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// scoped gives the world a token with all that a creation may ask for.
func (w *world) scoped() {
	w.t.Helper()
	w.token, _ = w.grant("demo.user", threads.ScopeBasic, threads.ScopeContentPublish, threads.ScopeReadReplies,
		threads.ScopeManageReplies, threads.ScopeDelete, "threads_location_tagging", "threads_share_to_instagram")
}

const (
	poll   = `{"option_a":"yes","option_b":"no"}`
	gif    = `{"gif_id":"abc","provider":"GIPHY"}`
	essay  = `{"plaintext":"a long text","text_with_styling_info":[{"offset":0,"length":1,"styling_info":["bold"]}]}`
	linked = `{"plaintext":"a long text","link_attachment_url":"https://example.org/a"}`
	hidden = `[{"entity_type":"SPOILER","offset":0,"length":3}]`
)

func TestWhatGoesTogether(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.scoped()
	root := w.publish("media_type", "TEXT", "text", "root")
	text := func(more ...string) []string { return append([]string{"media_type", "TEXT", "text", "hello"}, more...) }
	image := func(more ...string) []string {
		return append([]string{"media_type", "IMAGE", "image_url", "https://a.example/a.jpg"}, more...)
	}
	child := w.create(image("is_carousel_item", "true")...)
	carousel := []string{"media_type", "CAROUSEL", "children", child + "," + w.create(image("is_carousel_item", "true")...)}

	for name, params := range map[string][]string{
		"a poll":                   text("poll_attachment", poll),
		"a poll of four":           text("poll_attachment", `{"option_a":"a","option_b":"b","option_c":"c","option_d":"d"}`),
		"a GIF":                    text("gif_attachment", gif),
		"a long text":              text("text_attachment", essay),
		"a long text with a link":  text("text_attachment", linked),
		"a spoiler":                text("text_entities", hidden),
		"a spoiler in lower case":  text("text_entities", `[{"entity_type":"spoiler","offset":0,"length":3}]`),
		"a hidden picture":         image("is_spoiler_media", "true"),
		"a hidden carousel":        append(carousel, "is_spoiler_media", "true"),
		"a ghost":                  text("is_ghost_post", "true"),
		"a ghost with a spoiler":   text("is_ghost_post", "true", "text_entities", hidden),
		"approvals":                text("enable_reply_approvals", "true"),
		"a link":                   text("link_attachment", "https://example.org/"),
		"a picture without a text": image(),
		"a child without a type":   {"image_url", "https://a.example/a.jpg", "is_carousel_item", "true"},
		"both Story flags":         text("crossreshare_to_ig", "true", "crossreshare_to_ig_dark_mode", "true"),
	} {
		if r := w.post("/v1.0/me/threads", params...); r.status != 200 {
			t.Errorf("%s: %d %s", name, r.status, r.raw)
		}
	}

	for name, params := range map[string][]string{
		"poll with a picture":           image("poll_attachment", poll),
		"poll of one":                   text("poll_attachment", `{"option_a":"yes"}`),
		"poll with a gap":               text("poll_attachment", `{"option_a":"a","option_b":"b","option_d":"d"}`),
		"poll with a long option":       text("poll_attachment", `{"option_a":"a","option_b":"`+strings.Repeat("b", 26)+`"}`),
		"poll with a question":          text("poll_attachment", `{"option_a":"a","option_b":"b","question":"c"}`),
		"poll that is no JSON":          text("poll_attachment", "yes,no"),
		"GIF with a picture":            image("gif_attachment", gif),
		"GIF of another provider":       text("gif_attachment", `{"gif_id":"abc","provider":"TENOR"}`),
		"GIF without an id":             text("gif_attachment", `{"provider":"GIPHY"}`),
		"long text with a picture":      image("text_attachment", essay),
		"long text with a poll":         text("text_attachment", essay, "poll_attachment", poll),
		"long text with two links":      text("text_attachment", linked, "link_attachment", "https://example.org/b"),
		"long text without a text":      text("text_attachment", `{}`),
		"long text, too long":           text("text_attachment", `{"plaintext":"`+strings.Repeat("x", 10001)+`"}`),
		"long text, styles overlapping": text("text_attachment", `{"plaintext":"abcdef","text_with_styling_info":[{"offset":0,"length":3,"styling_info":["bold"]},{"offset":2,"length":3,"styling_info":["italic"]}]}`),
		"long text, unknown style":      text("text_attachment", `{"plaintext":"abcdef","text_with_styling_info":[{"offset":0,"length":3,"styling_info":["blink"]}]}`),
		"eleven spoilers":               text("text_entities", "["+strings.Repeat(`{"entity_type":"SPOILER","offset":0,"length":1},`, 10)+`{"entity_type":"SPOILER","offset":0,"length":1}]`),
		"unknown entity":                text("text_entities", `[{"entity_type":"BOLD","offset":0,"length":1}]`),
		"hidden text":                   text("is_spoiler_media", "true"),
		"ghost with a picture":          image("is_ghost_post", "true"),
		"ghost in reply":                text("is_ghost_post", "true", "reply_to_id", root),
		"ghost with approvals":          text("is_ghost_post", "true", "enable_reply_approvals", "true"),
		"a flag that is none":           text("is_ghost_post", "perhaps"),
		"auto publish, perhaps":         text("auto_publish_text", "perhaps"),
	} {
		t.Run(name, func(t *testing.T) {
			before := len(w.sim.Containers())
			if r := w.post("/v1.0/me/threads", params...); r.status != 500 || r.code() != "100" || !strings.Contains(r.raw, `"message":"Param `) {
				t.Errorf("%d %s, want HTTP 500, code 100, Param …", r.status, r.raw)
			}
			if len(w.sim.Containers()) != before {
				t.Error("a refused creation left a container")
			}
		})
	}
	refused(t, w.post("/me/threads", image("link_attachment", "https://example.org/")...), 400, "-1/4279047")
}

func TestScopesOfSingleParameters(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	for _, param := range []string{"location_id", "crossreshare_to_ig", "crossreshare_to_ig_dark_mode"} {
		refused(t, w.post("/me/threads", "media_type", "TEXT", "text", "x", param, "1"), 500, "10")
	}
}

func TestAutoPublishedTextIsAPostAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{Processing: threadssim.Processing{Text: time.Hour}, VisibilityDelay: time.Hour})
	w.set(`{"quota_total":{"posts":1}}`)
	id := w.create("media_type", "text", "text", "at once", "auto_publish_text", "true")
	if r := w.get("/v1.0/"+id, "fields", "text,media_type"); r.str("text") != "at once" || r.str("media_type") != "TEXT_POST" {
		t.Errorf("the id is not the post's: %s", r.raw)
	}
	refused(t, w.get("/v1.0/"+id, "fields", "status"), 500, "100") // it is no container
	refused(t, w.try(id), 400, "24/4279009")
	if r := w.get("/me/threads_publishing_limit"); !strings.Contains(r.raw, `"quota_usage":1`) {
		t.Errorf("limits: %s", r.raw)
	}
	refused(t, w.post("/me/threads", "media_type", "TEXT", "text", "another", "auto_publish_text", "true"), 400, "9/2207042")
	if n := len(w.sim.Containers()); n != 1 {
		t.Errorf("%d containers: a refused one was kept", n)
	}
	// It does nothing for pictures.
	photo := w.create("media_type", "IMAGE", "image_url", "https://a.example/a.jpg", "auto_publish_text", "true")
	if got := w.status(photo); got == "" || len(w.sim.Posts()) != 1 {
		t.Errorf("a picture: status %q, %d posts", got, len(w.sim.Posts()))
	}
}

// A lost answer to an auto-published text leaves nobody with an id.
func TestHiddenSuccessOfAutoPublish(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.set(`{"hidden_success":{"probability":1,"ops":["create"]}}`)
	refused(t, w.post("/me/threads", "media_type", "TEXT", "text", "x", "auto_publish_text", "1"), 500, "10")
	if n := len(w.sim.Posts()); n != 1 {
		t.Errorf("%d posts", n)
	}
}

func TestAutoPublishSurvivesARestart(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/journal"
	w := setup(t, threadssim.Options{Journal: file})
	id := w.create("media_type", "TEXT", "text", "x", "auto_publish_text", "true", "poll_attachment", poll)
	if err := w.sim.Advance(36 * time.Hour); err != nil {
		t.Fatal(err)
	}
	now := w.sim.Now()
	_ = w.sim.Close()
	again, err := threadssim.New(threadssim.Options{Journal: file, Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	if p := again.Posts(); len(p) != 1 || p[0].ID != id {
		t.Errorf("posts: %+v", p)
	}
	if !again.Now().Equal(now) {
		t.Errorf("the clock is at %s, was at %s", again.Now(), now)
	}
}

func TestFormsOfUnchangedClients(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	child := func() string {
		return w.create("media_type", "image", "image_url", "https://a.example/a.jpg", "is_carousel_item", "True")
	}
	json := func(path, body string) reply {
		return w.send(http.MethodPost, path, "application/json; charset=utf-8", body, "Authorization", "bearer "+w.token)
	}
	for name, r := range map[string]reply{
		"JSON list of children": json("/v1.0/me/threads/", `{"media_type":"CAROUSEL","children":["`+child()+`","`+child()+`"]}`),
		"JSON in a form":        w.post("/me/threads", "media_type", "carousel", "children", `["`+child()+`","`+child()+`"]`),
		"commas and spaces":     w.post("/me/threads/", "media_type", "CAROUSEL", "children", child()+", "+child()),
		"object in JSON":        json("/"+w.userID+"/threads", `{"media_type":"TEXT","text":"hi","poll_attachment":{"option_a":"a","option_b":"b"}}`),
		"list in JSON":          json("/me/threads", `{"media_type":"TEXT","text":"hi","text_entities":[{"entity_type":"SPOILER","offset":0,"length":2}],"is_ghost_post":false,"image_url":null}`),
		"fields with spaces":    w.get("/v1.0/me/", "fields", "id, username ,name"),
		"token in the query":    w.send(http.MethodGet, "/v1.0/"+w.userID+"?fields=username&access_token="+w.token, "", ""),
	} {
		if r.status != 200 || r.str("id") == "" {
			t.Errorf("%s: %d %s", name, r.status, r.raw)
		}
	}
}

func TestRepliesFollowTheAuthorsWord(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	reply := func(root string) reply {
		return w.post("/me/threads", "media_type", "TEXT", "text", "hi", "reply_to_id", root)
	}
	open := w.publish("media_type", "TEXT", "text", "open")
	closed := w.publish("media_type", "TEXT", "text", "for @friend alone", "reply_control", "mentioned_only")
	refused(t, reply("17"), 500, "100") // no post at all
	w.token, _ = w.grant("stranger", threads.ScopeBasic, threads.ScopeContentPublish, "threads_manage_mentions")
	if r := reply(open); r.status != 200 {
		t.Errorf("with the scope: %s", r.raw)
	}
	refused(t, reply(closed), 500, "10")
	w.token, _ = w.grant("friend", threads.ScopeBasic, threads.ScopeContentPublish, "threads_manage_mentions")
	if r := reply(closed); r.status != 200 {
		t.Errorf("one who is mentioned: %s", r.raw)
	}
}

// Lists come in one piece, as one name several times, and in the way of PHP; some clients send two of these at once.
func TestListsInPieces(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	var ids []string
	for range 2 {
		ids = append(ids, w.create("media_type", "IMAGE", "image_url", "https://cdn.example/a.jpg", "is_carousel_item", "true"))
	}
	for name, body := range map[string]string{
		"commas":   "children=" + ids[0] + "," + ids[1],
		"repeated": "children=" + ids[0] + "&children=" + ids[1],
		"indexed":  "children[0]=" + ids[0] + "&children[1]=" + ids[1],
		"both":     "children=" + ids[0] + "&children=" + ids[1] + "&children[0]=" + ids[0] + "&children[1]=" + ids[1],
		"brackets": "children[]=" + ids[0] + "&children[]=" + ids[1],
	} {
		r := w.send("POST", "/v1.0/me/threads", form, "media_type=CAROUSEL&"+body+"&access_token="+w.token)
		if r.status != 200 {
			t.Errorf("%s: %d %s", name, r.status, r.raw)
		}
	}
}

// TestMetasSampleApp makes the requests of fbsamples/threads_api: everything in the query beside a body of {}, all fields of its
// form be they empty, and a carousel of items that it has not waited for.
func TestMetasSampleApp(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{Knobs: new(threadssim.Quick())})
	upload := func(params ...string) reply {
		query := url.Values{"access_token": {w.token}}
		for i := 0; i < len(params); i += 2 {
			query.Set(params[i], params[i+1])
		}
		return w.send("POST", "/me/threads?"+query.Encode(), "application/json", "{}")
	}
	form := []string{"text", "three", "reply_control", "", "reply_to_id", "", "link_attachment", ""}
	var children []string
	for _, attachment := range [][]string{
		{"media_type", "IMAGE", "image_url", "https://a.example/a.jpg"}, {"media_type", "VIDEO", "video_url", "https://a.example/b.mp4"},
		{"media_type", "IMAGE", "image_url", "https://a.example/c.jpg"},
	} {
		child := upload(append(attachment, "is_carousel_item", "true", "alt_text", "")...)
		if child.status != http.StatusOK {
			t.Fatal(child.raw)
		}
		children = append(children, child.str("id"))
	}
	parent := upload(append(form, "media_type", "CAROUSEL", "children", strings.Join(children, ","))...)
	if parent.status != http.StatusOK {
		t.Fatalf("a carousel of items that were not waited for: %s", parent.raw)
	}
	for w.status(parent.str("id")) == threads.StatusInProgress {
		w.clock.Add(time.Second)
	}
	if r := w.try(parent.str("id")); r.status != http.StatusOK {
		t.Errorf("its publish: %s", r.raw)
	}
	if r := upload(append(form, "media_type", "TEXT", "poll_attachment", `{"option_a":"yes","option_b":"no","option_c":"","option_d":""}`)...); r.status != http.StatusOK {
		t.Errorf("a poll of two: %s", r.raw)
	}
}

func TestItemsIgnoreWhatIsOfTheCarousel(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	given := map[string]string{
		"reply_to_id": "7", "quote_post_id": "7", "reply_control": "nobody", "topic_tag": "a.b", "is_spoiler_media": "perhaps", "enable_reply_approvals": "true",
		"location_id": "7", "allowlisted_country_codes": "DE,??", "crossreshare_to_ig": "true", "crossreshare_to_ig_dark_mode": "true",
	}
	all := []string{"media_type", "IMAGE", "image_url", "https://a.example/a.jpg", "is_carousel_item", "true"}
	for _, name := range threads.CarouselParams() {
		if given[name] == "" {
			t.Errorf("%s is not tried", name)
		}
		all = append(all, name, given[name])
	}
	one, two := w.create(all...), w.create(all...)
	w.clock.Add(time.Second)
	album := w.publish("media_type", "CAROUSEL", "children", one+","+two)
	if r := w.get("/"+album, "fields", "is_spoiler_media,topic_tag,is_reply,is_quote_post"); strings.Contains(r.raw, `"is_spoiler_media":true`) || strings.Contains(r.raw, `"topic_tag"`) {
		t.Errorf("the carousel has of its items %s", r.raw)
	}
	if r := w.post("/me/threads", append([]string{"media_type", "TEXT", "text", "x"}, "reply_control", "nobody")...); r.status == http.StatusOK {
		t.Errorf("a post of its own: %s", r.raw)
	}
}
