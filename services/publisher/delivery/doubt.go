package delivery

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/posts"
)

// doubts move posts of which it is not known whether they are live.
type doubts struct {
	moves *moves
	log   *zap.Logger
	now   func() time.Time
}

// unconfirmed moves a post to unconfirmed and emits that. It is in doubt from here on, if it was not before.
func (d *doubts) unconfirmed(ctx context.Context, old *posts.Post, onAbsent posts.OnAbsent, reason *events.Fault, tried ...asks.Attempt) error {
	return d.unconfirmedFrom(ctx, old, old, onAbsent, reason, tried...)
}

// unconfirmedFrom is unconfirmed for a post of which more is known than its row says: base.
func (d *doubts) unconfirmedFrom(ctx context.Context, old, base *posts.Post, onAbsent posts.OnAbsent, reason *events.Fault, tried ...asks.Attempt) error {
	next, fact := base.Unconfirm(onAbsent, reason, d.now().Add(firstLook))
	return d.saveUnconfirmed(ctx, old, next, fact, tried...)
}

func (d *doubts) saveUnconfirmed(ctx context.Context, old, next *posts.Post, fact events.PostFact, tried ...asks.Attempt) error {
	return d.moves.saveAt(ctx, crash.ConfirmDoubted, old, next, fact, tried...)
}

// park leaves a post to a person. No automatic call is ever made for it again.
func (d *doubts) park(ctx context.Context, old *posts.Post, reason *events.Fault, tried ...asks.Attempt) error {
	if err := d.moves.save(ctx, old, old.Park(reason), events.FactParked, tried...); err != nil {
		return err
	}
	d.log.Error("post parked: a person must look", postField(old.ID), accountField(old.AccountID))
	return nil
}
