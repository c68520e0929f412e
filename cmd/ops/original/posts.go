package original

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/commands"
)

// here is a post that we have already.
type here struct {
	bun.BaseModel `bun:"table:posts"`

	ID        string          `bun:"id"`
	AccountID string          `bun:"account_id"`
	State     events.State    `bun:"state"`
	Rev       int64           `bun:"rev"`
	Fact      events.PostFact `bun:"fact"`
	Text      string          `bun:"text"`
	PublishAt time.Time       `bun:"publish_at"`
	MediaID   string          `bun:"media_id,nullzero"`
}

// untouched says that the row is as we wrote it from the original's history, or parked.
func (h here) untouched() bool {
	return h.Fact == events.FactImported || h.Fact == events.FactParked && h.Rev == 1
}

// step is what is to be done for a post: a command, or an event, or both, or nothing. row is what became of it when all went
// well.
type step struct {
	row     Row
	post    post
	command events.Command
	id      string // the command's
	event   events.Event
	// after makes the event once the command is done, from the post as it is then.
	after func(events.Post) events.Event
}

// takePosts takes a page of posts over.
func (i *Import) takePosts(ctx context.Context, page []post) error {
	ours, err := i.here(ctx, page)
	if err != nil {
		return err
	}
	users := make([]string, len(page))
	for n, p := range page {
		users[n] = p.UserID
	}
	if i.erased, err = accounts.ErasedUsers(ctx, i.DB, users); err != nil {
		return err
	}
	known, err := i.accountsOf(ctx, page)
	if err != nil {
		return err
	}
	if err := i.mediaHere(ctx, page); err != nil {
		return err
	}
	steps := make([]step, 0, len(page))
	for _, p := range page {
		steps = append(steps, i.decide(p, ours, known))
	}
	if !i.DryRun {
		if err := i.command(ctx, steps); err != nil {
			return err
		}
		var emit []events.Event
		for _, s := range steps {
			if s.event != nil {
				emit = append(emit, s.event)
			}
		}
		if len(emit) > 0 {
			if err := i.Bus.Emit(ctx, emit...); err != nil {
				return fmt.Errorf("emit what was imported: %w", err)
			}
			i.emitted = true
		}
	}
	for _, s := range steps {
		i.count(s.row)
	}
	if i.Progress != nil {
		i.Progress(i.report.done, i.report.Total)
	}
	return nil
}

// here reads the posts of a page that we have already.
func (i *Import) here(ctx context.Context, page []post) (map[string]here, error) {
	ids := make([]string, len(page))
	for n, p := range page {
		ids[n] = p.ourID()
	}
	var rows []here
	if err := i.DB.NewSelect().Model(&rows).Where("id IN (?)", bun.List(ids)).Scan(ctx); err != nil {
		return nil, fmt.Errorf("read what is here already: %w", err)
	}
	m := make(map[string]here, len(rows))
	for _, h := range rows {
		m[h.ID] = h
	}
	return m, nil
}

