package threads_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omni-write/threads/internal/threads"
)

// seen is what a call looked like to Threads.
type seen struct {
	mu           sync.Mutex
	Method, Path string
	Params       url.Values
}

func (s *seen) note(method, path string, params url.Values) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Method, s.Path, s.Params = method, path, params
}

// told is a Threads that answers everything the same and remembers the last call. A token in an address would end up in
// somebody's log, so that fails at once.
func told(t *testing.T, answer string) (*threads.Client, *seen) {
	t.Helper()
	last := &seen{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.RawQuery, "THtoken") {
			t.Errorf("the token is in the address: %s", r.URL)
		}
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		params := r.URL.Query()
		for k, v := range form {
			params[k] = v
		}
		last.note(r.Method, r.URL.Path, params)
		// A repost that was called off arrives without its body.
		if r.Header.Get("Authorization") != "Bearer THtoken" && form.Get("access_token") != "THtoken" && (len(form) > 0 || !strings.HasSuffix(r.URL.Path, "/repost")) {
			t.Errorf("%s came without the token", r.URL.Path)
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return newClient(server.URL, nil), last
}

const token = threads.Token("THtoken")

func TestContainerParameters(t *testing.T) {
	t.Parallel()
	c, last := told(t, `{"id":"17990000000000013"}`)
	_, err := c.CreateContainer(t.Context(), token, threads.Container{
		MediaType: threads.Text, Text: "which?", ReplyToID: "1", QuotePostID: "2", ReplyControl: "mentioned_only", TopicTag: "cats",
		LinkAttachment: "https://example.org", PollOptions: []string{"yes", "no", "perhaps"}, GIF: &threads.GIF{ID: "g1", Provider: "giphy"},
		TextAttachment: &threads.TextAttachment{Plaintext: "long", LinkURL: "https://example.org/a",
			Styles: []threads.StyledRange{{TextRange: threads.TextRange{Length: 4}, Styles: []string{"bold", "italic"}}}},
		Spoilers: []threads.TextRange{{Offset: 1, Length: 5}}, SpoilerMedia: true, Ghost: true, ReplyApprovals: true, LocationID: "9",
		Countries: []string{"DE", "FR"}, ShareToInstagram: true, ShareToInstagramDark: true, Children: []string{"7", "8"}, IsCarouselItem: true, AltText: "a cat",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{}
	for k, v := range map[string]string{
		"media_type": "TEXT", "text": "which?", "reply_to_id": "1", "quote_post_id": "2", "reply_control": "mentioned_only", "topic_tag": "cats",
		"link_attachment": "https://example.org", "poll_attachment": `{"option_a":"yes","option_b":"no","option_c":"perhaps"}`,
		"gif_attachment":  `{"gif_id":"g1","provider":"GIPHY"}`,
		"text_attachment": `{"plaintext":"long","link_attachment_url":"https://example.org/a","text_with_styling_info":[{"offset":0,"length":4,"styling_info":["bold","italic"]}]}`,
		"text_entities":   `[{"entity_type":"SPOILER","offset":1,"length":5}]`, "is_spoiler_media": "true", "is_ghost_post": "true",
		"enable_reply_approvals": "true", "location_id": "9", "allowlisted_country_codes": "DE,FR", "crossreshare_to_ig": "true",
		"crossreshare_to_ig_dark_mode": "true", "children": "7,8", "is_carousel_item": "true", "alt_text": "a cat",
	} {
		want.Set(k, v)
	}
	if diff := cmp.Diff(want, last.Params); diff != "" {
		t.Errorf("the parameters differ:\n%s", diff)
	}
}

// Every field of the reference, in the shapes it names, with one that nobody knows yet.
const wholePost = `{"id":"18060000000000017","media_product_type":"THREADS","media_type":"CAROUSEL_ALBUM","media_url":"https://cdn.example/a","thumbnail_url":"https://cdn.example/t",
"permalink":"https://www.threads.com/@demo.user/post/DAbCdEf0001","owner":{"id":17841405793187219},"username":"demo.user","text":"hello","timestamp":"2026-11-02T09:00:03+0000",
"shortcode":"DAbCdEf0001","children":{"data":[{"id":"17990000000000033"},{"id":"17990000000000035"}]},"is_quote_post":true,"quoted_post":{"id":"5"},"alt_text":"a cat",
"link_attachment_url":"https://example.org","gif_url":"https://giphy.example/1","topic_tag":"cats",
"poll_attachment":{"option_a":"yes","option_b":"no","option_a_votes_percentage":75,"option_b_votes_percentage":"25.0","total_votes":4,"expiration_timestamp":"2026-11-03T09:00:03+0000"},
"has_replies":true,"is_reply":true,"is_reply_owned_by_me":true,"root_post":{"id":"3"},"replied_to":{"id":"4"},"hide_status":"NOT_HUSHED","reply_audience":"FOLLOWERS_ONLY",
"is_spoiler_media":true,"text_entities":{"data":[{"entity_type":"SPOILER","offset":1,"length":2},{"entity_type":"SPARKLE","offset":0,"length":1}]},
"text_attachment":{"plaintext":"long","text_with_styling_info":[{"offset":0,"length":4,"styling_info":["bold","neon"]}]},
"ghost_post_status":"ACTIVE","ghost_post_expiration_timestamp":"2026-11-03T09:00:03+0000","location_id":"77","location":{"id":77,"name":"Here","latitude":1.5,"longitude":-2},
"allowlisted_country_codes":["DE"],"is_verified":true,"profile_picture_url":"https://cdn.example/p","reply_approval_status":"pending","mood":{"of":["tomorrow"]}}`

func TestDetail(t *testing.T) {
	t.Parallel()
	c, last := told(t, wholePost)
	m, err := c.Detail(t.Context(), token, "18060000000000017", []string{threads.ScopeBasic})
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 11, 3, 9, 0, 3, 0, time.UTC)
	want := threads.Media{
		ID: "18060000000000017", Permalink: "https://www.threads.com/@demo.user/post/DAbCdEf0001", Shortcode: "DAbCdEf0001", Text: "hello",
		MediaType: "CAROUSEL_ALBUM", Timestamp: day.Add(-24 * time.Hour), ChildIDs: []string{"17990000000000033", "17990000000000035"},
		IsReply: true, ReplyToID: "4", IsQuote: true, QuotedID: "5", OwnerID: "17841405793187219", Username: "demo.user", MediaURL: "https://cdn.example/a",
		ThumbnailURL: "https://cdn.example/t", AltText: "a cat", LinkURL: "https://example.org", GIFURL: "https://giphy.example/1", TopicTag: "cats",
		Poll:       &threads.PollResult{Options: []threads.PollOption{{Text: "yes", Percent: 75}, {Text: "no", Percent: 25}}, TotalVotes: 4, ExpiresAt: day},
		HasReplies: true, RootID: "3", ReplyOfMine: true, HideStatus: "NOT_HUSHED", ReplyAudience: "FOLLOWERS_ONLY", ApprovalStatus: "pending",
		SpoilerMedia: true, Spoilers: []threads.TextRange{{Offset: 1, Length: 2}},
		TextAttachment: &threads.TextAttachment{Plaintext: "long", Styles: []threads.StyledRange{{TextRange: threads.TextRange{Length: 4}, Styles: []string{"bold", "neon"}}}},
		GhostStatus:    "ACTIVE", GhostExpires: day, LocationID: "77", Location: &threads.Location{ID: "77", Name: "Here", Latitude: 1.5, Longitude: -2},
		Countries: []string{"DE"}, AuthorVerified: true, AuthorPicture: "https://cdn.example/p",
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("the post differs:\n%s", diff)
	}
	for field, scope := range map[string]string{"reply_audience": threads.ScopeReadReplies, "location{": threads.ScopeLocationTagging} {
		if strings.Contains(last.Params.Get("fields"), field) {
			t.Errorf("%s was asked for without %s: that fails the whole call", field, scope)
		}
		if _, err := c.Detail(t.Context(), token, "1", []string{scope}); err != nil || !strings.Contains(last.Params.Get("fields"), field) {
			t.Errorf("%s was not asked for with %s: %v", field, scope, err)
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	const page = `{"data":[{"id":"1"},{"id":2}],"paging":{"cursors":{"before":"b","after":"a"},"next":"https://graph.threads.net/x"}}`
	since := time.Unix(1793609940, 0)
	q := threads.ListQuery{Since: since, Until: since.Add(time.Hour), After: "x", Limit: 500, OldestFirst: true}
	for path, list := range map[string]func(*threads.Client) (threads.Page, error){
		"/v1.0/me/threads":     func(c *threads.Client) (threads.Page, error) { return c.Posts(t.Context(), token, q) },
		"/v1.0/me/replies":     func(c *threads.Client) (threads.Page, error) { return c.Replies(t.Context(), token, q) },
		"/v1.0/me/ghost_posts": func(c *threads.Client) (threads.Page, error) { return c.GhostPosts(t.Context(), token, q) },
		"/v1.0/me/mentions":    func(c *threads.Client) (threads.Page, error) { return c.Mentions(t.Context(), token, q) },
		"/v1.0/7/replies":      func(c *threads.Client) (threads.Page, error) { return c.RepliesTo(t.Context(), token, "7", q) },
		"/v1.0/7/conversation": func(c *threads.Client) (threads.Page, error) { return c.Conversation(t.Context(), token, "7", q) },
		"/v1.0/7/pending_replies": func(c *threads.Client) (threads.Page, error) {
			return c.PendingReplies(t.Context(), token, "7", threads.ApprovalPending, q)
		},
		"/v1.0/profile_posts": func(c *threads.Client) (threads.Page, error) { return c.ProfilePosts(t.Context(), token, "meta", q) },
		"/v1.0/keyword_search": func(c *threads.Client) (threads.Page, error) {
			return c.Search(t.Context(), token, threads.SearchQuery{Q: "cats", Recent: true, Tag: true, MediaType: "IMAGE", Author: "meta", ListQuery: q})
		},
	} {
		c, last := told(t, page)
		got, err := list(c)
		if err != nil {
			t.Fatal(err)
		}
		if last.Path != path || last.Method != http.MethodGet {
			t.Errorf("%s was asked at %s %s", path, last.Method, last.Path)
		}
		if len(got.Data) != 2 || got.Data[1].ID != "2" || got.After != "a" || got.Before != "b" {
			t.Errorf("%s gave %+v", path, got)
		}
		p := last.Params
		if p.Get("since") != "1793609940" || p.Get("until") != "1793613540" || p.Get("after") != "x" || p.Get("limit") != "100" || p.Get("reverse") != "false" || p.Get("fields") == "" {
			t.Errorf("%s was asked with %v", path, p)
		}
		switch path {
		case "/v1.0/7/pending_replies":
			if p.Get("approval_status") != "pending" {
				t.Errorf("asked with %v", p)
			}
		case "/v1.0/keyword_search":
			if p.Get("q") != "cats" || p.Get("search_type") != "RECENT" || p.Get("search_mode") != "TAG" || p.Get("media_type") != "IMAGE" || p.Get("author_username") != "meta" || strings.Contains(p.Get("fields"), "owner") {
				t.Errorf("asked with %v", p)
			}
		}
		// An empty list may come without paging at all.
		c, _ = told(t, `{"data":[]}`)
		if got, err := list(c); err != nil || len(got.Data) != 0 || got.After != "" {
			t.Errorf("%s: an empty list gave %+v, %v", path, got, err)
		}
	}
}

func TestModeration(t *testing.T) {
	t.Parallel()
	c, last := told(t, `{"success":true}`)
	if err := c.Hide(t.Context(), token, "7", true); err != nil || last.Path != "/v1.0/7/manage_reply" || last.Params.Get("hide") != "true" {
		t.Errorf("hide: %v, %+v", err, last)
	}
	if err := c.Approve(t.Context(), token, "7", false); err != nil || last.Path != "/v1.0/7/manage_pending_reply" || last.Params.Get("approve") != "false" {
		t.Errorf("approve: %v, %+v", err, last)
	}
	for _, id := range []string{"", "me/../x", "7?x"} {
		if err := c.Hide(t.Context(), token, id, true); threads.ClassOf(err) != threads.Invalid {
			t.Errorf("%q: %v", id, err)
		}
	}
	c, _ = told(t, `{"success":false}`)
	if err := c.Hide(t.Context(), token, "7", true); err == nil {
		t.Error("an answer without success is none")
	}
}

func TestInsights(t *testing.T) {
	t.Parallel()
	// One of each shape, and a metric of tomorrow.
	c, last := told(t, `{"data":[
{"name":"views","period":"day","values":[{"value":3,"end_time":"2026-11-02T08:00:00+0000"},{"value":"4","end_time":"2026-11-03T08:00:00+0000"}]},
{"name":"likes","period":"day","total_value":{"value":5}},
{"name":"clicks","period":"day","link_total_values":[{"value":2,"link_url":"https://example.org"}]},
{"name":"clicks","period":"day"},
{"name":"follower_demographics","period":"lifetime","total_value":{"breakdowns":[{"dimension_keys":["country"],"results":[{"dimension_values":["US"],"value":401}]}]}},
{"name":"auras","values":null,"total_value":null,"shimmer":true}]}`)
	got, err := c.AccountInsights(t.Context(), token, threads.InsightsQuery{
		Metrics: []string{"views", "likes"}, Since: time.Unix(1793609940, 0), Until: time.Unix(1793709940, 0), Breakdown: "country",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []threads.Metric{
		{Name: "views", Period: "day", Days: []threads.DayValue{{Value: 3, End: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)}, {Value: 4, End: time.Date(2026, 11, 3, 8, 0, 0, 0, time.UTC)}}},
		{Name: "likes", Period: "day", Total: 5, HasTotal: true},
		{Name: "clicks", Period: "day", Links: []threads.LinkValue{{URL: "https://example.org", Value: 2}}},
		{Name: "clicks", Period: "day"},
		{Name: "follower_demographics", Period: "lifetime", Breakdown: []threads.BreakdownValue{{Group: "US", Value: 401}}},
		{Name: "auras"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the figures differ:\n%s", diff)
	}
	if p := last.Params; p.Get("metric") != "views,likes" || p.Get("since") != "1793609940" || p.Get("breakdown") != "country" {
		t.Errorf("asked with %v", p)
	}
	c, last = told(t, `{"data":[{"name":"likes","period":"lifetime","values":[{"value":3}],"title":"Likes","description":"…","id":"18060000000000017/insights/likes/lifetime"}]}`)
	one, err := c.MediaInsights(t.Context(), token, "18060000000000017", threads.MediaMetrics...)
	if err != nil || len(one) != 1 || one[0].Total != 3 || !one[0].HasTotal || last.Path != "/v1.0/18060000000000017/insights" {
		t.Errorf("%+v, %v, asked at %s", one, err, last.Path)
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	c, last := told(t, `{"username":"meta","name":"Meta","profile_picture_url":"https://cdn.example/p","biography":"hi","is_verified":true,"follower_count":"12","likes_count":3}`)
	p, err := c.ProfileLookup(t.Context(), token, "meta")
	if want := (threads.PublicProfile{Username: "meta", Name: "Meta", PictureURL: "https://cdn.example/p", Biography: "hi", IsVerified: true, Followers: 12, Likes: 3}); err != nil || p != want {
		t.Errorf("%+v, %v", p, err)
	}
	if last.Params.Get("username") != "meta" {
		t.Errorf("asked with %v", last.Params)
	}
	c, last = told(t, `{"data":[{"id":110,"name":"Menlo Park","latitude":37.4,"longitude":-122.1},{"id":"111"}]}`)
	places, err := c.LocationSearch(t.Context(), token, "menlo", &threads.Point{Latitude: 37.4, Longitude: -122.1})
	if err != nil || len(places) != 2 || places[0].ID != "110" || places[0].Latitude != 37.4 || places[1].ID != "111" {
		t.Errorf("%+v, %v", places, err)
	}
	if last.Params.Get("q") != "menlo" || last.Params.Get("latitude") != "37.4" {
		t.Errorf("asked with %v", last.Params)
	}
}

func TestRepostCall(t *testing.T) {
	t.Parallel()
	c, last := told(t, `{"id":"18060000000000017"}`)
	id, err := c.Repost(t.Context(), token, "18060000000000099", nil)
	if err != nil || id != "18060000000000017" || last.Path != "/v1.0/18060000000000099/repost" || last.Method != http.MethodPost {
		t.Errorf("%s, %v, %+v", id, err, last)
	}
	// Until the gate opens, nothing is sent that could have an effect.
	last.note("", "", nil)
	if _, err := c.Repost(t.Context(), token, "18060000000000099", func() error { return io.ErrClosedPipe }); !errors.Is(err, threads.ErrNotSent) {
		t.Error(err)
	}
	last.mu.Lock()
	defer last.mu.Unlock()
	if last.Params.Get("access_token") != "" {
		t.Error("the call that was called off arrived with its token")
	}
}
