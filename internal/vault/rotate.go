package vault

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

// Key is a key of a keyset, without its secret.
type Key struct {
	ID      uint32 `json:"id"`
	Primary bool   `json:"primary"` // it seals; the others only open
	Enabled bool   `json:"enabled"`
}

// KeysetFile is a keyset on disk, for those who rotate its keys. Every change replaces the file as a whole, so a reader
// finds the old one or the new one, and two changes at once cannot undo each other.
type KeysetFile struct{ Path string }

// Keys lists what is in it, in the order in which it came.
func (f KeysetFile) Keys() ([]Key, error) {
	handle, err := f.read()
	if err != nil {
		return nil, err
	}
	return keysOf(handle), nil
}

// Add puts a new key beside the others, which opens and does not seal yet, and returns its id.
func (f KeysetFile) Add() (id uint32, err error) {
	err = f.change(func(m *keyset.Manager) error {
		id, err = m.Add(aead.AES256GCMKeyTemplate())
		return err
	})
	return id, err
}

// Promote makes a key the one that seals.
func (f KeysetFile) Promote(id uint32) error {
	return f.change(func(m *keyset.Manager) error {
		if err := m.SetPrimary(id); err != nil {
			return fmt.Errorf("there is no enabled key %d in it", id)
		}
		return nil
	})
}

// Retire takes a key out: what is still sealed with it opens no more. The primary stays. back puts the key in again, for
// who finds that it is needed after all.
func (f KeysetFile) Retire(id uint32) (back func() error, err error) {
	was, err := f.read()
	if err != nil {
		return nil, err
	}
	err = f.change(func(m *keyset.Manager) error {
		if err := m.Delete(id); err != nil {
			return fmt.Errorf("key %d is not in it, or is the primary: promote another one first", id)
		}
		return nil
	})
	return func() error {
		content, err := writeKeys(was)
		if err != nil {
			return err
		}
		return replace(f.Path, content)
	}, err
}

func keysOf(handle *keyset.Handle) []Key {
	info := handle.KeysetInfo()
	keys := make([]Key, 0, len(info.GetKeyInfo()))
	for _, k := range info.GetKeyInfo() {
		keys = append(keys, Key{
			ID: k.GetKeyId(), Primary: k.GetKeyId() == info.GetPrimaryKeyId(), Enabled: k.GetStatus() == tinkpb.KeyStatusType_ENABLED,
		})
	}
	return keys
}

func (f KeysetFile) read() (*keyset.Handle, error) {
	content, err := os.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no keyset file %s; `keys new` makes one", f.Path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the keyset file: %w", err)
	}
	return readKeys(content)
}

// change reads, changes and replaces the file, while nobody else does.
func (f KeysetFile) change(edit func(*keyset.Manager) error) error {
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	was, err := f.read()
	if err != nil {
		return err
	}
	m := keyset.NewManagerFromHandle(was)
	if err := edit(m); err != nil {
		return fmt.Errorf("change the keyset file: %w", err)
	}
	is, err := m.Handle()
	if err != nil {
		return errors.New("change the keyset file: Tink refused the new keyset")
	}
	content, err := writeKeys(is)
	if err != nil {
		return err
	}
	if err := replace(f.Path, content); err != nil {
		return fmt.Errorf("write the keyset file: %w", err)
	}
	return nil
}

func (f KeysetFile) lock() (func(), error) {
	name := f.Path + ".lock"
	l, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("someone else is changing this keyset; if a command was interrupted, remove %s", name)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the keyset file: %w", err)
	}
	_ = l.Close()
	return func() { _ = os.Remove(name) }, nil
}

// replace puts new content in the file's place at once. Owner and mode stay: the services that read it may run as
// somebody else.
func replace(path string, content []byte) error {
	path, err := filepath.EvalSymlinks(path) // a link stays one
	if err != nil {
		return err
	}
	was, err := os.Stat(path)
	if err != nil {
		return err
	}
	tmp, err := written(filepath.Dir(path), content)
	if err != nil {
		return err
	}
	if err := errors.Join(likeBefore(tmp, was), os.Chmod(tmp, was.Mode().Perm())); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return dir.Sync() // or a crash of the machine could bring the old file back after a service has used the new key
}
