package threadssim_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

func (w *world) steer(path, body string) reply {
	w.t.Helper()
	return w.send(http.MethodPost, path, "application/json", body)
}

func TestClockMovesEverything(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.set(`{"quota_total":{"posts":1},"list_lag":"1m","permalink_lag":"1m"}`)
	stale, published := w.hello(), w.publish("media_type", "TEXT", "text", "x", "is_ghost_post", "true")
	refused(t, w.try(stale), 400, "9/2207042")
	if r := w.steer("/_sim/clock", `{"advance":"36h"}`); r.status != 200 || !strings.Contains(r.raw, "2026-11-03T21:00:00Z") {
		t.Fatalf("clock: %d %s", r.status, r.raw)
	}
	if w.status(stale) != threads.StatusExpired {
		t.Errorf("status %s", w.status(stale))
	}
	refused(t, w.try(stale), 400, "24/4279009")
	if r := w.get("/v1.0/"+published, "fields", "ghost_post_status,permalink"); r.str("ghost_post_status") != "ARCHIVED" || r.str("permalink") == "" {
		t.Errorf("ghost: %s", r.raw)
	}
	if r := w.get("/me/ghost_posts"); !strings.Contains(r.raw, published) {
		t.Errorf("ghosts: %s", r.raw)
	}
	w.publish("media_type", "TEXT", "text", "the quota is back")
	w.steer("/_sim/clock", `{"advance":"60d"}`)
	refused(t, w.get("/me"), 400, "190/463")
	w.steer("/_sim/clock", `{"reset":true}`)
	if r := w.get("/me"); r.status != 200 || !w.sim.Now().Equal(w.clock.Now()) {
		t.Errorf("back in true time: %s", r.raw)
	}
	if r := w.steer("/_sim/clock", `{"set":"2030-01-01T00:00:00Z"}`); !strings.Contains(r.raw, `"now":"2030-01-01T00:00:00Z"`) {
		t.Errorf("set: %s", r.raw)
	}
	for _, bad := range []string{`{}`, `{"advance":"soon"}`, `{"back":"1h"}`} {
		if r := w.steer("/_sim/clock", bad); r.status != 400 {
			t.Errorf("%s: %d", bad, r.status)
		}
	}
}

func TestInspectionKeepsSecrets(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.publish("media_type", "TEXT", "text", "x")
	refused(t, w.get("/v1.0/1"), 400, "100/33")
	if err := w.sim.SetUserKnobs("demo.user", func(k *threadssim.Knobs) { k.Uninstall = true }); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/_sim/tokens": `"username":"demo.user","long_lived":true`, "/_sim/users": `"quota_used":{"posts":1}`,
		"/_sim/calls": `"code":100,"subcode":33`, "/_sim/containers": `"status":"PUBLISHED"`, "/_sim/posts": `"text":"x"`,
		"/_sim/knobs/demo.user": `"uninstall":true`, "/_sim/faults": `"data":[]`, "/_sim/clock": `"ahead":"0s"`,
	} {
		r := w.send(http.MethodGet, path, "", "")
		if r.status != 200 || !strings.Contains(r.raw, want) || strings.Contains(r.raw, w.token) {
			t.Errorf("%s: %d, want %s\n%s", path, r.status, want, r.raw)
		}
	}
	if all := w.sim.Tokens(); len(all) != 1 || all[0].Error != 458 || len(all[0].Digest) != 64 {
		t.Errorf("tokens: %+v", all)
	}
}

