package vault

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"go.uber.org/zap"
)

// NewKeyset makes a fresh keyset with one AES-256-GCM key, as JSON for Open.
func NewKeyset() ([]byte, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make a keyset: %w", err)
	}
	return writeKeys(handle)
}

// LoadOrCreateKeyset reads the keyset file, and makes it at the first start. It is for a machine of one's own: a key
// beside the data it protects guards against little more than a copied table, and losing the file loses every
// connection.
func LoadOrCreateKeyset(path string, log *zap.Logger) ([]byte, error) {
	if found, err := readKeyset(path, log); !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	if _, err := NewKeysetFile(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	log.Warn("using a keyset file made on this machine; it is for local use only", zap.String("file", path))
	// Read it back: another process may have been first, and then its key is the one.
	return readKeyset(path, log)
}

// NewKeysetFile makes a keyset with one key and returns its id. A file that is there already is fs.ErrExist, and stays as
// it is.
func NewKeysetFile(path string) (uint32, error) {
	fresh, err := NewKeyset()
	if err != nil {
		return 0, err
	}
	keys, err := openKeyring(fresh)
	if err != nil {
		return 0, err
	}
	if err := createOnce(path, fresh); err != nil {
		return 0, fmt.Errorf("create the keyset file: %w", err)
	}
	return keys.primary, nil
}

func readKeyset(path string, log *zap.Logger) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("look for the keyset file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		log.Warn("the keyset file is readable by others; make it 0600", zap.String("file", path))
	}
	keys, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the keyset file: %w", err)
	}
	return keys, nil
}

// createOnce makes the file whole or not at all, and never over another: a half-written or replaced key would lock
// out every token sealed before. Who comes second gets fs.ErrExist.
func createOnce(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := written(filepath.Dir(path), content)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp) }()
	return os.Link(tmp, path) // unlike Rename, Link refuses an existing name
}

// written is a file of mode 0600 beside the one it is to become, on disk.
func written(dir string, content []byte) (string, error) {
	tmp, err := os.CreateTemp(dir, ".keyset-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = tmp.Write(content)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return "", errors.Join(err, os.Remove(tmp.Name()))
	}
	return tmp.Name(), nil
}
