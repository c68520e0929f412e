package delivery

import (
	"context"
	"errors"
	"strings"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// DeletePost accepts the wish to take a live post off Threads. Deleting is not a state: the post stays published until
// Threads no longer has it. The outcome is answered when that is known.
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
		case !posts.Ended(old) || len(posts.LiveMediaIDs(old)) == 0:
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
