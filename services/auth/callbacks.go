package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/threads"
)

const (
	// callbackSkew is how far Meta's clock and ours may be apart. A callback is about what was granted before it was
	// issued: one that comes late, or again, must not touch an account that was connected anew since.
	callbackSkew = time.Minute
	// maxCallback is far more than a signed request has.
	maxCallback = 64 << 10
)

// ReceiveUninstall disconnects every account of a person who removed the app at Threads: all their tokens are dead. Their
// posts wait: whoever removes an app says nothing of them, and what waits can be cancelled, or goes out after a reconnect;
// what was cancelled for them could not be brought back. Those that nobody comes back for end as missed.
func (s *Service) ReceiveUninstall(ctx context.Context, q asks.ReceiveUninstall) (asks.Uninstalled, error) {
	signed, err := s.signedRequest(q.Body)
	if err != nil {
		return asks.Uninstalled{}, err
	}
	mark := receivedWebhook{EventID: s.uninstallMark(signed), At: s.now()}
	var gone []accounts.Account
	err = pg.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		gone = nil
		if err := s.onlyOneCallback(ctx, tx, signed, callbackUninstall); err != nil {
			return err
		}
		// The same callback again changes nothing, however soon the person has come back.
		res, err := tx.NewInsert().Model(&mark).On("CONFLICT DO NOTHING").Exec(ctx)
		if err != nil {
			return fmt.Errorf("save the callback: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		list, err := s.affected(ctx, tx, signed)
		if err != nil {
			return err
		}
		for _, a := range list {
			after, changed, err := accounts.DisconnectKeeping(ctx, tx, a.ID, s.now())
			if err != nil {
				return err
			}
			if changed {
				gone = append(gone, after)
			}
		}
		return nil
	})
	if err != nil {
		return asks.Uninstalled{}, err
	}
	for _, a := range gone {
		if err := s.emitChange(ctx, a.ID); err != nil { // Meta has nothing to do with that: emitMissing emits it
			s.log.Warn("the event of an uninstalled account is not emitted yet", zap.String("account_id", a.ID), zap.Error(err))
		}
	}
	s.log.Info("a person removed the app", zap.Int("accounts", len(gone)))
	return asks.Uninstalled{Accounts: len(gone)}, nil
}

// ReceiveDataDeletion begins to erase what is known of a person who asked Meta for that. It answers as soon as that can
// not get lost any more; the same callback again is the same erasure.
func (s *Service) ReceiveDataDeletion(ctx context.Context, q asks.ReceiveDataDeletion) (asks.Erasure, error) {
	signed, err := s.signedRequest(q.Body)
	if err != nil {
		return asks.Erasure{}, err
	}
	demand := accounts.Request{
		Code: s.erasureCode(signed), Subject: s.subjectOf(signed.UserID),
	}
	err = pg.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		if err := s.onlyOneCallback(ctx, tx, signed, callbackErase); err != nil {
			return err
		}
		list, err := s.affected(ctx, tx, signed)
		if err != nil {
			return err
		}
		var fresh bool
		demand, fresh, err = accounts.Erase(ctx, tx, demand, list, s.now())
		if fresh {
			s.log.Info("a person asked for erasure", zap.Int("accounts", len(list)))
		}
		return err
	})
	if err != nil {
		return asks.Erasure{}, err
	}
	s.lookForErasures()
	return demand.Shown(), nil
}

// affected are the accounts that a callback is about. Grants of the person that nobody has confirmed yet are gone with it.
func (s *Service) affected(ctx context.Context, tx bun.Tx, signed threads.SignedRequest) ([]accounts.Account, error) {
	until := signed.IssuedAt.Add(callbackSkew)
	if err := withdrawGrants(ctx, tx, signed.UserID, "", until); err != nil {
		return nil, err
	}
	return accounts.OfThreadsUser(ctx, tx, signed.UserID, until)
}

// GetErasure says how an erasure goes.
func (s *Service) GetErasure(ctx context.Context, q asks.GetErasure) (asks.Erasure, error) {
	demand, err := accounts.FindErasure(ctx, s.db, q.Code)
	if err != nil {
		return asks.Erasure{}, err
	}
	return demand.Shown(), nil
}

// eraseOwn begins to erase an account because its owner says so. It may be disconnected already.
func (s *Service) eraseOwn(
	ctx context.Context, tx bun.Tx, commandID string, cmd events.Disconnect,
) (events.Connection, error) {
	find := accounts.Resolve
	if cmd.AccountID != "" {
		find = accounts.Own
	}
	a, err := find(ctx, tx, cmd.UserID, cmd.AccountID)
	if err != nil {
		return events.Connection{}, err
	}
	if err := withdrawGrants(ctx, tx, a.ProviderUserID, a.UserID, s.now()); err != nil {
		return events.Connection{}, err
	}
	demand := accounts.Request{Code: s.keyed("erasure", commandID), Subject: s.subjectOf(a.ProviderUserID)}
	if demand, _, err = accounts.Erase(ctx, tx, demand, []accounts.Account{a}, s.now()); err != nil {
		return events.Connection{}, err
	}
	return a.Erased(demand.Code, s.now()), nil
}

