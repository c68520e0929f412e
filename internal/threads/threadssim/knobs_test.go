package threadssim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// set changes knobs over HTTP; it must work.
func (w *world) set(knobs string) {
	w.t.Helper()
	if r := w.send(http.MethodPatch, "/_sim/knobs", "application/json", knobs); r.status != 200 {
		w.t.Fatalf("knobs %s: %d %s", knobs, r.status, r.raw)
	}
}

func (w *world) hello() string {
	w.t.Helper()
	return w.create("media_type", "TEXT", "text", "hello")
}

func (w *world) try(containerID string, header ...string) reply {
	w.t.Helper()
	return w.send(http.MethodPost, "/v1.0/me/threads_publish", form, "creation_id="+containerID,
		append([]string{"Authorization", "Bearer " + w.token}, header...)...)
}

func (w *world) status(containerID string) string {
	w.t.Helper()
	return w.get("/v1.0/" + containerID).str("status")
}

// What a knob on the whole simulator does, an account's own and a request's own do too.
func TestHiddenSuccess(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		status int
		code   string
	}{"10/500": {500, "10"}, "2/500": {500, "2"}, "2/400": {400, "2"}, "2207051/403": {403, "4/2207051"}} {
		knob := fmt.Sprintf(`{"hidden_success":{"probability":1,"error":%q}}`, name)
		for _, layer := range []string{"simulator", "account", "request"} {
			t.Run(name+" of the "+layer, func(t *testing.T) {
				t.Parallel()
				w := setup(t, threadssim.Options{})
				id := w.hello()
				var header []string
				switch layer {
				case "simulator":
					w.set(knob)
				case "account":
					w.send(http.MethodPatch, "/_sim/knobs/demo.user", "application/json", knob)
				case "request":
					header = []string{"X-Sim-Knobs", knob}
				}
				refused(t, w.try(id, header...), want.status, want.code)
				if w.status(id) != threads.StatusPublished || len(w.sim.Posts()) != 1 {
					t.Errorf("status %s, %d posts: the post must be live", w.status(id), len(w.sim.Posts()))
				}
				if layer == "account" {
					w.token, _ = w.grant("other")
					w.publish("media_type", "TEXT", "text", "untouched")
				}
			})
		}
	}
}

func TestDroppedConnections(t *testing.T) {
	t.Parallel()
	for when, committed := range map[string]int{"before": 0, "after": 1} {
		w := setup(t, threadssim.Options{})
		id := w.hello()
		w.set(`{"drop_response":{"probability":1,"when":"` + when + `"}}`)
		if r := w.try(id); r.err == nil {
			t.Errorf("%s: answered %d", when, r.status)
		}
		if n := len(w.sim.Posts()); n != committed {
			t.Errorf("%s the commit: %d posts, want %d", when, n, committed)
		}
		w.hello() // other calls are not cut
		w.set(`{"drop_response":{"probability":1,"when":"` + when + `","ops":["create"]}}`)
		if r := w.post("/v1.0/me/threads", "media_type", "TEXT", "text", "x"); r.err == nil {
			t.Errorf("create: answered %d", r.status)
		}
	}
}

func TestLatencyComesAfterTheCommit(t *testing.T) {
	t.Parallel()
	for _, knob := range []string{"publish_latency", "api_latency"} {
		w := setup(t, threadssim.Options{})
		id := w.hello()
		w.set(`{"` + knob + `":"1h"}`)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost,
			w.server.URL+"/me/threads_publish?creation_id="+id+"&access_token="+w.token, nil)
		client := &http.Client{Timeout: 300 * time.Millisecond}
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s: answered", knob)
		}
		if len(w.sim.Posts()) != 1 {
			t.Errorf("%s: the post is not live while its answer is held back", knob)
		}
		if knob == "publish_latency" {
			w.hello() // at once
		}
	}
}

