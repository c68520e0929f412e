package doctor

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/internal/accounts"
)

// samples is how many sealed tokens are opened.
const samples = 25

func (e *examination) keys(ctx context.Context) {
	if e.common.Keyset == "" {
		return // settings has said so
	}
	v, err := boot.OpenVault(e.common)
	if err != nil {
		e.say(Wrong, "keys", "%s", oneLine(err))
		return
	}
	if e.db == nil {
		return
	}
	var rows []accounts.Account
	err = e.db.NewSelect().Model(&rows).Where("access_token IS NOT NULL").OrderBy("updated_at", bun.OrderDesc).Limit(samples).Scan(ctx)
	if err != nil {
		e.say(Wrong, "keys", "The sealed tokens cannot be read: %s", oneLine(err))
		return
	}
	closed := 0
	for _, a := range rows {
		if _, err := v.Open(a.ID, a.Sealed); err != nil {
			closed++
		}
	}
	if closed > 0 {
		e.say(Wrong, "keys", "TOKEN_KEYSET does not open %d of %d sealed tokens: is it the keyset of this database?", closed, len(rows))
		return
	}
	e.say(Well, "keys", "TOKEN_KEYSET opens the sealed tokens (%d tried).", len(rows))
}
