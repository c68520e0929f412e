package threads_test

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// A list is what proves that a post is not live. An answer that is no list must not look like an empty one.
func TestNoListIsNotAnEmptyList(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		`{}`, `null`, `{"data":null}`, `{"success":true}`, `{"data":{}}`, `{"data":[{}]}`, `{"data":[{"text":"mine"}]}`,
		`{"data":[{"id":"1","timestamp":"yesterday"}]}`, `{"data":[{"id":"1","text":5}]}`, `[]`, ``, `<html>`,
		`{"data":[{"id":"1"}],"paging":{"next":"https://graph.threads.net/v1.0/me/threads?until=5"}}`, // on, but where?
		`{"data":[{"id":"1"}],"paging":{"next":"::"}}`,
	} {
		c, _ := told(t, answer)
		for name, list := range map[string]func() (threads.Page, error){
			"posts":       func() (threads.Page, error) { return c.Posts(t.Context(), token, threads.ListQuery{}) },
			"replies":     func() (threads.Page, error) { return c.Replies(t.Context(), token, threads.ListQuery{}) },
			"ghost posts": func() (threads.Page, error) { return c.GhostPosts(t.Context(), token, threads.ListQuery{}) },
		} {
			if page, err := list(); threads.ClassOf(err) != threads.Transient || len(page.Data) > 0 {
				t.Errorf("%s: %q gave %+v, %v", name, answer, page, err)
			}
		}
	}
	c, _ := told(t, `{"data":[]}`)
	if page, err := c.Posts(t.Context(), token, threads.ListQuery{}); err != nil || page.After != "" {
		t.Errorf("an empty list gave %+v, %v", page, err)
	}
}

func TestListsGoOn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ answer, after string }{
		"a page":                   {`{"data":[{"id":"1"}],"paging":{"cursors":{"before":"b","after":"a"}}}`, "a"},
		"emptied, but not the end": {`{"data":[],"paging":{"cursors":{"after":"a"},"next":"https://x.example/?after=a"}}`, "a"},
		"only an address":          {`{"data":[{"id":"1"}],"paging":{"next":"https://x.example/?access_token=THtoken&after=a%3D"}}`, "a="},
		"empty with cursors":       {`{"data":[],"paging":{"cursors":{"before":"b","after":"a"}}}`, ""},
		"without paging":           {`{"data":[{"id":"1"}]}`, ""},
	} {
		c, _ := told(t, tc.answer)
		if page, err := c.Posts(t.Context(), token, threads.ListQuery{}); err != nil || page.After != tc.after {
			t.Errorf("%s: goes on after %q, %v; want %q", name, page.After, err, tc.after)
		}
	}
}

// An answer without what was asked for is none, whatever its status says.
func TestAnswersWithoutWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{`{}`, `null`, `{"success":true}`, `{"data":null}`} {
		c, _ := wired(t, answer)
		for op, call := range map[string]func() error{
			threads.OpMe:             func() error { _, err := c.Me(t.Context(), bearer); return err },
			threads.OpDebugToken:     func() error { _, err := c.DebugToken(t.Context(), bearer); return err },
			threads.OpMedia:          func() error { _, err := c.Media(t.Context(), bearer, "1"); return err },
			threads.OpLocationSearch: func() error { _, err := c.LocationSearch(t.Context(), bearer, "x", nil); return err },
			threads.OpProfileLookup:  func() error { _, err := c.ProfileLookup(t.Context(), bearer, "x"); return err },
			threads.OpMediaInsights:  func() error { _, err := c.MediaInsights(t.Context(), bearer, "1"); return err },
			threads.OpLimits:         func() error { _, err := c.Limits(t.Context(), bearer, []string{threads.ScopeDelete}); return err },
			threads.OpSearch:         func() error { _, err := c.Search(t.Context(), bearer, threads.SearchQuery{Q: "x"}); return err },
		} {
			if err := call(); threads.ClassOf(err) != threads.Transient {
				t.Errorf("%s understood %s: %v", op, answer, err)
			}
		}
	}
	c, _ := wired(t, `{"data":[{"quota_usage":"many","config":{"quota_total":250}}]}`)
	if l, err := c.Limits(t.Context(), bearer, []string{threads.ScopeContentPublish}); err == nil {
		t.Errorf("a count that is none was read as %+v", l)
	}
}