func TestFreshContainerIsNotFoundYet(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.set(`{"visibility_delay":"5s..10s"}`)
	id := w.hello()
	if w.status(id) != threads.StatusFinished {
		t.Fatal("the delay is not a matter of the status")
	}
	w.clock.Add(5*time.Second - 1)
	r := w.try(id)
	refused(t, r, 400, "24/4279009")
	if !strings.Contains(r.raw, `"is_transient":false`) {
		t.Errorf("the flag does not lie: %s", r.raw)
	}
	w.clock.Add(5*time.Second + 1)
	if r := w.try(id); r.status != 200 {
		t.Errorf("after the delay: %s", r.raw)
	}
}

func TestLostContainerIsNeverFound(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.set(`{"lost_container":1}`)
	lost := w.hello()
	w.set(`{"lost_container":0}`)
	w.clock.Add(time.Hour)
	if w.status(lost) != threads.StatusFinished {
		t.Errorf("status %s", w.status(lost))
	}
	refused(t, w.try(lost), 400, "24/4279009")
	if r := w.try(w.hello()); r.status != 200 {
		t.Errorf("a new container recovers: %s", r.raw)
	}
}

func TestProcessingTakesItsTimeByType(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.set(`{"processing_time":{"text":"1s","image":"2s","video":"3s"}}`)
	for seconds, params := range map[int][]string{
		1: {"media_type", "TEXT", "text", "x"},
		2: {"media_type", "IMAGE", "image_url", "https://a.example/a.jpg"},
		3: {"media_type", "VIDEO", "video_url", "https://a.example/a.mp4"},
	} {
		id := w.create(params...)
		w.clock.Add(time.Duration(seconds)*time.Second - 1)
		if got := w.status(id); got != threads.StatusInProgress {
			t.Errorf("%v: %s too early", params, got)
		}
		refused(t, w.try(id), 400, "24/4279009")
		w.clock.Add(1)
		if got := w.status(id); got != threads.StatusFinished {
			t.Errorf("%v: %s", params, got)
		}
	}
}

func TestCarouselWaitsForItselfToo(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.set(`{"processing_time":{"image":"2s","carousel":"4s"}}`)
	child := []string{"media_type", "IMAGE", "image_url", "https://a.example/a.jpg", "is_carousel_item", "true", "alt_text", "a cat"}
	one, two := w.create(child...), w.create(child...)
	parent := []string{"media_type", "CAROUSEL", "children", `["` + one + `", "` + two + `"]`}
	refused(t, w.post("/v1.0/me/threads", parent...), 400, "100/4279004")
	w.clock.Add(2 * time.Second)
	id := w.create(parent...)
	refused(t, w.try(id), 400, "24/4279009")
	w.clock.Add(4 * time.Second)
	if r := w.try(id); r.status != 200 {
		t.Errorf("publish: %s", r.raw)
	}
}

func TestProcessingFails(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.set(`{"processing_error":{"video":{"probability":1,"message":"INVALID_ASPEC_RATIO"},"image":{"probability":1}}}`)
	for want, params := range map[string][]string{
		"INVALID_ASPEC_RATIO": {"media_type", "VIDEO", "video_url", "https://a.example/a.mp4"},
		"UNKNOWN":             {"media_type", "IMAGE", "image_url", "https://a.example/a.jpg"},
	} {
		id := w.create(params...)
		r := w.get("/v1.0/"+id, "fields", "status,error_message")
		if r.status != 200 || r.str("status") != threads.StatusError || r.str("error_message") != want {
			t.Errorf("want %s: %d %s", want, r.status, r.raw)
		}
		refused(t, w.try(id), 400, "24/4279009")
	}
	w.publish("media_type", "TEXT", "text", "texts are well")
}

