package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// signedForm is the body of a callback as Meta makes it.
func signedForm(t *testing.T, secret string, claims map[string]any) []byte {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	encoded := base64.RawURLEncoding.EncodeToString(payload)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(encoded))
	signed := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)) + "." + encoded
	return []byte(url.Values{"signed_request": {signed}}.Encode())
}

func claims(threadsUserID string, issued time.Time) map[string]any {
	return map[string]any{
		"user_id": threadsUserID, "algorithm": "HMAC-SHA256", "issued_at": issued.Unix(), "expires": issued.Add(time.Hour).Unix(),
	}
}

func (w *env) signed(threadsUserID string, issued time.Time) []byte {
	w.Helper()
	return signedForm(w.T, threadssim.DefaultAppSecret, claims(threadsUserID, issued))
}

func TestUninstall(t *testing.T) {
	t.Run("disconnects every user of that Threads account, keeps their queues, and nobody else's", func(t *testing.T) {
		w := setup(t)
		mine, theirs, other := w.connect("user_1", "ada"), w.connect("user_2", "ada"), w.connect("user_1", "bob")
		got := must[asks.Uninstalled](w, asks.ReceiveUninstall{Body: w.signed(mine.ProviderUserID, time.Now())})
		if got.Accounts != 2 {
			t.Errorf("%d accounts", got.Accounts)
		}
		for _, c := range []events.Connection{mine, theirs} {
			a := w.account(c.ID)
			if a.Status != events.ConnectionDisconnected || len(a.Sealed) != 0 || !a.KeepsPosts {
				t.Errorf("%s is %s with %d bytes of a token, keeps posts: %t", c.ID, a.Status, len(a.Sealed), a.KeepsPosts)
			}
			emitted := bustest.Await(t, w.bus, func(ev events.AccountDisconnected) bool { return ev.Connection.ID == c.ID })
			if !emitted.Connection.PostsKept {
				t.Errorf("told %+v", emitted)
			}
		}
		if a := w.account(other.ID); a.Status != events.ConnectionActive {
			t.Errorf("bob is %s", a.Status)
		}
	})

	t.Run("a repeat, however it comes, leaves a connection alone that was made since", func(t *testing.T) {
		w := setup(t)
		c := w.connect("user_1", "ada")
		form := w.signed(c.ProviderUserID, time.Now())
		must[asks.Uninstalled](w, asks.ReceiveUninstall{Body: form})
		again := w.connect("user_1", "ada")
		if again.ID != c.ID {
			t.Fatalf("reconnected as %s, was %s", again.ID, c.ID)
		}
		if got := must[asks.Uninstalled](w, asks.ReceiveUninstall{Body: form}); got.Accounts != 0 {
			t.Errorf("the same callback disconnected %d", got.Accounts)
		}
		late := w.signed(c.ProviderUserID, time.Now().Add(-10*time.Minute))
		if got := must[asks.Uninstalled](w, asks.ReceiveUninstall{Body: late}); got.Accounts != 0 {
			t.Errorf("a late callback disconnected %d", got.Accounts)
		}
		if a := w.account(c.ID); a.Status != events.ConnectionActive || a.KeepsPosts {
			t.Errorf("%s, keeps posts: %t", a.Status, a.KeepsPosts)
		}
	})
}

func TestCallbacksAreMetas(t *testing.T) {
	w := setup(t)
	c := w.connect("user_1", "ada")
	now := time.Now()
	with := func(change func(map[string]any)) []byte {
		m := claims(c.ProviderUserID, now)
		change(m)
		return signedForm(t, threadssim.DefaultAppSecret, m)
	}
	good := w.signed(c.ProviderUserID, now)
	for name, bad := range map[string]struct {
		body []byte
		code events.Code
		word string
	}{
		"nothing":          {nil, events.Invalid, "signed_request_missing"},
		"JSON":             {[]byte(`{"signed_request":"x"}`), events.Invalid, "signed_request_missing"},
		"two of them":      {append(append([]byte{}, good...), append([]byte("&"), good...)...), events.Invalid, "signed_request_missing"},
		"no signature":     {[]byte("signed_request=." + "e30"), events.Unauthorized, "signature_invalid"},
		"another's secret": {signedForm(t, "guess", claims(c.ProviderUserID, now)), events.Unauthorized, "signature_invalid"},
		"no secret":        {signedForm(t, "", claims(c.ProviderUserID, now)), events.Unauthorized, "signature_invalid"},
		"algorithm none":   {with(func(m map[string]any) { m["algorithm"] = "none" }), events.Unauthorized, "signature_invalid"},
		"no user":          {with(func(m map[string]any) { delete(m, "user_id") }), events.Unauthorized, "signed_request_invalid"},
		"expired":          {with(func(m map[string]any) { m["expires"] = now.Add(-time.Hour).Unix() }), events.Unauthorized, "signed_request_expired"},
		"days old": {with(func(m map[string]any) {
			m["issued_at"] = now.Add(-timelyFor - time.Minute).Unix()
			delete(m, "expires")
		}), events.Unauthorized, "signed_request_expired"},
		"of no time":         {with(func(m map[string]any) { delete(m, "issued_at") }), events.Unauthorized, "signed_request_invalid"},
		"from the future":    {with(func(m map[string]any) { m["issued_at"] = now.Add(time.Hour).Unix() }), events.Unauthorized, "signed_request_early"},
		"far too long a one": {append(append([]byte{}, good...), make([]byte, maxCallback)...), events.Invalid, "signed_request_missing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ask[asks.Uninstalled](w, asks.ReceiveUninstall{Body: bad.body})
			refusedAs(t, err, bad.code, bad.word)
			_, err = ask[asks.Erasure](w, asks.ReceiveDataDeletion{Body: bad.body})
			refusedAs(t, err, bad.code, bad.word)
		})
	}
	if a := w.account(c.ID); a.Status != events.ConnectionActive {
		t.Errorf("the account is %s", a.Status)
	}
	if n, err := w.db.NewSelect().Table("erasures").Count(context.Background()); err != nil || n != 0 {
		t.Errorf("%d erasures, %v", n, err)
	}
}

