package threadssim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

func TestKnobsAreChecked(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	before := w.send(http.MethodGet, "/_sim/knobs", "", "").raw
	for _, bad := range []string{
		`{"hiden_success":{}}`, `{"hidden_success":{"propability":1}}`, `{"hidden_success":{"probability":2}}`,
		`{"hidden_success":{"error":"3/500"}}`, `{"drop_response":{"when":"never"}}`, `{"drop_response":{"ops":["nope"]}}`,
		`{"list_lag":"soon"}`, `{"list_lag":"-1s"}`, `{"list_lag":"5s..1s"}`, `{"list_lag":{"min":"1s","chance":2}}`, `{"locale":"xx"}`,
		`{"double_publish":"x"}`, `{"count_mode":"x"}`, `{"clean_http_status":"x"}`, `{"refresh_too_young":"x"}`,
		`{"usage_headers":"x"}`, `{"throttle":{"code":5}}`, `{"edge_5xx":{"http":200}}`, `{"edge_5xx":{"body":"x"}}`,
		`{"quota_error":{"http":200}}`, `{"quota_total":{"posts":-1}}`, `{"quota_total":{"likes":1}}`, `{"call_budget":-1}`,
		`{"token_ttl_long":0}`, `[]`, ``,
	} {
		for _, path := range []string{"/_sim/knobs", "/_sim/knobs/demo.user"} {
			if r := w.send(http.MethodPatch, path, "application/json", bad); r.status != 400 || r.str("error") == "" {
				t.Errorf("%s %s: %d %s", path, bad, r.status, r.raw)
			}
		}
		if bad != "" {
			if r := w.send(http.MethodGet, "/me", "", "", "X-Sim-Knobs", bad); r.status != 400 || r.str("error") == "" {
				t.Errorf("header %s: %d %s", bad, r.status, r.raw)
			}
		}
	}
	if r := w.send(http.MethodPatch, "/_sim/knobs/a%20b", "application/json", `{}`); r.status != 400 {
		t.Errorf("a name nobody can have: %d", r.status)
	}
	if after := w.send(http.MethodGet, "/_sim/knobs", "", "").raw; after != before {
		t.Errorf("refused knobs left traces:\n%s\n%s", before, after)
	}
	if err := w.sim.SetKnobs(func(k *threadssim.Knobs) { k.LostContainer = 7 }); err == nil {
		t.Error("SetKnobs took a probability of 7")
	}
}

// An account follows the simulator in all it was not told itself.
func TestKnobsHaveLayers(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{Knobs: new(threadssim.Quick())})
	mine := func() threadssim.Knobs { return w.sim.UserKnobs("@Demo.User") }
	if err := w.sim.SetUserKnobs("demo.user", func(k *threadssim.Knobs) { k.Locale = "ru" }); err != nil {
		t.Fatal(err)
	}
	w.set(`{"lost_container":0.5,"locale":"vi"}`)
	if k := mine(); k.Locale != "ru" || k.LostContainer != 0.5 {
		t.Errorf("got %s, %v", k.Locale, k.LostContainer)
	}
	if k := w.sim.UserKnobs("somebody"); k.Locale != "vi" {
		t.Errorf("others: %s", k.Locale)
	}
	w.sim.ResetUserKnobs("demo.user")
	if k := mine(); k.Locale != "vi" {
		t.Errorf("after the reset: %s", k.Locale)
	}
	w.send(http.MethodDelete, "/_sim/knobs", "", "")
	if k := w.sim.Knobs(); k.Locale != "en" || k.LostContainer != 0 {
		t.Errorf("after the reset of all: %s, %v", k.Locale, k.LostContainer)
	}
}

// luck publishes texts under a half chance of a hidden error and tells which had it.
func (w *world) luck(n int) string {
	w.t.Helper()
	var b strings.Builder
	for range n {
		if w.try(w.hello()).status == 200 {
			b.WriteByte('.')
		} else {
			b.WriteByte('x')
		}
	}
	return b.String()
}

func TestSameSeedSameOutcome(t *testing.T) {
	t.Parallel()
	run := func(seed uint64, disturbed bool) string {
		w := setup(t, threadssim.Options{Seed: seed})
		w.set(`{"hidden_success":{"probability":0.5}}`)
		if disturbed {
			mine := w.token
			w.token, _ = w.grant("other")
			w.luck(5)
			w.token = mine
		}
		return w.luck(40)
	}
	first := run(7, false)
	if again := run(7, true); again != first {
		t.Errorf("seed 7 gave %s, then %s", first, again)
	}
	if other := run(8, false); other == first {
		t.Errorf("seed 8 gives the same %s", first)
	}
	if n := strings.Count(first, "x"); n < 8 || n > 32 {
		t.Errorf("%d of 40 at a chance of a half", n)
	}
	w := setup(t, threadssim.Options{Seed: 8})
	w.set(`{"hidden_success":{"probability":0.5}}`)
	w.send(http.MethodPost, "/_sim/seed", "application/json", `{"seed":7}`)
	if got := w.luck(40); got != first {
		t.Errorf("seeded over HTTP: %s, want %s", got, first)
	}
}

// Unchanged clients that publish at once mostly come through, and sometimes meet the notorious error.
func TestRealisticTextsAreMostlyReadyAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{Knobs: new(threadssim.Realistic())})
	late := 0
	for range 200 {
		id := w.hello()
		if r := w.try(id); r.status == 200 {
			continue
		}
		late++
		w.clock.Add(3 * time.Second)
		if r := w.try(id); r.status != 200 {
			t.Fatalf("not after three seconds either: %s", r.raw)
		}
	}
	if late < 20 || late > 120 {
		t.Errorf("%d of 200 were late", late)
	}
}

func TestFaultOfOneRequest(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	id := w.hello()
	refused(t, w.try(id, "X-Sim-Fault", `{"kind":"not_found"}`), 400, "24/4279009")
	refused(t, w.try(id, "X-Sim-Fault", `{"kind":"error_after_commit","code":10}`), 500, "10")
	if n := len(w.sim.Posts()); n != 1 {
		t.Errorf("%d posts", n)
	}
	if r := w.get("/me"); r.status != 200 {
		t.Errorf("the next call: %s", r.raw)
	}
	r := w.send(http.MethodPost, "/me/threads", form, "media_type=TEXT&text=x&access_token="+w.token,
		"X-Sim-Fault", `{"kind":"processing","failure":"INVALID_DURATION"}`)
	if w.status(r.str("id")) != threads.StatusError {
		t.Errorf("processing: %s", w.status(r.str("id")))
	}
	for _, bad := range []string{`{"kind":"nope"}`, `{"kind":"latency","nth":2}`, `{"kin":"latency"}`, `{"kind":"processing"}`, `x`} {
		if r := w.try(w.hello(), "X-Sim-Fault", bad); r.status != 400 || r.str("error") == "" {
			t.Errorf("%s: %d %s", bad, r.status, r.raw)
		}
	}
}
