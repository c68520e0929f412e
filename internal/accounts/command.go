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

// Conclude notes that a command about an account succeeded, with the account as it is afterwards. It belongs in the
// transaction of the change.
func Conclude(ctx context.Context, db bun.IDB, commandID string, a Account, now time.Time) error {
	result, err := wire.Encode(a.Connection())
	if err != nil {
		return fmt.Errorf("encode connection: %w", err)
	}
	return commands.Finish(ctx, db, events.Outcome{CommandID: commandID, Result: result}, now)
}

// Concluded answers a command that was concluded before: the same outcome again, after emitting what a crash may have
// left out.
func Concluded(ctx context.Context, db bun.IDB, emit Emit, prior *commands.Command) (any, error) {
	o, done := prior.Done()
	switch {
	case !done:
		return nil, errors.New("the command was noted without its outcome, which no transaction of ours does")
	case o.Fault != nil:
		return nil, o.Fault
	}
	var c events.Connection
	if err := json.Unmarshal(o.Result, &c); err != nil {
		return nil, fmt.Errorf("decode the noted outcome: %w", err)
	}
	return c, EmitChange(ctx, db, emit, c.ID)
}
