package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/threads"
)

// finishWithin bounds the exchange of a code and all that follows from it.
const finishWithin = 2 * time.Minute

// FinishOAuth ends a flow that a gateway of the release before began: what came back from Threads becomes a connected
// account. It is worked at most once: the state is consumed before the code is spent, so a lost answer means to authorise
// again, and never a second exchange.
func (s *Service) FinishOAuth(ctx context.Context, q asks.FinishOAuth) (_ events.Connection, err error) {
	defer func() { measureConnect(err) }()
	begun, err := s.consumeState(ctx, asks.ReturnOAuth(q), false)
	if err != nil {
		return events.Connection{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancel()
	grant, err := s.returned(ctx, q.Error, q.Code, begun)
	if err != nil {
		return events.Connection{}, err
	}
	return s.connect(ctx, func(context.Context, bun.Tx) (string, accounts.Grant, error) { return begun.AccountID, grant, nil })
}

// returned spends what came back from Threads.
func (s *Service) returned(ctx context.Context, denied, code string, begun oauthFlow) (accounts.Grant, error) {
	if denied != "" { // whatever its word: Meta's own pages spell access_denied in two ways
		return accounts.Grant{}, accessDenied()
	}
	if code == "" {
		return accounts.Grant{}, exchangeFailed()
	}
	grant, err := s.grant(ctx, code)
	grant.UserID = begun.User
	return grant, err
}

// connect makes a connected account of a grant, which find finds in the transaction, with the account that it is to be.
func (s *Service) connect(
	ctx context.Context, find func(context.Context, bun.Tx) (accountID string, _ accounts.Grant, _ error),
) (events.Connection, error) {
	var a accounts.Account
	err := pg.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		accountID, grant, err := find(ctx, tx)
		if err == nil {
			err = s.sameAsBefore(ctx, tx, accountID, grant)
		}
		if err == nil {
			a, err = accounts.Connect(ctx, tx, s.vault, grant, s.now())
		}
		return err
	})
	if err != nil {
		return events.Connection{}, err
	}
	if err := s.emitChange(ctx, a.ID); err != nil {
		// The account is connected; there is no message that would bring us back here, but emitMissing emits it.
		s.log.Warn("the event of a connected account is not emitted yet", zap.String("account_id", a.ID), zap.Error(err))
	}
	c := a.Connection()
	c.Unlocks = a.Unlocks()
	return c, nil
}

// sameAsBefore refuses a grant of another Threads user than the account that was to be connected again: its schedule would
// go out under somebody else's name.
func (s *Service) sameAsBefore(ctx context.Context, db bun.IDB, accountID string, grant accounts.Grant) error {
	if accountID == "" {
		return nil
	}
	was, err := accounts.Own(ctx, db, grant.UserID, accountID)
	if err != nil { // erased since
		return err
	}
	if was.ProviderUserID != grant.ProviderUserID {
		return otherUser()
	}
	return nil
}

// What comes back is no longer than this: our own secrets have 43 characters, codes some hundreds.
const (
	maxSecret = 128
	maxCode   = 4 << 10
)

// consumeState finds the flow and consumes its state. The cookie is compared first: a stranger who got hold of a state must
// not be able to use it up.
//
// Without confirmed it takes no flow that has to be confirmed: what asks would not do that.
func (s *Service) consumeState(ctx context.Context, q asks.ReturnOAuth, confirmed bool) (oauthFlow, error) {
	if len(q.State) > maxSecret || len(q.Cookie) > maxSecret || len(q.Code) > maxCode {
		return oauthFlow{}, stateInvalid() // never ours, or Threads'
	}
	found, err := s.states.find(ctx, q.State)
	if err == nil {
		if cookie := hashOf(q.Cookie); subtle.ConstantTimeCompare(cookie[:], found.Value.CookieHash) != 1 ||
			found.Value.Confirmed && !confirmed {
			return oauthFlow{}, stateInvalid()
		}
		err = s.states.consume(ctx, found)
	}
	if errors.Is(err, errSpent) {
		return oauthFlow{}, stateInvalid()
	}
	return found.Value, err
}

// grant spends the code and asks Threads what it got for it: a token that lasts, whose it is, and what it may do.
func (s *Service) grant(ctx context.Context, code string) (accounts.Grant, error) {
	short, err := s.api.ExchangeCode(ctx, code, s.cfg.RedirectURI)
	if err != nil {
		return accounts.Grant{}, s.notGranted(err)
	}
	// A failed second exchange fails the whole: the short token lives an hour, and kept it would die in the night.
	asked := s.now()
	long, err := s.api.ExchangeLongLived(ctx, short.Token)
	if err != nil {
		return accounts.Grant{}, s.notGranted(err)
	}
	me, err := s.api.Me(ctx, long.Token) // not the id that came with the code: for some accounts that one is no good
	if err != nil {
		return accounts.Grant{}, s.notGranted(err)
	}
	info, err := s.api.DebugToken(ctx, long.Token) // people may allow less than they were asked for
	if err != nil {
		return accounts.Grant{}, s.notGranted(err)
	}
	if !slices.Contains(info.Scopes, threads.ScopeBasic) {
		return accounts.Grant{}, missingBasicScope()
	}
	return accounts.Grant{
		ProviderUserID: me.ID, Username: me.Username, Scopes: info.Scopes, Token: long.Token,
		ExpiresAt: asked.Add(long.ExpiresIn), // reckoned from before the call: rather a second too early than too late
	}, nil
}
