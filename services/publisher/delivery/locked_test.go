package delivery_test

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/vault/vaulttest"
)

// A keyset that lacks a key is our mistake. Posts wait, with a word, nobody is disconnected, and with the key back they go.
func TestKeysetMistake(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Log = zap.NewNop() // it is said as an error, as it should
	right := r.Vault
	r.Vault = vaulttest.New(t)
	_, stop := r.Start()
	p := r.Schedule(300*time.Millisecond, "locked out")
	waiting := r.Row(p.ID, events.StateWaiting)
	if waiting.Reason == nil || waiting.Reason.Code != events.Unavailable || !waiting.WakeAt.After(time.Now()) {
		t.Errorf("it waits until %s because of %v", waiting.WakeAt, waiting.Reason)
	}
	if n, _ := r.Arrivals(p.Text); n != 0 {
		t.Error("it went out without a token")
	}
	a, err := accounts.Get(t.Context(), r.DB, r.Account.ID)
	if err != nil || a.Status != events.ConnectionActive {
		t.Errorf("the account is %s, %v", a.Status, err)
	}
	stop()
	r.Vault = right
	r.Start()
	// As if the minute to its next look had passed.
	if _, err := r.DB.NewRaw("UPDATE posts SET wake_at = now() - interval '1 minute' WHERE id = ?", p.ID).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Once(r.Await(p.ID, events.FactPublished))
}
