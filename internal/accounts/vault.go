package accounts

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/omni-write/threads/internal/threads"
)

// Vault seals tokens for the table and opens them for a call. The keyset may hold several keys: the primary seals,
// all of them open, so a key is rotated by adding the new one everywhere before making it primary.
type Vault struct {
	aead tink.AEAD
}

// OpenVault reads a Tink keyset, as JSON or as base64 of that JSON (which is kinder to environment variables).
// Its errors say nothing of the keys.
func OpenVault(keysetJSON []byte) (*Vault, error) {
	text := bytes.TrimSpace(keysetJSON)
	if len(text) == 0 {
		return nil, errors.New("open the token keyset: it is empty")
	}
	if text[0] != '{' {
		decoded, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil {
			return nil, errors.New("open the token keyset: it is neither JSON nor base64 of JSON")
		}
		text = decoded
	}
	// Clear keys are what we have: the environment or a file of mode 0600 is their guard.
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		// Tink's error may quote what it could not parse.
		return nil, errors.New("open the token keyset: it is not a Tink keyset in JSON")
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, errors.New("open the token keyset: its keys are not for authenticated encryption (AEAD)")
	}
	return &Vault{aead: primitive}, nil
}

// Seal encrypts a token for one account.
func (v *Vault) Seal(accountID string, token threads.Token) ([]byte, error) {
	if token == "" {
		return nil, errors.New("seal the token: it is empty")
	}
	sealed, err := v.aead.Encrypt([]byte(token.Reveal()), bound(accountID))
	if err != nil {
		return nil, fmt.Errorf("seal the token: %w", err)
	}
	return sealed, nil
}

// Open decrypts the token of an account. It fails when the key is not in the keyset, or when the bytes were sealed
// for another account.
func (v *Vault) Open(accountID string, sealed []byte) (threads.Token, error) {
	opened, err := v.aead.Decrypt(sealed, bound(accountID))
	if err != nil {
		return "", fmt.Errorf("open the token of account %s: %w", accountID, err)
	}
	return threads.Token(opened), nil
}

// bound ties a sealed token to its row: moved to another row it does not open.
func bound(accountID string) []byte { return []byte("threads-token|v1|" + accountID) }
