package accounts_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
	"github.com/omni-write/threads/internal/vault/vaulttest"
)

func TestSwappedRows(t *testing.T) {
	f := setup(t)
	a, b := f.connect("u1", "1", "token-a", start), f.connect("u2", "2", "token-b", start)
	_, err := f.db.NewRaw(`UPDATE social_connections c SET access_token = o.access_token FROM social_connections o WHERE o.id <> c.id`).
		Exec(t.Context())
	ok(t, err)
	for _, id := range []string{a.ID, b.ID} {
		_, _, err := accounts.Token(t.Context(), f.db, f.vault, id, start)
		if !errors.Is(err, vault.ErrNotOurs) {
			t.Errorf("a token moved to another row: %v", err)
		}
		wantFault(t, err, events.Unavailable) // and not: reconnect
		if got := f.get(id).Status; got != events.ConnectionActive {
			t.Errorf("status %s", got)
		}
	}
}

func TestReseal(t *testing.T) {
	t.Run("seals everything anew, in batches, and nobody hears of it", func(t *testing.T) {
		f := setup(t)
		file, first := vaulttest.NewFile(t)
		f.vault = vaulttest.OpenFile(t, file)
		tokens := map[string]threads.Token{}
		for i := range 25 {
			token := threads.Token("THQVJ" + strings.Repeat("x", i+1))
			a := f.connect("u1", string(rune('a'+i)), token, start)
			tokens[a.ID] = token
		}
		gone := f.connect("u2", "1", "t", start)
		if _, _, err := accounts.Disconnect(t.Context(), f.db, gone.ID, start); err != nil {
			t.Fatal(err)
		}
		f.webhook("wh_1", "whsec_1", "whsec_0")
		f.webhook("wh_2", "whsec_2", "")
		second, err := file.Add()
		ok(t, err)
		ok(t, file.Promote(second))
		f.vault = vaulttest.OpenFile(t, file)
		if counts := f.sealedWith(); counts[first] != 28 || counts[second] != 0 || len(counts) != 1 {
			t.Fatalf("before: %v", counts)
		}
		before := f.get(gone.ID)

		done, err := accounts.Reseal(t.Context(), f.db, f.vault, 7)
		ok(t, err)
		if done.Done != 28 || done.Left != 0 || done.Failed != nil {
			t.Errorf("%+v", done)
		}
		if counts := f.sealedWith(); counts[second] != 28 || len(counts) != 1 {
			t.Errorf("after: %v", counts)
		}
		if _, err := file.Retire(first); err != nil {
			t.Fatal(err)
		}
		f.vault = vaulttest.OpenFile(t, file)
		for id, want := range tokens {
			token, a, err := accounts.Token(t.Context(), f.db, f.vault, id, start)
			if err != nil || token.Reveal() != want.Reveal() || a.Rev != 1 || !a.UpdatedAt.Equal(start) {
				t.Errorf("account %s: rev %d, %v", id, a.Rev, err)
			}
		}
		for column, want := range map[string]string{"secret": "whsec_1", "old_secret": "whsec_0"} {
			var sealed []byte
			ok(t, f.db.NewRaw("SELECT ? FROM webhook_endpoints WHERE id = 'wh_1'", ident(column)).Scan(t.Context(), &sealed))
			if got, err := f.vault.Open("webhook|wh_1", sealed); err != nil || got.Reveal() != want {
				t.Errorf("%s of the webhook: %v", column, err)
			}
		}
		if after := f.get(gone.ID); after.Sealed != nil || after.Rev != before.Rev {
			t.Errorf("a disconnected account was touched: %+v", after)
		}
		if done, err := accounts.Reseal(t.Context(), f.db, f.vault, 7); err != nil || done.Done != 0 {
			t.Errorf("the second time: %+v, %v", done, err)
		}
	})

	t.Run("leaves alone what is being refreshed, and what it cannot open", func(t *testing.T) {
		f := setup(t)
		file, _ := vaulttest.NewFile(t)
		f.vault = vaulttest.OpenFile(t, file)
		leased, foreign := f.connect("u1", "1", "one", start), f.connect("u1", "2", "two", start)
		free := f.connect("u1", "3", "three", start)
		if _, claimed, err := accounts.ClaimRefresh(t.Context(), f.db, leased, "lease", time.Minute); err != nil || !claimed {
			t.Fatal(claimed, err)
		}
		other, err := vaulttest.New(t).Seal(foreign.ID, "two")
		ok(t, err)
		_, err = f.db.NewRaw("UPDATE social_connections SET access_token = ? WHERE id = ?", other, foreign.ID).Exec(t.Context())
		ok(t, err)
		second, err := file.Add()
		ok(t, err)
		ok(t, file.Promote(second))
		f.vault = vaulttest.OpenFile(t, file)
		done, err := accounts.Reseal(t.Context(), f.db, f.vault, 1)
		ok(t, err)
		if done.Done != 1 || done.Left != 2 || !errors.Is(done.Failed, vault.ErrUnknownKey) {
			t.Errorf("%+v", done)
		}
		if vaulttest.IDOf(t, f.get(free.ID).Sealed) != second || string(f.get(leased.ID).Sealed) != string(leased.Sealed) {
			t.Error("the wrong rows were sealed anew")
		}
		if got := f.get(foreign.ID).Status; got != events.ConnectionActive {
			t.Errorf("what we cannot open is %s", got)
		}
	})

	t.Run("counts a grant that waits for its confirmation, and leaves it to its minutes", func(t *testing.T) {
		f := setup(t)
		file, first := vaulttest.NewFile(t)
		f.vault = vaulttest.OpenFile(t, file)
		sealed, err := f.vault.Seal("oauth_grant|00", threads.Token("t"))
		ok(t, err)
		_, err = f.db.NewRaw(`INSERT INTO oauth_grants (code_hash, user_id, account_id, cookie_hash, page, provider_user_id, username, scopes,
			access_token, access_token_expires_at, granted_at, expires_at) VALUES ('\\x00', 'u1', '', '', false, '1', 'ada', '{}', ?, now(), now(), now())`, sealed).Exec(t.Context())
		ok(t, err)
		second, err := file.Add()
		ok(t, err)
		ok(t, file.Promote(second))
		f.vault = vaulttest.OpenFile(t, file)
		if done, err := accounts.Reseal(t.Context(), f.db, f.vault, 10); err != nil || done.Done != 0 || done.Left != 0 {
			t.Errorf("resealed %+v, %v", done, err)
		}
		if counts := f.sealedWith(); counts[first] != 1 || len(counts) != 1 {
			t.Errorf("sealed with %v", counts)
		}
	})

	t.Run("gives way to whoever changes the row meanwhile", func(t *testing.T) {
		f := setup(t)
		file, _ := vaulttest.NewFile(t)
		f.vault = vaulttest.OpenFile(t, file)
		a := f.connect("u1", "1", "one", start)
		second, err := file.Add()
		ok(t, err)
		ok(t, file.Promote(second))
		f.vault = vaulttest.OpenFile(t, file)
		done := make(chan error, 8)
		for i := range 8 {
			go func() {
				if i == 0 {
					_, _, err := accounts.RequireReconnect(t.Context(), f.db, a, events.Faultf(events.ReauthRequired, "No."), start)
					done <- err
					return
				}
				_, err := accounts.Reseal(t.Context(), f.db, f.vault, 10)
				done <- err
			}()
		}
		for range 8 {
			ok(t, <-done)
		}
		if token, err := f.vault.Open(a.ID, f.get(a.ID).Sealed); err != nil || token.Reveal() != "one" {
			t.Error(err)
		}
	})
}