func TestSecondPublishOfOneContainer(t *testing.T) {
	t.Parallel()
	for knob, posts := range map[string]int{"error": 1, "same_id": 1, "second_post": 2} {
		w := setup(t, threadssim.Options{})
		w.set(`{"double_publish":"` + knob + `"}`)
		id := w.hello()
		first, second := w.try(id), w.try(id)
		switch knob {
		case "error":
			refused(t, second, 400, "24/4279009")
		case "same_id":
			if second.str("id") != first.str("id") {
				t.Errorf("same_id: %s, then %s", first.raw, second.raw)
			}
		case "second_post":
			if second.status != 200 || second.str("id") == first.str("id") {
				t.Errorf("second_post: %s, then %s", first.raw, second.raw)
			}
		}
		if n := len(w.sim.Posts()); n != posts {
			t.Errorf("%s: %d posts, want %d", knob, n, posts)
		}
	}
}

func TestListsAndPermalinksLag(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.set(`{"list_lag":"60s","permalink_lag":3}`)
	id := w.publish("media_type", "TEXT", "text", "hello")
	link := func(id string) string { return w.get("/v1.0/"+id, "fields", "permalink").str("permalink") }
	w.clock.Add(3*time.Second - 1)
	if link(id) != "" {
		t.Error("the permalink is there too early")
	}
	w.clock.Add(1)
	if link(id) == "" {
		t.Error("the permalink does not come")
	}
	w.clock.Add(57*time.Second - 1)
	if r := w.get("/v1.0/me/threads"); strings.Contains(r.raw, id) {
		t.Errorf("listed too early: %s", r.raw)
	}
	w.clock.Add(1)
	if r := w.get("/v1.0/me/threads"); !strings.Contains(r.raw, id) {
		t.Errorf("not listed: %s", r.raw)
	}
	w.set(`{"permalink_withheld":1,"permalink_lag":0}`)
	flagged := w.publish("media_type", "TEXT", "text", "flagged")
	w.clock.Add(time.Hour)
	if link(flagged) != "" {
		t.Error("a flagged post shows its permalink")
	}
}

func TestHTTPStatusesOfTheTextbook(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	long := []string{"media_type", "TEXT", "text", strings.Repeat("x", 501)}
	refused(t, w.post("/me/threads", long...), 500, "100")
	refused(t, w.get("/me", "fields", "nope"), 500, "100")
	w.set(`{"clean_http_status":"textbook"}`)
	refused(t, w.post("/me/threads", long...), 400, "100")
	refused(t, w.get("/me", "fields", "nope"), 400, "100")
	refused(t, w.get("/1"), 404, "100/33")
	w.token, _ = w.grant("reader", threads.ScopeBasic)
	refused(t, w.post("/me/threads", long...), 403, "10")
	w.token = "garbage"
	refused(t, w.get("/me"), 401, "190")
}

func TestEdgeErrors(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	id := w.hello()
	w.set(`{"edge_5xx":{"probability":1,"http":503}}`)
	if r := w.try(id); r.status != 503 || !strings.HasPrefix(r.raw, "<html>") {
		t.Errorf("html: %d %s", r.status, r.raw)
	}
	w.set(`{"edge_5xx":{"http":504,"body":"empty"}}`)
	if r := w.try(id); r.status != 504 || r.raw != "" {
		t.Errorf("empty: %d %q", r.status, r.raw)
	}
	if n := len(w.sim.Posts()); n != 0 {
		t.Errorf("%d posts", n)
	}
}

func TestErrorsInOtherLanguages(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	english := w.try("1")
	for locale, word := range map[string]string{"vi": "Không tìm thấy", "ru": "не найден"} {
		w.set(`{"locale":"` + locale + `"}`)
		r := w.try("1")
		refused(t, r, 400, "24/4279009")
		if !strings.Contains(r.raw, word) || strings.Contains(r.raw, "Media Not Found") || r.raw == english.raw {
			t.Errorf("%s: %s", locale, r.raw)
		}
	}
}

