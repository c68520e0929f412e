package threadssim_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

func TestDiscovery(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	wide := w.as("demo.user", allScopes...)
	few, many, yes := 99, 100, true
	w.person(threadssim.Person{Username: "small", Followers: &few})
	w.person(threadssim.Person{Username: "big", Followers: &many, Verified: &yes})
	w.person(threadssim.Person{Username: "closed", Private: &yes})
	said := w.says("big", "text", "Hello @demo.user, @demo.user and @closed. #Go", "media_type", "text")
	w.says("closed", "text", "hello @demo.user from inside #Go")
	tagged := w.says("small", "text", "gopher", "topic_tag", "go")
	mine := w.publish("media_type", "TEXT", "text", "hello mail@big @DEMO.USER")

	t.Run("mentions", func(t *testing.T) {
		r := wide.get("/me/mentions", "fields", "username,is_verified,owner")
		same(t, "mentions", r.ids(), []string{said})
		has(t, r, `"username":"big"`, `"is_verified":true`)
		hasNot(t, r, "owner")
		refused(t, w.get("/me/mentions"), 500, "10")
	})
	t.Run("foreign posts", func(t *testing.T) {
		has(t, wide.get("/"+said, "fields", "text"), "Hello")
		refused(t, w.get("/"+said), 400, "100/33")
		refused(t, wide.delete("/"+said), 400, "100/33")
	})
	t.Run("search", func(t *testing.T) {
		same(t, "word", wide.get("/keyword_search", "q", "HELLO", "search_type", "RECENT").ids(), []string{mine, said})
		same(t, "tag", wide.get("/keyword_search", "q", "#go", "search_mode", "TAG", "search_type", "RECENT").ids(), []string{tagged, said})
		same(t, "author", wide.get("/keyword_search", "q", "hello", "author_username", "big").ids(), []string{said})
		same(t, "type", wide.get("/keyword_search", "q", "hello", "media_type", "IMAGE").ids(), []string{})
		same(t, "sensitive", wide.get("/keyword_search", "q", "nsfw").ids(), []string{})
		has(t, wide.get("/me", "fields", "recently_searched_keywords"), `{"query":"hello","timestamp":1793610000000}`)
		refused(t, wide.get("/keyword_search"), 500, "100")
		refused(t, wide.get("/keyword_search", "q", "a", "search_type", "BEST"), 500, "100")
		refused(t, wide.get("/keyword_search", "q", "a", "author_username", "@big"), 500, "100")
		if r := wide.get("/keyword_search", "q", "hello", "fields", "id,owner"); r.status != 200 || strings.Contains(r.raw, "owner") {
			t.Errorf("owner: %d %s", r.status, r.raw)
		}
		refused(t, w.get("/keyword_search", "q", "hello"), 500, "10")
	})
	t.Run("search quota", func(t *testing.T) {
		other := w.as("searcher", allScopes...)
		if err := w.sim.SetUserKnobs("searcher", func(k *threadssim.Knobs) { k.QuotaTotal.KeywordSearches = 1 }); err != nil {
			t.Fatal(err)
		}
		fine(t, other.get("/keyword_search", "q", "nothing at all")) // free
		fine(t, other.get("/keyword_search", "q", "hello"))
		refused(t, other.get("/keyword_search", "q", "hello"), 400, "9/2207042")
		w.clock.Add(25 * time.Hour)
		fine(t, other.get("/keyword_search", "q", "hello"))
	})
	t.Run("profiles", func(t *testing.T) {
		r := wide.get("/profile_lookup", "username", "big")
		has(t, r, `"username":"big"`, `"follower_count":100`, `"is_verified":true`, `"views_count"`)
		hasNot(t, r, `"data"`)
		same(t, "posts", wide.get("/profile_posts", "username", "big").ids(), []string{said})
		for _, name := range []string{"small", "closed", "nobody", ""} {
			refused(t, wide.get("/profile_lookup", "username", name), 500, "100")
			refused(t, wide.get("/profile_posts", "username", name), 500, "100")
		}
		refused(t, w.get("/profile_lookup", "username", "big"), 500, "10")
	})
	t.Run("places", func(t *testing.T) {
		same(t, "by name", wide.get("/location_search", "q", "bryant").ids(), []string{"610000000000000015"})
		same(t, "by the other name", wide.get("/location_search", "query", "paris").ids(), []string{"610000000000000019"})
		same(t, "near", wide.get("/location_search", "latitude", "37.6", "longitude", "-122.3").ids(),
			[]string{"610000000000000011", "610000000000000013"})
		has(t, wide.get("/610000000000000015", "fields", "id,name,latitude"), `"latitude":40.7536`)
		refused(t, w.get("/610000000000000015"), 500, "10")
		refused(t, wide.get("/location_search"), 500, "100")
		refused(t, wide.get("/location_search", "latitude", "1"), 500, "100")
		refused(t, wide.get("/location_search", "latitude", "91", "longitude", "0"), 500, "100")
		refused(t, w.get("/location_search", "q", "x"), 500, "10")
		has(t, wide.get("/me/threads_publishing_limit", "fields", "location_search_quota_usage"), `"location_search_quota_usage":3`)
	})
}

