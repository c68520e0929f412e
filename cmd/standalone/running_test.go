package standalone_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/standalone"
)

// Commands for operators find the system that runs, and say what is the matter where none does; a second system is refused.
func TestWhoRuns(t *testing.T) {
	h := newSystem(t)
	env := func(dir string) func(string) string {
		return func(name string) string { return map[string]string{"STATE_DIR": dir}[name] }
	}
	found, hint := standalone.Discover(env(h.dir))
	if hint != "" || !strings.HasPrefix(found("NATS_URL"), "nats://") {
		t.Errorf("beside a running system: %q, %q", found("NATS_URL"), hint)
	}
	if _, err := standalone.Start(t.Context(), env(h.dir), zap.NewNop()); err == nil ||
		!strings.Contains(err.Error(), "another system (process ") || !strings.Contains(err.Error(), "STATE_DIR") {
		t.Errorf("a second one with its state directory: %v", err)
	}
	done, err := standalone.WithStores(t.Context(), env(h.dir), zap.NewNop(), func(func(string) string) error {
		t.Error("its stores are opened a second time")
		return nil
	})
	if !done || err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("its stores for another: %t, %v", done, err)
	}

	elsewhere := t.TempDir()
	if _, hint := standalone.Discover(env(elsewhere)); !strings.Contains(hint, "no system runs with the state directory "+elsewhere) || !strings.Contains(hint, "STATE_DIR") {
		t.Errorf("beside none: %q", hint)
	}
	if done, err := standalone.WithStores(t.Context(), env(elsewhere), zap.NewNop(), nil); done || err != nil {
		t.Errorf("the stores of none: %t, %v", done, err)
	}

	// One that is killed leaves its files; only the lock goes with its process.
	killed := t.TempDir()
	for _, file := range []string{"house.env", "running.lock"} {
		content, err := os.ReadFile(filepath.Join(h.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(killed, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, hint = standalone.Discover(env(killed))
	if !strings.Contains(hint, "was killed") || !strings.Contains(hint, killed) || found("NATS_URL") == "" {
		t.Errorf("beside a killed one: %q", hint)
	}

	given := func(name string) string {
		return map[string]string{"STATE_DIR": elsewhere, "NATS_URL": "nats://there:4222"}[name]
	}
	if found, hint := standalone.Discover(given); hint != "" || found("NATS_URL") != "nats://there:4222" {
		t.Errorf("where the environment leads elsewhere: %q, %q", found("NATS_URL"), hint)
	}
}

// The stores of a system that does not run are opened for as long as something works on them.
func TestWithStores(t *testing.T) {
	h := newSystem(t)
	h.stop()
	env := func(name string) string {
		return map[string]string{"STATE_DIR": h.dir, "DATABASE_PASSWORD": ""}[name]
	}
	worked := false
	done, err := standalone.WithStores(t.Context(), env, zap.NewNop(), func(getenv func(string) string) error {
		worked = getenv("NATS_URL") != "" && getenv("DATABASE_URL") != ""
		if _, err := standalone.Start(t.Context(), env, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "another system") {
			t.Errorf("a system on stores that are worked on: %v", err)
		}
		return nil
	})
	if !done || err != nil || !worked {
		t.Errorf("%t, %v; it had its addresses: %t", done, err, worked)
	}
}
