package delivery

import (
	"context"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
	"github.com/omni-write/threads/services/publisher/projector"
)

// deleteFor is how long a deletion is tried before its owner is told that it did not work.
const deleteFor = 24 * time.Hour

// deleter takes posts off Threads.
type deleter struct {
	api       *threads.Client
	db        *bun.DB
	store     *posts.Store
	projector *projector.Projector
	leases    *leases
	tokens    *tokens
	quotas    *quotas
	moves     *moves
	saver     *answerSaver
	now       func() time.Time
}

// delete takes a live post off Threads, a chain from its last part to its first. Threads is asked before and after each
// DELETE: a post that is gone, by whoever's hand, is what was wanted.
func (d *deleter) delete(ctx context.Context, old *posts.Post) error {
	if old.DeleteRequestedAt.IsZero() || !old.DeletedAt.IsZero() {
		return nil
	}
	if err := d.leases.acquire(ctx, old); err != nil {
		return err
	}
	defer d.leases.keep(ctx, old)()
	a, err := d.tokens.access(ctx, old)
	if vault.Unopened(err) {
		_ = d.tokens.keyUnavailable(old, err) // the row's reason is about the post, which is live or failed
		return d.moves.save(ctx, old, old.SnoozeUntil(d.now().Add(keyLook)), "")
	}
	if err != nil {
		return d.deleteFailed(ctx, old, accounts.MustReconnect())
	}
	live := posts.LiveMediaIDs(old)
	if len(live) == 0 {
		return d.deleted(ctx, old, "")
	}
	id := live[0]
	began := d.now()
	_, err = d.api.Media(ctx, a.token, id)
	// A post that does not show is no proof that it is gone (a read may lag): the DELETE is sent all the same.
	if err != nil && threads.ClassOf(err) != threads.NotFound {
		return d.deleteLater(ctx, old, a, err, attempted("look", began, d.now(), err))
	}
	if may, err := d.mayDelete(ctx, old, len(live)); !may {
		return err
	}
	crash.At(crash.DeleteCalling)
	began = d.now()
	err = d.api.Delete(ctx, a.token, id)
	crash.At(crash.DeleteCalled)
	tried := attempted("delete", began, d.now(), err)
	if err == nil {
		_, err := d.saver.save(context.WithoutCancel(ctx), answer{post: old, tried: tried,
			awaited: func(row *posts.Post) bool {
				return !row.DeleteRequestedAt.IsZero() && row.DeletedAt.IsZero() && slices.Contains(posts.LiveMediaIDs(row), id)
			},
			save: func(ctx context.Context, row *posts.Post) (end, error) { return moved, d.deleted(ctx, row, id, tried) },
		})
		return err
	}
	_, lookErr := d.api.Media(ctx, a.token, id)
	lasts := old.Failures >= 2 && threads.ClassOf(err) == threads.NotFound && threads.ClassOf(lookErr) == threads.NotFound &&
		d.now().Sub(old.AcceptedAt) > parentLag // a younger one may only not be seen yet
	if threads.IsDeleted(lookErr) || lasts { // not visible, by either word, and for a while
		return d.deleted(ctx, old, id, tried)
	}
	if e := apiError(err); e != nil {
		switch e.Class {
		case threads.Permission, threads.Reauthorize, threads.Invalid, threads.Blocked, threads.Quota:
			old.Undeleted = len(live) // a clear no takes no place
		}
	}
	return d.deleteLater(ctx, old, a, err, tried)
}

// mayDelete reserves a place of the day's deletions, under the account's lock. Without one the deletion waits, and where
// somebody else holds the account.
func (d *deleter) mayDelete(ctx context.Context, old *posts.Post, part int) (may bool, err error) {
	now := d.now()
	var until time.Time
	full := false
	err = pg.InTx(ctx, d.db, func(ctx context.Context, tx bun.Tx) error {
		until, full = time.Time{}, false
		locked, err := accounts.LockAll(ctx, tx, []string{old.AccountID})
		if err != nil || locked.Busy[old.AccountID] {
			until = now.Add(busyAgain)
			return err
		}
		usages, err := posts.QuotaUsed(ctx, tx, []string{old.AccountID}, now, old.ID)
		if err != nil {
			return err
		}
		if u := usages[posts.AccountQuota{Account: old.AccountID, Quota: posts.QuotaDeletes}]; u.Used >= posts.QuotaDeletes.Total() && !u.Has(old.ID, part) {
			until, full = u.Oldest.Add(posts.QuotaWindow), true
			return nil
		}
		return posts.SpendQuota(ctx, tx, posts.QuotaUse{AccountID: old.AccountID, Quota: posts.QuotaDeletes, At: now, PostID: old.ID, Part: part})
	})
	if err != nil || until.IsZero() {
		return err == nil, err
	}
	next := old.SnoozeUntil(until)
	if full {
		next = old.WaitToDelete(posts.QuotaDeletes.FullFault().After(until.Sub(now)), until)
	}
	return false, d.moves.save(ctx, old, next, "")
}

// deleteLater sorts what went wrong: a no for good is emitted, everything else is tried again.
func (d *deleter) deleteLater(ctx context.Context, old *posts.Post, a access, err error, tried asks.Attempt) error {
	wait := clock.Backoff(old.Failures + 1)
	if e := apiError(err); e != nil {
		switch e.Class {
		case threads.Permission:
			return d.deleteFailed(ctx, old, events.Faultf(events.MissingScope, "Threads does not let us delete for this account; reconnect it and allow %s.", threads.ScopeDelete), tried)
		case threads.Reauthorize:
			if !d.tokens.declareReconnect(ctx, a) { // a fresher token is there already
				return d.moves.save(ctx, old, old.SnoozeUntil(d.now()), "", tried)
			}
			return d.deleteFailed(ctx, old, accounts.MustReconnect(), tried)
		case threads.Invalid, threads.Blocked:
			return d.deleteFailed(ctx, old, &events.Fault{Code: events.Refused, Message: e.Sentence}, tried)
		case threads.Quota:
			wait = d.quotas.heldBack(ctx, a, posts.QuotaDeletes, e)
		}
	}
	if d.now().Sub(old.DeleteRequestedAt) > deleteFor {
		return d.deleteFailed(ctx, old, events.Faultf(events.Unavailable, "Threads did not delete this post within a day; try again."), tried)
	}
	return d.moves.save(ctx, old, old.TryAgainAt(d.now().Add(wait)), "", tried)
}

// deleted notes that a part is gone from Threads, "" when none was left, and goes on with the one before it.
func (d *deleter) deleted(ctx context.Context, old *posts.Post, id string, tried ...asks.Attempt) error {
	next, more := old.Delete(id, d.now())
	if more {
		return d.moves.saveEnded(ctx, old, next, tried...)
	}
	return d.endDeletion(ctx, old, next, events.FactDeleted, tried...)
}

func (d *deleter) deleteFailed(ctx context.Context, old *posts.Post, reason *events.Fault, tried ...asks.Attempt) error {
	return d.endDeletion(ctx, old, old.KeepLive(reason), events.FactDeleteFailed, tried...)
}

// endDeletion ends a deletion: row, event, and the outcome to whoever waits for it.
func (d *deleter) endDeletion(ctx context.Context, old, next *posts.Post, fact events.PostFact, tried ...asks.Attempt) error {
	if err := d.moves.saveAt(ctx, crash.DeleteNoted, old, next, fact, tried...); err != nil {
		return err
	}
	crash.At(crash.DeleteTold)
	return d.projector.ApplyNow(ctx, events.NewPostEvent(fact, next.Snapshot()))
}
