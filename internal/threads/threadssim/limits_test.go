package threadssim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads/threadssim"
)

func TestCountModes(t *testing.T) {
	t.Parallel()
	curly, emoji := strings.Repeat("x", 499)+"\u2019", strings.Repeat("🚀", 126)
	for mode, allowed := range map[string]map[string]bool{
		"documented": {curly: true, emoji: false},
		"bytes":      {curly: false, emoji: false},
		"codepoints": {curly: true, emoji: true},
	} {
		w := setup(t, threadssim.Options{})
		w.set(`{"count_mode":"` + mode + `"}`)
		for text, want := range allowed {
			if r := w.post("/me/threads", "media_type", "TEXT", "text", text); (r.status == 200) != want {
				t.Errorf("%s: %.12s… %d, want allowed %v", mode, text, r.status, want)
			}
		}
		refused(t, w.post("/me/threads", "media_type", "TEXT", "text", strings.Repeat("x", 501)), 500, "100")
	}
}

func TestQuotaTotalsAndTheirError(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.set(`{"quota_total":{"posts":1,"replies":1,"deletes":0},"quota_error":{"http":403,"code":4,"subcode":77}}`)
	first := w.publish("media_type", "TEXT", "text", "one")
	refused(t, w.try(w.hello()), 403, "4/77")
	w.publish("media_type", "TEXT", "text", "a reply", "reply_to_id", first)
	refused(t, w.try(w.create("media_type", "TEXT", "text", "another", "reply_to_id", first)), 403, "4/77")
	refused(t, w.delete("/v1.0/"+first), 403, "4/77")
	r := w.get("/me/threads_publishing_limit", "fields", "config,reply_config,delete_config")
	if !strings.Contains(r.raw, `"config":{"quota_duration":86400,"quota_total":1}`) ||
		!strings.Contains(r.raw, `"delete_config":{"quota_duration":86400,"quota_total":0}`) {
		t.Errorf("limits: %s", r.raw)
	}
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]struct {
		status int
		code   string
	}{4: {400, "4"}, 17: {400, "17"}, 429: {429, "4"}} {
		w := setup(t, threadssim.Options{})
		id := w.hello()
		w.set(fmt.Sprintf(`{"throttle":{"probability":1,"code":%d,"retry_after":"90s"},"usage_headers":"both"}`, code))
		resp := w.raw(http.MethodPost, "/me/threads_publish?creation_id="+id)
		if resp.StatusCode != want.status || resp.Header.Get("Retry-After") != "90" ||
			!strings.Contains(resp.Header.Get("X-App-Usage"), `"call_count":`) ||
			!strings.Contains(resp.Header.Get("X-Business-Use-Case-Usage"), w.userID) {
			t.Errorf("%d: %d %v", code, resp.StatusCode, resp.Header)
		}
		refused(t, w.try(id), want.status, want.code)
		w.set(`{"throttle":{"ops":["refresh"],"retry_after":0},"usage_headers":"none"}`)
		if resp = w.raw(http.MethodGet, "/me"); resp.StatusCode != 200 || resp.Header.Get("X-App-Usage") != "" {
			t.Errorf("%d: other calls: %d %v", code, resp.StatusCode, resp.Header)
		}
		w.set(`{"throttle":{"ops":null}}`)
		if resp = w.raw(http.MethodGet, "/me"); resp.StatusCode != want.status || resp.Header.Get("Retry-After") != "" {
			t.Errorf("%d: without headers: %d %v", code, resp.StatusCode, resp.Header)
		}
		w.token = "garbage" // the token is looked at first
		refused(t, w.get("/me"), 400, "190")
	}
}

// raw sends a call and returns the response for its headers.
func (w *world) raw(method, path string) *http.Response {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

func TestCallBudgetIsADaysOwn(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.set(`{"call_budget":3,"usage_headers":"business"}`)
	for i := range 3 {
		if r := w.get("/me"); r.status != 200 {
			t.Fatalf("call %d: %s", i, r.raw)
		}
	}
	refused(t, w.get("/me"), 400, "4")
	if usage := w.raw(http.MethodGet, "/me").Header.Get("X-Business-Use-Case-Usage"); !strings.Contains(usage, `"call_count":100`) {
		t.Errorf("usage: %s", usage)
	}
	w.clock.Add(24 * time.Hour)
	if r := w.get("/me"); r.status != 200 {
		t.Errorf("a day later: %s", r.raw)
	}
}

func TestCallBudgetMovesWithTheClock(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.set(`{"call_budget":3}`)
	for lap, calls := range []int{2, 1, 2, 1, 2} { // three in any 24 hours
		for range calls {
			if r := w.get("/me"); r.status != 200 {
				t.Fatalf("lap %d: %s", lap, r.raw)
			}
		}
		if lap < 4 {
			w.clock.Add(12 * time.Hour)
		}
	}
	refused(t, w.get("/me"), 400, "4")
}

func TestSpamBlock(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	id, other := w.hello(), w.hello()
	until := w.clock.Now().Add(6 * time.Hour)
	w.set(`{"spam_block":{"until":"` + until.Format(time.RFC3339) + `"}}`)
	refused(t, w.try(id), 403, "4/2207051")
	if n := len(w.sim.Posts()); n != 0 {
		t.Errorf("%d posts while blocked", n)
	}
	w.set(`{"spam_block":{"live":1}}`)
	refused(t, w.try(id), 403, "4/2207051")
	if n := len(w.sim.Posts()); n != 1 {
		t.Errorf("%d posts, want the one that is live although it was refused", n)
	}
	w.clock.Add(6 * time.Hour)
	if r := w.try(other); r.status != 200 {
		t.Errorf("after the block: %s", r.raw)
	}
}