func TestResetForgetsEverything(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/journal"
	w := setup(t, threadssim.Options{Journal: file})
	w.publish("media_type", "TEXT", "text", "x")
	w.set(`{"locale":"ru"}`)
	w.send(http.MethodPatch, "/_sim/knobs/demo.user", "application/json", `{"ungranted":true}`)
	w.steer("/_sim/faults", `{"op":"publish","kind":"not_found"}`)
	w.steer("/_sim/clock", `{"advance":"1h"}`)
	if r := w.steer("/_sim/reset", ""); r.status != 200 {
		t.Fatalf("reset: %s", r.raw)
	}
	refused(t, w.get("/me"), 400, "190")
	if len(w.sim.Posts())+len(w.sim.Containers())+len(w.sim.Faults())+len(w.sim.Users())+len(w.sim.Tokens()) != 0 ||
		w.sim.Knobs().Locale != "en" || w.sim.UserKnobs("demo.user").Ungranted || !w.sim.Now().Equal(w.clock.Now()) {
		t.Error("something was kept")
	}
	w.token, w.userID = w.grant("new.user")
	id := w.publish("media_type", "TEXT", "text", "y")
	_ = w.sim.Close()
	again, err := threadssim.New(threadssim.Options{Journal: file})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	if p := again.Posts(); len(p) != 1 || p[0].ID != id || p[0].Username != "new.user" {
		t.Errorf("the journal remembers %+v", p)
	}
}

func (w *world) rules() []string {
	w.t.Helper()
	var rules []string
	for _, m := range w.sim.Mistakes(0) {
		rules = append(rules, m.Rule)
	}
	return rules
}

func TestMistakesOfClientsAreFound(t *testing.T) {
	t.Parallel()
	for rule, do := range map[string]func(w *world){
		"container_published_twice": func(w *world) {
			w.set(`{"double_publish":"second_post"}`)
			id := w.hello()
			w.try(id)
			w.try(id)
		},
		"publish_after_published": func(w *world) {
			id := w.hello()
			w.try(id)
			w.status(id)
			w.try(id)
		},
		"equal_posts": func(w *world) {
			w.try(w.hello())
			w.try(w.hello())
		},
		"retry_of_a_permanent_refusal": func(w *world) {
			w.post("/me/threads", "media_type", "TEXT")
			w.post("/me/threads", "media_type", "TEXT")
		},
		"call_storm": func(w *world) {
			for range 121 {
				w.get("/me")
			}
		},
		"refresh_under_24h": func(w *world) { w.refresh() },
		"refresh_after_expiry": func(w *world) {
			w.clock.Add(61 * day)
			w.refresh()
		},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			w := setup(t, threadssim.Options{})
			do(w)
			if got := w.rules(); !slices.Equal(got, []string{rule}) {
				t.Errorf("found %v", got)
			}
			r := w.send(http.MethodGet, "/_sim/invariants", "", "")
			if !strings.Contains(r.raw, `"ok":false`) || !strings.Contains(r.raw, rule) {
				t.Errorf("page: %s", r.raw)
			}
		})
	}
	t.Run("a careful client makes none", func(t *testing.T) {
		t.Parallel()
		w := setup(t, threadssim.Options{})
		id := w.hello()
		refused(t, w.try(id, "X-Sim-Fault", `{"kind":"not_found"}`), 400, "24/4279009")
		refused(t, w.try(id, "X-Sim-Fault", `{"kind":"error_after_commit"}`), 500, "10")
		w.status(id)
		w.publish("media_type", "TEXT", "text", "another")
		w.post("/me/threads", "media_type", "TEXT")
		w.post("/me/threads", "media_type", "TEXT", "text", "corrected")
		w.clock.Add(25 * time.Hour)
		w.refresh()
		if got := w.rules(); len(got) != 0 {
			t.Errorf("found %v", got)
		}
	})
	t.Run("how many calls are a storm can be said", func(t *testing.T) {
		t.Parallel()
		w := setup(t, threadssim.Options{})
		w.get("/me")
		w.get("/me")
		if r := w.send(http.MethodGet, "/_sim/invariants?calls_per_minute=1", "", ""); !strings.Contains(r.raw, "call_storm") {
			t.Errorf("page: %s", r.raw)
		}
		if r := w.send(http.MethodGet, "/_sim/invariants?calls_per_minute=x", "", ""); r.status != 400 {
			t.Errorf("page: %d", r.status)
		}
	})
}
