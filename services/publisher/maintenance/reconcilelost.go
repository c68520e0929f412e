package maintenance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher/projector"
)

// bringBack is what sets rows right that are not what EVENTS says.
const bringBack = "`rebuild` shows all such rows; `rebuild --swap`, with all publishers stopped, makes them what EVENTS says."

// lostRow is a post that EVENTS knows and Postgres does not.
type lostRow struct {
	post posts.Post // as its last event has it
	fact events.PostFact
	at   time.Time
	seq  uint64
}

// lostRows are the posts of an account that have events and no row. An erased post has neither.
func (r *reconciliation) lostRows(ctx context.Context, accountID string) ([]lostRow, error) {
	if known, ok := r.lost[accountID]; ok {
		return known, nil
	}
	lost, err := r.withoutRow(ctx, events.PostFacts(accountID, "*", "*"))
	if err == nil {
		r.lost[accountID] = lost
	}
	return lost, err
}

// withoutRow are the posts that events on a subject are about, and that have no row.
func (r *reconciliation) withoutRow(ctx context.Context, subject string) (lost []lostRow, err error) {
	extent, err := r.Bus.Holds(ctx)
	if err != nil {
		return nil, err
	}
	last := map[string]lostRow{}
	err = r.Bus.Facts(ctx, extent.Last, []string{subject}, func(f bus.StoredEvent) error {
		msg, err := events.Decode(f.Meta.Type, f.Body)
		if err != nil {
			return nil //nolint:nilerr // a newer version's; `doctor` tells of facts that cannot be read
		}
		if ev, ok := msg.(events.PostEvent); ok && ev.Snapshot().Rev >= last[ev.Snapshot().ID].post.Rev {
			last[ev.Snapshot().ID] = lostRow{post: posts.FromSnapshot(ev.Snapshot()), fact: ev.Fact(), at: f.Meta.Time, seq: f.Sequence}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	there, err := posts.Existing(ctx, r.DB, slices.Sorted(maps.Keys(last)))
	if err != nil {
		return nil, err
	}
	for id, l := range last {
		if !there[id] && r.Now().Sub(l.at) > settled {
			lost = append(lost, l)
		}
	}
	slices.SortFunc(lost, func(a, b lostRow) int { return cmp.Compare(a.seq, b.seq) })
	return lost, nil
}

// sayLost notes posts without a row.
func (r *reconciliation) sayLost(ctx context.Context, lost []lostRow) error {
	if len(lost) == 0 {
		return nil
	}
	position, err := projector.New(projector.Config{}, projector.Deps{DB: r.DB}).Position(ctx, r.DB)
	if err != nil {
		return err
	}
	for _, l := range lost {
		d := r.of(&l.post, "row", "EVENTS has rev %d of it (%s), and there is no row: it was lost. ", l.post.Rev, l.fact)
		if position < l.seq {
			d.Says += fmt.Sprintf("The projector has come to %d of %d: is a publisher running?", position, l.seq)
		} else {
			d.Says += bringBack
		}
		r.found(ctx, d, nil)
	}
	return nil
}

// lostPost looks for a post by our id among those that have no row.
func (r *reconciliation) lostPost(ctx context.Context, id string) error {
	lost, err := r.withoutRow(ctx, events.PostFacts("*", id, "*"))
	if err != nil {
		return err
	}
	if len(lost) == 0 {
		return errors.New("there is no account and no post " + id + ", and EVENTS knows none")
	}
	r.out.Posts = len(lost)
	return r.sayLost(ctx, lost)
}
