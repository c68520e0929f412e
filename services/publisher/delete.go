package publisher

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
	"github.com/omni-write/threads/services/publisher/ownercalls"
	"github.com/omni-write/threads/services/publisher/projector"
)

// deleteFor is how long a deletion is tried before its owner is told that it did not work.
const deleteFor = 24 * time.Hour

// DeletePost accepts the wish to take a live post off Threads. Deleting is not a state: the post stays published until
// Threads no longer has it. The outcome is told when that is known.
func (o *owners) DeletePost(ctx context.Context, d bus.Delivery, cmd events.DeletePost) (any, error) {
	target, err := o.target(ctx, cmd)
	if err != nil && !errors.Is(err, &events.Fault{Code: events.NotFound}) {
		return nil, err
	}
	missing, id := err, ""
	if target != nil {
		id = target.ID
	}
	if target != nil {
		if err := o.outbox.flush(ctx, target); err != nil {
			return nil, err
		}
	}
	var p, gone *posts.Post
	prior, err := o.ledger.once(ctx, d, cmd, id, func(ctx context.Context, tx bun.Tx) (any, error) {
		if missing != nil {
			return nil, missing
		}
		old, err := o.store.Get(ctx, tx, id)
		isNew := errors.Is(err, &events.Fault{Code: events.NotFound})
		if isNew {
			old, err = target, nil
		}
		switch {
		case err != nil:
			return nil, err
		case old.State == events.StateConcluding:
			return nil, errConcluding
		case !old.DeletedAt.IsZero():
			gone = old
			return old.Snapshot(), nil // gone already: that is what was asked for
		case !posts.Ended(old) || len(old.LiveMediaIDs()) == 0:
			return nil, events.Faultf(events.Conflict, "This post is not live on Threads, so there is nothing to delete there.")
		}
		account, err := accounts.Get(ctx, tx, old.AccountID)
		if err != nil {
			return nil, err
		}
		if err := account.MayUse(threads.ScopeDelete); err != nil {
			return nil, err
		}
		old.Lease = "" // an owner asks no worker; rev settles it
		next := old.RequestDeletion(o.now())
		if isNew {
			err = o.store.Insert(ctx, tx, next)
		} else {
			err = o.store.Save(ctx, tx, old, next)
		}
		if err != nil {
			return nil, err
		}
		p = next
		return nil, bus.Pending
	})
	switch {
	case err != nil:
		return nil, err
	case prior != nil:
		return o.ledger.repeat(ctx, prior)
	case p == nil:
		return gone.Snapshot(), nil // deleted before
	}
	crash.At(crash.DeleteRequested)
	if err := o.moves.armAndEmit(ctx, p); err != nil {
		return nil, err
	}
	return nil, bus.Pending
}

// MadeElsewhere says that only Threads knows whose the post is.
func (o *owners) MadeElsewhere(ctx context.Context, cmd events.DeletePost) (bool, error) {
	_, err := o.store.Find(ctx, o.db, cmd.UserID, cmd.ID)
	if !errors.Is(err, &events.Fault{Code: events.NotFound}) {
		return false, err
	}
	return !events.IsPostID(events.PostIDOf(cmd.UserID, cmd.ID)), nil
}

// target is the post that the user wants deleted. A post made elsewhere has no row yet; it gets one when Threads shows
// it to one of the user's accounts, and as that account's own: of other people's posts it shows some, too.
func (o *owners) target(ctx context.Context, cmd events.DeletePost) (*posts.Post, error) {
	p, err := o.store.Find(ctx, o.db, cmd.UserID, cmd.ID)
	if err == nil || events.IsPostID(events.PostIDOf(cmd.UserID, cmd.ID)) {
		return p, err
	}
	mine, listErr := accounts.ForUser(ctx, o.db, cmd.UserID)
	if listErr != nil {
		return nil, listErr
	}
	for _, account := range mine {
		media, mediaErr := ownercalls.Do(ctx, o.ownerCalls, account, "", func(ctx context.Context, a ownercalls.Access) (threads.Media, error) {
			return o.api.Detail(ctx, a.Token, cmd.ID, account.Scopes)
		})
		if errors.As(mediaErr, new(ownercalls.NoSlotError)) || errors.Is(mediaErr, &events.Fault{Code: events.Unavailable}) {
			return nil, mediaErr
		}
		if mediaErr == nil && ownedBy(account, media) {
			return posts.Imported(account, media, o.now()), nil
		}
	}
	return nil, err
}

// ownedBy says whether a post is an account's own. Threads names the owner of top-level posts only, and of a reply it says
// only to some whose it is.
func ownedBy(a accounts.Account, m threads.Media) bool {
	return m.OwnerID == a.ProviderUserID || m.ReplyOfMine || m.OwnerID == "" && a.Username != "" && strings.EqualFold(m.Username, a.Username)
}

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
	if err := d.store.AcquireLease(ctx, old, d.now()); err != nil {
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
	live := old.LiveMediaIDs()
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
		return d.saver.save(context.WithoutCancel(ctx), answer{post: old, tried: tried,
			awaited: func(row *posts.Post) bool {
				return !row.DeleteRequestedAt.IsZero() && row.DeletedAt.IsZero() && slices.Contains(row.LiveMediaIDs(), id)
			},
			save: func(ctx context.Context, row *posts.Post) error { return d.deleted(ctx, row, id, tried) },
		})
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

// deleteLater sorts what went wrong: a no for good is told, everything else is tried again.
func (d *deleter) deleteLater(ctx context.Context, old *posts.Post, a access, err error, tried events.Attempt) error {
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
func (d *deleter) deleted(ctx context.Context, old *posts.Post, id string, tried ...events.Attempt) error {
	next, more := old.Delete(id, d.now())
	if more {
		return d.moves.saveEnded(ctx, old, next, tried...)
	}
	return d.endDeletion(ctx, old, next, events.FactDeleted, tried...)
}

func (d *deleter) deleteFailed(ctx context.Context, old *posts.Post, reason *events.Fault, tried ...events.Attempt) error {
	return d.endDeletion(ctx, old, old.KeepLive(reason), events.FactDeleteFailed, tried...)
}

// endDeletion ends a deletion: row, fact, and the outcome to whoever waits for it.
func (d *deleter) endDeletion(ctx context.Context, old, next *posts.Post, fact events.PostFact, tried ...events.Attempt) error {
	if err := d.moves.saveAt(ctx, crash.DeleteNoted, old, next, fact, tried...); err != nil {
		return err
	}
	crash.At(crash.DeleteTold)
	return d.projector.ApplyNow(ctx, events.NewPostEvent(fact, next.Snapshot()))
}