// mediaHere notes which posts at Threads are posts of ours: one there is one here.
func (i *Import) mediaHere(ctx context.Context, page []post) error {
	var ids []string
	for _, p := range page {
		if p.PostedTweetID != "" {
			ids = append(ids, p.PostedTweetID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var rows []here
	err := i.DB.NewSelect().Model(&rows).Column("id", "account_id", "media_id").
		Where("media_id IN (?) AND kind <> ?", bun.List(ids), events.KindImported).Scan(ctx)
	if err != nil {
		return fmt.Errorf("read which posts at Threads are here: %w", err)
	}
	for _, h := range rows {
		i.media[h.AccountID+" "+h.MediaID] = h.ID
	}
	return nil
}

// accountsOf are the accounts of a page's users. Whoever had none in the original may have connected here since.
func (i *Import) accountsOf(ctx context.Context, page []post) (map[string]accounts.Account, error) {
	var without, ids []string
	for _, p := range page {
		if p.UserID != "" && len(i.accounts[p.UserID]) == 0 {
			without = append(without, p.UserID)
		}
	}
	if len(without) > 0 {
		byUser, err := accounts.ForUsers(ctx, i.DB, without)
		if err != nil {
			return nil, err
		}
		for user, list := range byUser {
			for _, a := range list {
				i.accounts[user] = append(i.accounts[user], a.ID)
			}
		}
	}
	for _, p := range page {
		ids = append(ids, i.accounts[p.UserID]...)
	}
	if len(ids) == 0 {
		return map[string]accounts.Account{}, nil
	}
	return accounts.GetAll(ctx, i.DB, ids)
}

func (p post) ourID() string { return events.OriginalPostID(p.UserID, p.ID) }

// command sends the commands of a page and waits for what becomes of them.
func (i *Import) command(ctx context.Context, steps []step) error {
	waiting := map[string]*step{}
	var ids []string
	for n := range steps {
		if steps[n].command != nil {
			waiting[steps[n].id] = &steps[n]
			ids = append(ids, steps[n].id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := i.hear(ctx, waiting); err != nil { // a run before this one may have sent them
		return err
	}
	g, sending := errgroup.WithContext(ctx)
	g.SetLimit(256)
	for id, s := range waiting {
		g.Go(func() error {
			if err := i.Bus.Send(sending, s.command, bus.CommandOptions{ID: id}); err != nil {
				return fmt.Errorf("schedule post %s: %w", s.post.ID, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	for left := len(waiting); left > 0; {
		if err := i.hear(ctx, waiting); err != nil {
			return err
		}
		if len(waiting) < left {
			left, deadline = len(waiting), time.Now().Add(patience)
			continue
		}
		if time.Now().After(deadline) {
			return errAway
		}
		if !clock.Sleep(ctx, 20*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// hear takes those out of waiting whose command is noted, and says what became of them.
func (i *Import) hear(ctx context.Context, waiting map[string]*step) error {
	ids := make([]string, 0, len(waiting))
	for id := range waiting {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil
	}
	var stored []commands.Command
	if err := i.DB.NewSelect().Model(&stored).Where("id IN (?)", bun.List(ids)).Scan(ctx); err != nil {
		return fmt.Errorf("read what became of the commands: %w", err)
	}
	for _, c := range stored {
		s := waiting[c.ID]
		o, done := c.Done()
		if !done && c.Type != (events.PublishPost{}).Type() { // that one ends when Threads has answered; it is accepted
			continue
		}
		delete(waiting, c.ID)
		switch {
		case o.Fault != nil:
			s.row.Action, s.row.Code, s.row.Reason = Skipped, string(o.Fault.Code), o.Fault.Message
			if len(o.Fault.Details) > 0 {
				s.row.Code = o.Fault.Details[0].Code
			}
		case s.after != nil:
			var now events.Post
			if err := json.Unmarshal(o.Result, &now); err != nil {
				return fmt.Errorf("read the outcome of post %s: %w", s.post.ID, err)
			}
			s.event = s.after(now)
		}
	}
	return nil
}

// settle waits until what was emitted is in the tables.
func (i *Import) settle(ctx context.Context) error {
	if !i.emitted {
		return nil
	}
	stream, err := i.Bus.JetStream().Stream(ctx, events.StreamEvents)
	if err != nil {
		return fmt.Errorf("find EVENTS: %w", err)
	}
	end, was := stream.CachedInfo().State.LastSeq, uint64(0)
	for deadline := time.Now().Add(patience); ; {
		var seq uint64
		err := i.DB.NewRaw("SELECT coalesce(max(seq), 0) FROM recorder_positions WHERE name = ?", events.PublisherProjector).
			Scan(ctx, &seq)
		switch {
		case err != nil:
			return fmt.Errorf("read how far EVENTS is recorded: %w", err)
		case seq >= end:
			return nil
		case seq > was:
			was, deadline = seq, time.Now().Add(patience)
		case time.Now().After(deadline):
			return errAway
		}
		if !clock.Sleep(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// patience is how long the publisher may take to get one step further.
const patience = time.Minute
