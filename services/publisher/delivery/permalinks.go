package delivery

import (
	"context"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/limiter"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/links"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// permalinks are asked for before a post is emitted as published, and afterwards where they lag.
type permalinks struct {
	cfg          Config
	links        *links.Reader
	db           *bun.DB
	store        *posts.Store
	tokens       *tokens
	moves        *moves
	ownerCalls   *ownercalls.Service
	accountReads *batch.Batcher[batch.Read[accounts.Account]]
	places       *limiter.Limiter // posts that wait for theirs before they are emitted as published
	log          *zap.Logger
	now          func() time.Time
}

// fetch asks for the permalinks of a live post that are not known yet, for a few seconds: they may lag
// (threads-api §5.4). The event brings them into the row: EVENTS takes one outcome of a post, so whoever emits it again after a
// crash, with another permalink, finds the first standing and has that one applied. One more write for each post is saved. A post whose link does not come is no less
// live, and the link is looked for later, as it is where many wait for theirs: a wake-up in hand is not for that.
//
// It is asked with the access that the post was published with, where that is at hand.
func (l *permalinks) fetch(ctx context.Context, p *posts.Post, a access) {
	wanted, got := posts.WithoutPermalink(p), map[string]string{}
	if len(wanted) == 0 {
		return
	}
	release, _ := l.places.Hold(p.UserID, p.AccountID, l.now)
	if release == nil {
		return
	}
	defer release()
	waiting, cancel := context.WithTimeout(ctx, l.cfg.PermalinkWait)
	defer cancel()
	left := l.links.Join(p.AccountID)
	defer left()
	var err error
	if a.account.ID == "" {
		a, err = l.tokens.access(waiting, p)
	}
	for wait := linkPause; err == nil; wait *= 2 {
		for id := range wanted {
			read := l.links.One
			if links.OnPostsList(p) && l.links.Crowded(p.AccountID) {
				read = func(ctx context.Context, token threads.Token, id string) (string, error) {
					return l.links.Listed(ctx, p.AccountID, token, id)
				}
			}
			link, err := read(waiting, a.token, id)
			if e := apiError(err); e != nil && e.Class == threads.Quota {
				wait = max(wait, l.cfg.throttled(e.RetryAfter))
			}
			if err == nil && link != "" {
				got[id] = link
				delete(wanted, id)
			}
		}
		if len(wanted) == 0 {
			break
		}
		select {
		case <-time.After(wait):
		case <-waiting.Done():
			err = waiting.Err()
		}
	}
	if err != nil {
		l.log.Info("emitted as published without a permalink", postField(p.ID), errField(err))
	}
	if next, found := p.SetPermalinks(got); found {
		*p = *next
	}
}

// linkPause is the first pause between two questions for a permalink; each is twice as long as the one before.
const linkPause = 500 * time.Millisecond

// look reads one of a post that was emitted without: from the list where it is on one, for a burst leaves many behind, and from
// the post itself where the list does not have it.
func (l *permalinks) look(ctx context.Context, old *posts.Post, token threads.Token, id string) (string, error) {
	if links.OnPostsList(old) {
		if link, err := l.links.Listed(ctx, old.AccountID, token, id); err != nil || link != "" {
			return link, err
		}
	}
	return l.links.One(ctx, token, id)
}

// find asks for the permalinks that were not there when the post was emitted as published. It takes the places of what owners ask
// for, never one of a post's, and what goes wrong is no more than a look in vain.
func (l *permalinks) find(ctx context.Context, old *posts.Post) error {
	account, err := batch.Fetch(ctx, l.accountReads, old.AccountID)
	if err != nil {
		return err
	}
	got, err := ownercalls.Do(ctx, l.ownerCalls, *account, "", func(ctx context.Context, a ownercalls.Access) (map[string]string, error) {
		got := map[string]string{}
		for id := range posts.WithoutPermalink(old) {
			link, err := l.look(ctx, old, a.Token, id)
			if err != nil {
				return got, err
			}
			got[id] = link
		}
		return got, nil
	})
	if fault := commands.Refusal(err); err != nil && fault == nil && ctx.Err() != nil {
		return err
	}
	next, found := old.CountFailure().SetPermalinks(got)
	if !found {
		at := l.cfg.Timing().NextPermalinkLook(l.now(), next.Failures)
		if !at.IsZero() {
			at = clock.Latest(at, l.now().Add(ownercalls.RetryAfter(err))) // not before Threads takes a question
		}
		return l.store.SnoozeEnded(ctx, old, at)
	}
	// Woken once more, to emit the change and to look for what is still missing.
	next.WakeAt, next.ArmedAt = l.now().Add(l.cfg.Lease+time.Second), time.Time{}
	return l.moves.saveEnded(ctx, old, next)
}
