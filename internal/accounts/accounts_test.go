package accounts_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
	"github.com/omni-write/threads/internal/vault/vaulttest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// start is a full microsecond, which is what Postgres keeps of a time.
var start = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// fixture is a database, a vault, and what was emitted.
type fixture struct {
	*testing.T
	db      *bun.DB
	vault   *vault.Vault
	emitted []events.Event
}

func setup(t *testing.T) *fixture {
	t.Parallel()
	return &fixture{T: t, db: pgtest.New(t), vault: vaulttest.New(t)}
}

// emit is the bus: it keeps what it was given.
func (f *fixture) emit(_ context.Context, evs ...events.Event) error {
	f.emitted = append(f.emitted, evs...)
	return nil
}

func (f *fixture) connect(user, threadsUser string, token threads.Token, at time.Time) accounts.Account {
	f.Helper()
	var a accounts.Account
	err := pg.InTx(f.Context(), f.db, func(ctx context.Context, tx bun.Tx) error {
		var err error
		a, err = accounts.Connect(ctx, tx, f.vault, accounts.Grant{
			UserID: user, ProviderUserID: threadsUser, Username: "ada", Scopes: []string{threads.ScopeBasic},
			Token: token, ExpiresAt: at.Add(60 * day),
		}, at)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	return a
}

func (f *fixture) get(id string) accounts.Account {
	f.Helper()
	a, err := accounts.Get(f.Context(), f.db, id)
	if err != nil {
		f.Fatal(err)
	}
	return a
}

func wantFault(t *testing.T, err error, code events.Code) *events.Fault {
	t.Helper()
	f, ok := errors.AsType[*events.Fault](err)
	if !ok || f.Code != code {
		t.Fatalf("got error %v, want a fault %s", err, code)
	}
	return f
}

func TestConnect(t *testing.T) {
	t.Run("the same person at Threads keeps the id, another one is another account", func(t *testing.T) {
		f := setup(t)
		first := f.connect("u1", "17841405793187218", "token-1", start)
		again := f.connect("u1", "17841405793187218", "token-2", start.Add(day))
		other := f.connect("u1", "17841405793187219", "token-3", start.Add(day))

		if again.ID != first.ID || again.Rev != first.Rev+1 || !again.CreatedAt.Equal(start) {
			t.Errorf("connected again: id %s rev %d created %s; want id %s rev %d created %s",
				again.ID, again.Rev, again.CreatedAt, first.ID, first.Rev+1, start)
		}
		if other.ID == first.ID {
			t.Error("another Threads user took the first one's row")
		}
		token, _, err := accounts.Token(t.Context(), f.db, f.vault, first.ID, start.Add(day))
		if err != nil || token.Reveal() != "token-2" {
			t.Errorf("token after the reconnect: %q, %v", token.Reveal(), err)
		}
	})

	t.Run("two of our users may connect the same Threads user", func(t *testing.T) {
		f := setup(t)
		if f.connect("u1", "1", "a", start).ID == f.connect("u2", "1", "b", start).ID {
			t.Error("two users share a row")
		}
	})

	t.Run("a reconnect heals the account and takes the lease from a refresher of the old token", func(t *testing.T) {
		f := setup(t)
		a := f.connect("u1", "1", "old", start)
		a, ok, err := accounts.ClaimRefresh(t.Context(), f.db, a, "lease-1", time.Minute)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		f.connect("u1", "1", "new", start.Add(time.Hour))
		_, ok, err = accounts.SaveRefreshed(t.Context(), f.db, a.ID, "lease-1", accounts.Refreshed{
			Sealed: []byte("stale"), IssuedAt: start, ExpiresAt: start.Add(60 * day), RefreshAt: start.Add(30 * day),
		})
		if err != nil || ok {
			t.Errorf("a refresher without the lease saved its token: %v, %v", ok, err)
		}
		if b := f.get(a.ID); b.RefreshLease != "" || !b.RefreshAt.IsZero() || b.Status != events.ConnectionActive {
			t.Errorf("after the reconnect: %+v", b)
		}
	})
}

func TestResolve(t *testing.T) {
	f := setup(t)
	ctx := t.Context()

	_, err := accounts.Resolve(ctx, f.db, "u1", "")
	wantFault(t, err, events.NotFound)

	one := f.connect("u1", "1", "t", start)
	foreign := f.connect("u2", "2", "t", start)
	if a, err := accounts.Resolve(ctx, f.db, "u1", ""); err != nil || a.ID != one.ID {
		t.Errorf("the only account: %s, %v", a.ID, err)
	}

	_, errForeign := accounts.Resolve(ctx, f.db, "u1", foreign.ID)
	_, errMissing := accounts.Resolve(ctx, f.db, "u1", events.NewAccountID())
	if wantFault(t, errForeign, events.NotFound).Message != wantFault(t, errMissing, events.NotFound).Message {
		t.Errorf("a foreign id answers %q, a missing one %q", errForeign, errMissing)
	}

	two := f.connect("u1", "3", "t", start.Add(time.Hour))
	_, err = accounts.Resolve(ctx, f.db, "u1", "")
	if fault := wantFault(t, err, events.Invalid); len(fault.Details) != 1 || fault.Details[0].Pointer != "/accountId" {
		t.Errorf("several and none named: %+v", fault)
	}
	if a, err := accounts.Resolve(ctx, f.db, "u1", two.ID); err != nil || a.ID != two.ID {
		t.Errorf("the named account: %s, %v", a.ID, err)
	}

	if _, _, err := accounts.Disconnect(ctx, f.db, one.ID, start); err != nil {
		t.Fatal(err)
	}
	if a, err := accounts.Resolve(ctx, f.db, "u1", ""); err != nil || a.ID != two.ID {
		t.Errorf("the only one left: %s, %v", a.ID, err)
	}
}

func TestDisconnect(t *testing.T) {
	f := setup(t)
	a := f.connect("u1", "1", "t", start)
	gone, ok, err := accounts.Disconnect(t.Context(), f.db, a.ID, start.Add(time.Hour))
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if gone.Sealed != nil || gone.Status != events.ConnectionDisconnected || gone.Rev != a.Rev+1 {
		t.Errorf("disconnected: %+v", gone)
	}
	if _, ok, err := accounts.Disconnect(t.Context(), f.db, a.ID, start.Add(2*time.Hour)); err != nil || ok {
		t.Errorf("disconnected a second time: %v, %v", ok, err)
	}
	_, _, err = accounts.Token(t.Context(), f.db, f.vault, a.ID, start)
	wantFault(t, err, events.NotFound)
}

func TestRequireReconnect(t *testing.T) {
	reason := events.Faultf(events.ReauthRequired, "Threads said no.")

	t.Run("ends the use of the token, keeps the reason and names the posts in danger", func(t *testing.T) {
		f := setup(t)
		a := f.connect("u1", "1", "t", start)
		f.post("post_late", a.ID, events.StateScheduled, start.Add(2*time.Hour))
		f.post("post_soon", a.ID, events.StateReady, start.Add(time.Hour))
		f.post("post_wait", a.ID, events.StateWaiting, start.Add(3*time.Hour))
		f.post("post_live", a.ID, events.StatePublished, start)
		f.post("post_other", "acct_other", events.StateScheduled, start)

		_, ok, err := accounts.RequireReconnect(t.Context(), f.db, a, reason, start)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if err := accounts.EmitChange(t.Context(), f.db, f.emit, a.ID); err != nil {
			t.Fatal(err)
		}
		ev, ok := f.emitted[0].(events.AccountReconnectRequired)
		if !ok || ev.Reason.Message != reason.Message {
			t.Fatalf("told %+v", f.emitted[0])
		}
		if want := []string{"post_soon", "post_late", "post_wait"}; !slices.Equal(ev.Endangered, want) {
			t.Errorf("endangered %v, want %v", ev.Endangered, want)
		}
		if ev.Count != 3 || len(ev.Posts) != 3 || !ev.Posts[0].PublishAt.Equal(start.Add(time.Hour)) {
			t.Errorf("endangered %+v", ev.Endangerment)
		}
		_, _, err = accounts.Token(t.Context(), f.db, f.vault, a.ID, start)
		wantFault(t, err, events.ReauthRequired)
	})

	t.Run("changes nothing when the token is not the one that was tried", func(t *testing.T) {
		f := setup(t)
		tried := f.connect("u1", "1", "old", start)
		f.connect("u1", "1", "new", start.Add(time.Minute))
		_, ok, err := accounts.RequireReconnect(t.Context(), f.db, tried, reason, start)
		if err != nil || ok {
			t.Errorf("declared a token dead that nobody tried: %v, %v", ok, err)
		}
		if a := f.get(tried.ID); a.Status != events.ConnectionActive {
			t.Errorf("status %s", a.Status)
		}
	})
}

func (f *fixture) post(id, accountID string, state events.State, at time.Time) {
	f.Helper()
	_, err := f.db.NewRaw(`INSERT INTO posts (id, user_id, account_id, text, content_hash, publish_at, publish_within,
		state, created_at, updated_at, rev, fact) VALUES (?, 'u1', ?, '', '', ?, 60, ?, ?, ?, 1, 'scheduled')`,
		id, accountID, at, state, start, start).Exec(f.Context())
	if err != nil {
		f.Fatal(err)
	}
}

func TestToken(t *testing.T) {
	f := setup(t)
	a := f.connect("u1", "1", "t", start)
	if _, _, err := accounts.Token(t.Context(), f.db, f.vault, a.ID, a.ExpiresAt.Add(-time.Second)); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	_, _, err := accounts.Token(t.Context(), f.db, f.vault, a.ID, a.ExpiresAt)
	wantFault(t, err, events.ReauthRequired)
	_, _, err = accounts.Token(t.Context(), f.db, f.vault, "acct_none", start)
	wantFault(t, err, events.NotFound)
}

func TestEmitChange(t *testing.T) {
	t.Run("tells a change once", func(t *testing.T) {
		f := setup(t)
		a := f.connect("u1", "1", "t", start)
		for range 2 {
			if err := accounts.EmitChange(t.Context(), f.db, f.emit, a.ID); err != nil {
				t.Fatal(err)
			}
		}
		if len(f.emitted) != 1 {
			t.Errorf("told %d times", len(f.emitted))
		}
	})

	t.Run("what could not be told is told later, as the same event", func(t *testing.T) {
		f := setup(t)
		a := f.connect("u1", "1", "t", start)
		b := f.connect("u2", "1", "t", start)
		var tried events.Event
		down := func(_ context.Context, evs ...events.Event) error { tried = evs[0]; return errors.New("down") }
		if err := accounts.EmitChange(t.Context(), f.db, down, a.ID); err == nil {
			t.Fatal("a failed telling went unnoticed")
		}
		n, err := accounts.EmitMissing(t.Context(), f.db, f.emit)
		if err != nil || n != 2 {
			t.Fatalf("told %d, %v", n, err)
		}
		ids := []string{f.emitted[0].EventID(), f.emitted[1].EventID()}
		if !slices.Contains(ids, tried.EventID()) {
			t.Errorf("told %v, tried before %s", ids, tried.EventID())
		}
		if b := f.get(b.ID); b.EmittedRev != b.Rev {
			t.Errorf("told_rev %d of rev %d", b.EmittedRev, b.Rev)
		}
	})
}

func TestClaimRefresh(t *testing.T) {
	f := setup(t)
	a := f.connect("u1", "1", "t", start)
	claim := func(lease string) bool {
		_, ok, err := accounts.ClaimRefresh(t.Context(), f.db, a, lease, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if !claim("one") || claim("two") {
		t.Fatal("the lease is not exclusive")
	}
	if _, err := f.db.NewRaw("UPDATE social_connections SET refresh_lease_until = now() - interval '1 second'").Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !claim("three") {
		t.Error("a lapsed lease is not given on")
	}
	if _, ours, err := accounts.ReleaseRefresh(t.Context(), f.db, a.ID, "one", start, 1); err != nil || ours {
		t.Errorf("the first holder gave back what is the third's: %v, %v", ours, err)
	}
	if _, ours, err := accounts.ReleaseRefresh(t.Context(), f.db, a.ID, "three", start, 1); err != nil || !ours {
		t.Fatal(ours, err)
	}
	if claim("four") {
		t.Error("who read the account before the third's failure may try at once")
	}
	a = f.get(a.ID)
	if !claim("five") {
		t.Fatal("the account as it is now cannot be claimed")
	}
	if _, ours, err := accounts.SaveRefreshed(t.Context(), f.db, a.ID, "five", accounts.Refreshed{
		Sealed: a.Sealed, IssuedAt: start, ExpiresAt: start.Add(60 * day), RefreshAt: start.Add(30 * day),
	}); err != nil || !ours {
		t.Fatal(ours, err)
	}
	if claim("six") {
		t.Error("who read the account before the fifth's refresh may refresh it again")
	}
}