// Decorations of another shape than known are left out; the post stays.
func TestOddDecorations(t *testing.T) {
	t.Parallel()
	var fields []string
	for _, name := range []string{
		"owner", "username", "media_url", "thumbnail_url", "alt_text", "link_attachment_url", "gif_url", "topic_tag",
		"poll_attachment", "has_replies", "root_post", "is_reply_owned_by_me", "hide_status", "reply_audience",
		"reply_approval_status", "is_spoiler_media", "text_entities", "text_attachment", "ghost_post_status",
		"ghost_post_expiration_timestamp", "location_id", "location", "allowlisted_country_codes", "is_verified",
		"profile_picture_url",
	} {
		fields = append(fields, `"`+name+`":[{"odd":[7]}]`)
	}
	c, _ := told(t, `{"id":"1","text":"mine","media_type":"HOLOGRAM",`+strings.Join(fields, ",")+`}`)
	m, err := c.Detail(t.Context(), token, "1", nil)
	if err != nil || m.ID != "1" || m.Text != "mine" || m.MediaType != "HOLOGRAM" || m.Poll != nil || m.Location != nil {
		t.Errorf("%+v, %v", m, err)
	}
	// A part of a decoration does not take the rest of it along.
	c, _ = told(t, `{"id":"1","poll_attachment":{"option_a":"yes","option_b":"no","expiration_timestamp":5},
"text_attachment":{"plaintext":"long","text_with_styling_info":{"data":[]}},"location":{"id":"9","latitude":"north"}}`)
	m, err = c.Detail(t.Context(), token, "1", nil)
	if err != nil || m.Poll == nil || len(m.Poll.Options) != 2 || m.TextAttachment == nil || m.TextAttachment.Plaintext != "long" ||
		m.Location == nil || m.Location.ID != "9" {
		t.Errorf("%+v, %v", m, err)
	}
	c, _ = told(t, `{"data":[{"name":"views","values":[{"value":1,"end_time":5},{"value":{"US":3}}]},{"name":"likes","total_value":7},
{"name":"auras","values":"many","link_total_values":{"a":1}},{"name":"quotes","total_value":{"value":2,"breakdowns":"none"}}]}`)
	all, err := c.AccountInsights(t.Context(), token, threads.InsightsQuery{})
	if err != nil || len(all) != 4 || len(all[0].Days) != 1 || all[1].HasTotal || all[2].Name != "auras" || all[3].Total != 2 {
		t.Errorf("%+v, %v", all, err)
	}
}

// A poll with too many answers is refused, not cut: what goes live is what was written.
func TestNoAnswerOfAPollIsLeftOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.client.CreateContainer(t.Context(), b.token, threads.Container{
		MediaType: threads.Text, Text: "which?", PollOptions: []string{"a", "b", "c", "d", "e"},
	})
	if threads.ClassOf(err) != threads.Invalid {
		t.Errorf("got %v, want class invalid", err)
	}
	if made := b.sim.Containers(); len(made) > 0 {
		t.Errorf("made %+v", made)
	}
}

// Without a Retry-After, Graph's own header says how long a throttle lasts.
func TestUsageHeaderTellsHowLong(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"the longest counts": {http.Header{"X-Business-Use-Case-Usage": {`{"1":[{"type":"threads","estimated_time_to_regain_access":5},{"estimated_time_to_regain_access":"7"}],"2":[]}`}}, 7 * time.Minute},
		"never over a day":   {http.Header{"X-Business-Use-Case-Usage": {`{"1":[{"estimated_time_to_regain_access":1e17}]}`}}, 24 * time.Hour},
		"never below none":   {http.Header{"X-Business-Use-Case-Usage": {`{"1":[{"estimated_time_to_regain_access":-5}]}`}}, 0},
		"of another shape":   {http.Header{"X-Business-Use-Case-Usage": {`{"1":{"call_count":100}}`}}, 0},
		"nothing":            {nil, 0},
		"the plain word goes first": {http.Header{
			"Retry-After": {"30"}, "X-Business-Use-Case-Usage": {`{"1":[{"estimated_time_to_regain_access":5}]}`},
		}, 30 * time.Second},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			maps.Copy(w.Header(), tc.header)
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":{"message":"Application request limit reached","type":"OAuthException","code":4}}`)
		}))
		_, err := newClient(server.URL, nil).Me(t.Context(), bearer)
		server.Close()
		e, ok := errors.AsType[*threads.Error](err)
		if !ok || e.Class != threads.Quota || e.RetryAfter != tc.want {
			t.Errorf("%s: got %#v, want to wait %s", name, err, tc.want)
		}
	}
}
