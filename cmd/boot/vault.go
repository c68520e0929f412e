package boot

import (
	"fmt"

	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/accounts"
)

// liveVault is the vault of a process that goes on for long: a keyset in a file is taken anew when the file changes.
func liveVault(c Common, file string, log *zap.Logger) (*accounts.Vault, error) {
	if file == "" {
		return OpenVault(c)
	}
	v, err := accounts.OpenVaultFile(file, log)
	if err != nil {
		return nil, fmt.Errorf("TOKEN_KEYSET_FILE: %w", err)
	}
	return v, nil
}

func OpenVault(c Common) (*accounts.Vault, error) {
	v, err := accounts.OpenVault([]byte(c.Keyset))
	if err != nil {
		return nil, fmt.Errorf("TOKEN_KEYSET: %w", err)
	}
	return v, nil
}
