package accounts

import (
	"errors"
	"fmt"
	"os"
)

// VaultFromEnv opens the vault whose keyset is in TOKEN_KEYSET, or in the file that TOKEN_KEYSET_FILE names. Every
// service that touches tokens is given the same one.
func VaultFromEnv(getenv func(string) string) (*Vault, error) {
	keys, file := []byte(getenv("TOKEN_KEYSET")), getenv("TOKEN_KEYSET_FILE")
	switch {
	case len(keys) > 0 && file != "":
		return nil, errors.New("TOKEN_KEYSET and TOKEN_KEYSET_FILE are both set; set one")
	case file != "":
		var err error
		if keys, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("TOKEN_KEYSET_FILE: %w", err)
		}
	case len(keys) == 0:
		return nil, errors.New("TOKEN_KEYSET or TOKEN_KEYSET_FILE is required: the keys that seal the tokens")
	}
	return OpenVault(keys)
}
