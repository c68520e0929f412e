package auth

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
)

// A flow ends with the person it began with. Whoever comes back from Threads proves only that they followed an address, and
// somebody else may have begun and handed it to them: then their Threads account would belong to a stranger. So a grant
// waits, sealed, until the beginner confirms it.

// pendingGrant is a grant that nobody has confirmed yet.
type pendingGrant struct {
	bun.BaseModel `bun:"table:oauth_grants"`

	CodeHash       []byte    `bun:"code_hash,pk"`
	UserID         string    `bun:"user_id"`
	AccountID      string    `bun:"account_id"`
	CookieHash     []byte    `bun:"cookie_hash"`
	Page           bool      `bun:"page"`
	ProviderUserID string    `bun:"provider_user_id"`
	Username       string    `bun:"username"`
	Scopes         []string  `bun:"scopes,array"`
	Sealed         []byte    `bun:"access_token"`
	TokenExpiresAt time.Time `bun:"access_token_expires_at"`
	GrantedAt      time.Time `bun:"granted_at"`
	ExpiresAt      time.Time `bun:"expires_at"`
}

// sealedAs names the grant to the vault: in another row its token does not open.
func (p *pendingGrant) sealedAs() string { return "oauth_grant|" + hex.EncodeToString(p.CodeHash) }

// ReturnOAuth spends what came back from Threads, and keeps the grant until it is confirmed.
func (s *Service) ReturnOAuth(ctx context.Context, q asks.ReturnOAuth) (_ asks.OAuthReturned, err error) {
	defer func() {
		if err != nil {
			measureConnect(err)
		}
	}()
	begun, err := s.consumeState(ctx, q, true)
	if err != nil {
		return asks.OAuthReturned{}, err
	}
	// The state is spent: what is begun here is ended, also when its asker has stopped waiting.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancel()
	grant, err := s.returned(ctx, q.Error, q.Code, begun)
	if err == nil {
		err = s.sameAsBefore(ctx, s.db, begun.AccountID, grant)
	}
	if err != nil {
		return asks.OAuthReturned{}, err
	}
	code := newSecret()
	if err := s.keepGrant(ctx, code, begun, grant); err != nil {
		return asks.OAuthReturned{}, err
	}
	as := begun.As
	if as == "" {
		as = begun.User
	}
	return asks.OAuthReturned{
		Code: code, ExpiresIn: int(events.OAuthStateLife / time.Second), Page: begun.Page,
		UserID: begun.User, SignedInAs: as, Username: grant.Username,
	}, nil
}

func (s *Service) keepGrant(ctx context.Context, code string, begun oauthFlow, grant accounts.Grant) (err error) {
	hash, now := hashOf(code), s.now().UTC()
	p := pendingGrant{
		CodeHash: hash[:], UserID: begun.User, AccountID: begun.AccountID, CookieHash: begun.CookieHash, Page: begun.Page,
		ProviderUserID: grant.ProviderUserID, Username: grant.Username, Scopes: grant.Scopes,
		TokenExpiresAt: grant.ExpiresAt.UTC(), GrantedAt: now, ExpiresAt: now.Add(events.OAuthStateLife),
	}
	if p.Sealed, err = s.vault.Seal(p.sealedAs(), grant.Token); err != nil {
		return err
	}
	if _, err := s.db.NewInsert().Model(&p).Exec(ctx); err != nil {
		return fmt.Errorf("keep the grant: %w", err)
	}
	return nil
}

// errOthers ends a grant that somebody else than its beginner tried to confirm.
var errOthers = errors.New("the grant is another's")

