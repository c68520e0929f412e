package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/wire"
)

// Once does in one transaction what a command asks for, and notes the command with its outcome in the same one. So it
// is done once, however often the command is delivered: when it was noted before, do is not called, and its record comes
// back as prior. A refusal of do is an outcome too (Refusal); it is noted and comes back. With bus.Pending the outcome is
// left open, for whoever tells it later. After any other error nothing has happened.
func Once(ctx context.Context, db bun.IDB, c Command, now func() time.Time,
	do func(context.Context, bun.Tx) (result any, err error)) (prior *Command, err error) {
	var refused error
	err = pg.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) error {
		refused = nil
		var err error
		if prior, err = begin(ctx, tx, c, now()); err != nil || prior != nil {
			return err
		}
		result, err := do(ctx, tx)
		if errors.Is(err, bus.Pending) {
			return nil
		}
		o, noOutcome := outcomeOf(c.ID, result, err)
		if noOutcome != nil {
			return noOutcome
		}
		refused = err
		return Finish(ctx, tx, o, now())
	})
	if err != nil {
		return nil, err
	}
	return prior, refused
}

// OnceByCall does what a command asks for where no transaction of ours can hold it: a call to Threads. The command is
// noted before do, and its outcome after it. A redelivery that finds the command without an outcome calls do again, so
// do must be such that twice is as good as once. When there is an outcome, do is not called, and the record comes back
// as prior. What is an outcome is as in Once; do may have written it itself, for the first one stays.
func OnceByCall(ctx context.Context, db bun.IDB, c Command, now func() time.Time,
	do func(context.Context) (result any, err error)) (prior *Command, result any, err error) {
	prior, err = begin(ctx, db, c, now())
	if err != nil {
		return nil, nil, err
	}
	if prior != nil {
		if _, done := prior.Done(); done {
			return prior, nil, nil
		}
	}
	result, err = do(ctx)
	if errors.Is(err, bus.Pending) {
		return nil, nil, err
	}
	o, noOutcome := outcomeOf(c.ID, result, err)
	if noOutcome != nil {
		return nil, nil, noOutcome
	}
	if err := Finish(ctx, db, o, now()); err != nil {
		return nil, nil, err
	}
	if o.Fault != nil {
		return nil, nil, err
	}
	return nil, o.Result, nil
}

// Refusal is the Fault with which an error ends its command, and nil where the command is not at its end: what is
// Unavailable may be there at the next try, and Internal is a mistake of ours.
func Refusal(err error) *events.Fault {
	var f *events.Fault
	if errors.As(err, &f) && f.Code != events.Unavailable && f.Code != events.Internal {
		return f
	}
	return nil
}

// outcomeOf is how a command has ended; an error that ends no command comes back.
func outcomeOf(commandID string, result any, err error) (o events.Outcome, noOutcome error) {
	o.CommandID = commandID
	if err != nil {
		if o.Fault = Refusal(err); o.Fault == nil {
			return o, err
		}
		return o, nil
	}
	if o.Result, err = wire.Encode(result); err != nil {
		return o, fmt.Errorf("encode result: %w", err)
	}
	return o, nil
}

// Answer says again how a command ended that was noted before; bus.Pending while it has not.
func (c *Command) Answer() (result any, err error) {
	switch o, done := c.Done(); {
	case !done:
		return nil, bus.Pending
	case o.Fault != nil:
		return nil, o.Fault
	default:
		return o.Result, nil
	}
}
