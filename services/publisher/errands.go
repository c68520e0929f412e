package publisher

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/threads"
)

// Errands are the calls to Threads that owners ask for besides publishing: figures, replies, searches, their history.
// They have places of their own, and few, so that no flood of them takes one from a post.

const (
	errandsAtOnce     = 64
	errandsPerAccount = 4
	errandsPerUser    = 8 // of all accounts of the user
	// errandsInHand bounds those that wait for a place, too. Each kind of question has bounds of its own, for each user and
	// in all (see bus.Bounds), and what comes from a row does not wait here.
	errandsInHand = 512
	// errandWithin is how long one may take, the wait for a place included; whoever asked waits a little longer.
	errandWithin = 15 * time.Second
	// errandAgain is when one that Threads did not answer is worth another try.
	errandAgain = 5 * time.Second
)

// errand makes a call to Threads for an account that granted the scope; "" is for calls that need none in particular.
// What goes wrong is a Fault that the owner may read. A token that Threads refuses is declared dead, unless another has
// taken its place meanwhile: then that is tried.
func errand[T any](ctx context.Context, s *Service, account accounts.Account, scope string,
	call func(context.Context, access) (T, error)) (result T, err error) {
	ctx, cancel := context.WithTimeout(ctx, errandWithin)
	defer cancel()
	var nothing T
	for range 2 {
		if err := account.MayUse(scope); err != nil {
			return nothing, err
		}
		a := access{account: account}
		if a.token, err = account.Open(s.vault, s.now()); err != nil {
			return nothing, err
		}
		leave, err := s.errands.enter(ctx, account, s.now)
		switch {
		case errors.As(err, new(placeTaken)):
			return nothing, err
		case err != nil:
			return nothing, tooBusy()
		}
		result, err = call(ctx, a)
		leave()
		if threads.ClassOf(err) != threads.Reauthorize {
			if err != nil {
				return nothing, errandFault(err, scope, s.cfg)
			}
			return result, nil
		}
		if s.declareReconnect(ctx, a) {
			return nothing, reconnectFirst()
		}
		if account, err = accounts.Get(ctx, s.side().DB, account.ID); err != nil {
			return nothing, err
		}
	}
	return nothing, events.Faultf(events.Unavailable,
		"This account is changing at the moment; please try again.").After(errandAgain)
}

func reconnectFirst() *events.Fault {
	return events.Faultf(events.ReauthRequired,
		"Threads no longer accepts this account's token; reconnect the account first.")
}

func tooBusy() *events.Fault {
	return events.Faultf(events.Unavailable,
		"Too much is asked of Threads for this account at the moment; please try again shortly.").After(errandAgain)
}

func noAnswer() *events.Fault {
	return events.Faultf(events.Unavailable,
		"Threads did not answer as usual; please try again in a moment.").After(errandAgain)
}

// errandFault is what an owner is told of an error of Threads. Any other error stays what it is.
func errandFault(err error, scope string, c Config) error {
	e := apiError(err)
	switch {
	case e == nil:
		return err
	case errors.Is(err, errDown):
		return noAnswer()
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
			"Threads allows no more of this for the account for now; please wait.").After(c.throttled(e.RetryAfter))
	case threads.NotFound:
		return events.Faultf(events.NotFound,
			"Threads knows no such post, or does not show it to this account.")
	case threads.Invalid, threads.Blocked:
		return events.Faultf(events.Refused, "%s", e.Sentence)
	}
	return noAnswer()
}

// errands are the places for them, and what was read lately.
type errands struct {
	inHand chan struct{}
	places *calls
	kept   kept
}

func newErrands(keep time.Duration) *errands {
	return &errands{
		inHand: make(chan struct{}, errandsInHand), places: newCalls(errandsAtOnce, errandsPerUser, errandsPerAccount),
		kept: kept{keep: keep, byKey: map[string]keptAnswer{}},
	}
}

// errCrowded says that too many wait for a place already.
var errCrowded = errors.New("too many errands in hand")

// placeTaken says that there is no place at the moment, to who does not wait for one, and when to come again.
type placeTaken struct{ again time.Duration }

func (p placeTaken) Error() string {
	return "no place for a call at the moment; again in " + p.again.String()
}

type noWaiting struct{}

// withoutWaiting marks what does not wait for a place: it comes again from its row.
func withoutWaiting(ctx context.Context) context.Context {
	return context.WithValue(ctx, noWaiting{}, true)
}

// enter waits for a place, the account's, its user's and the process's, until ctx ends. leave gives all back.
func (e *errands) enter(ctx context.Context, a accounts.Account, now func() time.Time) (leave func(), err error) {
	select {
	case e.inHand <- struct{}{}:
	default:
		return nil, errCrowded
	}
	defer func() {
		if err != nil {
			<-e.inHand
		}
	}()
	waits := ctx.Value(noWaiting{}) == nil
	release, again := e.places.Hold(a.UserID, a.ID, now)
	for ; release == nil; release, again = e.places.Hold(a.UserID, a.ID, now) {
		again = min(again, time.Second)
		if !waits {
			return nil, placeTaken{again}
		}
		if !pause(ctx, again) {
			return nil, ctx.Err()
		}
	}
	done, err := e.places.start(ctx)
	if err != nil {
		release()
		return nil, err
	}
	return func() {
		done()
		release()
		<-e.inHand
	}, nil
}

// kept remembers what was read lately, so that a page that is looked at often costs Threads one call.
type kept struct {
	keep  time.Duration
	mu    sync.Mutex
	byKey map[string]keptAnswer
}

type keptAnswer struct {
	answer any
	at     time.Time
}

// maxKept bounds what is remembered; to forget costs a call and nothing else.
const maxKept = 10_000

// lately is what was kept under the key, if it is not too old, and when it was read.
func lately[T any](k *kept, key string, now time.Time) (answer T, at time.Time, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	one, ok := k.byKey[key]
	if !ok || now.Sub(one.at) >= k.keep {
		return answer, at, false
	}
	answer, ok = one.answer.(T)
	return answer, one.at, ok
}

func (k *kept) put(key string, answer any, at time.Time) {
	if k.keep == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.byKey) >= maxKept {
		clear(k.byKey)
	}
	k.byKey[key] = keptAnswer{answer, at}
}
