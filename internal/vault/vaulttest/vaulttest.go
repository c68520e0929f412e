// Package vaulttest makes vaults for tests.
package vaulttest

import (
	"path/filepath"
	"testing"

	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/vault"
)

// New is a vault with a key of its own.
func New(t *testing.T) *vault.Vault {
	t.Helper()
	keys, err := vault.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(keys)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// NewFile is a keyset file with one key, and the key's id.
func NewFile(t *testing.T) (vault.KeysetFile, uint32) {
	t.Helper()
	f := vault.KeysetFile{Path: filepath.Join(t.TempDir(), "keyset.json")}
	id, err := vault.NewKeysetFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	return f, id
}

// OpenFile opens a keyset file.
func OpenFile(t *testing.T, f vault.KeysetFile) *vault.Vault {
	t.Helper()
	v, err := vault.OpenFile(f.Path, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// IDOf is the id of the key with which something is sealed.
func IDOf(t *testing.T, sealed []byte) uint32 {
	t.Helper()
	id, marked := vault.KeyID(sealed)
	if !marked {
		t.Fatalf("%x does not say which key it is sealed with", sealed[:5])
	}
	return id
}