// lookForErasures has the work begun now.
func (s *Service) lookForErasures() {
	select {
	case s.toErase <- struct{}{}:
	default: // it will be
	}
}

// signedRequest reads the form of a callback, if Meta made it.
func (s *Service) signedRequest(body []byte) (threads.SignedRequest, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["signed_request"]) != 1 || len(body) > maxCallback {
		const words = "The body is not a form with one signed_request; send it as Meta does."
		return threads.SignedRequest{}, events.Faultf(events.Invalid, words).At("/signed_request", "signed_request_missing", words)
	}
	signed, err := threads.ParseSignedRequest(form.Get("signed_request"),
		s.cfg.AppSecret.Reveal(), s.cfg.WebhookSecret.Reveal())
	if errors.Is(err, threads.ErrSignature) {
		return signed, notMeta("signature_invalid", "The signature is not Meta's.")
	}
	if err != nil {
		return signed, notMeta("signed_request_invalid", "The signed request names no user.")
	}
	now := s.now()
	if !signed.Expires.IsZero() && now.After(signed.Expires.Add(callbackSkew)) {
		return signed, notMeta("signed_request_expired", "The signed request has expired.")
	}
	if signed.IssuedAt.After(now.Add(callbackSkew)) {
		return signed, notMeta("signed_request_early", "The signed request is from the future.")
	}
	if signed.IssuedAt.IsZero() { // Meta always says, and nothing else tells it from others, or ends it
		return signed, notMeta("signed_request_invalid", "The signed request does not say when it was issued.")
	}
	if !s.timely(signed.IssuedAt) {
		return signed, notMeta("signed_request_expired", "The signed request has expired.")
	}
	return signed, nil
}

// Meta's callbacks. A signed request does not say for which of them it was made, and they do very different things.
const (
	callbackUninstall = "uninstall"
	callbackErase     = "erase"
)

// onlyOneCallback refuses a signed request that was used for the other callback before: whoever recorded an uninstall must not be able to
// have everything of the person erased with it. The two callbacks wait for each other here.
func (s *Service) onlyOneCallback(ctx context.Context, tx bun.Tx, signed threads.SignedRequest, callback string) error {
	uninstalled, erased := s.uninstallMark(signed), s.erasureCode(signed)
	if _, err := tx.NewRaw("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", uninstalled).Exec(ctx); err != nil {
		return fmt.Errorf("wait for the other callback: %w", err)
	}
	other := tx.NewSelect().Model((*receivedWebhook)(nil)).Where("event_id = ?", uninstalled)
	if callback == callbackUninstall {
		other = tx.NewSelect().Model((*accounts.Request)(nil)).Where("code = ?", erased)
	}
	used, err := other.Exists(ctx)
	if err != nil {
		return fmt.Errorf("look for the other callback: %w", err)
	}
	if used {
		return notMeta("signed_request_used", "The signed request was used for something else before.")
	}
	return nil
}

// uninstallMark is how an uninstall is known again.
func (s *Service) uninstallMark(r threads.SignedRequest) string {
	return "unin_" + s.keyed("uninstall", r.UserID, stamp(r))
}

// erasureCode is the code of the erasure that a callback asks for, always the same.
func (s *Service) erasureCode(r threads.SignedRequest) string {
	return s.keyed("erasure", r.UserID, stamp(r))
}

func notMeta(code, words string) *events.Fault {
	return events.Faultf(events.Unauthorized, "%s", words).At("/signed_request", code, words)
}

// stamp is what tells a callback from others about the same person.
func stamp(r threads.SignedRequest) string { return strconv.FormatInt(r.IssuedAt.Unix(), 10) }

// subjectOf stands for a Threads user where their id must not.
func (s *Service) subjectOf(threadsUserID string) string { return s.keyed("subject", threadsUserID) }

// keyed is a name that only we can make, and that says nothing of its parts: ids of Threads are few enough to be tried out
// against a plain hash.
func (s *Service) keyed(parts ...string) string {
	mac := hmac.New(sha256.New, []byte(s.cfg.AppSecret.Reveal()))
	for _, p := range parts {
		_, _ = fmt.Fprintf(mac, "%d:%s", len(p), p)
	}
	return events.ErasureCode(mac.Sum(nil))
}
