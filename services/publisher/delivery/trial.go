package delivery

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/breaker"
	"github.com/omni-write/threads/services/publisher/draft"
)

// trialsAtOnce is how many containers of one chain are tried side by side, each in a place of its own.
const trialsAtOnce = 4

// tryParts has containers made for the parts that follow the first of a chain, before that goes out: what Threads refuses
// of them is known before anything is live. They are made without a parent, which does not exist yet, so none of them is
// ever published; their ids are not kept, and they expire. A container that is not published has no effect. Parts that our
// own rules can judge are not tried.
func (r *preparer) tryParts(ctx context.Context, old *posts.Post, a access) (end, error) {
	if !old.IsChain() || old.CurrentPart() > 0 {
		return goesOn, nil
	}
	type trial struct {
		part      int
		container threads.Container
	}
	var trials []trial
	for i, part := range old.Parts[1:] {
		for _, c := range draft.Trials(part) {
			trials = append(trials, trial{i + 1, c})
		}
	}
	hands := 1 // the post has one place
	for ; hands < min(trialsAtOnce, len(trials)); hands++ {
		release, _ := r.creations.Hold(old.UserID, whoseCreations(old), r.now)
		if release == nil {
			break
		}
		defer release()
	}
	began, errs := r.now(), make([]error, len(trials))
	g := new(errgroup.Group)
	g.SetLimit(hands)
	for i, t := range trials {
		g.Go(func() error {
			asked := ctx
			if t.container.ImageURL != "" || t.container.VideoURL != "" {
				asked = breaker.Fetching(ctx, old.AccountID)
			}
			r.pacer.Spend(old.AccountID, r.now())
			_, errs[i] = r.api.CreateContainer(asked, a.token, t.container)
			return nil
		})
	}
	_ = g.Wait() // each has its own outcome
	for i, err := range errs {
		if err == nil {
			continue
		}
		tried := attempted("create", began, r.now(), err)
		if e := apiError(err); e != nil && e.Class == threads.Invalid {
			return r.concluder.fail(ctx, old, ofPart(old, trials[i].part, &events.Fault{Code: events.Refused, Message: e.Sentence}), tried)
		}
		return r.refusedAhead(ctx, old, a, err, tried)
	}
	return goesOn, nil
}

// ofPart says of which part of a chain a fault is.
func ofPart(p *posts.Post, part int, reason *events.Fault) *events.Fault {
	if !p.IsChain() || len(reason.Details) > 0 {
		return reason
	}
	said := *reason
	words := fmt.Sprintf("This is about part %d of %d.", part+1, len(p.Parts))
	return said.At(fmt.Sprintf("/parts/%d", part), "of_this_part", words)
}
