package delivery

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

const (
	// lookFar is how long before the claim a post that says the same is still no proof of absence.
	lookFar = 15 * time.Minute
	// lookJust is the same for one that says something else: what was posted by hand before the claim is not ours.
	lookJust = time.Second
	// lookPages bounds one look; 50 pages of 100 are more than any quota of two days.
	lookPages = 50
)

// candidates is what the lists of an account have that no row knows.
type candidates struct {
	matching []threads.Media // by its words, kind, place and time it is the post
	similar  []threads.Media // by its kind, place and time it could be: Threads may show other words than it was given
}

// finder looks for posts in the lists of their accounts.
type finder struct {
	api      *threads.Client
	db       *bun.DB
	store    *posts.Store
	readings *readings
	now      func() time.Time
}

// findPublished searches the account's own posts for one that a lost answer could belong to and that is not yet the post of another
// row. What finds the post may be strict; what permits a second call must not be.
func (f *finder) findPublished(ctx context.Context, p *posts.Post, a access) (seen candidates, tried asks.Attempt, err error) {
	began := f.now()
	if seen, err = f.listCandidates(ctx, p, a); err == nil {
		seen, err = f.withoutKnown(ctx, p, seen)
	}
	tried = attempted("look", began, f.now(), err)
	switch {
	case err != nil:
		return candidates{}, tried, err
	case len(seen.matching) == 1:
		tried.Message = "The account's list has this post."
	case len(seen.matching) > 1:
		tried.Message = "The account's list has several posts that could be this one."
	case len(seen.similar) > 0:
		tried.Message = "The account's list has a post that no row knows and that could be this one."
	default:
		tried.Message = "The account's list does not have this post."
	}
	return seen, tried, nil
}

// withoutKnown leaves out what is the post of another row, be it known to be or looked for as well.
func (f *finder) withoutKnown(ctx context.Context, p *posts.Post, seen candidates) (candidates, error) {
	var ids []string
	for _, m := range append(slices.Clone(seen.matching), seen.similar...) {
		ids = append(ids, m.ID)
	}
	if len(ids) == 0 {
		return seen, nil
	}
	known, err := f.store.ClaimedMediaIDs(ctx, f.db, p.AccountID, ids)
	if err != nil {
		return candidates{}, err
	}
	taken := func(m threads.Media) bool { return known[m.ID] }
	seen.matching, seen.similar = slices.DeleteFunc(seen.matching, taken), slices.DeleteFunc(seen.similar, taken)
	if len(seen.similar) == 0 {
		return seen, nil
	}
	others, err := f.store.OthersInDoubt(ctx, p)
	if err != nil {
		return candidates{}, err
	}
	seen.similar = slices.DeleteFunc(seen.similar, func(m threads.Media) bool {
		return slices.ContainsFunc(others, func(other posts.Post) bool { return posts.Matches(&other, m) })
	})
	return seen, nil
}

// errMissingScope says that the list which would have the post needs a scope that the account did not grant.
var errMissingScope = errors.New("the list that would have this post cannot be read")

// errEndless says that a list went on for longer than any honest one.
var errEndless = errors.New("the list of posts does not end")

// listCandidates reads the lists of the account that would have the post, newest first, back to its claim: replies are listed apart
// from posts, and ghost posts apart from both, though perhaps among the posts as well (threads-api §5.6).
func (f *finder) listCandidates(ctx context.Context, p *posts.Post, a access) (candidates, error) {
	lists := []string{threads.OpPosts}
	switch {
	case p.IsReply():
		if !a.account.HasScope(threads.ScopeReadReplies) {
			return candidates{}, errMissingScope
		}
		lists[0] = threads.OpReplies
	case p.Options.Ghost:
		lists = append(lists, threads.OpGhostPosts)
	}
	since := posts.DoubtedSince(p)
	var seen candidates
	known := map[string]bool{}
	for _, name := range lists {
		listed, err := f.ownList(ctx, p, a, name, since.Add(-lookFar))
		if err != nil {
			return candidates{}, err
		}
		for _, m := range listed {
			dated := func(back time.Duration) bool {
				return m.Timestamp.IsZero() || !m.Timestamp.Before(since.Add(-back).Truncate(time.Second))
			}
			switch same := posts.Matches(p, m); {
			case known[m.ID]:
			case same && dated(posts.LookBack):
				seen.matching = append(seen.matching, m)
			case same, dated(lookJust) && posts.CouldBe(p, m):
				seen.similar = append(seen.similar, m)
			}
			known[m.ID] = true
		}
	}
	crash.At(crash.ConfirmLooked)
	return seen, nil
}

// ownList is one list of the account's own, from a time on. Posts of which no call is known share a reading: after an
// outage an account costs one, not one for each of its posts.
func (f *finder) ownList(ctx context.Context, p *posts.Post, a access, name string, since time.Time) ([]threads.Media, error) {
	if p.Presumed() {
		return f.readings.get(ctx, p.AccountID, name, since, func(ctx context.Context, since time.Time) ([]threads.Media, error) {
			return f.readList(ctx, a, name, since)
		})
	}
	return f.readList(ctx, a, name, since)
}

func (f *finder) readList(ctx context.Context, a access, name string, since time.Time) (all []threads.Media, err error) {
	list := f.api.Posts
	switch name {
	case threads.OpReplies:
		list = f.api.Replies
	case threads.OpGhostPosts:
		list = f.api.GhostPosts
	}
	if since.Before(threads.EarliestList) {
		since = threads.EarliestList
	}
	q := threads.ListQuery{Since: since, Limit: 100}
	for range lookPages {
		page, err := list(ctx, a.token, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Data...)
		if page.After == "" {
			return all, nil
		}
		q.After = page.After
	}
	return nil, errEndless // not looked to the end, so not proven absent
}
