package ownercalls

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/limiter"
	"github.com/omni-write/threads/internal/threads"
)

const (
	callsAtOnce     = 64
	callsPerAccount = 4
	callsPerUser    = 8 // of all accounts of the user
	// callsInHand bounds the calls under way and those that wait for a slot. Each kind of question has bounds of its own, for
	// each user and in all (see bus.Bounds), and what comes from a row of owner_calls does not wait here.
	callsInHand = 512
	// callWithin is how long a call may take, the wait for a slot included; whoever asked waits a little longer.
	callWithin = 15 * time.Second
	// tryAgainAfter is when a call that Threads did not answer is worth another try.
	tryAgainAfter = 5 * time.Second
)

// Access is an account and its token in clear, for the length of a call.
type Access struct {
	Token   threads.Token
	Account accounts.Account
}

// Do makes a call to Threads for an account that granted the scope; "" is for calls that need none in particular. The error
// is a Fault that the owner may read. When Threads refuses the token, the account is marked to be reconnected, unless another
// token has taken its place meanwhile: then that one is tried.
func Do[T any](ctx context.Context, s *Service, account accounts.Account, scope string,
	call func(context.Context, Access) (T, error)) (result T, err error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	var nothing T
	for range 2 {
		if err := account.MayUse(scope); err != nil {
			return nothing, err
		}
		a := Access{Account: account}
		if a.Token, err = account.Open(s.vault, s.now()); err != nil {
			return nothing, err
		}
		release, err := s.acquire(ctx, account)
		switch {
		case errors.As(err, new(NoSlotError)):
			return nothing, err
		case err != nil:
			return nothing, tooBusy()
		}
		result, err = call(ctx, a)
		release()
		if threads.ClassOf(err) != threads.Reauthorize {
			if err != nil {
				return nothing, s.faultOf(err, scope)
			}
			return result, nil
		}
		if accounts.DeclareReconnect(ctx, s.db, s.bus.Emit, s.log, account, s.now()) {
			return nothing, reconnectFirst()
		}
		if account, err = accounts.Get(ctx, s.side, account.ID); err != nil {
			return nothing, err
		}
	}
	return nothing, events.Faultf(events.Unavailable,
		"This account is changing at the moment; please try again.").After(tryAgainAfter)
}

func reconnectFirst() *events.Fault {
	return events.Faultf(events.ReauthRequired,
		"Threads no longer accepts this account's token; reconnect the account first.")
}

func tooBusy() *events.Fault {
	return events.Faultf(events.Unavailable,
		"Too much is asked of Threads for this account at the moment; please try again shortly.").After(tryAgainAfter)
}

func noAnswer() *events.Fault {
	return events.Faultf(events.Unavailable,
		"Threads did not answer as usual; please try again in a moment.").After(tryAgainAfter)
}

// faultOf is what an owner is told of an error of Threads. Any other error stays what it is.
func (s *Service) faultOf(err error, scope string) error {
	var e *threads.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Class {
	case threads.Permission:
		if scope == "" {
			return events.Faultf(events.MissingScope, "%s", e.Sentence)
		}
		return events.Faultf(events.MissingScope,
			"Threads says that this account did not grant %s; reconnect it and allow that.", scope)
	case threads.Quota:
		return events.Faultf(events.RateLimited,
			"Threads allows no more of this for the account for now; please wait.").After(cmp.Or(e.RetryAfter, s.cfg.ThrottleWait))
	case threads.NotFound:
		return events.Faultf(events.NotFound,
			"Threads knows no such post, or does not show it to this account.")
	case threads.Invalid, threads.Blocked:
		return events.Faultf(events.Refused, "%s", e.Sentence)
	}
	return noAnswer()
}

// errTooMany says that as many calls are in hand as may be.
var errTooMany = errors.New("too many calls on behalf of owners in hand")

// NoSlotError says, to a caller that does not wait for a slot, that there is none at the moment, and when to come again.
type NoSlotError struct{ Again time.Duration }

func (e NoSlotError) Error() string {
	return "no slot for a call at the moment; again in " + e.Again.String()
}

type notWaiting struct{}

// withoutWaiting marks a call that does not wait for a slot, because it comes again from its row.
func withoutWaiting(ctx context.Context) context.Context {
	return context.WithValue(ctx, notWaiting{}, true)
}

// slots bound the calls.
type slots struct {
	inHand     chan struct{}
	calls      chan struct{}
	perAccount *limiter.Limiter
}

func newSlots() slots {
	return slots{
		inHand: make(chan struct{}, callsInHand), calls: make(chan struct{}, callsAtOnce),
		perAccount: limiter.New(0, callsPerUser, callsPerAccount),
	}
}

// acquire waits for a slot, the account's, its user's and the process's, until ctx ends. release gives all back.
func (s *Service) acquire(ctx context.Context, a accounts.Account) (release func(), err error) {
	select {
	case s.slots.inHand <- struct{}{}:
	default:
		return nil, errTooMany
	}
	defer func() {
		if err != nil {
			<-s.slots.inHand
		}
	}()
	waits := ctx.Value(notWaiting{}) == nil
	releaseAccount, again := s.slots.perAccount.Hold(a.UserID, a.ID, s.now)
	for ; releaseAccount == nil; releaseAccount, again = s.slots.perAccount.Hold(a.UserID, a.ID, s.now) {
		again = min(again, time.Second)
		if !waits {
			return nil, NoSlotError{again}
		}
		if !clock.Sleep(ctx, again) {
			return nil, ctx.Err()
		}
	}
	select {
	case s.slots.calls <- struct{}{}:
	case <-ctx.Done():
		releaseAccount()
		return nil, ctx.Err()
	}
	return func() {
		<-s.slots.calls
		releaseAccount()
		<-s.slots.inHand
	}, nil
}

// RetryAfter is how long a fault says to wait, within what a command may be put off.
func RetryAfter(err error) time.Duration {
	f := new(events.Fault)
	if !errors.As(err, &f) {
		return 0
	}
	return min(time.Duration(f.RetryAfter)*time.Second, 5*time.Minute)
}
