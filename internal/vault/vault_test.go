package vault_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/omni-write/threads/internal/vault"
)

func TestVault(t *testing.T) {
	keys, err := vault.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(keys)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := v.Seal("acct_a", "THQVJsecret")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("THQVJ")) {
		t.Fatal("the token is stored in clear")
	}

	t.Run("opens what it sealed, for the same account only", func(t *testing.T) {
		token, err := v.Open("acct_a", sealed)
		if err != nil || token.Reveal() != "THQVJsecret" {
			t.Errorf("opened %q, %v", token.Reveal(), err)
		}
		if _, err := v.Open("acct_b", sealed); err == nil {
			t.Error("a token moved to another row still opens")
		}
	})

	t.Run("takes the keyset in base64 as well", func(t *testing.T) {
		again, err := vault.Open([]byte(base64.StdEncoding.EncodeToString(keys) + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.Open("acct_a", sealed); err != nil {
			t.Error(err)
		}
	})

	t.Run("after a rotation the old tokens still open", func(t *testing.T) {
		rotated, err := vault.Open(rotate(t, keys))
		if err != nil {
			t.Fatal(err)
		}
		if token, err := rotated.Open("acct_a", sealed); err != nil || token.Reveal() != "THQVJsecret" {
			t.Errorf("opened %q, %v", token.Reveal(), err)
		}
		anew, err := rotated.Seal("acct_a", "THQVJsecret")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Open("acct_a", anew); err == nil {
			t.Error("the rotated vault still seals with the old key")
		}
	})

	t.Run("refuses what is no keyset, and does not quote it", func(t *testing.T) {
		for _, bad := range []string{"", "hunter2", `{"hunter2":1}`, base64.StdEncoding.EncodeToString([]byte("hunter2"))} {
			if _, err := vault.Open([]byte(bad)); err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("keyset %q: %v", bad, err)
			}
		}
	})
}

// rotate adds a new primary key to a keyset.
func rotate(t *testing.T, keys []byte) []byte {
	t.Helper()
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(keys)))
	if err != nil {
		t.Fatal(err)
	}
	manager := keyset.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	if err := manager.SetPrimary(id); err != nil {
		t.Fatal(err)
	}
	if handle, err = manager.Handle(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLoadOrCreateKeyset(t *testing.T) {
	t.Run("processes that start together agree on one key", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "data", "keyset.json")
		got := make([][]byte, 8)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() { got[i], _ = vault.LoadOrCreateKeyset(path, zap.NewNop()) })
		}
		wg.Wait()
		for _, keys := range got {
			if len(keys) == 0 || !bytes.Equal(keys, got[0]) {
				t.Fatal("two processes hold different keys")
			}
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("keyset file: %v, %v", info.Mode(), err)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".keyset-*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})

	t.Run("says that it is for local use, and when others can read it", func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		path := filepath.Join(t.TempDir(), "keyset.json")
		for range 2 {
			if _, err := vault.LoadOrCreateKeyset(path, zap.New(core)); err != nil {
				t.Fatal(err)
			}
		}
		if n := logs.FilterMessageSnippet("local use").Len(); n != 1 {
			t.Errorf("warned %d times of local use, want once, at its making", n)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := vault.LoadOrCreateKeyset(path, zap.New(core)); err != nil {
			t.Fatal(err)
		}
		if logs.FilterMessageSnippet("readable by others").Len() != 1 {
			t.Error("an open keyset file goes unmentioned")
		}
	})
}
