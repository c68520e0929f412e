package publisher

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// Of a post that has ended more may become known: Threads shows its permalink late, or a part of a chain is gone. Each is a
// told change, post.updated. The row counts as told from its saving on, because a publisher of an older version does not
// know the fact and could not tell it; that wake_at is set sees to the telling.

// afterEnd does what is left to be done for a post that has ended.
func (w *waker) afterEnd(ctx context.Context, old *posts.Post) error {
	if old.Fact == events.FactUpdated {
		if err := w.outbox.republish(ctx, old); err != nil {
			return err
		}
	}
	if !old.DeleteRequestedAt.IsZero() && old.DeletedAt.IsZero() {
		return w.deleter.delete(ctx, old)
	}
	if len(old.WithoutPermalink()) == 0 || old.Failures >= posts.PermalinkLooks {
		return w.store.SnoozeEnded(ctx, old, time.Time{})
	}
	return w.permalinks.find(ctx, old)
}

// findPermalinks asks for the permalinks that were not there when the post was told. It takes the places of what owners ask
// for, never one of a post's, and what goes wrong is no more than a look in vain.
func (l *permalinks) find(ctx context.Context, old *posts.Post) error {
	account, err := batch.Fetch(ctx, l.accountReads, old.AccountID)
	if err != nil {
		return err
	}
	links, err := ownercalls.Do(ctx, l.ownerCalls, *account, "", func(ctx context.Context, a ownercalls.Access) (map[string]string, error) {
		links := map[string]string{}
		for id := range old.WithoutPermalink() {
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
		at := l.cfg.timing().NextPermalinkLook(l.now(), next.Failures)
		if !at.IsZero() {
			at = clock.Latest(at, l.now().Add(ownercalls.RetryAfter(err))) // not before Threads takes a question
		}
		return l.store.SnoozeEnded(ctx, old, at)
	}
	// Woken once more, to emit the change and to look for what is still missing.
	next.WakeAt, next.ArmedAt = l.now().Add(l.cfg.Lease+time.Second), time.Time{}
	return l.moves.saveEnded(ctx, old, next)
}

// update saves what has become known of a post that has ended, and tells it.
func (m *moves) saveEnded(ctx context.Context, old, p *posts.Post, tried ...events.Attempt) error {
	p.UpdatedAt, p.Rev, p.Fact = m.now(), old.Rev+1, events.FactUpdated
	p.ToldRev = p.Rev
	err := pg.InTx(ctx, m.db, func(ctx context.Context, tx bun.Tx) error {
		if err := m.store.SaveEnded(ctx, tx, old, p); err != nil || len(tried) == 0 {
			return err
		}
		return m.store.AddAttempts(ctx, tx, p.ID, tried...)
	})
	if err != nil {
		return err
	}
	if err := m.outbox.flush(ctx, old); err != nil {
		m.log.Warn("a change is told only with the next one", postField(p.ID), errField(err))
	}
	return m.outbox.emitChange(ctx, p)
}
