package tokenkeeper

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
)

// busyFor is when to look again at an account that another refresher has in hand.
const busyFor = 5 * time.Second

// RefreshToken refreshes an account's token because its owner asks for it.
func (s *Service) RefreshToken(ctx context.Context, d bus.Delivery, cmd events.RefreshToken) (any, error) {
	c, err := s.refreshOnce(ctx, d, cmd)
	if fault, ok := errors.AsType[*events.Fault](err); ok && fault.Code == events.Unavailable {
		// That Threads is unwell is an outcome, and noted as one. Returned to the bus it would mean: once more.
		if err := s.bus.Reply(ctx, d.Meta.OutcomeTo, events.Outcome{CommandID: d.Meta.ID, Done: true, Fault: fault}); err != nil {
			s.log.Warn("outcome not sent; it can be read by the command's id", zap.Error(err))
		}
		return nil, bus.Pending
	}
	return c, err
}

// refreshOnce concludes the command in the transaction that saves the token, so a redelivery neither refreshes again nor
// answers otherwise.
func (s *Service) refreshOnce(ctx context.Context, d bus.Delivery, cmd events.RefreshToken) (any, error) {
	prior, result, err := commands.OnceByCall(ctx, s.db, commands.New(d.Meta, cmd, ""), s.now, func(ctx context.Context) (any, error) {
		a, err := s.refreshNow(ctx, d.Meta.ID, cmd)
		if fault, ok := errors.AsType[*events.Fault](err); ok && fault.Code == events.Unavailable {
			if err := commands.Finish(ctx, s.db, events.Outcome{CommandID: d.Meta.ID, Fault: fault}, s.now()); err != nil {
				return nil, err
			}
		}
		return a.Connection(), err
	})
	if prior != nil {
		return accounts.Concluded(ctx, s.db, s.bus.Emit, prior)
	}
	return result, err
}

func (s *Service) refreshNow(ctx context.Context, commandID string, cmd events.RefreshToken) (accounts.Account, error) {
	a, err := accounts.Resolve(ctx, s.db, cmd.UserID, cmd.AccountID)
	if err != nil {
		return a, err
	}
	if a.Status == events.ConnectionReconnectRequired {
		return a, events.Faultf(events.ReauthRequired, "Threads no longer accepts this connection; please reconnect the account.")
	}
	if fault := s.tooYoung(a); fault != nil {
		return a, fault
	}
	a, claimed, err := accounts.ClaimRefresh(ctx, s.db, a, newLease(), s.cfg.Lease)
	if err != nil {
		return a, err
	}
	if !claimed { // being refreshed, or just refreshed: the second look will show
		return a, bus.Later(busyFor)
	}
	after, err := s.renew(ctx, a, func(ctx context.Context, tx bun.Tx, a accounts.Account) error {
		return accounts.Conclude(ctx, tx, commandID, a, s.now())
	})
	if errors.Is(err, errSuperseded) {
		return a, events.Faultf(events.Conflict, "The account was connected anew or disconnected meanwhile; there is nothing to refresh.")
	}
	if vault.Unopened(err) {
		s.log.Error("the keyset does not open a token", zap.String("account_id", a.ID), zap.Error(err))
		if err := s.release(ctx, a); err != nil {
			return a, err
		}
		return a, events.Faultf(events.Unavailable, "The key to this account's token is missing on our side. Nothing is lost; please try again later.")
	}
	if refused, ok := errors.AsType[*threads.Error](err); ok {
		if err := errors.Join(s.release(ctx, a), ctx.Err()); err != nil { // told to stop is no answer of Threads
			return a, err
		}
		return a, events.Faultf(events.Unavailable,
			"Threads did not give a new token; the old one stays good until %s. Please try again later.",
			a.ExpiresAt.UTC().Format(sentenceTime)).After(refused.RetryAfter)
	}
	return after, err
}

// sentenceTime is how a time reads in a sentence.
const sentenceTime = "2 January 2006 15:04 UTC"

// tooYoung says from when on Threads would refresh this token.
func (s *Service) tooYoung(a accounts.Account) *events.Fault {
	from := a.IssuedAt.Add(youngest)
	wait := from.Sub(s.now())
	if wait <= 0 {
		return nil
	}
	return events.Faultf(events.Conflict, "This token is fresh; Threads refreshes it from %s on.",
		from.UTC().Format(sentenceTime)).After(wait)
}

// release gives the lease back and leaves the plan as it was, also when the process is told to stop: another one is to
// take over at once.
func (s *Service) release(ctx context.Context, a accounts.Account) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveWithin)
	defer cancel()
	_, _, err := accounts.ReleaseRefresh(ctx, s.db, a.ID, a.RefreshLease, a.RefreshAt, a.RefreshFailures)
	return err
}
