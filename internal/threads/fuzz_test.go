package threads_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/omni-write/threads/internal/threads"
)

// sameAnswer is Threads, or whatever stands between, giving one answer to all questions.
type sameAnswer struct {
	status int
	header http.Header
	body   string
}

func (a sameAnswer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// Whatever is answered to whatever call: a value or an *Error that says what to do and tells no secret. A call that may
// have made something live never looks safe to repeat.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `[]`, `null`, `{"id":"18060000000000017"}`, `{"id":17841405793187219}`, `{"success":true}`, `<html>`,
		`{"data":[{"id":"1","text":"a","timestamp":"2026-11-02T09:00:03+0000","children":{"data":[{"id":"2"}]},"replied_to":{"id":"3"}}],"paging":{"cursors":{"before":"b","after":"a"},"next":"https://graph.threads.net/v1.0/me/threads?after=b"}}`,
		`{"data":[{"quota_usage":4,"config":{"quota_total":250,"quota_duration":86400},"reply_quota_usage":"1","reply_config":{"quota_total":1e3}}]}`,
		`{"data":[{"name":"views","period":"day","values":[{"value":21,"end_time":"2026-10-31T07:00:00+0000"}],"total_value":{"value":5,"breakdowns":[{"dimension_keys":["country"],"results":[{"dimension_values":["US"],"value":1}]}]}}]}`,
		`{"access_token":"THQVJl1","token_type":"bearer","expires_in":5183944,"user_id":17841405793187219}`,
		`{"data":{"type":"USER","is_valid":true,"expires_at":1790400000,"issued_at":1785216000,"scopes":["threads_basic"],"user_id":"17841405793187219"}}`,
		`{"id":"1","status":"ERROR","error_message":"INVALID_FRAME_RATE"}`, `{"version":"1.0","html":"<blockquote>","width":658}`,
		`{"error":{"message":"The token sssh-token","code":24,"error_subcode":4279009,"fbtrace_id":"A"}}`, `{"error_type":"OAuthException","code":400}`,
		`{"id":"1","username":"a","follower_count":"12","latitude":"52.5","poll_attachment":{"option_a":"a","total_votes":3}}`,
	} {
		f.Add(200, "", seed)
		f.Add(400, "120", seed)
		f.Add(500, "Mon, 02 Nov 2026 09:00:30 GMT", seed)
	}
	f.Fuzz(func(t *testing.T, status int, retry, body string) {
		if status < 200 || status > 999 {
			t.Skip("no status of an answer")
		}
		header := http.Header{"Retry-After": {retry}, "X-Business-Use-Case-Usage": {body}}
		c := newClient("https://graph.example", &http.Client{Transport: sameAnswer{status, header, body}})
		for op, call := range calls(t, c) {
			err := call()
			if err == nil {
				continue
			}
			e, ok := errors.AsType[*threads.Error](err)
			if !ok {
				t.Fatalf("%s: %T %v", op, err, err)
			}
			if e.Op != op || e.Class == "" || e.Sentence == "" || e.RetryAfter < 0 {
				t.Errorf("%s: %+v", op, e)
			}
			with := op != threads.OpExchange
			if with && strings.Contains(err.Error(), fuzzToken) {
				t.Errorf("%s tells the token: %v", op, err)
			}
			live := op == threads.OpPublish || op == threads.OpRepost
			if live && !slices.Contains([]threads.Class{threads.Ambiguous, threads.Invalid, threads.Reauthorize, threads.Quota, threads.NotReady, threads.NotFound}, e.Class) {
				t.Errorf("%s may be live and looks safe to repeat: %v", op, err)
			}
			if errors.Is(err, threads.ErrNotSent) {
				t.Errorf("%s was sent: %v", op, err)
			}
		}
	})
}

const fuzzToken = "sssh-token"