func TestLinkError(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.set(`{"link_error":1}`)
	refused(t, w.post("/me/threads", "media_type", "TEXT", "text", "x", "link_attachment", "https://example.org/"), 400, "-1/4279047")
	refused(t, w.post("/me/threads", "media_type", "TEXT", "text", "see https://example.org/"), 400, "-1/4279047")
	w.hello()
}

func TestCrossReshareNeverFailsThePost(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	params := []string{"media_type", "TEXT", "text", "x", "crossreshare_to_ig", "true"}
	refused(t, w.post("/me/threads", params...), 500, "10") // a scope of its own
	w.token, _ = w.grant("demo.user", threads.ScopeBasic, threads.ScopeContentPublish, "threads_share_to_instagram")
	if r := w.try(w.create(params...)); r.str("crossreshare_to_ig_status") != "SUCCESS" {
		t.Errorf("got %s", r.raw)
	}
	w.set(`{"crossreshare_error":1}`)
	if r := w.try(w.create(params...)); r.status != 200 || r.str("crossreshare_to_ig_status") != "FAILED" {
		t.Errorf("got %d %s", r.status, r.raw)
	}
	if r := w.try(w.hello()); strings.Contains(r.raw, "crossreshare") {
		t.Errorf("nobody asked: %s", r.raw)
	}
	if n := len(w.sim.Posts()); n != 3 {
		t.Errorf("%d posts, want 3", n)
	}
}

func TestForeignUserID(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{AutoApprove: true})
	w.set(`{"foreign_user_id":true}`)
	r := w.connect()
	told := fmt.Sprint(r.body["user_id"])
	w.token = r.str("access_token")
	if me := w.get("/me").str("id"); me == told || me != w.userID {
		t.Errorf("/me is %s, the exchange said %s", me, told)
	}
	refused(t, w.get("/v1.0/"+told), 400, "100/33")
	refused(t, w.post("/v1.0/"+told+"/threads", "media_type", "TEXT", "text", "x"), 400, "100/33")
	w.hello()
}

func TestUngrantedAndUninstalled(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	for knob, code := range map[string]string{"ungranted": "100/10", "uninstall": "190/458"} {
		w.send(http.MethodPatch, "/_sim/knobs/demo.user", "application/json", `{"`+knob+`":true}`)
		for _, path := range []string{"/me", "/me/threads", "/me/threads_publishing_limit"} {
			refused(t, w.get(path), 400, code)
		}
		refused(t, w.post("/me/threads", "media_type", "TEXT", "text", "x"), 400, code)
		w.send(http.MethodDelete, "/_sim/knobs/demo.user", "", "")
		if r := w.get("/me"); r.status != 200 {
			t.Errorf("%s, taken back: %s", knob, r.raw)
		}
	}
}

func TestGeoGatingIsForTheEligible(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	params := []string{"media_type", "TEXT", "text", "x", "allowlisted_country_codes", "us, NL"}
	if r := w.post("/me/threads", params...); !strings.Contains(r.raw, "THREADS_API__FEATURE_NOT_AVAILABLE") {
		t.Errorf("got %s", r.raw)
	}
	w.set(`{"geo_gating":true}`)
	w.create(params...)
	bad := []string{"media_type", "TEXT", "text", "x", "allowlisted_country_codes", "US,Narnia"}
	if r := w.post("/me/threads", bad...); !strings.Contains(r.raw, "THREADS_API__GEO_GATING_INVALID_COUNTRY_CODES") {
		t.Errorf("got %s", r.raw)
	}
	if r := w.get("/me", "fields", "is_eligible_for_geo_gating"); r.body["is_eligible_for_geo_gating"] != true {
		t.Errorf("profile: %s", r.raw)
	}
}

func TestFetchMediaIsAKnobToo(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	params := []string{"media_type", "IMAGE", "image_url", w.server.URL + "/nothing.png"}
	w.create(params...)
	w.set(`{"fetch_media":true}`)
	refused(t, w.post("/me/threads", params...), 400, "1/2207052")
}
