package auth

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
)

func TestReconnect(t *testing.T) {
	// again opens the flow for an account that is to be connected again.
	again := func(w *env, user, account string) asks.OAuthBegun {
		w.Helper()
		return must[asks.OAuthBegun](w, asks.BeginOAuth{UserID: user, AccountID: account})
	}

	t.Run("keeps the account, and refuses another Threads user", func(t *testing.T) {
		w := setup(t)
		first := w.connect("user_1", "ada")
		_, err := ask[events.Connection](w, w.allow(again(w, "user_1", first.ID), "bob"))
		refusedAs(t, err, events.Conflict, "other_threads_user")
		list := must[asks.ConnectionList](w, asks.ListConnections{UserID: "user_1"}).Connections
		if len(list) != 1 || *list[0].Username != "ada" || list[0].Rev != first.Rev {
			t.Errorf("after the refusal there are %+v", list)
		}
		same := must[events.Connection](w, w.allow(again(w, "user_1", first.ID), "ada"))
		if same.ID != first.ID || !same.CreatedAt.Equal(first.CreatedAt) || same.Rev <= first.Rev {
			t.Errorf("%+v, was %+v", same, first)
		}
	})

	t.Run("works for one that was disconnected, and not for another's", func(t *testing.T) {
		w := setup(t)
		c := w.connect("user_1", "ada")
		cmd, d := w.command(events.Disconnect{UserID: "user_1"})
		if _, err := w.svc.Disconnect(t.Context(), d, cmd); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{c.ID, "acct_nobody"} {
			_, err := ask[asks.OAuthBegun](w, asks.BeginOAuth{UserID: "user_2", AccountID: id})
			refusedAs(t, err, events.NotFound, "")
		}
		if back := must[events.Connection](w, w.allow(again(w, "user_1", c.ID), "ada")); back.ID != c.ID || back.Status != events.ConnectionActive {
			t.Errorf("%+v", back)
		}
	})

	t.Run("shows what the scopes unlock, and what is missing for the rest", func(t *testing.T) {
		w := setup(t)
		c := must[events.Connection](w, w.allow(w.begin("user_1"), "ada", threads.ScopeBasic, threads.ScopeContentPublish))
		list := must[asks.ConnectionList](w, asks.ListConnections{UserID: "user_1"}).Connections
		for _, features := range [][]events.Feature{c.Unlocks, list[0].Unlocks} {
			missing := map[string][]string{}
			for _, f := range features {
				missing[f.Name] = f.MissingScopes
				if f.Unlocked != (len(f.MissingScopes) == 0) {
					t.Errorf("%+v", f)
				}
			}
			if len(missing["publish"])+len(missing["profile"]) > 0 || !slices.Equal(missing["delete"], []string{threads.ScopeDelete}) ||
				!slices.Equal(missing["insights"], []string{threads.ScopeManageInsights}) {
				t.Errorf("missing are %v", missing)
			}
		}
	})
}

func TestOAuthEnds(t *testing.T) {
	t.Run("at Threads, when the redirect address is not the registered one, and the flow goes on", func(t *testing.T) {
		w := setup(t)
		begun := w.begin("user_1")
		u, err := url.Parse(begun.AuthorizeURL)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("redirect_uri", "https://evil.example/callback")
		u.RawQuery = q.Encode()
		stay := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := stay.Get(u.String())
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.Header.Get("Location") != "" || resp.StatusCode == http.StatusFound {
			t.Errorf("threads sends the code to %s", resp.Header.Get("Location"))
		}
		must[events.Connection](w, w.allow(begun, "ada"))
	})

	t.Run("when the state has grown too old", func(t *testing.T) {
		w := setup(t)
		cfg := events.Buckets(1)[0]
		if cfg.Bucket != events.BucketOAuthStates {
			t.Fatal("the first bucket is another")
		}
		cfg.TTL = 200 * time.Millisecond // of the ten minutes
		if _, err := w.bus.JetStream().UpdateKeyValue(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		back := w.allow(w.begin("user_1"), "ada")
		waiting.Until(w, "the state has expired", func() bool {
			_, err := w.svc.states.kv.Get(t.Context(), keyOf(back.State))
			return errors.Is(err, jetstream.ErrKeyNotFound)
		})
		_, err := ask[events.Connection](w, back)
		refusedAs(t, err, events.Invalid, "state_invalid")
		if n := w.wire.count("/oauth/access_token"); n != 0 {
			t.Errorf("the code was spent %d times", n)
		}
	})
}

func TestEraseOwn(t *testing.T) {
	t.Run("an owner has an account erased, even one that is disconnected, and hears the code twice", func(t *testing.T) {
		w := setup(t)
		c, other := w.connect("user_1", "ada"), w.connect("user_1", "bob")
		cmd, d := w.command(events.Disconnect{UserID: "user_1", AccountID: c.ID, KeepPosts: true})
		if _, err := w.svc.Disconnect(t.Context(), d, cmd); err != nil {
			t.Fatal(err)
		}
		if a := w.account(c.ID); !a.KeepsPosts || len(a.Sealed) != 0 {
			t.Errorf("keeps posts: %t, %d bytes of a token", a.KeepsPosts, len(a.Sealed))
		}
		cmd, d = w.command(events.Disconnect{UserID: "user_1", AccountID: c.ID, Erase: true})
		var codes []string
		for range 2 {
			got, err := w.svc.Disconnect(t.Context(), d, cmd)
			if err != nil {
				t.Fatal(err)
			}
			after, ok := got.(events.Connection)
			if !ok || after.Username != nil || after.ProviderUserID != "" || after.Status != events.ConnectionDisconnected {
				t.Errorf("%+v", got)
			}
			codes = append(codes, after.ErasureCode)
		}
		if codes[0] != codes[1] || !events.IsErasureCode(codes[0]) {
			t.Errorf("codes %v", codes)
		}
		must[asks.Erasure](w, asks.GetErasure{Code: codes[0]})
		if a := w.account(other.ID); a.Status != events.ConnectionActive {
			t.Errorf("the other account is %s", a.Status)
		}
	})

	t.Run("nobody erases another's", func(t *testing.T) {
		w := setup(t)
		c := w.connect("user_1", "ada")
		cmd, d := w.command(events.Disconnect{UserID: "user_2", AccountID: c.ID, Erase: true})
		_, err := w.svc.Disconnect(t.Context(), d, cmd)
		refusedAs(t, err, events.NotFound, "")
		if a := w.account(c.ID); a.Status != events.ConnectionActive {
			t.Errorf("it is %s", a.Status)
		}
	})
}
