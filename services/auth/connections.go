package auth

import (
	"context"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
)

// ListConnections is a user's connected accounts, the oldest first.
func (s *Service) ListConnections(ctx context.Context, q asks.ListConnections) (asks.ConnectionList, error) {
	list, err := accounts.ForUser(ctx, s.db, q.UserID)
	if err != nil {
		return asks.ConnectionList{}, err
	}
	answer := asks.ConnectionList{Connections: make([]events.Connection, 0, len(list))}
	for _, a := range list {
		c := a.Connection()
		c.Unlocks = a.Unlocks()
		answer.Connections = append(answer.Connections, c)
	}
	return answer, nil
}

// Disconnect forgets an account's token, at once. Publisher reads the event and cancels the account's queue, or lets it wait for
// the next connect; tokenkeeper takes its alarm away. Threads itself is not told: it has no call for that.
func (s *Service) Disconnect(ctx context.Context, d bus.Delivery, cmd events.Disconnect) (any, error) {
	var after events.Connection
	prior, err := commands.Once(ctx, s.db, commands.New(d.Meta, cmd, ""), s.now, func(ctx context.Context, tx bun.Tx) (_ any, err error) {
		if cmd.Erase {
			after, err = s.eraseOwn(ctx, tx, d.Meta.ID, cmd)
		} else {
			after, err = s.disconnect(ctx, tx, cmd)
		}
		return after, err
	})
	if err != nil {
		return nil, err
	}
	if prior != nil {
		return accounts.Concluded(ctx, s.db, s.bus.Emit, prior)
	}
	s.lookForErasures()
	return after, s.emitChange(ctx, after.ID)
}

func (s *Service) disconnect(ctx context.Context, tx bun.Tx, cmd events.Disconnect) (events.Connection, error) {
	found, err := accounts.Resolve(ctx, tx, cmd.UserID, cmd.AccountID)
	if err != nil {
		return events.Connection{}, err
	}
	disconnect := accounts.Disconnect
	if cmd.KeepPosts {
		disconnect = accounts.DisconnectKeeping
	}
	a, ok, err := disconnect(ctx, tx, found.ID, s.now())
	if err == nil && !ok { // another disconnect came between the two statements
		err = events.Faultf(events.NotFound, "This account is disconnected already.")
	}
	return a.Connection(), err
}

func (s *Service) emitChange(ctx context.Context, accountID string) error {
	return accounts.EmitChange(ctx, s.db, s.bus.Emit, accountID)
}

// emitMissing emits, at the start and from time to time, what a crash left out, whichever service it was that crashed.
func (s *Service) emitMissing(ctx context.Context) error {
	every := time.NewTicker(s.cfg.EmitMissingEvery)
	defer every.Stop()
	for {
		s.forgetGrants(ctx)
		n, err := accounts.EmitMissing(ctx, s.db, s.bus.Emit)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("could not emit all changes of accounts", zap.Error(err))
		}
		if n > 0 {
			s.log.Info("emitted changes of accounts that a crash had left out", zap.Int("count", n))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}