// A signed request does not say what for. Recorded at one door, it opens the other no more.
func TestStampIsGoodForOneCallback(t *testing.T) {
	t.Run("an uninstall erases nothing", func(t *testing.T) {
		w := setup(t)
		c := w.connect("user_1", "ada")
		form := w.signed(c.ProviderUserID, time.Now())
		must[asks.Uninstalled](w, asks.ReceiveUninstall{Body: form})
		_, err := ask[asks.Erasure](w, asks.ReceiveDataDeletion{Body: form})
		refusedAs(t, err, events.Unauthorized, "signed_request_used")
		if a := w.account(c.ID); a.ID != c.ID {
			t.Errorf("%+v", a)
		}
		must[asks.Uninstalled](w, asks.ReceiveUninstall{Body: form}) // Meta may repeat itself
		must[asks.Erasure](w, asks.ReceiveDataDeletion{Body: w.signed(c.ProviderUserID, time.Now().Add(time.Second))})
	})

	t.Run("an erasure disconnects nothing", func(t *testing.T) {
		w := setup(t)
		c := w.connect("user_1", "ada")
		form := w.signed(c.ProviderUserID, time.Now())
		must[asks.Erasure](w, asks.ReceiveDataDeletion{Body: form})
		_, err := ask[asks.Uninstalled](w, asks.ReceiveUninstall{Body: form})
		refusedAs(t, err, events.Unauthorized, "signed_request_used")
		must[asks.Erasure](w, asks.ReceiveDataDeletion{Body: form})
	})

	t.Run("at both at once, one wins", func(t *testing.T) {
		w := setup(t)
		for i := range 10 {
			form := w.signed("17841405793187219", time.Now().Add(time.Duration(i-30)*time.Second))
			var wg sync.WaitGroup
			var won atomic.Int32
			wg.Go(func() {
				if _, err := ask[asks.Uninstalled](w, asks.ReceiveUninstall{Body: form}); err == nil {
					won.Add(1)
				}
			})
			wg.Go(func() {
				if _, err := ask[asks.Erasure](w, asks.ReceiveDataDeletion{Body: form}); err == nil {
					won.Add(1)
				}
			})
			if wg.Wait(); won.Load() != 1 {
				t.Fatalf("%d doors opened", won.Load())
			}
		}
	})
}

func TestDataDeletion(t *testing.T) {
	t.Run("buries the accounts at once, tells it, and answers a repeat alike", func(t *testing.T) {
		w := setup(t)
		mine, theirs, other := w.connect("user_1", "ada"), w.connect("user_2", "ada"), w.connect("user_1", "bob")
		form := w.signed(mine.ProviderUserID, time.Now())
		first := must[asks.Erasure](w, asks.ReceiveDataDeletion{Body: form})
		if !events.IsErasureCode(first.Code) || first.Status != asks.ErasureRunning {
			t.Errorf("%+v", first)
		}
		for _, c := range []events.Connection{mine, theirs} {
			if n, err := w.db.NewSelect().Table("social_connections").Where("id = ?", c.ID).Count(t.Context()); err != nil || n != 0 {
				t.Errorf("%s is still there: %v", c.ID, err)
			}
			bustest.Await(t, w.bus, func(ev events.AccountErased) bool { return ev.AccountID == c.ID && ev.UserID == c.UserID })
		}
		if a := w.account(other.ID); a.Status != events.ConnectionActive {
			t.Errorf("bob is %s", a.Status)
		}
		// Whoever comes back is somebody new, whom no repeat of the callback touches.
		again := w.connect("user_1", "ada")
		if again.ID == mine.ID {
			t.Error("the erased account has come back under its id")
		}
		if second := must[asks.Erasure](w, asks.ReceiveDataDeletion{Body: form}); second != first {
			t.Errorf("%+v, want %+v", second, first)
		}
		if a := w.account(again.ID); a.Status != events.ConnectionActive {
			t.Errorf("the new account is %s", a.Status)
		}
		if shown := must[asks.Erasure](w, asks.GetErasure{Code: first.Code}); shown != first {
			t.Errorf("%+v, want %+v", shown, first)
		}
		_, err := ask[asks.Erasure](w, asks.GetErasure{Code: "era_00000000000000000000000000"})
		refusedAs(t, err, events.NotFound, "")
	})

	t.Run("of somebody unknown is done at once", func(t *testing.T) {
		w := setup(t)
		got := must[asks.Erasure](w, asks.ReceiveDataDeletion{Body: w.signed("17841405793187219", time.Now())})
		if got.Status != asks.ErasureDone || got.FinishedAt == nil {
			t.Errorf("%+v", got)
		}
	})

	t.Run("asked for twice is done when the first is", func(t *testing.T) {
		w := setup(t)
		c := w.connect("user_1", "ada")
		must[asks.Erasure](w, asks.ReceiveDataDeletion{Body: w.signed(c.ProviderUserID, time.Now().Add(-2*time.Second))})
		second := must[asks.Erasure](w, asks.ReceiveDataDeletion{Body: w.signed(c.ProviderUserID, time.Now())})
		if second.Status != asks.ErasureRunning {
			t.Errorf("nothing is erased yet, and the second is %s", second.Status)
		}
	})
}
