package projector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
)

// ApplyAll applies events and moves the position. One whose values have no place in the tables, as those of a version that
// nobody has migrated to, is skipped like one that cannot be read: it stays on EVENTS, for a newer version to rebuild from,
// is noted in skipped_events, and holds nobody up.
func (r *Projector) ApplyAll(ctx context.Context, conn bun.IDB, evs []Event) error {
	err := r.applyInTx(ctx, conn, evs)
	if !pg.Unfit(err) {
		return err
	}
	for _, e := range evs {
		err := r.applyInTx(ctx, conn, []Event{e})
		if pg.Unfit(err) {
			err = r.applyInTx(ctx, conn, []Event{e.skippedFor(err)})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// applyInTx applies events and moves the position, in one transaction. What was applied before is skipped.
func (r *Projector) applyInTx(ctx context.Context, conn bun.IDB, evs []Event) error {
	if len(evs) == 0 {
		return nil
	}
	crash.At(crash.RecordReceived)
	var waiting []commands.Command
	var skipped []Skipped
	err := pg.InTx(ctx, conn, func(ctx context.Context, tx bun.Tx) error {
		waiting, skipped = nil, nil
		position, err := r.Position(ctx, tx)
		if err != nil {
			return err
		}
		evs, err := r.withoutErased(ctx, tx, evs)
		if err != nil {
			return err
		}
		var ids []string
		for _, e := range evs {
			if ev, ok := e.Message.(events.PostEvent); ok {
				ids = append(ids, ev.Snapshot().ID)
			}
		}
		rows, err := posts.ProgressOf(ctx, tx, ids)
		if err != nil {
			return err
		}
		var there []events.PostEvent // their rows are where the event leads, and are only to be marked
		for _, e := range evs {
			if e.Seq <= position {
				continue
			}
			position = e.Seq
			if e.unfit != nil {
				skipped = append(skipped, e.note(r.Now()))
				continue
			}
			if ev, ok := e.Message.(events.PostEvent); ok {
				row, rev := rows[ev.Snapshot().ID], ev.Snapshot().Rev
				if row.Rev >= rev && ev.Fact() == events.FactPublished && row.MissesOutcome() {
					w, err := r.replaceByStanding(ctx, tx, ev, row.Rev)
					if err != nil {
						return err
					}
					waiting = append(waiting, w...)
					continue
				}
				if row.ToldRev >= rev {
					continue // applied at once by whoever emitted it
				}
				if row.Rev >= rev {
					there = append(there, ev)
					continue
				}
			}
			w, err := r.Apply(ctx, tx, e.Message)
			if err != nil {
				return err
			}
			waiting = append(waiting, w...)
		}
		w, err := r.markEmitted(ctx, tx, there)
		if err != nil {
			return err
		}
		waiting = append(waiting, w...)
		if err := insertSkipped(ctx, tx, skipped); err != nil {
			return err
		}
		return r.setPosition(ctx, tx, position)
	})
	if err != nil {
		return err
	}
	r.said(skipped)
	crash.At(crash.RecordApplied)
	for _, e := range evs {
		if _, ok := e.Message.(events.AccountEvent); ok {
			select {
			case r.accountChanges <- struct{}{}:
			default: // asked for already
			}
		}
	}
	return r.reply(ctx, waiting)
}

// ApplyNow applies an event that has just been emitted, without waiting for it to come round.
func (r *Projector) ApplyNow(ctx context.Context, ev events.PostEvent) error {
	err := r.outcomes.Do(ctx, ev)
	if !errors.Is(err, batch.ErrAlone) {
		return err
	}
	waiting, err := r.ApplyAlone(ctx, ev)
	if err != nil {
		return err
	}
	return r.reply(ctx, waiting)
}

// ApplyStanding makes a post final by the PostPublished that stands on EVENTS, not by ours: a restored database, or a person,
// had another idea of its revs, and the world has heard only of the first.
func (r *Projector) ApplyStanding(ctx context.Context, p *posts.Post, subject string) error {
	stream, err := r.Bus.JetStream().Stream(ctx, events.StreamEvents)
	if err != nil {
		return fmt.Errorf("find EVENTS: %w", err)
	}
	m, err := stream.GetLastMsgForSubject(ctx, subject)
	if err != nil {
		return fmt.Errorf("read what stands: %w", err)
	}
	msg, err := events.Decode(m.Header.Get(events.HeaderType), m.Data)
	if err != nil {
		return fmt.Errorf("read what stands: %w", err)
	}
	ev, ok := msg.(events.PostEvent)
	if !ok {
		return fmt.Errorf("what stands on %s is a %s", subject, msg.Type())
	}
	var waiting []commands.Command
	err = pg.InTx(ctx, r.DB, func(ctx context.Context, tx bun.Tx) (err error) {
		waiting, err = r.replaceByStanding(ctx, tx, ev, p.Rev)
		return err
	})
	if err != nil {
		return err
	}
	return r.reply(ctx, waiting)
}

// replaceByStanding makes a row what the PostPublished on EVENTS says, whatever rev the row has come to meanwhile.
func (r *Projector) replaceByStanding(ctx context.Context, tx bun.Tx, ev events.PostEvent, rev int64) ([]commands.Command, error) {
	standing := posts.FromSnapshot(ev.Snapshot())
	standing.Fact = ev.Fact()
	standing.Rev = max(standing.Rev, rev+1)
	standing.EmittedRev = standing.Rev
	if err := posts.Apply(ctx, tx, &standing, r.cfg.Timing, r.Now()); err != nil {
		return nil, err
	}
	return r.finishCommands(ctx, tx, ev)
}

// ApplyTogether makes many posts final in one statement: those that lack nothing else, and for whose outcome no command waits. The
// others are batch.ErrAlone.
func (r *Projector) ApplyTogether(ctx context.Context, items []events.PostEvent) []error {
	var published []posts.Post
	for _, ev := range items {
		if ev.Fact() == events.FactPublished {
			p := posts.FromSnapshot(ev.Snapshot())
			r.cfg.Timing.LookForPermalinks(&p, r.Now())
			published = append(published, p)
		}
	}
	final, err := posts.Finalize(ctx, r.DB, published)
	if err != nil {
		return batch.All(len(items), err)
	}
	errs := make([]error, len(items))
	for i, ev := range items {
		if !final[ev.Snapshot().ID] {
			errs[i] = batch.ErrAlone
		}
	}
	return errs
}

// ApplyAlone applies events in a transaction of their own.
func (r *Projector) ApplyAlone(ctx context.Context, evs ...events.PostEvent) (waiting []commands.Command, err error) {
	err = pg.InTx(ctx, r.DB, func(ctx context.Context, tx bun.Tx) error {
		waiting = nil
		for _, ev := range evs {
			if erased, err := accounts.HasTombstone(ctx, tx, ev.Snapshot().AccountID); err != nil || erased {
				return err
			}
			p := posts.FromSnapshot(ev.Snapshot())
			p.Fact, p.EmittedRev = ev.Fact(), p.Rev
			if err := posts.Apply(ctx, tx, &p, r.cfg.Timing, r.Now()); err != nil {
				return err
			}
			ended, err := r.finishCommands(ctx, tx, ev)
			if err != nil {
				return err
			}
			waiting = append(waiting, ended...)
		}
		return nil
	})
	return waiting, err
}

// awaited are the posts of a batch whose outcome somebody waits for.
func (r *Projector) awaited(ctx context.Context, tx bun.Tx, batch []events.PostEvent) (map[string]bool, error) {
	ids := make([]string, len(batch))
	for i, ev := range batch {
		ids[i] = ev.Snapshot().ID
	}
	waiting, err := commands.Awaited(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	m := make(map[string]bool, len(waiting))
	for _, id := range waiting {
		m[id] = true
	}
	return m, nil
}

// reply tells those who wait for a command's outcome. Whoever is not listening any more reads it by the command's id.
func (r *Projector) reply(ctx context.Context, waiting []commands.Command) error {
	for _, c := range waiting {
		o, _ := c.Done()
		if err := r.Bus.Reply(ctx, c.OutcomeTo, o); err != nil {
			r.Log.Warn("outcome not delivered", zap.String("command_id", c.ID), zap.Error(err))
		}
	}
	return nil
}

// markEmitted marks rows, in one statement, whose events are on EVENTS, and ends the commands that wait for these events.
func (r *Projector) markEmitted(ctx context.Context, tx bun.Tx, there []events.PostEvent) (waiting []commands.Command, err error) {
	if len(there) == 0 {
		return nil, nil
	}
	revs := map[string]int64{}
	for _, ev := range there {
		revs[ev.Snapshot().ID] = ev.Snapshot().Rev // in the order of EVENTS: the last is the highest
	}
	if err := posts.MarkEmitted(ctx, tx, revs); err != nil {
		return nil, err
	}
	awaited, err := r.awaited(ctx, tx, there)
	if err != nil {
		return nil, err
	}
	for _, ev := range there {
		if !awaited[ev.Snapshot().ID] {
			continue
		}
		w, err := r.finishCommands(ctx, tx, ev)
		if err != nil {
			return nil, err
		}
		waiting = append(waiting, w...)
	}
	return waiting, nil
}

// MarkEmitted marks rows whose event is known to be on EVENTS, as they are marked when the event is read from there.
func (r *Projector) MarkEmitted(ctx context.Context, there []events.PostEvent) error {
	var waiting []commands.Command
	err := pg.InTx(ctx, r.DB, func(ctx context.Context, tx bun.Tx) (err error) {
		waiting, err = r.markEmitted(ctx, tx, there)
		return err
	})
	if err != nil {
		return err
	}
	return r.reply(ctx, waiting)
}

// Apply writes one event. Applying it twice, or after a later one, changes nothing.
func (r *Projector) Apply(ctx context.Context, tx bun.Tx, ev events.Message) ([]commands.Command, error) {
	switch ev := ev.(type) {
	case events.AccountConnected:
		return nil, r.wakePosts(ctx, tx, ev.Account().ID, events.StateWaiting, events.StateUnconfirmed)
	case events.AccountResumed:
		return nil, r.WakePaused(ctx, tx, ev.Account().ID)
	case events.PublishedOnThreads: // perhaps the post whose outcome nobody knows yet: asking is cheap
		return nil, r.wakePosts(ctx, tx, ev.AccountID, events.StateUnconfirmed)
	case events.DeletedOnThreads:
		return nil, r.Store.SaveRemoteDeletion(ctx, tx, posts.RemoteDeletion{AccountID: ev.AccountID, MediaID: ev.MediaID, At: ev.At})
	case events.AccountErased:
		return nil, r.restoreTombstone(ctx, tx, ev)
	case events.AccountDisconnected:
		return nil, r.wakePosts(ctx, tx, ev.Account().ID, events.StateScheduled, events.StateReady, events.StateWaiting)
	case events.PostEvent:
		p := posts.FromSnapshot(ev.Snapshot())
		p.Fact, p.EmittedRev = ev.Fact(), p.Rev
		if err := posts.Apply(ctx, tx, &p, r.cfg.Timing, r.Now()); err != nil {
			return nil, err
		}
		return r.finishCommands(ctx, tx, ev)
	}
	return nil, nil
}

// finishCommands ends the commands that wait for this event.
func (r *Projector) finishCommands(ctx context.Context, tx bun.Tx, ev events.PostEvent) ([]commands.Command, error) {
	p := ev.Snapshot()
	publishing, deleting := []string{events.PublishPost{}.Type()}, []string{events.DeletePost{}.Type()}
	switch ev.Fact() {
	case events.FactPublished:
		return commands.FinishForPost(ctx, tx, p.ID, publishing, nil, p, r.Now())
	case events.FactFailed:
		return commands.FinishForPost(ctx, tx, p.ID, publishing, p.Reason, p, r.Now())
	case events.FactCancelled:
		return commands.FinishForPost(ctx, tx, p.ID, publishing, events.Faultf(events.Conflict, "This post was cancelled before it went out."), p, r.Now())
	case events.FactDeleted:
		return commands.FinishForPost(ctx, tx, p.ID, deleting, nil, p, r.Now())
	case events.FactDeleteFailed:
		return commands.FinishForPost(ctx, tx, p.ID, deleting, p.Reason, nil, r.Now())
	}
	return nil, nil
}

// wakePosts has the posts of an account looked at now: those that waited for its reconnect go on, those of one that was taken
// away are cancelled. The sweep does the waking, at once: to it they are overdue.
func (r *Projector) wakePosts(ctx context.Context, tx bun.Tx, accountID string, states ...events.State) error {
	return posts.WakeOfAccount(ctx, tx, accountID, r.overdue(), r.Now(), states...)
}

// WakePaused has the posts that waited for their account to be resumed looked at now.
func (r *Projector) WakePaused(ctx context.Context, db bun.IDB, accountID string) error {
	return posts.WakePaused(ctx, db, accountID, r.overdue(), r.Now())
}

// overdue is a wake-up time that the sweep takes for overdue.
func (r *Projector) overdue() time.Time { return r.Now().Add(-2 * r.cfg.SweepGrace) }