// calls are all that this client knows, by their names. None of them panics, whatever is made of its answer.
func calls(t *testing.T, c *threads.Client) map[string]func() error {
	t.Helper()
	const id, tok = "18060000000000017", threads.Token(fuzzToken)
	ctx := t.Context()
	var q threads.ListQuery
	page := func(p threads.Page, err error) error {
		if err == nil && p.After == "" && len(p.Data) > 1000 {
			t.Errorf("a page of %d posts", len(p.Data))
		}
		return err
	}
	all := []string{"threads_basic", "threads_content_publish", "threads_manage_replies", "threads_delete", "threads_location_tagging"}
	text := threads.Container{MediaType: threads.Text, Text: "x", ReplyToID: id}
	only := func(_ any, err error) error { return err }
	made := func(id string, err error) error {
		if err == nil && strings.Trim(id, " ") == "" {
			t.Error("an id of nothing")
		}
		return err
	}
	return map[string]func() error{
		threads.OpExchange:        func() error { return only(c.ExchangeCode(ctx, "code", "https://app.example/cb")) },
		threads.OpExchangeLong:    func() error { return only(c.ExchangeLongLived(ctx, tok)) },
		threads.OpRefresh:         func() error { return only(c.Refresh(ctx, tok)) },
		threads.OpDebugToken:      func() error { return only(c.DebugToken(ctx, tok)) },
		threads.OpMe:              func() error { return only(c.Me(ctx, tok)) },
		threads.OpCreate:          func() error { return made(c.CreateContainer(ctx, tok, text)) },
		threads.OpStatus:          func() error { return only(c.ContainerStatus(ctx, tok, id)) },
		threads.OpPublish:         func() error { return made(c.Publish(ctx, tok, id, nil)) },
		threads.OpRepost:          func() error { return made(c.Repost(ctx, tok, id, nil)) },
		threads.OpDelete:          func() error { return c.Delete(ctx, tok, id) },
		threads.OpMedia:           func() error { return errors.Join(only(c.Media(ctx, tok, id)), only(c.Detail(ctx, tok, id, all))) },
		threads.OpPosts:           func() error { return page(c.Posts(ctx, tok, q)) },
		threads.OpReplies:         func() error { return page(c.Replies(ctx, tok, q)) },
		threads.OpGhostPosts:      func() error { return page(c.GhostPosts(ctx, tok, q)) },
		threads.OpMentions:        func() error { return page(c.Mentions(ctx, tok, q)) },
		threads.OpRepliesTo:       func() error { return page(c.RepliesTo(ctx, tok, id, q)) },
		threads.OpConversation:    func() error { return page(c.Conversation(ctx, tok, id, q)) },
		threads.OpPendingReplies:  func() error { return page(c.PendingReplies(ctx, tok, id, "", q)) },
		threads.OpHideReply:       func() error { return c.Hide(ctx, tok, id, true) },
		threads.OpApproveReply:    func() error { return c.Approve(ctx, tok, id, true) },
		threads.OpSearch:          func() error { return page(c.Search(ctx, tok, threads.SearchQuery{Q: "x"})) },
		threads.OpProfileLookup:   func() error { return only(c.ProfileLookup(ctx, tok, "demo.user")) },
		threads.OpProfilePosts:    func() error { return page(c.ProfilePosts(ctx, tok, "demo.user", q)) },
		threads.OpLocationSearch:  func() error { return only(c.LocationSearch(ctx, tok, "Berlin", nil)) },
		threads.OpMediaInsights:   func() error { return only(c.MediaInsights(ctx, tok, id, "likes")) },
		threads.OpAccountInsights: func() error { return only(c.AccountInsights(ctx, tok, threads.InsightsQuery{})) },
		threads.OpLimits:          func() error { return only(c.Limits(ctx, tok, all)) },
	}
}

func TestFuzzAnswersKnowsAllCalls(t *testing.T) {
	t.Parallel()
	known := calls(t, newClient("https://graph.example", nil))
	for _, op := range threads.Ops {
		if known[op] == nil {
			t.Errorf("%s is not called", op)
		}
	}
}

// Whatever is asked for: the rules end, and every problem can be shown.
func FuzzCheck(f *testing.F) {
	f.Add(threads.Text, "hello https://example.org", "https://example.org", "cats", "a", 0, 5, uint8(0))
	f.Add(threads.Image, "", "https://cdn.example/a.jpg", "a.b", "\x00", -1, 1<<62, uint8(0xFF))
	f.Add(threads.Video, "🚀\xff", "", "", strings.Repeat("é", 26), 1<<62, 1<<62, uint8(0x55))
	f.Add(threads.Carousel, "x", "", "&", "1", 3, -3, uint8(0x0F))
	f.Fuzz(func(t *testing.T, kind, text, address, tag, word string, offset, length int, with uint8) {
		stretch := threads.TextRange{Offset: offset, Length: length}
		k := threads.Container{MediaType: kind, Text: text, TopicTag: tag, AltText: word, ReplyControl: word, LocationID: word, Countries: []string{tag, word}}
		on := func(bit uint) bool { return with&(1<<bit) != 0 }
		if on(0) {
			k.ImageURL, k.VideoURL = address, address
		}
		if on(1) {
			k.LinkAttachment = address
		}
		if on(2) {
			k.PollOptions = strings.Split(word, "a")
		}
		if on(3) {
			k.GIF = &threads.GIF{ID: word, Provider: tag}
		}
		if on(4) {
			k.TextAttachment = &threads.TextAttachment{Plaintext: text, LinkURL: address, Styles: []threads.StyledRange{{TextRange: stretch, Styles: []string{word}}}}
		}
		k.Spoilers = []threads.TextRange{stretch, {Offset: length, Length: offset}}
		k.Ghost, k.IsCarouselItem, k.SpoilerMedia = on(5), on(6), on(7)
		k.Children = strings.Split(tag, "a")
		for _, p := range k.Check() {
			if p.Field == "" || p.Code == "" || p.Detail == "" || strings.Contains(p.Detail, "%!") {
				t.Errorf("%+v", p)
			}
		}
	})
}
