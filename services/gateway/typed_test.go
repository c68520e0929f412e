package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/services/gateway"
)

// A misspelled parameter would leave the request meaning another thing.
func TestUnknownParametersAreRefused(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for _, c := range []struct{ method, path, at string }{
		{"POST", "/api/threads/post/import?previw=true", "/previw"},
		{"DELETE", "/api/threads/connection?accountId=acct_1&post=keep", "/post"},
		{"GET", "/api/threads/posts?statsu=QUEUED", "/statsu"},
		{"GET", "/api/threads/posts?Status=QUEUED", "/Status"},
		{"GET", "/api/threads/posts?status%5B%5D=QUEUED", "/status[]"},
		{"GET", "/api/threads/events?ticket=x&fact=published", "/fact"},
		{"POST", "/api/threads/post?publishAt=tomorrow", "/publishAt"},
		{"GET", "/api/threads/connections?x", "/x"},
	} {
		p := h.do(t, c.method, c.path, "").problem(t, http.StatusUnprocessableEntity, "invalid", c.at)
		if len(p.Errors) != 1 || p.Errors[0].Code != "unknown_parameter" {
			t.Errorf("%s %s: %+v", c.method, c.path, p.Errors)
		}
	}
	p := h.do(t, http.MethodGet, "/api/threads/posts?"+strings.Repeat("x", 500)+"=1", "").problem(t, http.StatusUnprocessableEntity, "invalid")
	if strings.Contains(p.Errors[0].Pointer, "x") || !strings.Contains(p.Detail, "status") {
		t.Errorf("%+v", p)
	}
	// Meta, and whoever sends people links, may add what they like.
	authThat(t, h)
	if r := h.do(t, http.MethodGet, "/api/auth/threads/callback?state=a&code=b&utm_source=mail", "", "Authorization", ""); r.status != http.StatusFound {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// Without a value, a parameter that decides what is done leaves open which is meant.
func TestADecisionWithoutAValueIsRefused(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for _, c := range []struct{ method, path, at string }{
		{"POST", "/api/threads/post/import?preview", "/preview"},
		{"POST", "/api/threads/post/import?preview=", "/preview"},
		{"POST", "/api/threads/post/validate?media", "/media"},
		{"DELETE", "/api/threads/connection?accountId=acct_1&posts=", "/posts"},
		{"DELETE", "/api/threads/connection?accountId=acct_1&erase", "/erase"},
		{"GET", "/api/threads/post/post_1/replies?pending", "/pending"},
	} {
		p := h.do(t, c.method, c.path, "{}").problem(t, http.StatusUnprocessableEntity, "invalid", c.at)
		if len(p.Errors) != 1 || p.Errors[0].Code != "empty_parameter" {
			t.Errorf("%s %s: %+v", c.method, c.path, p.Errors)
		}
	}
}

// Numbers and times that JSON cannot write are the client's mistakes, and not ours.
func TestWhatCannotBeWrittenIsRefused(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for _, c := range []struct{ path, at, code string }{
		{"/api/threads/locations?latitude=NaN&longitude=1", "/latitude", "not_a_number"},
		{"/api/threads/locations?latitude=1&longitude=-Inf", "/longitude", "not_a_number"},
		{"/api/threads/limits?at=9999-12-31T23:59:59-01:00", "/at", "time_invalid"},
		{"/api/threads/limits?at=0000-01-01T00:00:00%2B01:00", "/at", "time_invalid"},
		{"/api/threads/mentions?since=9999-12-31T23:59:59-01:00", "/since", "time_invalid"},
		{"/api/threads/insights?until=9999-12-31T23:59:59-01:00", "/until", "time_invalid"},
		{"/api/threads/posts?to=9999-12-31T23:59:59-01:00", "/to", "time_invalid"},
	} {
		r := h.do(t, http.MethodGet, c.path, "")
		if p := r.problem(t, http.StatusUnprocessableEntity, "invalid", c.at); len(p.Errors) != 1 || p.Errors[0].Code != c.code {
			t.Errorf("%s: %+v", c.path, p)
		}
	}
}

func TestIfMatch(t *testing.T) {
	t.Parallel()
	h := setup(t)
	publisherThat(t, h)
	answer(t, h, func(q asks.GetPost) (asks.PostDetail, error) {
		return asks.PostDetail{Post: events.Post{ID: q.ID, Rev: 7}}, nil
	})
	for header, pointer := range map[string]string{
		`W/"x"`: "/If-Match", `"1", x`: "/If-Match", `,`: "/If-Match", `w/"1"`: "/If-Match", `"0"`: "/If-Match", `"1" "2"`: "/If-Match",
	} {
		h.do(t, http.MethodDelete, "/api/threads/post/schedule/post_1", "", "If-Match", header).problem(t, http.StatusUnprocessableEntity, "invalid", pointer)
	}
	for _, header := range []string{`W/"7"`, `"7-abcdef"`, `W/"7-abcdef"`, `"3", "7-abcdef"`, `W/"3" , W/"7"`, `"7","7-x"`, `*`} {
		h.do(t, http.MethodDelete, "/api/threads/post/schedule/post_1", "", "If-Match", header, "Prefer", "respond-async").is(t, http.StatusAccepted, nil)
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *gateway.Config) {
		c.CORSOrigins, c.CORSHeaders = []string{"https://app.example"}, []string{"X-Tenant"}
	})
	for headers, allowed := range map[string]bool{
		"authorization,traceparent,tracestate": true, "baggage,sentry-trace": true, "x-tenant": true, "x-other": false,
	} {
		names := strings.Split(headers, ",")
		slices.Sort(names) // as browsers do
		r := h.do(t, http.MethodOptions, "/api/threads/posts", "", "Authorization", "", "Origin", "https://app.example",
			"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", strings.Join(names, ","))
		if got := r.header.Get("Access-Control-Allow-Origin") != ""; got != allowed {
			t.Errorf("%s: allowed is %v: %v", headers, got, r.header)
		}
	}
}

func TestTimesThatAreNone(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for _, zone := range []string{"localtime", "posixrules", "right/Europe/Berlin", "posix/UTC", "Local", "europe/berlin"} {
		h.do(t, http.MethodPost, "/api/threads/post/schedule", `{"text":"a","scheduledAt":"2030-01-01T10:00","timeZone":"`+zone+`"}`).
			problem(t, http.StatusUnprocessableEntity, "invalid", "/timeZone")
	}
	for _, offset := range []string{"+24:00", "-24:00", "+23:60", "+99:00"} {
		p := h.do(t, http.MethodPost, "/api/threads/post/schedule", `{"text":"a","scheduledAt":"2030-01-01T10:00:00`+offset+`"}`).
			problem(t, http.StatusUnprocessableEntity, "invalid", "/scheduledAt")
		if !strings.Contains(p.Detail, "23:59") {
			t.Errorf("%s: %s", offset, p.Detail)
		}
	}
	h.do(t, http.MethodGet, "/api/threads/posts?from=2030-01-01T10:00:00%2B24:00", "").problem(t, http.StatusUnprocessableEntity, "invalid", "/from")
	for _, query := range []string{"posts?from=", "limits?at=", "mentions?since="} {
		p := h.do(t, http.MethodGet, "/api/threads/"+query+"2030-01-01T10:00:00+02:00", "").problem(t, http.StatusUnprocessableEntity, "invalid")
		if !strings.Contains(p.Detail, "%2B02:00") {
			t.Errorf("%s: %s", query, p.Detail)
		}
	}
}

func TestEmptyFilesAreCalledEmpty(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for _, body := range []string{"\n", "\xef\xbb\xbf", " \n \n"} {
		p := h.do(t, http.MethodPost, "/api/threads/post/import?preview=true", body, "Content-Type", "text/csv").problem(t, http.StatusUnprocessableEntity, "invalid")
		if !strings.Contains(p.Detail, "empty") {
			t.Errorf("%q: %s", body, p.Detail)
		}
	}
}
