package projector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// applyAll applies events and moves the position. One whose words have no place in the tables, as those of a version that
// nobody has migrated to, is set aside like one that cannot be read: it stays on EVENTS, for a newer version to rebuild
// from, and holds nobody up.
func (r *Projector) ApplyAll(ctx context.Context, conn bun.IDB, facts []Event) error {
	err := r.applyInTx(ctx, conn, facts)
	if !pg.Unfit(err) {
		return err
	}
	for _, f := range facts {
		err := r.applyInTx(ctx, conn, []Event{f})
		if pg.Unfit(err) {
			r.skip(f.Seq, err)
			err = r.applyInTx(ctx, conn, []Event{{Seq: f.Seq}})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Projector) skip(seq uint64, err error) {
	eventsSkipped.Inc()
	r.Log.Error("fact set aside; it stays on EVENTS", zap.Uint64("seq", seq), zap.Error(err))
}

// applyTogether applies events and moves the position, in one transaction. What was applied before is skipped.
func (r *Projector) applyInTx(ctx context.Context, conn bun.IDB, facts []Event) error {
	if len(facts) == 0 {
		return nil
	}
	crash.At(crash.RecordReceived)
	var waiting []commands.Command
	err := pg.InTx(ctx, conn, func(ctx context.Context, tx bun.Tx) error {
		waiting = nil
		position, err := r.Position(ctx, tx)
		if err != nil {
			return err
		}
		facts, err := r.withoutErased(ctx, tx, facts)
		if err != nil {
			return err
		}
		rows, err := r.revs(ctx, tx, facts)
		if err != nil {
			return err
		}
		var there []events.PostEvent // rows that are where the event leads, and are only to be marked as told
		for _, f := range facts {
			if f.Seq <= position {
				continue
			}
			position = f.Seq
			if ev, ok := f.Message.(events.PostEvent); ok {
				row, rev := rows[ev.Snapshot().ID], ev.Snapshot().Rev
				if row.Rev >= rev && ev.Fact() == events.FactPublished && row.misses() {
					w, err := r.replaceByStanding(ctx, tx, ev, row.Rev)
					if err != nil {
						return err
					}
					waiting = append(waiting, w...)
					continue
				}
				if row.ToldRev >= rev {
					continue // applied at once by whoever told it
				}
				if row.Rev >= rev {
					there = append(there, ev)
					continue
				}
			}
			w, err := r.Apply(ctx, tx, f.Message)
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
		return r.setPosition(ctx, tx, position)
	})
	if err != nil {
		return err
	}
	crash.At(crash.RecordApplied)
	for _, f := range facts {
		if _, ok := f.Message.(events.AccountEvent); ok {
			select {
			case r.accountChanges <- struct{}{}:
			default: // asked for already
			}
		}
	}
	return r.reply(ctx, waiting)
}

// outcome is an event on its way into the row by whoever told it, and the commands that it ends.
type Outcome struct {
	Event events.PostEvent
	Ended *[]commands.Command
}

// applyNow applies an event that has just been told, without waiting for it to come round.
func (r *Projector) ApplyNow(ctx context.Context, ev events.PostEvent) error {
	var waiting []commands.Command
	err := r.outcomes.Do(ctx, Outcome{ev, &waiting})
	if errors.Is(err, batch.ErrAlone) {
		waiting, err = r.ApplyAlone(ctx, ev)
	}
	if err != nil {
		return err
	}
	return r.reply(ctx, waiting)
}

// applyStanding makes a post final by the PostPublished that stands on EVENTS, not by ours: a restored database, or a person,
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

// stand makes a row what the PostPublished on EVENTS says, whatever rev the row has come to meanwhile.
func (r *Projector) replaceByStanding(ctx context.Context, tx bun.Tx, ev events.PostEvent, rev int64) ([]commands.Command, error) {
	standing := posts.FromSnapshot(ev.Snapshot())
	standing.Fact = ev.Fact()
	standing.Rev = max(standing.Rev, rev+1)
	standing.ToldRev = standing.Rev
	if err := r.applyPost(ctx, tx, &standing); err != nil {
		return nil, err
	}
	return r.finishCommands(ctx, tx, ev)
}

// applyOutcomes makes many posts final in one transaction: those that lack nothing else. The others are batch.ErrAlone.
func (r *Projector) ApplyTogether(ctx context.Context, items []Outcome) []error {
	order := slices.Clone(items) // always the same, so that two batches cannot wait for each other
	slices.SortFunc(order, func(a, b Outcome) int { return strings.Compare(a.Event.Snapshot().ID, b.Event.Snapshot().ID) })
	var final map[string]bool
	err := pg.InTx(ctx, r.DB, func(ctx context.Context, tx bun.Tx) (err error) {
		if final, err = r.finalize(ctx, tx, order); err != nil || len(final) == 0 {
			return err
		}
		evs := make([]events.PostEvent, len(order))
		for i, o := range order {
			evs[i] = o.Event
		}
		awaited, err := r.awaited(ctx, tx, evs)
		if err != nil {
			return err
		}
		for _, o := range order {
			if id := o.Event.Snapshot().ID; final[id] && awaited[id] {
				if *o.Ended, err = r.finishCommands(ctx, tx, o.Event); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return batch.All(len(items), err)
	}
	errs := make([]error, len(items))
	for i, o := range items {
		if !final[o.Event.Snapshot().ID] {
			errs[i] = batch.ErrAlone
		}
	}
	return errs
}

// applyAlone applies events in a transaction of their own.
func (r *Projector) ApplyAlone(ctx context.Context, evs ...events.PostEvent) (waiting []commands.Command, err error) {
	err = pg.InTx(ctx, r.DB, func(ctx context.Context, tx bun.Tx) error {
		waiting = nil
		for _, ev := range evs {
			if erased, err := accounts.HasTombstone(ctx, tx, ev.Snapshot().AccountID); err != nil || erased {
				return err
			}
			p := posts.FromSnapshot(ev.Snapshot())
			p.Fact, p.ToldRev = ev.Fact(), p.Rev
			if err := r.applyPost(ctx, tx, &p); err != nil {
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

// finalize makes the rows final that are noted as published and lack nothing but the event: the usual case, in one
// statement. It returns those it made.
func (r *Projector) finalize(ctx context.Context, tx bun.Tx, batch []Outcome) (map[string]bool, error) {
	type row struct {
		ID        string        `bun:"id"`
		Rev       int64         `bun:"rev"`
		Permalink string        `bun:"permalink"`
		Parts     []events.Part `bun:"parts,type:jsonb"`
		UpdatedAt time.Time     `bun:"updated_at,type:timestamptz"`
		WakeAt    *time.Time    `bun:"wake_at,type:timestamptz"` // for a permalink that is late
	}
	var rows []row
	var ids []string
	for _, o := range batch {
		if p := o.Event.Snapshot(); o.Event.Fact() == events.FactPublished {
			if p.Parts == nil {
				p.Parts = []events.Part{}
			}
			ids = append(ids, p.ID)
			final := posts.FromSnapshot(p)
			final.LookForPermalinks(r.cfg.Timing, r.Now())
			rows = append(rows, row{p.ID, p.Rev, posts.Value(p.Permalink), p.Parts, p.UpdatedAt, posts.OptionalTime(final.WakeAt)})
		}
	}
	if len(rows) == 0 {
		return nil, nil //nolint:nilnil // nothing to make
	}
	var made []string
	err := tx.NewUpdate().With("o", tx.NewValues(&rows)).With("free", posts.LockFree(tx, ids)).Model((*posts.Post)(nil)).TableExpr("o, free").
		Set("state = 'published', rev = o.rev, told_rev = o.rev, updated_at = o.updated_at").
		Set("permalink = nullif(o.permalink, ''), parts = o.parts").
		Set("wake_at = o.wake_at, failures = 0, armed_at = NULL, lease = NULL, lease_until = NULL").
		Where("post.id = free.id AND post.id = o.id AND post.rev = o.rev - 1 AND post.state = 'concluding' AND post.fact = ?", events.FactPublished).
		Returning("post.id").Scan(ctx, &made)
	if err != nil {
		return nil, fmt.Errorf("apply %s: %w", events.FactPublished, err)
	}
	final := make(map[string]bool, len(made))
	for _, id := range made {
		final[id] = true
	}
	return final, nil
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

// revOf is how far a row has come, and how far it is told.
type progress struct {
	ID      string       `bun:"id"`
	Rev     int64        `bun:"rev"`
	ToldRev int64        `bun:"told_rev"`
	State   events.State `bun:"state"`
}

// unaware says that the row does not know of its post what a PostPublished says: that was told by one who could no longer
// write it, while others moved the row on.
func (r progress) misses() bool {
	return r.State != events.StatePublished && r.State != events.StateConcluding
}

// revs reads how far the posts of a batch have come. It locks nothing: who told an event applies it at the same moment,
// and what is written below is guarded by the row's rev.
func (r *Projector) revs(ctx context.Context, db bun.IDB, facts []Event) (map[string]progress, error) {
	var ids []string
	for _, f := range facts {
		if ev, ok := f.Message.(events.PostEvent); ok {
			ids = append(ids, ev.Snapshot().ID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	var rows []progress
	err := db.NewSelect().Table("posts").Column("id", "rev", "told_rev", "state").Where("id IN (?)", bun.List(ids)).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("read revs: %w", err)
	}
	m := make(map[string]progress, len(rows))
	for _, row := range rows {
		m[row.ID] = row
	}
	return m, nil
}

// markTold marks rows as told, in one statement, and ends the commands that wait for these facts.
func (r *Projector) markEmitted(ctx context.Context, tx bun.Tx, there []events.PostEvent) (waiting []commands.Command, err error) {
	if len(there) == 0 {
		return nil, nil
	}
	latest := map[string]events.PostEvent{}
	for _, ev := range there {
		latest[ev.Snapshot().ID] = ev // in the order of EVENTS: the last is the highest
	}
	type row struct {
		ID  string `bun:"id"`
		Rev int64  `bun:"rev"`
	}
	rows := make([]row, 0, len(latest))
	for id, ev := range latest {
		rows = append(rows, row{id, ev.Snapshot().Rev})
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.ID, b.ID) })
	// A row that somebody else holds is left as it is: all that comes after it would wait. The sweep finds it untold.
	_, err = tx.NewUpdate().With("t", tx.NewValues(&rows)).With("free", posts.LockFree(tx, slices.Collect(maps.Keys(latest)))).
		Model((*posts.Post)(nil)).TableExpr("t, free").Set("told_rev = t.rev").
		Where("post.id = free.id AND post.id = t.id AND post.rev = t.rev AND post.told_rev < t.rev").Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("mark as told: %w", err)
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

// noteTold marks rows whose fact is known to stand on EVENTS, as it is marked when the fact is read from there.
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

// apply writes one event. Applying it twice, or after a later one, changes nothing.
func (r *Projector) Apply(ctx context.Context, tx bun.Tx, ev events.Message) ([]commands.Command, error) {
	switch ev := ev.(type) {
	case events.AccountConnected:
		return nil, r.wakePosts(ctx, tx, ev.Account().ID, events.StateWaiting, events.StateUnconfirmed)
	case events.AccountResumed:
		return nil, r.WakePaused(ctx, tx, ev.Account().ID)
	case events.PublishedOnThreads: // perhaps the post whose outcome nobody knows yet: asking is cheap
		return nil, r.wakePosts(ctx, tx, ev.AccountID, events.StateUnconfirmed)
	case events.DeletedOnThreads:
		return nil, r.saveRemoteDeletion(ctx, tx, ev)
	case events.AccountErased:
		return nil, r.restoreTombstone(ctx, tx, ev)
	case events.AccountDisconnected:
		return nil, r.wakePosts(ctx, tx, ev.Account().ID, events.StateScheduled, events.StateReady, events.StateWaiting)
	case events.PostEvent:
		p := posts.FromSnapshot(ev.Snapshot())
		p.Fact, p.ToldRev = ev.Fact(), p.Rev
		if err := r.applyPost(ctx, tx, &p); err != nil {
			return nil, err
		}
		return r.finishCommands(ctx, tx, ev)
	}
	return nil, nil
}

// applyPost brings the row to what the event says, if the row is behind; a row that is missing (an empty table, a
// restored one) is written anew. A row that is already there is only marked as told. The working columns of a row that is
// behind belong to another revision, so they begin anew.
func (r *Projector) applyPost(ctx context.Context, tx bun.Tx, p *posts.Post) error {
	res, err := tx.NewUpdate().Model((*posts.Post)(nil)).
		Set("told_rev = ?", p.Rev).
		Where("id = ? AND rev = ? AND told_rev < ?", p.ID, p.Rev, p.Rev).Exec(ctx)
	if err != nil {
		return fmt.Errorf("mark told: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	p.WakeAfterReplay(r.cfg.Timing, r.Now())
	p.Canonicalize()
	res, err = tx.NewInsert().Model(p).
		Value("call_deadline", "CASE WHEN ? THEN clock_timestamp() END", p.Doubt). // whenever its call was made, it has ended by then
		On("CONFLICT (id) DO UPDATE").
		Set(posts.Excluded(slices.Concat(posts.ContentColumns, posts.OutcomeColumns, posts.ProgressColumns, posts.TurnColumns))).
		Set(posts.ExcludedUnlessConcluding(posts.TriedColumns)).
		// Only a higher rev: a late or doubled event changes nothing.
		Where("post.rev < EXCLUDED.rev").Exec(ctx)
	if err != nil {
		return fmt.Errorf("apply %s: %w", p.Fact, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return posts.FreeQuotaOfEnded(ctx, tx, p)
}

// finish ends the commands that wait for this fact.
func (r *Projector) finishCommands(ctx context.Context, tx bun.Tx, ev events.PostEvent) ([]commands.Command, error) {
	p := ev.Snapshot()
	publishing, deleting := []string{events.PublishPost{}.Type()}, []string{events.DeletePost{}.Type()}
	switch ev.Fact() {
	case events.FactPublished:
		return commands.FinishForPost(ctx, tx, p.ID, publishing, nil, p, r.Now())
	case events.FactFailed:
		return commands.FinishForPost(ctx, tx, p.ID, publishing, p.Reason, nil, r.Now())
	case events.FactCancelled:
		return commands.FinishForPost(ctx, tx, p.ID, publishing, events.Faultf(events.Conflict, "This post was cancelled before it went out."), nil, r.Now())
	case events.FactDeleted:
		return commands.FinishForPost(ctx, tx, p.ID, deleting, nil, p, r.Now())
	case events.FactDeleteFailed:
		return commands.FinishForPost(ctx, tx, p.ID, deleting, p.Reason, nil, r.Now())
	}
	return nil, nil
}

// wake has the posts of an account looked at now: those that waited for its reconnect go on, those of one that was taken
// away are cancelled. The sweep does the waking, at once: to it they are overdue.
func (r *Projector) wakePosts(ctx context.Context, tx bun.Tx, accountID string, states ...events.State) error {
	_, err := tx.NewUpdate().Model((*posts.Post)(nil)).Set("wake_at = ?", r.Now().Add(-2*r.cfg.SweepGrace)).Set("armed_at = NULL").
		Where("account_id = ? AND state IN (?)", accountID, bun.List(states)).
		Where("wake_at > ?", r.Now()).Exec(ctx)
	if err != nil {
		return fmt.Errorf("wake the posts of account %s: %w", accountID, err)
	}
	return nil
}
