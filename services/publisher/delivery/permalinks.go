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
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// permalinks are asked for before a post is emitted as published, and afterwards where they lag.
type permalinks struct {
	cfg          Config
	api          *threads.Client
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
// (threads-api §5.4). The event brings them into the row: EVENTS takes one outcome of a post, so whoever tells it again after a
// crash, with another permalink, finds the first standing and has that one applied. One more write for each post is saved. A post whose link does not come is no less
// live, and the link is looked for later, as it is where many wait for theirs: a wake-up in hand is not for that.
func (l *permalinks) fetch(ctx context.Context, p *posts.Post) {
	wanted, links := posts.WithoutPermalink(p), map[string]string{}
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
	a, err := l.tokens.access(waiting, p)
	for wait := 200 * time.Millisecond; err == nil; wait *= 2 {
		for id := range wanted {
			media, err := l.api.Media(waiting, a.token, id)
			if e := apiError(err); e != nil && e.Class == threads.Quota {
				wait = max(wait, l.cfg.throttled(e.RetryAfter))
			}
			if err == nil && media.Permalink != "" {
				links[id] = media.Permalink
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
	if next, found := p.SetPermalinks(links); found {
		*p = *next
	}
}

// find asks for the permalinks that were not there when the post was emitted as published. It takes the places of what owners ask
// for, never one of a post's, and what goes wrong is no more than a look in vain.
func (l *permalinks) find(ctx context.Context, old *posts.Post) error {
	account, err := batch.Fetch(ctx, l.accountReads, old.AccountID)
	if err != nil {
		return err
	}
	links, err := ownercalls.Do(ctx, l.ownerCalls, *account, "", func(ctx context.Context, a ownercalls.Access) (map[string]string, error) {
		links := map[string]string{}
		for id := range posts.WithoutPermalink(old) {
			media, err := l.api.Media(ctx, a.Token, id)
			if err != nil {
				return links, err
			}
			links[id] = media.Permalink
		}
		return links, nil
	})
	if fault := commands.Refusal(err); err != nil && fault == nil && ctx.Err() != nil {
		return err
	}
	next, found := old.CountFailure().SetPermalinks(links)
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
