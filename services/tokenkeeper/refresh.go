package tokenkeeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/threads"
)

// errSuperseded says that the account was connected anew, or taken away, while its old token was being refreshed. There is
// nothing left to do: the change has its own event, and that settles the alarm.
var errSuperseded = errors.New("the token was replaced meanwhile")

// saveWithin is how long a statement may take that a stop of the process must not interrupt.
const saveWithin = 10 * time.Second

// tryWithin is how long the first use of a new token may take.
const tryWithin = 10 * time.Second

// longestPause bounds how long Threads may ask us to wait: a token lives for days.
const longestPause = 24 * time.Hour

func newLease() string { return uuid.NewString() }

// keep refreshes the token of an account whose time has come and whose lease is ours. Whatever keeps it from that, but
// for a clear word of Threads, is only a reason to come back later: the old token is as good as it was.
func (s *Service) keep(ctx context.Context, a accounts.Account) error {
	_, err := s.renew(ctx, a, nil)
	switch {
	case err == nil, errors.Is(err, errSuperseded), errors.Is(err, &events.Fault{Code: events.ReauthRequired}):
		return nil
	}
	if ctx.Err() != nil { // told to stop is no failure of the refresh
		return errors.Join(ctx.Err(), s.release(ctx, a))
	}
	failures := a.RefreshFailures + 1
	pause := s.cfg.backoff(failures)
	if refused, ok := errors.AsType[*threads.Error](err); ok {
		pause = max(pause, min(refused.RetryAfter, longestPause))
	}
	// Near its end a token is tried for more often than the pauses would let it: half of what is left, each time.
	pause = min(pause, max(s.cfg.BackoffMin, a.ExpiresAt.Sub(s.now())/2))
	s.log.Warn("token not refreshed, will try again", zap.String("account_id", a.ID), zap.Int("attempt", failures),
		zap.Duration("retry_in", pause), zap.Error(err))
	left, ours, err := accounts.ReleaseRefresh(ctx, s.db, a.ID, a.RefreshLease, s.now().Add(pause), failures)
	if err != nil || !ours {
		return err
	}
	return s.arm(ctx, left)
}

// renew asks Threads for a new token and saves it; finish joins the transaction of the saving. It returns
// errSuperseded, a Fault ReauthRequired when the connection is over (then that was emitted), or what went wrong.
func (s *Service) renew(ctx context.Context, a accounts.Account, finish func(context.Context, bun.Tx, accounts.Account) error) (_ accounts.Account, err error) {
	defer func() { measureRefresh(err) }()
	if !s.now().Before(a.ExpiresAt) {
		return s.over(ctx, a, events.Faultf(events.ReauthRequired,
			"This connection to Threads has expired; please reconnect the account."))
	}
	old, err := s.vault.Open(a.ID, a.Sealed)
	if err != nil {
		return a, err
	}
	asked := s.now()
	fresh, err := s.api.Refresh(ctx, old)
	if refused, ok := errors.AsType[*threads.Error](err); ok && refused.Class == threads.Reauthorize {
		return s.over(ctx, a, events.Faultf(events.ReauthRequired, "%s", refused.Sentence))
	}
	if err != nil {
		return a, err
	}

	// From here on there is a token that exists nowhere else: a stop of the process does not interrupt its saving.
	ctx = context.WithoutCancel(ctx)
	if err := s.try(ctx, fresh.Token); err != nil {
		return a, err
	}
	ctx, cancel := context.WithTimeout(ctx, saveWithin)
	defer cancel()
	sealed, err := s.vault.Seal(a.ID, fresh.Token)
	if err != nil {
		return a, err
	}
	// Each reckoned to the safe side: it was issued no later than now, and it expires no earlier than this.
	issued, expires := s.now(), asked.Add(fresh.ExpiresIn)
	saved := a
	err = pg.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		after, ours, err := accounts.SaveRefreshed(ctx, tx, a.ID, a.RefreshLease, accounts.Refreshed{
			Sealed: sealed, IssuedAt: issued, ExpiresAt: expires, RefreshAt: refreshAt(a.ID, issued, expires),
		})
		if err != nil {
			return err
		}
		if !ours {
			return errSuperseded
		}
		saved = after
		if finish == nil {
			return nil
		}
		return finish(ctx, tx, after)
	})
	if err != nil {
		return a, err
	}
	s.log.Info("token refreshed", zap.String("account_id", a.ID), zap.Time("expires_at", expires))
	return saved, s.emitChange(ctx, a.ID)
}

// errNewTokenRefused says that Threads gave a token which it then did not take. The old one stays.
var errNewTokenRefused = errors.New("threads gave a new token and refuses it; the old one stays in use")

// try uses a new token once before it takes the old one's place. Only a clear refusal counts against it: where Threads
// does not answer, the new token is still the better one, since nobody knows how long the old one goes on.
func (s *Service) try(ctx context.Context, fresh threads.Token) error {
	ctx, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	if _, err := s.api.Me(ctx, fresh); threads.ClassOf(err) == threads.Reauthorize {
		return fmt.Errorf("%w: %w", errNewTokenRefused, err)
	}
	return nil
}

// over declares that the account must be connected again, unless its token is not the one that was tried any more.
func (s *Service) over(ctx context.Context, tried accounts.Account, reason *events.Fault) (accounts.Account, error) {
	a, declared, err := accounts.RequireReconnect(ctx, s.db, tried, reason, s.now())
	if err != nil {
		return tried, err
	}
	if !declared {
		return tried, errSuperseded
	}
	s.log.Warn("account must be reconnected", zap.String("account_id", a.ID), zap.String("reason", reason.Message))
	if err := s.emitChange(ctx, a.ID); err != nil {
		return a, err
	}
	return a, reason
}

func (s *Service) emitChange(ctx context.Context, id string) error {
	return accounts.EmitChange(ctx, s.db, s.bus.Emit, id)
}
