package threads_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// What Threads was seen to answer, word for word (reference §9 and §16), and what each means for the call it answered.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	create := func(k threads.Container) func(context.Context, *threads.Client) error {
		return func(ctx context.Context, c *threads.Client) error {
			_, err := c.CreateContainer(ctx, token, k)
			return err
		}
	}
	publish := func(ctx context.Context, c *threads.Client) error {
		_, err := c.Publish(ctx, token, "17990000000000013", nil)
		return err
	}
	repost := func(ctx context.Context, c *threads.Client) error {
		_, err := c.Repost(ctx, token, "18060000000000017", nil)
		return err
	}
	status := func(ctx context.Context, c *threads.Client) error {
		_, err := c.ContainerStatus(ctx, token, "17990000000000013")
		return err
	}
	text := create(threads.Container{MediaType: threads.Text, Text: "x"})
	reply := create(threads.Container{MediaType: threads.Text, Text: "x", ReplyToID: "18060000000000017"})
	image := create(threads.Container{MediaType: threads.Image, ImageURL: "https://blocked.example/i.jpg"})
	remove := func(ctx context.Context, c *threads.Client) error { return c.Delete(ctx, token, "18060000000000017") }
	read := func(ctx context.Context, c *threads.Client) error {
		_, err := c.Media(ctx, token, "18060000000000017")
		return err
	}
	me := func(ctx context.Context, c *threads.Client) error { _, err := c.Me(ctx, token); return err }
	insights := func(ctx context.Context, c *threads.Client) error {
		_, err := c.MediaInsights(ctx, token, "18060000000000017", "likes")
		return err
	}
	exchange := func(ctx context.Context, c *threads.Client) error {
		_, err := c.ExchangeCode(ctx, "AQBcode1", "https://app.example/cb")
		return err
	}
	long := func(ctx context.Context, c *threads.Client) error {
		_, err := c.ExchangeLongLived(ctx, token)
		return err
	}
	refresh := func(ctx context.Context, c *threads.Client) error { _, err := c.Refresh(ctx, token); return err }

	const (
		notFound = `{"error":{"message":"The requested resource does not exist","type":"OAuthException","code":24,"error_subcode":4279009,"is_transient":false,"error_user_title":"Media Not Found","error_user_msg":"The media with id 17990000000000013 cannot be found.","fbtrace_id":"Axy"}}`
		// The same, told to somebody in Vietnam: only the numbers are to be trusted.
		localized  = `{"error":{"message":"T\u00e0i nguy\u00ean kh\u00f4ng t\u1ed3n t\u1ea1i","type":"OAuthException","code":24,"error_subcode":4279009,"is_transient":false,"error_user_title":"Kh\u00f4ng t\u00ecm th\u1ea5y"}}`
		noScope    = `{"error":{"message":"Application does not have permission for this action","type":"THApiException","code":10,"fbtrace_id":"Axz"}}`
		tooLong    = `{"error":{"message":"Param text must be at most 500 characters long.","type":"THApiException","code":100,"fbtrace_id":"A1"}}`
		noFetch    = `{"error":{"message":"The media could not be fetched from this URI","type":"OAuthException","code":1,"error_subcode":2207052,"is_transient":false,"error_user_title":"Media download has failed.","fbtrace_id":"A2"}}`
		gone       = `{"error":{"message":"Unsupported get request. Object with ID '18060000000000017' does not exist, cannot be loaded due to missing permissions, or does not support this operation","type":"THApiException","code":100,"error_subcode":33,"fbtrace_id":"A3"}}`
		expired    = `{"error":{"message":"Error validating access token: Session has expired on Monday, 02-Nov-26 01:00:00 PST.","type":"OAuthException","code":190,"error_subcode":463,"fbtrace_id":"A4"}}`
		unwell     = `{"error":{"message":"An unexpected error has occurred. Please retry your request later.","type":"OAuthException","is_transient":true,"code":2}}`
		blocked    = `{"error":{"message":"Application request limit reached","type":"OAuthException","code":4,"error_subcode":2207051,"is_transient":false,"error_user_title":"Action is blocked"}}`
		throttled  = `{"error":{"message":"Application request limit reached","type":"OAuthException","code":4}}`
		badParent  = `{"error":{"message":"Param reply_to_id is not a valid threads_media ID","type":"THApiException","code":100}}`
		badLink    = `{"error":{"message":"Fatal","type":"OAuthException","code":-1,"error_subcode":4279047}}`
		children   = `{"error":{"message":"Invalid parameter","type":"OAuthException","code":100,"error_subcode":4279004,"error_user_title":"Invalid Carousel Children"}}`
		links      = `{"error":{"message":"THREADS_API__LINK_LIMIT_EXCEEDED: a post can have at most 5 links","type":"THApiException","code":100}}`
		noGrant    = `{"error":{"message":"This action requires the threads_basic permission. Please see App Review.","type":"THApiException","code":100,"error_subcode":10}}`
		usedCode   = `{"error_type":"OAuthException","code":400,"error_message":"Matching code was not found or was already used"}`
		notShort   = `{"error":{"message":"Session key invalid. This could be because the session was revoked.","type":"OAuthException","code":452,"error_subcode":4279019}}`
		spent      = `{"error":{"message":"Application request limit reached","type":"OAuthException","code":9,"error_subcode":2207042}}`
		duplicate  = `{"error":{"message":"Duplicate status message","type":"OAuthException","code":506}}`
		noField    = `{"error":{"message":"Tried accessing nonexisting field (status)","type":"THApiException","code":100}}`
		restricted = `{"error":{"message":"User is restricted","type":"OAuthException","code":25,"error_subcode":4279013}}`
	)
	for _, c := range []struct {
		name   string
		call   func(context.Context, *threads.Client) error
		status int
		body   string
		class  threads.Class
		hint   threads.Class
	}{
		{"publish too early", publish, 400, notFound, threads.NotReady, ""},
		{"publish too early, in Vietnamese", publish, 400, localized, threads.NotReady, ""},
		{"publish went live and says 500", publish, 500, noScope, threads.Ambiguous, threads.Permission},
		{"publish, transient as 400", publish, 400, unwell, threads.Ambiguous, threads.Transient},
		{"publish, transient as 500", publish, 500, unwell, threads.Ambiguous, threads.Transient},
		{"publish, an edge in HTML", publish, 502, "<html>Sorry</html>", threads.Ambiguous, threads.Transient},
		{"publish, an edge without a word", publish, 504, "", threads.Ambiguous, threads.Transient},
		{"publish, half an answer", publish, 200, `{"id":"180600`, threads.Ambiguous, threads.Transient},
		{"publish, an answer without an id", publish, 200, `{}`, threads.Ambiguous, threads.Transient},
		{"publish, blocked", publish, 403, blocked, threads.Ambiguous, threads.Blocked},
		{"publish, restricted", publish, 400, restricted, threads.Ambiguous, threads.Blocked},
		{"publish with a dead token", publish, 400, expired, threads.Reauthorize, ""},
		{"publish, throttled", publish, 400, throttled, threads.Quota, ""},
		{"repost went live and says 500", repost, 500, noScope, threads.Ambiguous, threads.Permission},
		{"repost of a post that is gone", repost, 400, gone, threads.NotFound, ""},
		{"repost, the connection's end", repost, 200, ``, threads.Ambiguous, threads.Transient},
		{"repost of what is gone", repost, 400, gone, threads.NotFound, ""},
		{"publish, too many already", publish, 400, spent, threads.Quota, ""},
		{"publish, sent a moment ago", publish, 400, duplicate, threads.Ambiguous, threads.Invalid},
		{"status too early", status, 400, notFound, threads.NotReady, ""},
		{"status of a post", status, 500, noField, threads.Invalid, ""},

		{"too long, as 500", text, 500, tooLong, threads.Invalid, ""},
		{"too long, as 400", text, 400, tooLong, threads.Invalid, ""},
		{"six links", text, 400, links, threads.Invalid, ""},
		{"a bad link, code -1", text, 400, badLink, threads.Invalid, ""},
		{"a carousel's children", text, 400, children, threads.Invalid, ""},
		{"a parent that is none, as 500", reply, 500, badParent, threads.NotFound, ""},
		{"a parent that is gone", reply, 400, notFound, threads.NotFound, ""},
		{"media host away", image, 400, noFetch, threads.Transient, ""},
		{"creation, scope missing", text, 500, noScope, threads.Permission, ""},
		{"creation, transient as 400", text, 400, unwell, threads.Transient, ""},
		{"creation, blocked", text, 403, blocked, threads.Blocked, ""},

		{"delete, scope missing as 500", remove, 500, noScope, threads.Permission, ""},
		{"delete, gone", remove, 400, gone, threads.NotFound, ""},
		{"read, gone", read, 400, gone, threads.NotFound, ""},
		{"insights, scope missing as 500", insights, 500, noScope, threads.Permission, ""},
		{"a token without a grant", me, 400, noGrant, threads.Reauthorize, ""},
		{"a token that expired", me, 400, expired, threads.Reauthorize, ""},
		{"a code twice", exchange, 400, usedCode, threads.Reauthorize, ""},
		{"a long-lived token exchanged", long, 400, notShort, threads.Reauthorize, ""},
		{"a short-lived token dressed as long", long, 200, `{"access_token":"THx","token_type":"bearer","expires_in":3600}`, threads.Transient, ""},
		{"refresh, transient", refresh, 500, unwell, threads.Transient, ""},
		{"refresh, expired", refresh, 400, expired, threads.Reauthorize, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Retry-After", "90")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			t.Cleanup(server.Close)
			err := c.call(t.Context(), newClient(server.URL, nil))
			e, ok := errors.AsType[*threads.Error](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if e.Class != c.class || e.Hint != c.hint {
				t.Errorf("class %s, hint %q; want %s, %q: %v", e.Class, e.Hint, c.class, c.hint, err)
			}
			if e.Sentence == "" || strings.ContainsAny(e.Sentence, "{<") || strings.Contains(e.Sentence, "4279009") {
				t.Errorf("a person reads %q", e.Sentence)
			}
			if strings.Contains(c.body, `"fbtrace_id"`) && e.TraceID == "" {
				t.Error("the trace id is lost")
			}
			if e.Code != 0 && e.RetryAfter != 90*time.Second {
				t.Errorf("retry after %s", e.RetryAfter)
			}
			if strings.Contains(err.Error(), token.Reveal()) {
				t.Errorf("the error tells the token: %v", err)
			}
		})
	}
}
