package boot

import (
	"fmt"

	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/vault"
)

// liveVault is the vault of a process that goes on for long: a keyset in a file is taken anew when the file changes.
func liveVault(c Common, file string, log *zap.Logger) (*vault.Vault, error) {
	if file == "" {
		return OpenVault(c)
	}
	v, err := vault.OpenFile(file, log)
	if err != nil {
		return nil, fmt.Errorf("TOKEN_KEYSET_FILE: %w", err)
	}
	return v, nil
}

func OpenVault(c Common) (*vault.Vault, error) {
	v, err := vault.Open([]byte(c.Keyset))
	if err != nil {
		return nil, fmt.Errorf("TOKEN_KEYSET: %w", err)
	}
	return v, nil
}