func TestInsights(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	post := w.publish("media_type", "TEXT", "text", "see", "link_attachment", "https://example.org/a")
	w.person(threadssim.Person{Username: "ann"})
	direct := w.says("ann", "text", "r", "reply_to_id", post)
	w.says("ann", "text", "below", "reply_to_id", direct)
	value := func(r reply, i int) int64 {
		t.Helper()
		fine(t, r)
		values, _ := r.list()[i]["values"].([]any)
		one, _ := values[0].(map[string]any)
		n, _ := one["value"].(json.Number)
		v, err := n.Int64()
		if err != nil {
			t.Fatal(r.raw)
		}
		return v
	}
	ask := func() reply { return w.get("/"+post+"/insights", "metric", "views,likes,replies") }
	if v := value(ask(), 0); v != 0 {
		t.Errorf("a new post has %d views", v)
	}
	if v := value(ask(), 2); v != 2 {
		t.Errorf("the post has %d replies, want 2", v)
	}
	w.clock.Add(24 * time.Hour)
	day := value(ask(), 0)
	if day != value(ask(), 0) || day == 0 {
		t.Errorf("figures are not the same twice, or none came: %d", day)
	}
	w.clock.Add(72 * time.Hour)
	if later := value(ask(), 0); later <= day {
		t.Errorf("%d views after a day and %d after four", day, later)
	}
	has(t, ask(), `"period":"lifetime"`, post+"/insights/likes/lifetime", `"title":"Likes"`, `"The number of likes on your post."`)
	facade := fine(t, w.post("/"+post+"/repost")).str("id")
	same(t, "facade", []string{w.get("/"+facade+"/insights", "metric", "likes").raw}, []string{`{"data":[]}`})
	refused(t, w.get("/"+post+"/insights", "metric", "clicks"), 500, "100")
	refused(t, w.get("/"+post+"/insights"), 500, "100")
	refused(t, w.get("/"+direct+"/insights", "metric", "likes"), 400, "100/33")
	refused(t, w.as("demo.user", threads.ScopeBasic).get("/"+post+"/insights", "metric", "likes"), 500, "10")

	since := []string{"since", "1793404800", "until", "1793900000"} // from before the post on
	r := w.get("/me/threads_insights", append([]string{"metric", "views,likes,clicks,followers_count"}, since...)...)
	// The clocks of California went back on the first of November.
	has(t, r, `"values":[{"end_time":"2026-10-31T07:00:00+0000"`, `"2026-11-01T07:00:00+0000"`, `"2026-11-02T08:00:00+0000"`,
		`"total_value":{"value":`, `"link_total_values":[{"link_url":"https://example.org/a"`, `"title":"followers_count"`,
		`"description":"The number of likes on your posts."`, `"description":"This is your total number of followers on Threads."`)
	none := w.as("quiet").get("/me/threads_insights", "metric", "clicks")
	hasNot(t, none, "link_total_values")
	r = w.get("/me/threads_insights", "metric", "follower_demographics", "breakdown", "country")
	has(t, r, `"dimension_keys":["country"]`, `"dimension_values":["US"]`,
		`"period":"day"`, w.userID+"/insights/follower_demographics/day")
	has(t, w.get("/me/threads_insights", "metric", "follower_demographics", "breakdown", "age"), `["13-17"]`, `["65+"]`)
	refused(t, w.get("/me/threads_insights", "metric", "follower_demographics"), 500, "100")
	refused(t, w.get("/me/threads_insights", "metric", "follower_demographics", "breakdown", "country,city"), 500, "100")
	refused(t, w.get("/me/threads_insights", "metric", "views", "since", "1712991599"), 500, "100")
	refused(t, w.get("/me/threads_insights", "metric", "views", "since", "1793900000", "until", "1793404800"), 500, "100")
	refused(t, w.as("demo.user", threads.ScopeBasic).get("/me/threads_insights", "metric", "views"), 500, "10")
	few := 99
	w.person(threadssim.Person{Username: "demo.user", Followers: &few})
	has(t, w.get("/me/threads_insights", "metric", "followers_count"), `{"value":99}`)
	r = w.get("/me/threads_insights", "metric", "follower_demographics", "breakdown", "age")
	refused(t, r, 400, "100")
	if !strings.Contains(r.raw, "THREADS_API__FEATURE_NOT_AVAILABLE") {
		t.Error(r.raw)
	}
}

