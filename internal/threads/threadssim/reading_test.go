package threadssim_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

var allScopes = []string{
	threads.ScopeBasic, threads.ScopeContentPublish, threads.ScopeReadReplies, threads.ScopeManageReplies,
	threads.ScopeManageInsights, threads.ScopeDelete, "threads_keyword_search", "threads_manage_mentions",
	"threads_location_tagging", "threads_profile_discovery",
}

// as makes the world send another token.
func (w *world) as(name string, scopes ...string) *world {
	other := *w
	other.token, other.userID = w.grant(name, scopes...)
	return &other
}

func (w *world) person(p threadssim.Person) {
	w.t.Helper()
	if _, err := w.sim.AddPerson(p); err != nil {
		w.t.Fatal(err)
	}
}

// says lets a person post and returns the id.
func (w *world) says(name string, params ...string) string {
	w.t.Helper()
	id, _, err := w.sim.Say(name, pairs(params))
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (r reply) list() []map[string]any {
	raw, _ := r.body["data"].([]any)
	list := make([]map[string]any, 0, len(raw))
	for _, v := range raw {
		if one, ok := v.(map[string]any); ok {
			list = append(list, one)
		}
	}
	return list
}

func (r reply) ids() []string {
	ids := []string{}
	for _, one := range r.list() {
		id, _ := one["id"].(string)
		ids = append(ids, id)
	}
	return ids
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func fine(t *testing.T, r reply) reply {
	t.Helper()
	if r.err != nil || r.status != http.StatusOK {
		t.Fatalf("got %d (%v), want 200\n%s", r.status, r.err, r.raw)
	}
	return r
}

// has checks a piece of the raw answer.
func has(t *testing.T, r reply, pieces ...string) {
	t.Helper()
	fine(t, r)
	for _, piece := range pieces {
		if !strings.Contains(r.raw, piece) {
			t.Errorf("%s is missing in\n%s", piece, r.raw)
		}
	}
}

func hasNot(t *testing.T, r reply, pieces ...string) {
	t.Helper()
	fine(t, r)
	for _, piece := range pieces {
		if strings.Contains(r.raw, piece) {
			t.Errorf("%s should not be in\n%s", piece, r.raw)
		}
	}
}

func TestRepost(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.person(threadssim.Person{Username: "ann"})
	hers := w.says("ann", "text", "look at this")
	mine := w.publish("media_type", "TEXT", "text", "mine")

	t.Run("own", func(t *testing.T) {
		id := fine(t, w.post("/v1.0/"+mine+"/repost")).str("id")
		r := w.get("/"+id, "fields", "media_type,reposted_post{id,text},text,is_spoiler_media")
		has(t, r, `"media_type":"REPOST_FACADE"`, `"reposted_post":{"id":"`+mine+`","text":"mine"}`)
		hasNot(t, r, "is_spoiler_media")
		same(t, "threads", w.get("/me/threads").ids(), []string{id, mine})
		same(t, "quota", []string{fine(t, w.get("/me/threads_publishing_limit")).raw}, []string{`{"data":[{"quota_usage":2}]}`})
		refused(t, w.post("/"+id+"/repost"), 500, "100")
	})
	t.Run("a foreign post needs a scope to be seen", func(t *testing.T) {
		refused(t, w.post("/"+hers+"/repost"), 400, "100/33")
		wide := w.as("demo.user", allScopes...)
		fine(t, wide.post("/"+hers+"/repost"))
		refused(t, w.as("demo.user", threads.ScopeBasic, "threads_keyword_search").post("/"+hers+"/repost"), 500, "10")
	})
	t.Run("quota", func(t *testing.T) {
		bob := w.as("bob")
		his := bob.publish("media_type", "TEXT", "text", "x")
		if err := w.sim.SetUserKnobs("bob", func(k *threadssim.Knobs) { k.QuotaTotal.Posts = 1 }); err != nil {
			t.Fatal(err)
		}
		refused(t, bob.post("/"+his+"/repost"), 400, "9/2207042")
	})
}

func TestRepliesAndModeration(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	for _, name := range []string{"ann", "bob"} {
		w.person(threadssim.Person{Username: name})
	}
	root := w.publish("media_type", "TEXT", "text", "what do you think?")
	first := w.says("ann", "text", "one", "reply_to_id", root)
	nested := w.says("bob", "text", "one below", "reply_to_id", first)
	second := w.says("bob", "text", "two", "reply_to_id", root)

	same(t, "direct", w.get("/"+root+"/replies").ids(), []string{second, first})
	same(t, "oldest first", w.get("/"+root+"/replies", "reverse", "false").ids(), []string{first, second})
	same(t, "of a reply", w.get("/"+first+"/replies").ids(), []string{nested})
	same(t, "flat", w.get("/"+root+"/conversation", "reverse", "false").ids(), []string{first, nested, second})
	refused(t, w.get("/"+first+"/conversation"), 500, "100")
	refused(t, w.get("/"+root+"/replies", "reverse", "perhaps"), 500, "100")
	refused(t, w.get("/99/replies"), 400, "100/33")
	refused(t, w.as("demo.user", threads.ScopeBasic).get("/"+root+"/replies"), 500, "10")
	has(t, w.get("/"+nested, "fields", "is_reply,is_reply_owned_by_me,root_post,replied_to,hide_status,owner"),
		`"is_reply":true`, `"is_reply_owned_by_me":false`, `"root_post":{"id":"`+root+`"}`, `"replied_to":{"id":"`+first+`"}`, `"NOT_HUSHED"`)
	has(t, w.get("/"+root, "fields", "has_replies"), `"has_replies":true`)
	hasNot(t, w.get("/"+nested, "fields", "owner,is_verified"), "owner", "is_verified")
	has(t, w.get("/"+first, "fields", "is_verified,profile_picture_url"), `"is_verified":false`, "/_sim/pictures/ann")

	t.Run("hide", func(t *testing.T) {
		refused(t, w.post("/"+nested+"/manage_reply", "hide", "true"), 500, "100") // only top-level ones
		refused(t, w.post("/"+first+"/manage_reply", "hide", "perhaps"), 500, "100")
		refused(t, w.post("/"+root+"/manage_reply", "hide", "true"), 400, "100/33")
		refused(t, w.as("bob").post("/"+first+"/manage_reply", "hide", "true"), 400, "100/33")
		refused(t, w.as("demo.user", threads.ScopeBasic, threads.ScopeReadReplies).post("/"+first+"/manage_reply", "hide", "true"), 500, "10")
		same(t, "answer", []string{fine(t, w.post("/"+first+"/manage_reply", "hide", "true")).raw}, []string{`{"success":true}`})
		has(t, w.get("/"+nested, "fields", "hide_status"), `"HIDDEN"`)
		if _, _, err := w.sim.Say("bob", pairs([]string{"text", "x", "reply_to_id", first})); err == nil {
			t.Error("a hidden reply could be answered by somebody else")
		}
		fine(t, w.post("/"+first+"/manage_reply", "hide", "false"))
		has(t, w.get("/"+first, "fields", "hide_status"), `"UNHUSHED"`)
	})
	t.Run("approval", func(t *testing.T) {
		root := w.publish("media_type", "TEXT", "text", "careful", "enable_reply_approvals", "true")
		own := w.publish("media_type", "TEXT", "text", "my own", "reply_to_id", root)
		a, waits, err := w.sim.Say("ann", pairs([]string{"text", "let me in", "reply_to_id", root}))
		if err != nil || !waits {
			t.Fatalf("the reply does not wait: %v %v", waits, err)
		}
		b := w.says("bob", "text", "me too", "reply_to_id", root)
		same(t, "replies", w.get("/"+root+"/replies").ids(), []string{own})
		same(t, "pending", w.get("/"+root+"/pending_replies", "reverse", "false").ids(), []string{a, b})
		has(t, w.get("/"+root+"/pending_replies", "fields", "reply_approval_status"), `"pending"`)
		fine(t, w.post("/"+a+"/manage_pending_reply", "approve", "true"))
		fine(t, w.post("/"+b+"/manage_pending_reply", "approve", "false"))
		same(t, "ignored", w.get("/"+root+"/pending_replies", "approval_status", "ignored").ids(), []string{b})
		same(t, "still pending", w.get("/"+root+"/pending_replies", "approval_status", "pending").ids(), []string{})
		refused(t, w.get("/"+root+"/pending_replies", "approval_status", "PENDING"), 500, "100")
		refused(t, w.get("/me/pending_replies"), 400, "100/33")
		same(t, "replies after", w.get("/"+root+"/replies").ids(), []string{a, own})
		refused(t, w.post("/"+a+"/manage_pending_reply", "approve", "false"), 500, "100")
		fine(t, w.post("/"+b+"/manage_pending_reply", "approve", "true")) // set aside is not for ever
	})
	t.Run("reply control", func(t *testing.T) {
		w.person(threadssim.Person{Username: "fan", Follows: &[]string{"demo.user"}})
		for control, may := range map[string]map[string]bool{
			"followers_only":          {"ann": false, "fan": true},
			"accounts_you_follow":     {"ann": false, "fan": false},
			"mentioned_only":          {"ann": true, "fan": false},
			"parent_post_author_only": {"ann": false, "fan": false},
			"everyone":                {"ann": true, "fan": true},
		} {
			post := w.publish("media_type", "TEXT", "text", "hello @ann", "reply_control", control)
			has(t, w.get("/"+post, "fields", "reply_audience"), `"`+strings.ToUpper(control)+`"`)
			for name, allowed := range may {
				_, _, err := w.sim.Say(name, pairs([]string{"text", "hi", "reply_to_id", post}))
				if (err == nil) != allowed {
					t.Errorf("%s replies to %s: %v, want allowed %v", name, control, err, allowed)
				}
			}
		}
	})
}

func TestReadingFields(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	wide := w.as("demo.user", allScopes...)
	id := wide.publish("media_type", "TEXT", "text", "tea or coffee? #Drinks, please", "poll_attachment", `{"option_a":"tea","option_b":"coffee"}`)
	w.clock.Add(30 * time.Hour)
	r := w.get("/"+id, "fields", "media_type,topic_tag,poll_attachment,text_entities,alt_text,location{name},media_url")
	has(t, r, `"media_type":"TEXT_POST"`, `"topic_tag":"Drinks"`, `"poll_attachment":{"option_a":"tea","option_b":"coffee"}`)
	hasNot(t, r, "text_entities", "alt_text", "location", "media_url")

	r = fine(t, w.get("/"+id, "fields", "poll_attachment{option_a_votes_percentage,option_b_votes_percentage,total_votes,expiration_timestamp}"))
	poll, _ := r.body["poll_attachment"].(map[string]any)
	sum := int64(0)
	for _, name := range []string{"option_a_votes_percentage", "option_b_votes_percentage"} {
		n, _ := poll[name].(json.Number)
		v, _ := n.Int64()
		sum += v
	}
	if sum != 100 || poll["total_votes"] == json.Number("0") || poll["expiration_timestamp"] != "2026-11-03T09:00:00+0000" {
		t.Errorf("the poll is %v", poll)
	}

	place := wide.publish("media_type", "TEXT", "text", "a secret", "location_id", "610000000000000015", "text_entities",
		`[{"entity_type":"SPOILER","offset":2,"length":6}]`)
	has(t, wide.get("/"+place, "fields", "location{name,city},location_id,text_entities"),
		`"location":{"city":"New York","id":"610000000000000015","name":"Bryant Park"}`, `"location_id":"610000000000000015"`,
		`"text_entities":{"data":[{"entity_type":"SPOILER","length":6,"offset":2}]}`)

	long := w.publish("media_type", "TEXT", "text", "read on", "text_attachment",
		`{"plaintext":"a long text","text_with_styling_info":[{"offset":0,"length":1,"styling_info":["bold"]}]}`)
	has(t, w.get("/"+long, "fields", "text_attachment"),
		`{"plaintext":"a long text","text_with_styling_info":[{"length":1,"offset":0,"styling_info":["bold"]}]}`)
	gif := w.publish("media_type", "TEXT", "text", "moving", "gif_attachment", `{"gif_id":"abc","provider":"GIPHY"}`)
	has(t, w.get("/"+gif, "fields", "gif_url"), `giphy.com/media/abc/`)
	quote := w.publish("media_type", "TEXT", "text", "see", "quote_post_id", gif)
	has(t, w.get("/"+quote, "fields", "is_quote_post,quoted_post{id,text}"), `"is_quote_post":true`, `{"id":"`+gif+`","text":"moving"}`)

	a := w.create("media_type", "IMAGE", "image_url", "https://example.org/a.png", "is_carousel_item", "true", "alt_text", "one")
	b := w.create("media_type", "VIDEO", "video_url", "https://example.org/b.mp4", "is_carousel_item", "true")
	album := w.publish("media_type", "CAROUSEL", "children", a+","+b, "is_spoiler_media", "true")
	has(t, w.get("/"+album, "fields", "media_type,children,is_spoiler_media"), `"CAROUSEL_ALBUM"`, `{"data":[{"id":"`+a+`"},{"id":"`+b+`"}]}`, `"is_spoiler_media":true`)
	has(t, w.get("/"+album, "fields", "children{media_type,media_url,alt_text,thumbnail_url}"),
		`"alt_text":"one"`, `"media_url":"https://example.org/a.png"`, `"media_type":"VIDEO"`, `/_sim/pictures/`+b)

	for fields, code := range map[string]string{
		"location": "1", "id,quoted_post_id": "100", "status": "100", "poll_attachment{question}": "100", "text{id}": "100",
		"children{id": "2500", "id}": "2500", "children{}": "2500",
	} {
		r := w.get("/"+id, "fields", fields)
		if r.status == http.StatusOK || r.code() != code {
			t.Errorf("fields=%s: got %d %s, want %s", fields, r.status, r.code(), code)
		}
		if list := w.get("/me/ghost_posts", "fields", fields); list.code() != code {
			t.Errorf("fields=%s of an empty list: got %s, want %s", fields, list.code(), code)
		}
	}
	if r := w.get("/"+id, "fields", "gif_attachment"); !strings.Contains(r.raw, "Tried accessing nonexisting field (gif_attachment)") {
		t.Errorf("got %s", r.raw)
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	var ids []string // newest first
	for range 5 {
		ids = slices.Insert(ids, 0, w.publish("media_type", "TEXT", "text", "p"))
		w.clock.Add(time.Minute)
	}
	follow := func(r reply, name string) reply {
		paging, _ := r.body["paging"].(map[string]any)
		link, _ := paging[name].(string)
		u, err := url.Parse(link)
		if err != nil || link == "" {
			t.Fatalf("no %s in %s", name, r.raw)
		}
		if !strings.HasPrefix(link, w.server.URL+"/v1.0/me/threads?") || u.Query().Get("access_token") != w.token {
			t.Errorf("%s is %s", name, link)
		}
		return fine(t, w.send(http.MethodGet, u.RequestURI(), "", "")) // as given
	}
	one := fine(t, w.send(http.MethodGet, "/me/threads?limit=2&access_token="+w.token, "", ""))
	hasNot(t, w.get("/me/threads", "limit", "2"), "access_token") // one that came in the header
	same(t, "first", one.ids(), ids[:2])
	hasNot(t, one, "previous")
	two := follow(one, "next")
	same(t, "second", two.ids(), ids[2:4])
	three := follow(two, "next")
	same(t, "last", three.ids(), ids[4:])
	hasNot(t, three, `"next"`)
	has(t, three, `"cursors"`)
	back := follow(three, "previous")
	same(t, "back", back.ids(), ids[2:4])

	same(t, "none", w.get("/me/threads", "limit", "0").ids(), []string{})
	fine(t, w.delete("/"+ids[1])) // the cursor of the first page dies, its place does not
	same(t, "behind a deleted post", follow(one, "next").ids(), ids[2:4])
	at := func(d time.Duration) string {
		return time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC).Add(d).Format(time.RFC3339)
	}
	same(t, "span", w.get("/me/threads", "since", at(0), "until", at(90*time.Second)).ids(), ids[3:])
	for _, bad := range [][]string{
		{"limit", "101"}, {"limit", "-1"}, {"before", "bTE", "after", "bTE"}, {"after", "?"}, {"since", "1688540399"},
		{"since", at(time.Minute), "until", at(0)}, {"until", at(time.Hour)}, {"since", "soon"},
	} {
		refused(t, w.get("/me/threads", bad...), 500, "100")
	}
}

// TestReadingSurvivesRestart replays all that this half writes down.
func TestReadingSurvivesRestart(t *testing.T) {
	t.Parallel()
	journal := filepath.Join(t.TempDir(), "journal")
	w := setup(t, threadssim.Options{Journal: journal})
	bio := "likes tea"
	w.person(threadssim.Person{Username: "ann", Biography: &bio})
	wide := w.as("demo.user", allScopes...)
	root := wide.publish("media_type", "TEXT", "text", "hello", "enable_reply_approvals", "true")
	a := w.says("ann", "text", "a", "reply_to_id", root)
	b := w.says("ann", "text", "b", "reply_to_id", root)
	fine(t, wide.post("/"+a+"/manage_pending_reply", "approve", "true"))
	fine(t, wide.post("/"+a+"/manage_reply", "hide", "true"))
	fine(t, wide.post("/"+root+"/repost"))
	fine(t, wide.get("/location_search", "q", "paris"))
	fine(t, wide.get("/keyword_search", "q", "hello"))
	paths := [][]string{
		{"/me/threads", "fields", "media_type,reposted_post,has_replies"},
		{"/" + root + "/replies", "fields", "hide_status"},
		{"/" + root + "/pending_replies", "fields", "reply_approval_status"},
		{"/me/threads_publishing_limit", "fields", "quota_usage,location_search_quota_usage"},
		{"/me", "fields", "recently_searched_keywords"},
	}
	if err := w.sim.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := threadssim.New(threadssim.Options{Journal: journal, Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	for _, p := range paths {
		before := fine(t, wide.get(p[0], p[1:]...))
		after := fine(t, on(wide, again).get(p[0], p[1:]...))
		host := func(r reply) any { return strings.ReplaceAll(r.raw, w.server.URL, "") }
		if host(before) != host(after) {
			t.Errorf("%s\nbefore %s\nafter  %s", p[0], before.raw, after.raw)
		}
	}
	people := again.People()
	if i := slices.IndexFunc(people, func(p threadssim.PersonInfo) bool { return p.Username == "ann" }); i < 0 || people[i].Biography != bio {
		t.Errorf("ann is not as she was: %v", people)
	}
	same(t, "still waiting", on(wide, again).get("/"+root+"/pending_replies").ids(), []string{b})
}