// A column of sealed bytes that Reseal does not know of would be lost with the first key that is retired.
func TestSealedPlaces(t *testing.T) {
	t.Parallel()
	var columns []string
	err := pgtest.New(t).NewRaw(`SELECT table_name || '.' || column_name FROM information_schema.columns
		WHERE table_schema = 'public' AND data_type = 'bytea' ORDER BY 1`).Scan(t.Context(), &columns)
	ok(t, err)
	known := append(accounts.SealedColumns(), notSealed...)
	for _, c := range columns {
		if !slices.Contains(known, c) {
			t.Errorf("%s holds bytes: if a Vault seals them, add it to sealedPlaces; if not, to notSealed here", c)
		}
	}
}

// notSealed are columns of bytes that hold no secret.
var notSealed = []string{"webhook_deliveries.payload", "oauth_grants.code_hash", "oauth_grants.cookie_hash"}

func ident(column string) bun.Ident { return bun.Ident(column) }

func (f *fixture) sealedWith() map[uint32]int {
	f.Helper()
	counts, err := accounts.SealedWith(f.Context(), f.db)
	ok(f.T, err)
	return counts
}

// webhook is a row of the publisher's.
func (f *fixture) webhook(id, secret, old string) {
	f.Helper()
	seal := func(s string) []byte {
		if s == "" {
			return nil
		}
		sealed, err := f.vault.Seal("webhook|"+id, threads.Token(s))
		ok(f.T, err)
		return sealed
	}
	_, err := f.db.NewRaw("INSERT INTO webhook_endpoints (id, user_id, url, secret, old_secret, created_at, updated_at) VALUES (?, 'u1', '', ?, ?, ?, ?)",
		id, seal(secret), seal(old), start, start).Exec(f.Context())
	ok(f.T, err)
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
