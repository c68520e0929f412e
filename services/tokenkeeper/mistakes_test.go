package tokenkeeper

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/internal/vault/vaulttest"
)

func TestNewToken(t *testing.T) {
	t.Run("one that Threads gives and does not take leaves the old one where it is", func(t *testing.T) {
		w := setup(t)
		a := w.planned("user_1", "ada")
		w.wire.set(func(rw http.ResponseWriter, _ *http.Request) bool {
			_, _ = fmt.Fprint(rw, `{"access_token":"THSIMLnobodyknowsthisone0000000","token_type":"bearer","expires_in":5184000}`)
			return true
		})
		w.due(a.ID)
		b := w.account(a.ID)
		if !bytes.Equal(b.Sealed, a.Sealed) || b.Status != events.ConnectionActive || b.RefreshFailures != 1 || b.RefreshLease != "" || !w.works(a.ID) {
			t.Fatalf("%+v", b)
		}
		w.wire.set(nil)
		w.clock.pass(b.RefreshAt.Sub(w.clock.now()))
		w.due(a.ID)
		if c := w.account(a.ID); bytes.Equal(c.Sealed, a.Sealed) || !w.works(a.ID) {
			t.Error("not refreshed after all")
		}
	})

	t.Run("one that cannot be tried now is taken: nobody knows how long the old one goes on", func(t *testing.T) {
		w := setup(t)
		a := w.planned("user_1", "ada")
		if err := w.sim.Inject(threadssim.Fault{Op: threads.OpMe, Kind: threadssim.Edge5xx}); err != nil {
			t.Fatal(err)
		}
		w.due(a.ID)
		if b := w.account(a.ID); bytes.Equal(b.Sealed, a.Sealed) || b.RefreshFailures != 0 || !w.works(a.ID) {
			t.Errorf("%+v", b)
		}
	})
}

// A keyset that lacks a key is our mistake. It must not disconnect anybody.
func TestKeysetMistake(t *testing.T) {
	w := setup(t)
	w.private("ada")
	a := w.planned("user_1", "ada")
	right := w.vault
	w.svc.vault = vaulttest.New(t)
	w.due(a.ID)
	if b := w.account(a.ID); b.Status != events.ConnectionActive || b.RefreshLease != "" || b.RefreshFailures != 1 {
		t.Errorf("after the alarm: %+v", b)
	}
	cmd, d := command("user_1", a.ID)
	_, err := w.svc.refreshOnce(t.Context(), d, cmd)
	fault(t, err, events.Unavailable)
	w.svc.reseal(t.Context())
	if n := w.wire.count(); n != 0 || w.account(a.ID).RefreshLease != "" {
		t.Errorf("asked Threads %d times; lease %q", n, w.account(a.ID).RefreshLease)
	}
	w.svc.vault = right
	w.clock.pass(time.Hour)
	w.due(a.ID)
	if b := w.account(a.ID); b.RefreshFailures != 0 || !w.works(a.ID) {
		t.Errorf("with the right keyset: %+v", b)
	}
}

// Threads may ask for patience, and near the end of a token patience ends.
func TestPatience(t *testing.T) {
	w := setup(t)
	a := w.planned("user_1", "ada")
	w.wire.set(func(rw http.ResponseWriter, _ *http.Request) bool {
		rw.Header().Set("Retry-After", "8640000") // a hundred days
		rw.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	w.due(a.ID)
	if pause := w.account(a.ID).RefreshAt.Sub(w.clock.now()); pause != longestPause {
		t.Errorf("the next try is in %s", pause)
	}
	w.clock.pass(a.ExpiresAt.Sub(w.clock.now()) - time.Hour)
	w.due(a.ID)
	if pause := w.account(a.ID).RefreshAt.Sub(w.clock.now()); pause != 30*time.Minute {
		t.Errorf("an hour before its end the next try is in %s", pause)
	}
}
