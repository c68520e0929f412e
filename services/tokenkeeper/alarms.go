package tokenkeeper

import (
	"context"
	"errors"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
)

// Every event of an account asks for the same: look at the row, and have the alarm that it calls for. So an event that
// comes late, twice or out of order changes nothing.

// AccountConnected sets the account's first alarm.
func (s *Service) AccountConnected(ctx context.Context, _ bus.Delivery, ev events.AccountConnected) error {
	return s.settle(ctx, ev.Connection.ID)
}

// TokenRefreshed sets the next alarm.
func (s *Service) TokenRefreshed(ctx context.Context, _ bus.Delivery, ev events.TokenRefreshed) error {
	return s.settle(ctx, ev.Connection.ID)
}

// AccountDisconnected takes the alarm away.
func (s *Service) AccountDisconnected(ctx context.Context, _ bus.Delivery, ev events.AccountDisconnected) error {
	return s.settle(ctx, ev.Connection.ID)
}

// AccountReconnectRequired takes the alarm away: there is nothing left to refresh.
func (s *Service) AccountReconnectRequired(ctx context.Context, _ bus.Delivery, ev events.AccountReconnectRequired) error {
	return s.settle(ctx, ev.Connection.ID)
}

// settle gives the account the alarm that its row calls for, or none.
func (s *Service) settle(ctx context.Context, id string) error {
	a, err := accounts.Get(ctx, s.db, id)
	if errors.Is(err, pg.ErrNotFound) {
		return s.disarm(ctx, id) // EVENTS remembers longer than the table
	}
	if err != nil {
		return err
	}
	if a.Status != events.ConnectionActive {
		return s.disarm(ctx, id)
	}
	if a.RefreshAt.IsZero() {
		planned, ok, err := accounts.PlanRefresh(ctx, s.db, a, refreshAt(a.ID, a.IssuedAt, a.ExpiresAt))
		if err != nil || !ok { // changed meanwhile: its own event is on the way
			return err
		}
		a = planned
	}
	return s.arm(ctx, a)
}

// arm has the account looked at at its time. What is overdue is woken directly: that survives whatever may have become
// of its alarm. Where the account was erased meanwhile, its alarm was taken away, and set again just now: an erasure leaves
// no trace, so it is looked once more.
func (s *Service) arm(ctx context.Context, a accounts.Account) error {
	if !a.RefreshAt.After(s.now()) {
		return s.bus.Wake(ctx, events.TokenDue(a.ID), time.Time{})
	}
	if err := s.bus.Arm(ctx, events.TokenAlarm(a.ID), events.TokenDue(a.ID), a.RefreshAt, a.Rev, time.Time{}); err != nil {
		return err
	}
	if _, err := accounts.Get(ctx, s.db, a.ID); errors.Is(err, pg.ErrNotFound) {
		return s.disarm(ctx, a.ID)
	}
	return nil // an account that could not be read has its alarm
}

func (s *Service) disarm(ctx context.Context, id string) error {
	return s.bus.Disarm(ctx, events.StreamTokenAlarms, events.TokenAlarm(id))
}

// Due refreshes the token of an account whose time has come.
func (s *Service) Due(ctx context.Context, _ bus.Delivery, id string) error {
	a, err := accounts.Get(ctx, s.db, id)
	if errors.Is(err, pg.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if wait := a.RefreshAt.Sub(s.now()); a.RefreshAt.IsZero() || wait > 0 { // not planned, not to be refreshed any more, or too early
		if wait > 0 && wait < time.Minute { // alarms may come up to a second early
			return bus.Later(wait)
		}
		return s.settle(ctx, id)
	}
	a, claimed, err := accounts.ClaimRefresh(ctx, s.db, a, newLease(), s.cfg.Lease)
	if err != nil {
		return err
	}
	if !claimed { // another one is at it, or was faster: look again when a lease would have lapsed
		return bus.Later(s.cfg.Lease)
	}
	return s.keep(ctx, a)
}