// The addresses of the spans before and after have the same length and do not overlap; a loop that follows them comes to
// the future, where nothing is counted yet.
func TestInsightsPaging(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.publish("media_type", "TEXT", "text", "p")
	w.clock.Add(48 * time.Hour)
	now := w.clock.Now().Unix()
	spans := func(r reply, name string, from, to int64) string {
		t.Helper()
		fine(t, r)
		paging, _ := r.body["paging"].(map[string]any)
		link, _ := paging[name].(string)
		u, err := url.Parse(link)
		if err != nil || !strings.HasPrefix(link, w.server.URL+"/v1.0/"+w.userID+"/threads_insights?") {
			t.Fatalf("%s is %q", name, link)
		}
		q := u.Query()
		same(t, name, []string{q.Get("since"), q.Get("until"), q.Get("access_token"), q.Get("pretty"), q.Get("metric"), q.Get("breakdown")},
			[]string{strconv.FormatInt(from, 10), strconv.FormatInt(to, 10), w.token, "0", "likes,follower_demographics,views", "age"})
		return u.RequestURI()
	}
	ask := url.Values{"access_token": {w.token}, "metric": {"likes,follower_demographics,views"}, "breakdown": {"age"}}.Encode()
	r := w.send(http.MethodGet, "/v1.0/me/threads_insights?"+ask, "", "")
	spans(r, "previous", now-86401-86400, now-86401)
	next := w.send(http.MethodGet, spans(r, "next", now+1, now+86401), "", "")
	has(t, next, `"values":[]`, `"title":"likes","total_value":{"value":0}`)
	spans(next, "next", now+86402, now+2*86400+2)
	spans(next, "previous", now-86400, now)
	has(t, w.get("/me/threads_insights", "metric", "likes"), `"paging":{"next":"`+w.server.URL)
	hasNot(t, w.get("/me/threads_insights", "metric", "likes"), "access_token")
}

func TestOEmbed(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	id := w.publish("media_type", "TEXT", "text", "<b>bold</b>")
	link := w.get("/"+id, "fields", "permalink").str("permalink")
	public := func(params ...string) reply {
		return w.send(http.MethodGet, "/v1.0/oembed?"+pairs(params).Encode(), "", "")
	}
	r := public("url", link, "maxwidth", "400")
	has(t, r, `"type":"rich"`, `"width":400`, `"provider_url":"https://www.threads.com/"`)
	if !strings.Contains(r.str("html"), "&lt;b&gt;") {
		t.Errorf("the text is not escaped: %s", r.str("html"))
	}
	refused(t, public(), 400, "100")
	refused(t, public("url", link, "maxwidth", "319"), 500, "100")
	refused(t, public("url", "https://www.threads.com/@x/post/y"), 400, "100")
	yes := true
	w.person(threadssim.Person{Username: "demo.user", Private: &yes})
	refused(t, public("url", link), 400, "100")
}
