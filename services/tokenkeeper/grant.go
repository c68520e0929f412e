package tokenkeeper

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/threads"
)

// grantLooks is how often one sweep looks at a grant while Threads does not answer: a bad moment of Threads is not to cost
// an owner the warning of a day.
const grantLooks = 3

// watchGrants looks at every grant that ends within ten days, as far as is known, asks Threads when it really does, and
// warns the owners of those that no refresh renews: once a day, until they press Allow again or the grant is over.
// An account that cannot be looked at is looked at again after the others, and then by the next sweep.
func (s *Service) watchGrants(ctx context.Context) error {
	after, seen := "", 0
	var failed []accounts.Account
	for {
		page, err := accounts.GrantsEnding(ctx, s.db, s.now(), after, sweepPage)
		if err != nil {
			return err
		}
		failed = append(failed, s.lookAtGrants(ctx, page)...)
		seen += len(page)
		if len(page) < sweepPage {
			break
		}
		after = page[len(page)-1].ID
	}
	for range grantLooks - 1 {
		failed = s.lookAtGrants(ctx, failed)
	}
	if seen > 0 {
		s.log.Info("looked at grants that end soon", zap.Int("looked_at", seen), zap.Int("failed", len(failed)))
	}
	return ctx.Err()
}

// lookAtGrants returns the accounts that could not be looked at.
func (s *Service) lookAtGrants(ctx context.Context, list []accounts.Account) (failed []accounts.Account) {
	for _, a := range list {
		if ctx.Err() != nil {
			return failed
		}
		if err := s.watchGrant(ctx, a); err != nil {
			failed = append(failed, a)
			s.log.Warn("could not ask how long the grant lasts, will try again", zap.String("account_id", a.ID), zap.Error(err))
		}
	}
	return failed
}

func (s *Service) watchGrant(ctx context.Context, a accounts.Account) error {
	if !s.now().Before(a.ExpiresAt) {
		return nil // the token itself is over: that is the refresher's to say
	}
	token, err := s.vault.Open(a.ID, a.Sealed)
	if err != nil {
		return err
	}
	info, err := s.api.DebugToken(ctx, token)
	if threads.ClassOf(err) == threads.Reauthorize {
		return s.refused(ctx, a, err)
	}
	if err != nil {
		return err
	}
	ends, now := info.DataAccessExpiresAt, s.now()
	switch {
	case ends.IsZero(): // Threads did not say: the worst that can be is what we know
		ends = a.GrantEnd()
	case !ends.After(now.Add(accounts.WarnBefore)):
	default:
		_, _, err := accounts.SaveGrantEnd(ctx, s.db, a, ends)
		return err
	}
	if !ends.After(now) || !info.IsValid {
		// By its clock it is over. What counts is whether Threads still takes the token.
		if _, err := s.api.Me(ctx, token); err != nil {
			if threads.ClassOf(err) == threads.Reauthorize {
				return s.refused(ctx, a, err)
			}
			return err
		}
		if !ends.After(now) {
			return nil // it does; there is nothing left to warn of
		}
	}
	warned, ours, err := accounts.WarnOfGrant(ctx, s.db, a, ends, now)
	if err != nil || !ours { // another one has warned, or the account changed: the next sweep looks again
		return err
	}
	s.log.Info("the grant ends soon and its owner is warned", zap.String("account_id", a.ID), zap.Time("ends_at", ends),
		zap.Int("days_left", int(ends.Sub(now)/(24*time.Hour))))
	return s.emitChange(ctx, warned.ID)
}

// refused is the end of a connection whose token Threads has just refused for good.
func (s *Service) refused(ctx context.Context, a accounts.Account, err error) error {
	reason := events.Faultf(events.ReauthRequired, "This connection to Threads has expired; please reconnect the account.")
	if refusal, ok := errors.AsType[*threads.Error](err); ok {
		reason.Message = refusal.Sentence
	}
	_, err = s.over(ctx, a, reason)
	if errors.Is(err, errSuperseded) || errors.Is(err, &events.Fault{Code: events.ReauthRequired}) {
		return nil
	}
	return err
}
