package ops

import (
	"context"
	"errors"
	"io"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/ops/keys"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/vault"
)

// Keyset is the keyset in TOKEN_KEYSET_FILE, which need not exist yet. Where DATABASE_URL is set, what is sealed with each key
// can be counted there.
func Keyset(getenv func(string) string, out io.Writer) (keys.Command, error) {
	common, err := process.Env[boot.Common](func(name string) string {
		if name == "TOKEN_KEYSET" || name == "TOKEN_KEYSET_FILE" {
			return "" // it is the file that is worked on, not its content
		}
		return getenv(name)
	})
	if err != nil {
		return keys.Command{}, err
	}
	log, err := process.Logger("error", common.LogFormat)
	if err != nil {
		return keys.Command{}, err
	}
	c := keys.Command{File: vault.KeysetFile{Path: getenv("TOKEN_KEYSET_FILE")}, Out: out}
	if c.File.Path == "" {
		return c, errors.New("TOKEN_KEYSET_FILE is required: the file with the keyset; a keyset in TOKEN_KEYSET cannot be changed from here")
	}
	if common.DatabaseURL != "" {
		c.Count = func(ctx context.Context) (map[uint32]int, error) {
			db, err := boot.OpenDatabase(ctx, "keys", common, log)
			if err != nil {
				return nil, err
			}
			defer func() { _ = db.Close() }()
			return accounts.SealedWith(ctx, db)
		}
	}
	return c, nil
}
