package threads_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omni-write/threads/internal/threads"
)

const (
	bearer    = threads.Token("THQVJl1")
	appSecret = "app-secret"
)

// request is a call as the wire carries it, the address and the body apart.
type request struct {
	Line  string // method and path
	Query string // decoded, in the order of its names
	Form  string
	Auth  string
}

func plain(v url.Values) string {
	s, _ := url.QueryUnescape(v.Encode())
	return s
}

// wired is a Threads that gives one answer and keeps the request.
func wired(t *testing.T, answer string) (*threads.Client, *request) {
	t.Helper()
	got := &request{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, err := url.ParseQuery(string(body))
		if err != nil || len(body) > 0 && r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("the body %q is no form: %v", body, err)
		}
		*got = request{r.Method + " " + r.URL.Path, plain(r.URL.Query()), plain(form), r.Header.Get("Authorization")}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return threads.New(threads.Config{BaseURL: server.URL, AppID: "1234567890", AppSecret: appSecret}), got
}

// Every call: what it asks, and that it understands the answer the documentation gives as an example.
func TestRequests(t *testing.T) {
	t.Parallel()
	const (
		post       = "id,permalink,shortcode,text,media_type,timestamp,children,is_quote_post,quoted_post,reposted_post"
		reply      = post + ",is_reply,replied_to"
		public     = "id,permalink,shortcode,text,media_type,timestamp,username,has_replies,is_quote_post,is_reply"
		place      = "id,name,address,city,country,latitude,longitude,postal_code"
		longToken  = `{"access_token":"THQVJl2","token_type":"bearer","expires_in":5183944}`
		onePost    = `{"data":[{"id":"18060000000000049","text":"three photos","timestamp":"2026-11-02T09:00:03+0000","media_type":"CAROUSEL_ALBUM","children":{"data":[{"id":"17990000000000033"},{"id":"17990000000000035"}]},"permalink":"https://www.threads.com/@demo.user/post/DAbCdEf0002"}],"paging":{"cursors":{"before":"b","after":"a"}}}`
		done       = `{"success":true}`
		theAccount = "Bearer THQVJl1"
	)
	found := threads.Page{After: "a", Before: "b", Data: []threads.Media{{
		ID: "18060000000000049", Text: "three photos", Timestamp: time.Date(2026, 11, 2, 9, 0, 3, 0, time.UTC),
		MediaType: "CAROUSEL_ALBUM", ChildIDs: []string{"17990000000000033", "17990000000000035"},
		Permalink: "https://www.threads.com/@demo.user/post/DAbCdEf0002",
	}}}
	since := threads.ListQuery{Since: time.Unix(1793609940, 0)}
	day := 24 * time.Hour

	tried := map[string]bool{}
	for _, tc := range []struct {
		op     string
		call   func(*threads.Client) (any, error)
		ask    request
		answer string
		want   any
	}{
		{
			threads.OpExchange,
			func(c *threads.Client) (any, error) {
				return c.ExchangeCode(t.Context(), "AQBcode1#_", "https://app.example/cb")
			},
			request{Line: "POST /oauth/access_token", Form: "client_id=1234567890&client_secret=app-secret&code=AQBcode1&grant_type=authorization_code&redirect_uri=https://app.example/cb"},
			`{"access_token":"THQVJs1","user_id":17841405793187219}`,
			threads.ShortToken{Token: "THQVJs1", UserID: "17841405793187219"},
		},
		{
			threads.OpExchangeLong,
			func(c *threads.Client) (any, error) { return c.ExchangeLongLived(t.Context(), "THQVJs1") },
			request{Line: "GET /access_token", Query: "access_token=THQVJs1&client_secret=app-secret&grant_type=th_exchange_token"},
			longToken, threads.LongToken{Token: "THQVJl2", ExpiresIn: 5183944 * time.Second},
		},
		{
			threads.OpRefresh,
			func(c *threads.Client) (any, error) { return c.Refresh(t.Context(), bearer) },
			request{Line: "GET /refresh_access_token", Query: "access_token=THQVJl1&grant_type=th_refresh_token"},
			longToken, threads.LongToken{Token: "THQVJl2", ExpiresIn: 5183944 * time.Second},
		},
		{
			threads.OpDebugToken,
			func(c *threads.Client) (any, error) { return c.DebugToken(t.Context(), bearer) },
			request{Line: "GET /v1.0/debug_token", Query: "input_token=THQVJl1", Auth: theAccount},
			`{"data":{"type":"USER","application":"Demo App","data_access_expires_at":1792992000,"expires_at":1790400000,"is_valid":true,"issued_at":1785216000,"scopes":["threads_basic","threads_content_publish"],"user_id":"17841405793187219"}}`,
			threads.TokenInfo{
				Scopes: []string{"threads_basic", "threads_content_publish"}, UserID: "17841405793187219", IsValid: true,
				ExpiresAt: time.Unix(1790400000, 0).UTC(), DataAccessExpiresAt: time.Unix(1792992000, 0).UTC(),
				IssuedAt: time.Unix(1785216000, 0).UTC(),
			},
		},
		{
			threads.OpMe,
			func(c *threads.Client) (any, error) { return c.Me(t.Context(), bearer) },
			request{Line: "GET /v1.0/me", Query: "fields=id,username,name,threads_profile_picture_url,threads_biography,is_verified", Auth: theAccount},
			`{"id":"17841405793187219","username":"demo.user","name":"Demo","threads_profile_picture_url":"https://scontent.example/p.jpg","threads_biography":"hi","is_verified":false}`,
			threads.Profile{ID: "17841405793187219", Username: "demo.user", Name: "Demo", PictureURL: "https://scontent.example/p.jpg", Biography: "hi"},
		},
		{
			threads.OpCreate,
			func(c *threads.Client) (any, error) {
				return c.CreateContainer(t.Context(), bearer, threads.Container{MediaType: threads.Video, VideoURL: "https://cdn.example/v.mp4", Text: "clip"})
			},
			request{Line: "POST /v1.0/me/threads", Form: "media_type=VIDEO&text=clip&video_url=https://cdn.example/v.mp4", Auth: theAccount},
			`{"id":"17990000000000051","crossreshare_to_ig_status":"FAILED"}`, "17990000000000051",
		},
		{
			threads.OpStatus,
			func(c *threads.Client) (any, error) {
				return c.ContainerStatus(t.Context(), bearer, "17990000000000051")
			},
			request{Line: "GET /v1.0/17990000000000051", Query: "fields=id,status,error_message", Auth: theAccount},
			`{"status":"ERROR","id":"17990000000000051","error_message":"INVALID_FRAME_RATE"}`,
			threads.Status{Status: threads.StatusError, ErrorMessage: "INVALID_FRAME_RATE"},
		},
		{
			threads.OpPublish,
			func(c *threads.Client) (any, error) {
				return c.Publish(t.Context(), bearer, "17990000000000013", nil)
			},
			request{Line: "POST /v1.0/me/threads_publish", Form: "creation_id=17990000000000013", Auth: theAccount},
			`{"id":"18060000000000017","crossreshare_to_ig_status":"FAILED"}`, "18060000000000017",
		},
		{
			threads.OpRepost, // the one call whose token is in the body
			func(c *threads.Client) (any, error) {
				return c.Repost(t.Context(), bearer, "18060000000000017", nil)
			},
			request{Line: "POST /v1.0/18060000000000017/repost", Form: "access_token=THQVJl1"},
			`{"id":"18060000000000019"}`, "18060000000000019",
		},
		{
			threads.OpDelete,
			func(c *threads.Client) (any, error) { return nil, c.Delete(t.Context(), bearer, "18060000000000017") },
			request{Line: "DELETE /v1.0/18060000000000017", Auth: theAccount},
			`{"success":true,"deleted_id":"18060000000000017"}`, nil,
		},
		{
			threads.OpMedia,
			func(c *threads.Client) (any, error) { return c.Media(t.Context(), bearer, "18060000000000017") },
			request{Line: "GET /v1.0/18060000000000017", Query: "fields=" + reply, Auth: theAccount},
			`{"id":"18060000000000017","media_product_type":"THREADS","media_type":"TEXT_POST","permalink":"https://www.threads.com/@demo.user/post/DAbCdEf0001","owner":{"id":"17841405793187219"},"username":"demo.user","text":"hello","timestamp":"2026-11-02T09:00:03+0000","shortcode":"DAbCdEf0001","is_quote_post":false,"has_replies":false}`,
			threads.Media{
				ID: "18060000000000017", MediaType: "TEXT_POST", Permalink: "https://www.threads.com/@demo.user/post/DAbCdEf0001",
				OwnerID: "17841405793187219", Username: "demo.user", Text: "hello", Shortcode: "DAbCdEf0001",
				Timestamp: time.Date(2026, 11, 2, 9, 0, 3, 0, time.UTC),
			},
		},
		{
			threads.OpPosts,
			func(c *threads.Client) (any, error) { return c.Posts(t.Context(), bearer, since) },
			request{Line: "GET /v1.0/me/threads", Query: "fields=" + post + "&since=1793609940", Auth: theAccount}, onePost, found,
		},
		{
			threads.OpReplies,
			func(c *threads.Client) (any, error) { return c.Replies(t.Context(), bearer, threads.ListQuery{}) },
			request{Line: "GET /v1.0/me/replies", Query: "fields=" + reply, Auth: theAccount}, onePost, found,
		},
		{
			threads.OpGhostPosts,
			func(c *threads.Client) (any, error) {
				return c.GhostPosts(t.Context(), bearer, threads.ListQuery{Limit: 5})
			},
			request{Line: "GET /v1.0/me/ghost_posts", Query: "fields=" + post + "&limit=5", Auth: theAccount}, onePost, found,
		},
		{
			threads.OpMentions,
			func(c *threads.Client) (any, error) {
				return c.Mentions(t.Context(), bearer, threads.ListQuery{Before: "x"})
			},
			request{Line: "GET /v1.0/me/mentions", Query: "before=x&fields=" + reply + ",username,has_replies,root_post,is_verified,profile_picture_url", Auth: theAccount}, onePost, found,
		},
		{
			threads.OpRepliesTo,
			func(c *threads.Client) (any, error) {
				return c.RepliesTo(t.Context(), bearer, "7", threads.ListQuery{OldestFirst: true})
			},
			request{Line: "GET /v1.0/7/replies", Query: "fields=" + reply + ",username,has_replies,root_post,is_verified,profile_picture_url,hide_status,is_reply_owned_by_me&reverse=false", Auth: theAccount}, onePost, found,
		},
		{
			threads.OpConversation,
			func(c *threads.Client) (any, error) {
				return c.Conversation(t.Context(), bearer, "7", threads.ListQuery{})
			},
			request{Line: "GET /v1.0/7/conversation", Query: "fields=" + reply + ",username,has_replies,root_post,hide_status,is_reply_owned_by_me", Auth: theAccount}, onePost, found,
		},
		{
			threads.OpPendingReplies,
			func(c *threads.Client) (any, error) {
				return c.PendingReplies(t.Context(), bearer, "7", threads.ApprovalIgnored, threads.ListQuery{})
			},
			request{Line: "GET /v1.0/7/pending_replies", Query: "approval_status=ignored&fields=" + reply + ",username,reply_approval_status", Auth: theAccount}, onePost, found,
		},
		{
			threads.OpHideReply,
			func(c *threads.Client) (any, error) { return nil, c.Hide(t.Context(), bearer, "7", false) },
			request{Line: "POST /v1.0/7/manage_reply", Form: "hide=false", Auth: theAccount}, done, nil,
		},
		{
			threads.OpApproveReply,
			func(c *threads.Client) (any, error) { return nil, c.Approve(t.Context(), bearer, "7", true) },
			request{Line: "POST /v1.0/7/manage_pending_reply", Form: "approve=true", Auth: theAccount}, done, nil,
		},
		{
			threads.OpSearch,
			func(c *threads.Client) (any, error) {
				return c.Search(t.Context(), bearer, threads.SearchQuery{Q: "cats"})
			},
			request{Line: "GET /v1.0/keyword_search", Query: "fields=" + public + "&q=cats", Auth: theAccount},
			`{"data":[{"id":"1","media_type":"TEXT"},{"id":"2","media_type":"TEXT_POST"}]}`, // either word was seen
			threads.Page{Data: []threads.Media{{ID: "1", MediaType: "TEXT_POST"}, {ID: "2", MediaType: "TEXT_POST"}}},
		},
		{
			threads.OpProfileLookup,
			func(c *threads.Client) (any, error) { return c.ProfileLookup(t.Context(), bearer, "meta") },
			request{Line: "GET /v1.0/profile_lookup", Query: "username=meta", Auth: theAccount},
			`{"username":"meta","name":"Meta","biography":"hi","is_verified":true,"follower_count":12,"likes_count":1,"quotes_count":2,"replies_count":3,"reposts_count":4,"views_count":5}`,
			threads.PublicProfile{Username: "meta", Name: "Meta", Biography: "hi", IsVerified: true, Followers: 12, Likes: 1, Quotes: 2, Replies: 3, Reposts: 4, Views: 5},
		},
		{
			threads.OpProfilePosts,
			func(c *threads.Client) (any, error) {
				return c.ProfilePosts(t.Context(), bearer, "meta", threads.ListQuery{})
			},
			request{Line: "GET /v1.0/profile_posts", Query: "fields=" + public + "&username=meta", Auth: theAccount}, onePost, found,
		},
		{
			threads.OpLocationSearch,
			func(c *threads.Client) (any, error) {
				return c.LocationSearch(t.Context(), bearer, "menlo park", &threads.Point{Latitude: 37.4529, Longitude: -122.1817})
			},
			request{Line: "GET /v1.0/location_search", Query: "fields=" + place + "&latitude=37.4529&longitude=-122.1817&q=menlo park", Auth: theAccount},
			`{"data":[{"id":17841405793187219,"name":"Menlo Park","city":"Menlo Park","country":"US","latitude":37.4529,"longitude":-122.1817,"postal_code":"94025"}]}`,
			[]threads.Location{{ID: "17841405793187219", Name: "Menlo Park", City: "Menlo Park", Country: "US", PostalCode: "94025", Latitude: 37.4529, Longitude: -122.1817}},
		},
		{
			threads.OpMediaInsights,
			func(c *threads.Client) (any, error) { return c.MediaInsights(t.Context(), bearer, "18060000000000017") },
			request{Line: "GET /v1.0/18060000000000017/insights", Query: "metric=views,likes,replies,reposts,quotes,shares", Auth: theAccount},
			`{"data":[{"name":"likes","period":"lifetime","values":[{"value":3}],"title":"Likes","description":"…","id":"18060000000000017/insights/likes/lifetime"}]}`,
			[]threads.Metric{{Name: "likes", Period: "lifetime", Title: "Likes", Total: 3, HasTotal: true, Days: []threads.DayValue{{Value: 3}}}},
		},
		{
			threads.OpAccountInsights,
			func(c *threads.Client) (any, error) {
				return c.AccountInsights(t.Context(), bearer, threads.InsightsQuery{Until: time.Unix(1793609940, 0)})
			},
			request{Line: "GET /v1.0/me/threads_insights", Query: "metric=views,likes,replies,reposts,quotes,clicks,followers_count&until=1793609940", Auth: theAccount},
			`{"data":[]}`, []threads.Metric{},
		},
		{
			threads.OpLimits,
			func(c *threads.Client) (any, error) {
				return c.Limits(t.Context(), bearer, []string{threads.ScopeContentPublish, threads.ScopeManageReplies, threads.ScopeDelete, threads.ScopeLocationTagging})
			},
			request{Line: "GET /v1.0/me/threads_publishing_limit", Query: "fields=quota_usage,config,reply_quota_usage,reply_config,delete_quota_usage,delete_config,location_search_quota_usage,location_search_config", Auth: theAccount},
			`{"data":[{"quota_usage":4,"config":{"quota_total":250,"quota_duration":86400},"reply_quota_usage":1,"reply_config":{"quota_total":1000,"quota_duration":86400},"delete_quota_usage":0,"delete_config":{"quota_total":100,"quota_duration":86400},"location_search_quota_usage":"2","location_search_config":{"quota_total":"500","quota_duration":"86400"}}]}`,
			threads.Limits{
				Posts: threads.Allowance{Used: 4, Total: 250, Window: day}, Replies: threads.Allowance{Used: 1, Total: 1000, Window: day},
				Deletes: threads.Allowance{Total: 100, Window: day}, LocationSearches: threads.Allowance{Used: 2, Total: 500, Window: day},
			},
		},
	} {
		tried[tc.op] = true
		c, got := wired(t, tc.answer)
		is, err := tc.call(c)
		if err != nil {
			t.Errorf("%s: %v", tc.op, err)
			continue
		}
		if diff := cmp.Diff(tc.ask, *got); diff != "" {
			t.Errorf("%s asks otherwise (-want +got):\n%s", tc.op, diff)
		}
		if is, ok := is.(threads.Token); ok { // whose text is always the same
			if is.Reveal() != tc.want.(threads.Token).Reveal() {
				t.Errorf("%s gave another token", tc.op)
			}
			continue
		}
		if diff := cmp.Diff(tc.want, is); diff != "" {
			t.Errorf("%s understands otherwise (-want +got):\n%s", tc.op, diff)
		}
	}
	for _, op := range threads.Ops {
		if !tried[op] {
			t.Errorf("%s was not tried", op)
		}
	}
}

// The simulator's knobs go by Ops; a call left out of it could never be made to fail.
func TestOpsAreAll(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(gotoken.NewFileSet(), "call.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 && strings.HasPrefix(spec.Names[0].Name, "Op") {
			if value, ok := spec.Values[0].(*ast.BasicLit); ok {
				name, _ := strconv.Unquote(value.Value)
				named = append(named, name)
			}
		}
		return true
	})
	all := slices.Clone(threads.Ops)
	slices.Sort(named)
	slices.Sort(all)
	if diff := cmp.Diff(named, all); diff != "" || len(all) == 0 {
		t.Errorf("Ops are not the names of all calls (-names +Ops):\n%s", diff)
	}
}
