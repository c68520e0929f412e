package auth

import (
	"context"
	"errors"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/threads"
)

// GetProfile reads the Threads profile behind an account, from Threads and now.
func (s *Service) GetProfile(ctx context.Context, q asks.GetProfile) (asks.Profile, error) {
	a, err := accounts.Resolve(ctx, s.db, q.UserID, q.AccountID)
	if err != nil {
		return asks.Profile{}, err
	}
	// Twice at most: a token that was refreshed or connected anew meanwhile deserves a second try.
	for range 2 {
		me, err := s.me(ctx, a.ID)
		if !errors.Is(err, errSuperseded) {
			return me, err
		}
	}
	return asks.Profile{}, events.Faultf(events.Unavailable, "This account is changing at the moment; please try again.")
}

// errSuperseded says that Threads refused a token which is no longer the account's.
var errSuperseded = errors.New("the token was replaced meanwhile")

func (s *Service) me(ctx context.Context, accountID string) (asks.Profile, error) {
	token, tried, err := accounts.Token(ctx, s.db, s.vault, accountID, s.now())
	if err != nil {
		return asks.Profile{}, err
	}
	me, err := s.api.Me(ctx, token)
	if refused, ok := errors.AsType[*threads.Error](err); ok {
		return asks.Profile{}, s.profileRefused(ctx, tried, refused)
	}
	if err != nil {
		return asks.Profile{}, err
	}
	return asks.Profile{
		ID: me.ID, Username: me.Username, Name: me.Name, Bio: me.Biography,
		ProfilePictureURL: me.PictureURL, IsVerified: me.IsVerified,
	}, nil
}

// profileRefused says what a refusal of Threads means for the account, and for whoever asked.
func (s *Service) profileRefused(ctx context.Context, tried accounts.Account, refused *threads.Error) error {
	switch {
	case refused.Class == threads.Reauthorize:
		fault := events.Faultf(events.ReauthRequired, "%s", refused.Sentence)
		_, declared, err := accounts.RequireReconnect(ctx, s.db, tried, fault, s.now())
		if err != nil {
			return err
		}
		if !declared {
			return errSuperseded
		}
		if err := s.emitChange(ctx, tried.ID); err != nil {
			return err
		}
		return fault
	case passing(refused.Class):
		return unavailable(refused, "Threads did not answer as usual; please try again in a moment.")
	}
	return events.Faultf(events.Refused, "%s", refused.Sentence)
}
