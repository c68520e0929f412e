package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/wire"
)

// Conclude notes how a command about an account ended: with a Fault, or with the account as it is afterwards. It
// belongs in the transaction of the change. Any other error is no outcome and comes back.
func Conclude(ctx context.Context, db bun.IDB, commandID string, a Account, err error, now time.Time) error {
	return ConcludeWith(ctx, db, commandID, a.Connection(), err, now)
}

// ConcludeWith is Conclude, with what there is to be said of the account.
func ConcludeWith(ctx context.Context, db bun.IDB, commandID string, c events.Connection, err error, now time.Time) error {
	o := events.Outcome{CommandID: commandID}
	if err != nil {
		if !errors.As(err, &o.Fault) {
			return err
		}
	} else if o.Result, err = wire.Encode(c); err != nil {
		return fmt.Errorf("encode connection: %w", err)
	}
	return commands.Finish(ctx, db, o, now)
}

// Concluded answers a command that was concluded before: the same outcome again, after telling what a crash may have
// left untold. It reports false when the command was noted and no more.
func Concluded(ctx context.Context, db bun.IDB, emit Emit, prior *commands.Command) (c events.Connection, done bool, err error) {
	o, done := prior.Done()
	if !done {
		return c, false, nil
	}
	if o.Fault != nil {
		return c, true, o.Fault
	}
	if err := json.Unmarshal(o.Result, &c); err != nil {
		return c, true, fmt.Errorf("decode the noted outcome: %w", err)
	}
	return c, true, Tell(ctx, db, emit, c.ID)
}