// ConfirmOAuth connects the account of a grant to whoever began, if it is they who ask.
func (s *Service) ConfirmOAuth(ctx context.Context, q asks.ConfirmOAuth) (_ events.Connection, err error) {
	defer func() {
		if !q.Decline {
			measureConnect(err)
		}
	}()
	if q.Code == "" || len(q.Code) > maxSecret || len(q.Cookie) > maxSecret {
		return events.Connection{}, codeInvalid()
	}
	if q.Decline {
		return events.Connection{}, s.decline(ctx, q)
	}
	c, err := s.connect(ctx, func(ctx context.Context, tx bun.Tx) (string, accounts.Grant, error) {
		p, err := s.takeGrant(ctx, tx, q)
		if err != nil {
			return "", accounts.Grant{}, err
		}
		token, err := s.vault.Open(p.sealedAs(), p.Sealed)
		return p.AccountID, accounts.Grant{
			UserID: p.UserID, ProviderUserID: p.ProviderUserID, Username: p.Username, Scopes: p.Scopes,
			Token: token, ExpiresAt: p.TokenExpiresAt,
		}, err
	})
	if errors.Is(err, errOthers) {
		return c, s.discard(ctx, q.Code)
	}
	return c, err
}

func (s *Service) decline(ctx context.Context, q asks.ConfirmOAuth) error {
	_, err := s.takeGrant(ctx, s.db, q)
	if errors.Is(err, errOthers) { // whoever it is, they do not want it
		return s.discard(ctx, q.Code)
	}
	return err
}

// takeGrant uses up the grant of a code. Of two at once one gets it; the other waits for the first one's transaction.
func (s *Service) takeGrant(ctx context.Context, db bun.IDB, q asks.ConfirmOAuth) (pendingGrant, error) {
	hash := hashOf(q.Code)
	var p pendingGrant
	_, err := db.NewDelete().Model(&p).Where("code_hash = ? AND expires_at > ?", hash[:], s.now()).Returning("*").Exec(ctx, &p)
	switch {
	case errors.Is(err, sql.ErrNoRows) || err == nil && p.CodeHash == nil:
		return p, codeInvalid()
	case err != nil:
		return p, fmt.Errorf("take the grant: %w", err)
	case !p.confirmedBy(q):
		return p, errOthers
	}
	return p, nil
}

// confirmedBy says whether it is the beginner who asks: by their bearer token, or in the browser that may ask at our page.
func (p *pendingGrant) confirmedBy(q asks.ConfirmOAuth) bool {
	if q.UserID != "" {
		return q.UserID == p.UserID
	}
	cookie := hashOf(q.Cookie)
	return p.Page && subtle.ConstantTimeCompare(cookie[:], p.CookieHash) == 1
}

// discard forgets a grant that came to somebody else than its beginner. They are most likely the one who was lured into
// allowing it, and nobody but the beginner could confirm it: it must not lie there for them to come by the code.
func (s *Service) discard(ctx context.Context, code string) error {
	hash := hashOf(code)
	if _, err := s.db.NewDelete().Model((*pendingGrant)(nil)).Where("code_hash = ?", hash[:]).Exec(ctx); err != nil {
		return fmt.Errorf("discard the grant: %w", err)
	}
	s.log.Warn("a grant came back to somebody else than who began, and is discarded")
	return codeInvalid()
}

// forgetGrants deletes what nobody confirmed in time.
func (s *Service) forgetGrants(ctx context.Context) {
	_, err := s.db.NewDelete().Model((*pendingGrant)(nil)).Where("expires_at <= ?", s.now()).Exec(ctx)
	if err != nil && ctx.Err() == nil {
		s.log.Warn("could not delete the grants that nobody confirmed", zap.Error(err))
	}
}

// withdrawGrants deletes the unconfirmed grants of a Threads user that were made before a time: the person removed the app, or
// wants to be forgotten, by all or by one user of ours.
func withdrawGrants(ctx context.Context, tx bun.Tx, threadsUserID, user string, before time.Time) error {
	q := tx.NewDelete().Model((*pendingGrant)(nil)).Where("provider_user_id = ? AND granted_at <= ?", threadsUserID, before)
	if user != "" {
		q = q.Where("user_id = ?", user)
	}
	if _, err := q.Exec(ctx); err != nil {
		return fmt.Errorf("withdraw unconfirmed grants: %w", err)
	}
	return nil
}
