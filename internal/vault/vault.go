// Package vault seals secrets for the row that they belong to, and keeps the files of the keys that do.
package vault

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/tink-crypto/tink-go/v2/tink"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/threads"
)

// What keeps a sealed secret closed. Each is a mistake of ours, in a keyset or in a row: no word of Threads, and so never
// a reason to end a connection.
var (
	// ErrUnknownKey says that the secret is sealed with a key that this process does not have.
	ErrUnknownKey = errors.New("its key is not in the keyset")
	// ErrNotOurs says that the bytes are not what was sealed for this row: damaged, or moved here from another.
	ErrNotOurs = errors.New("it is damaged, or was sealed for another row")
)

// Unopened says whether an error is one of ErrUnknownKey and ErrNotOurs.
func Unopened(err error) bool { return errors.Is(err, ErrUnknownKey) || errors.Is(err, ErrNotOurs) }

// Vault seals tokens for the table and opens them for a call. The keyset may hold several keys: the primary seals,
// all of them open, so a key is rotated by adding the new one everywhere before making it primary (docs/security.md).
type Vault struct {
	keys atomic.Pointer[keyring]
	file *reloader // nil when the keys cannot change
}

// Open reads a Tink keyset, as JSON or as base64 of that JSON (which is kinder to environment variables).
// Its errors say nothing of the keys.
func Open(keysetJSON []byte) (*Vault, error) {
	keys, err := openKeyring(keysetJSON)
	if err != nil {
		return nil, err
	}
	v := &Vault{}
	v.keys.Store(keys)
	return v, nil
}

// OpenFile is Open on a file. When the file changes, the vault takes its keys with the next token that it seals or opens, and looks
// once a second at most; a file that cannot be read then is logged, and the keys at hand stay.
func OpenFile(path string, log *zap.Logger) (*Vault, error) {
	v := &Vault{file: &reloader{path: path, log: log}}
	keys, err := v.file.first()
	if err != nil {
		return nil, err
	}
	v.keys.Store(keys)
	return v, nil
}

// Seal encrypts a token for one account.
func (v *Vault) Seal(accountID string, token threads.Token) ([]byte, error) {
	if token == "" {
		return nil, errors.New("seal the token: it is empty")
	}
	sealed, err := v.current(false).aead.Encrypt([]byte(token.Reveal()), bound(accountID))
	if err != nil {
		return nil, fmt.Errorf("seal the token: %w", err)
	}
	return sealed, nil
}

// Open decrypts the token of an account. It fails with ErrUnknownKey when the key is not in the keyset, and with
// ErrNotOurs when the bytes were sealed for another account.
func (v *Vault) Open(accountID string, sealed []byte) (threads.Token, error) {
	keys := v.current(false)
	id, marked := KeyID(sealed)
	if marked && !keys.has(id) {
		keys = v.current(true) // another process may have sealed it with a key that came a moment ago
	}
	opened, err := keys.aead.Decrypt(sealed, bound(accountID))
	switch {
	case err == nil:
		return threads.Token(opened), nil
	case marked && !keys.has(id):
		return "", fmt.Errorf("open the token of account %s, sealed with key %d: %w (%s)", accountID, id, ErrUnknownKey, keys.list())
	}
	return "", fmt.Errorf("open the token of account %s: %w", accountID, ErrNotOurs) // Tink's error says no more
}

// Primary is the id of the key that seals.
func (v *Vault) Primary() uint32 { return v.current(false).primary }

func (v *Vault) current(look bool) *keyring {
	if v.file != nil {
		if keys := v.file.changed(look); keys != nil {
			v.keys.Store(keys)
		}
	}
	return v.keys.Load()
}

// bound ties a sealed token to its row: moved to another row it does not open.
func bound(accountID string) []byte { return []byte("threads-token|v1|" + accountID) }

// keyring is the keys as they stood when the keyset was last read.
type keyring struct {
	aead    tink.AEAD
	primary uint32
	ids     []uint32 // of the keys that open, the primary among them
}

func (r *keyring) has(id uint32) bool { return slices.Contains(r.ids, id) }

func (r *keyring) list() string { return fmt.Sprintf("it has %v", r.ids) }
