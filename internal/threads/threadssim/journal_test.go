package threadssim_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/omni-write/threads/internal/threads/threadssim"
)

// killed is a simulator that was never closed, and one that finds its journal: what a kill -9 leaves behind.
func killed(t *testing.T, live func(*world)) (before, after *world) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "threads.journal")
	before = setup(t, threadssim.Options{Journal: path, AutoApprove: true})
	live(before)
	copied := filepath.Join(t.TempDir(), "copy.journal")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The last change was being written when the power went.
	if err := os.WriteFile(copied, append(raw, `{"media":{"id":"1806`...), 0o600); err != nil {
		t.Fatal(err)
	}
	after = setup(t, threadssim.Options{Journal: copied, Now: before.clock.Now})
	after.clock = before.clock
	after.token = before.token
	return before, after
}

func TestJournalRemembersEverything(t *testing.T) {
	t.Parallel()
	var unpublished, deleted, published string
	before, after := killed(t, func(w *world) {
		published = w.publish("media_type", "TEXT", "text", "hello")
		w.publish("media_type", "TEXT", "text", "a reply", "reply_to_id", published)
		deleted = w.publish("media_type", "TEXT", "text", "gone")
		w.delete("/v1.0/" + deleted)
		unpublished = w.create("media_type", "TEXT", "text", "later")
	})

	if diff := cmp.Diff(before.sim.Posts(), after.sim.Posts()); diff != "" {
		t.Errorf("posts (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(before.sim.Containers(), after.sim.Containers()); diff != "" {
		t.Errorf("containers (-before +after):\n%s", diff)
	}
	for _, path := range []string{"/v1.0/me", "/v1.0/me/threads", "/v1.0/" + published} {
		if a, b := before.get(path), after.get(path); a.raw != b.raw {
			t.Errorf("%s: %s before, %s after", path, a.raw, b.raw)
		}
	}
	const fields = "quota_usage,reply_quota_usage,delete_quota_usage"
	if r := after.get("/v1.0/me/threads_publishing_limit", "fields", fields); r.raw !=
		`{"data":[{"delete_quota_usage":1,"quota_usage":2,"reply_quota_usage":1}]}` {
		t.Errorf("limits: %s", r.raw)
	}
	refused(t, after.delete("/v1.0/"+deleted), 400, "100/33")
	r := after.post("/v1.0/me/threads_publish", "creation_id", unpublished)
	if r.status != 200 {
		t.Fatalf("publish: %s", r.raw)
	}
	for _, p := range before.sim.Posts() {
		if p.ID == r.str("id") {
			t.Errorf("id %s was given out twice", p.ID)
		}
	}
	refused(t, after.post("/v1.0/me/threads_publish", "creation_id", unpublished), 400, "24/4279009")
}

func TestJournalKeepsRevocations(t *testing.T) {
	t.Parallel()
	_, after := killed(t, func(w *world) {
		if err := w.sim.Revoke("demo.user", 460); err != nil {
			t.Fatal(err)
		}
	})
	refused(t, after.get("/v1.0/me"), 400, "190/460")
}

func TestJournalHoldsNoToken(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "threads.journal")
	w := setup(t, threadssim.Options{Journal: path})
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) == 0 || strings.Contains(string(raw), w.token) {
		t.Errorf("journal:\n%s", raw)
	}
}

func TestJournalInTheMiddleIsNotGuessed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "threads.journal")
	if err := os.WriteFile(path, []byte("nonsense\n{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := threadssim.New(threadssim.Options{Journal: path}); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("got %v, want an error that names the line", err)
	}
}

// A torn line may be longer than the one written over it; nothing of it may be left.
func TestJournalOutlivesATornLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "threads.journal")
	torn := `{"container":{"text":"` + strings.Repeat("x", 4096)
	if err := os.WriteFile(path, []byte(torn), 0o600); err != nil {
		t.Fatal(err)
	}
	first := setup(t, threadssim.Options{Journal: path})
	if err := first.sim.Close(); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(path); err != nil || strings.Contains(string(raw), "xxx") {
		t.Errorf("the torn line is still there (%v)", err)
	}
	again, err := threadssim.New(threadssim.Options{Journal: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	g, err := again.Token("demo.user")
	if err != nil || g.UserID != first.userID {
		t.Errorf("user %s, %v; want %s", g.UserID, err, first.userID)
	}
}

// What cannot be remembered must not happen.
func TestJournalThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{Journal: filepath.Join(t.TempDir(), "threads.journal")})
	id := w.create("media_type", "TEXT", "text", "x")
	if err := w.sim.Close(); err != nil {
		t.Fatal(err)
	}
	refused(t, w.post("/v1.0/me/threads_publish", "creation_id", id), 500, "2")
	if len(w.sim.Posts()) != 0 {
		t.Error("it was published all the same")
	}
	if _, err := w.sim.Token("late"); err == nil {
		t.Error("a token was made all the same")
	}
}
