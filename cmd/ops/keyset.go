package ops

import (
	"context"
	"io"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/ops/keys"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/process"
)

// Keys changes the keyset in TOKEN_KEYSET_FILE, which need not exist yet, and looks into DATABASE_URL if it is set.
func Keys(ctx context.Context, args []string, getenv func(string) string, out, errOut io.Writer) error {
	common, err := process.Env[boot.Common](func(name string) string {
		if name == "TOKEN_KEYSET" || name == "TOKEN_KEYSET_FILE" {
			return "" // it is the file that is worked on, not its content
		}
		return getenv(name)
	})
	if err != nil {
		return err
	}
	log, err := process.Logger("error", common.LogFormat)
	if err != nil {
		return err
	}
	c := keys.Command{File: accounts.KeysetFile{Path: getenv("TOKEN_KEYSET_FILE")}, Out: out, ErrOut: errOut}
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
	return c.Run(ctx, args)
}
