package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"
	"golang.org/x/sync/semaphore"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher/draft"
)

// accepter accepts posts.
type accepter struct {
	cfg         Config
	db          *bun.DB
	store       *posts.Store
	drafts      *draft.Service
	ownAccounts *batch.Batcher[batch.Read[[]accounts.Account]]
	acceptances *batch.Batcher[posts.Acceptance]
	ledger      *ledger
	conns       *semaphore.Weighted // those that new posts may use one by one: in a batch they use none of their own
	alarms      *alarms
	moves       *moves
	now         func() time.Time
}

// SchedulePost accepts a post for later: row and command in one transaction, then its alarm, then the event. A crash
// anywhere leaves the command unacked, and its redelivery does the rest: the command is the outbox.
func (c *accepter) SchedulePost(ctx context.Context, d bus.Delivery, cmd events.SchedulePost) (any, error) {
	asked := d.Meta.Time // when it was accepted over HTTP, not when we came to it: we may have been away
	return c.accept(ctx, d, cmd, request{cmd.PostID, cmd.UserID, cmd.Draft, cmd.PublishAt, draft.CheckTime(cmd.PublishAt, asked)}, true)
}

// PublishPost accepts a post for now. It takes the same way as every other; the outcome is answered when it is known.
func (c *accepter) PublishPost(ctx context.Context, d bus.Delivery, cmd events.PublishPost) (any, error) {
	return c.accept(ctx, d, cmd, request{cmd.PostID, cmd.UserID, cmd.Draft, cmd.PublishAt, nil}, false)
}

// request is a post that somebody asks for.
type request struct {
	id, userID string
	draft      events.Draft
	at         time.Time
	late       *events.Fault // refuses it
}

// accept writes a new post. done says whether acceptance is all that the command asked for.
//
// Those that come at the same moment are judged one by one and written together. Whatever is not plain about one (its
// command is known already, its post is there, its account is going) sends it the long way, in a transaction of its own.
func (c *accepter) accept(ctx context.Context, d bus.Delivery, cmd events.Command, r request, done bool) (any, error) {
	crash.At(crash.ScheduleReceived)
	var p *posts.Post
	var prior *commands.Command
	err := unlessBusy(ctx, func() (err error) {
		if p, prior, err = c.acceptTogether(ctx, d, cmd, r, done); errors.Is(err, batch.ErrAlone) {
			p, prior, err = c.acceptAlone(ctx, d, cmd, r, done)
		}
		return err
	})
	if errors.Is(err, posts.ErrAccountBusy) { // the account is being changed, and may be going
		return nil, bus.Later(min(busyAgain<<min(d.Deliveries, 5), 5*time.Second))
	}
	if err != nil {
		return nil, err
	}
	if prior != nil {
		if err := c.conns.Acquire(ctx, 1); err != nil {
			return nil, err
		}
		defer c.conns.Release(1)
		return c.ledger.repeat(ctx, prior)
	}
	crash.At(crash.ScheduleCommitted)
	if err := c.moves.armAndEmit(ctx, p); err != nil {
		return nil, err
	}
	crash.At(crash.ScheduleTold)
	if !done {
		return nil, bus.Pending
	}
	return p.Snapshot(), nil
}

// decide makes the post that is asked for, or says why not.
func (c *accepter) decide(ctx context.Context, db bun.IDB, own []accounts.Account, r request) (*posts.Post, error) {
	if r.late != nil {
		return nil, r.late
	}
	account, err := accounts.Choose(own, r.draft.AccountID)
	if err != nil {
		return nil, err
	}
	if err := draft.MayPost(account, r.draft); err != nil {
		return nil, err
	}
	if fault := c.drafts.Check(r.draft); fault != nil {
		return nil, fault
	}
	if err := c.drafts.CheckQueue(ctx, db, account.ID); err != nil {
		return nil, err
	}
	if err := c.drafts.CheckReferences(ctx, db, r.userID, account.ID, r.draft); err != nil {
		return nil, err
	}
	p := c.newPost(r.id, r.userID, account.ID, r.draft, r.at)
	p.TraceParent = bus.TraceParent(ctx)
	if err := draft.CheckSize(p); err != nil {
		return nil, err
	}
	return p, nil
}

// acceptAlone accepts a post in a transaction of its own.
func (c *accepter) acceptAlone(ctx context.Context, d bus.Delivery, cmd events.Command, r request, done bool) (p *posts.Post, prior *commands.Command, err error) {
	if err := c.conns.Acquire(ctx, 1); err != nil {
		return nil, nil, err
	}
	defer c.conns.Release(1)
	prior, err = c.ledger.once(ctx, d, cmd, r.id, func(ctx context.Context, tx bun.Tx) (any, error) {
		own, err := accounts.ForUser(ctx, tx, r.userID)
		if err != nil {
			return nil, err
		}
		if p, err = c.decide(ctx, tx, own, r); err != nil {
			return nil, err
		}
		held, err := accounts.HoldAll(ctx, tx, []string{p.AccountID})
		if err != nil {
			return nil, err
		}
		if _, there := held.Connected[p.AccountID]; !there {
			return nil, posts.ErrAccountBusy // or gone since it was read, which the next try reads
		}
		if err := c.store.Insert(ctx, tx, p); err != nil {
			return nil, err
		}
		// The post that the key led to stands; what its command said is forgotten, so nobody knows whether it said the same.
		if kept := c.cfg.CommandsKept; kept > 0 && d.Meta.Time.Sub(p.CreatedAt) > kept {
			return nil, commands.KeyReused()
		}
		if !done {
			return nil, bus.Pending
		}
		return p.Snapshot(), nil
	})
	return p, prior, err
}

func (c *accepter) acceptTogether(ctx context.Context, d bus.Delivery, cmd events.Command, r request, done bool) (*posts.Post, *commands.Command, error) {
	own, err := batch.Fetch(ctx, c.ownAccounts, r.userID)
	if err != nil {
		return nil, nil, err
	}
	if err := c.conns.Acquire(ctx, 1); err != nil { // for what has to be read for this one alone
		return nil, nil, err
	}
	p, refused := c.decide(ctx, c.db, *own, r)
	c.conns.Release(1)
	a := posts.Acceptance{Command: commands.New(d.Meta, cmd, r.id), Post: p}
	a.Command.CreatedAt = c.now().UTC()
	outcome := events.Outcome{CommandID: d.Meta.ID}
	if refused != nil {
		if outcome.Fault = commands.Refusal(refused); outcome.Fault == nil {
			return nil, nil, refused
		}
	}
	if refused != nil || done {
		if err := a.Command.End(outcome, posts.SnapshotOrNil(p), c.now()); err != nil {
			return nil, nil, err
		}
	}
	if err := c.acceptances.Do(ctx, a); err != nil {
		return nil, nil, err
	}
	return p, nil, refused
}

// newPost is a post as it is accepted, with the alarm that it is to get.
func (c *accepter) newPost(id, userID, accountID string, d events.Draft, at time.Time) *posts.Post {
	p := c.drafts.NewPost(id, userID, accountID, d, at)
	c.alarms.willArm(p)
	return p
}
