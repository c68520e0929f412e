package vault_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/omni-write/threads/internal/vault"
	"github.com/omni-write/threads/internal/vault/vaulttest"
)

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestKeysetFile(t *testing.T) {
	t.Parallel()

	t.Run("is made once and never over another", func(t *testing.T) {
		t.Parallel()
		f, _ := vaulttest.NewFile(t)
		was, err := os.ReadFile(f.Path)
		ok(t, err)
		if _, err := vault.NewKeysetFile(f.Path); !errors.Is(err, fs.ErrExist) {
			t.Errorf("made a second time: %v", err)
		}
		is, err := os.ReadFile(f.Path)
		ok(t, err)
		if string(is) != string(was) {
			t.Error("the file changed")
		}
		if info, err := os.Stat(f.Path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	})

	t.Run("a key is added, promoted and retired, and running vaults follow", func(t *testing.T) {
		t.Parallel()
		f, first := vaulttest.NewFile(t)
		v := vaulttest.OpenFile(t, f)
		old, err := v.Seal("acct_a", "THQVJone")
		ok(t, err)
		second, err := f.Add()
		ok(t, err)
		if sealed, err := v.Seal("acct_a", "THQVJtwo"); err != nil || vaulttest.IDOf(t, sealed) != first {
			t.Errorf("an added key seals before it is promoted: %d, %v", vaulttest.IDOf(t, sealed), err)
		}
		ok(t, f.Promote(second))
		other := vaulttest.OpenFile(t, f)
		sealed, err := other.Seal("acct_a", "THQVJthree")
		ok(t, err)
		if vaulttest.IDOf(t, sealed) != second {
			t.Errorf("sealed with %d after the promotion of %d", vaulttest.IDOf(t, sealed), second)
		}
		// The first vault has not looked since: what it cannot open makes it look.
		if token, err := v.Open("acct_a", sealed); err != nil || token.Reveal() != "THQVJthree" {
			t.Errorf("the running vault: %v", err)
		}
		if v.Primary() != second {
			t.Errorf("and it seals with %d", v.Primary())
		}
		if _, err := f.Retire(second); err == nil {
			t.Error("the primary was retired")
		}
		back, err := f.Retire(first)
		ok(t, err)
		_, err = vaulttest.OpenFile(t, f).Open("acct_a", old)
		if !errors.Is(err, vault.ErrUnknownKey) || !vault.Unopened(err) {
			t.Errorf("a retired key: %v", err)
		}
		ok(t, back())
		if _, err := vaulttest.OpenFile(t, f).Open("acct_a", old); err != nil {
			t.Errorf("put back: %v", err)
		}
	})

	t.Run("changes at once do not undo each other", func(t *testing.T) {
		t.Parallel()
		f, _ := vaulttest.NewFile(t)
		added := make([]uint32, 8)
		var wg sync.WaitGroup
		for i := range added {
			wg.Go(func() { added[i], _ = f.Add() }) // who finds it locked says so and changes nothing
		}
		wg.Wait()
		keys, err := f.Keys()
		ok(t, err)
		n := 0
		for _, id := range added {
			if id == 0 {
				continue
			}
			n++
			if !has(keys, id) {
				t.Errorf("key %d was added, and is gone", id)
			}
		}
		if n == 0 || len(keys) != n+1 {
			t.Errorf("%d added, %d in the file", n, len(keys))
		}
		left, _ := filepath.Glob(filepath.Join(filepath.Dir(f.Path), "*"))
		hidden, _ := filepath.Glob(filepath.Join(filepath.Dir(f.Path), ".keyset-*"))
		if len(left) != 1 || len(hidden) > 0 {
			t.Errorf("left behind: %v %v", left, hidden)
		}
	})

	t.Run("a file that breaks under a running vault is said, once, and the keys at hand stay", func(t *testing.T) {
		t.Parallel()
		f, _ := vaulttest.NewFile(t)
		core, logs := observer.New(zap.ErrorLevel)
		v, err := vault.OpenFile(f.Path, zap.New(core))
		ok(t, err)
		sealed, err := v.Seal("acct_a", "THQVJone")
		ok(t, err)
		foreign, err := vaulttest.New(t).Seal("acct_a", "THQVJtwo")
		ok(t, err)
		ok(t, os.WriteFile(f.Path, []byte(`{"hunter2":1}`), 0o600))
		for range 3 {
			if _, err := v.Open("acct_a", foreign); !errors.Is(err, vault.ErrUnknownKey) { // makes it look
				t.Error(err)
			}
		}
		if _, err := v.Open("acct_a", sealed); err != nil {
			t.Errorf("the keys at hand are gone: %v", err)
		}
		if logs.Len() != 1 || strings.Contains(logs.All()[0].Message, "hunter2") {
			t.Errorf("said %d times: %v", logs.Len(), logs.All())
		}
	})
}

func has(keys []vault.Key, id uint32) bool {
	for _, k := range keys {
		if k.ID == id {
			return true
		}
	}
	return false
}
