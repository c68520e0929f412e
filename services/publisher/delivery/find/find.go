// Package find looks for a post among those that Threads lists of its account: after a lost answer, only the lists can tell
// whether the post is live. What is the post and what could be it is decided in match.go, without I/O.
package find

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

// ErrMissingScope says that the list which would have the post needs a scope that the account did not grant.
var ErrMissingScope = errors.New("the list that would have this post cannot be read")

// Finder looks for posts in the lists of their accounts.
type Finder struct {
	api      *threads.Client
	db       *bun.DB
	store    *posts.Store
	readings *readings
}

// New makes a Finder.
func New(api *threads.Client, db *bun.DB, store *posts.Store) *Finder {
	return &Finder{api: api, db: db, store: store, readings: newReadings()}
}

// Published searches the account's own posts for one that a lost answer could belong to and that is not yet the post of another
// row. What finds the post may be strict; what permits a second call must not be.
func (f *Finder) Published(ctx context.Context, p *posts.Post, account accounts.Account, token threads.Token) (Candidates, error) {
	listed, err := f.listed(ctx, p, account, token)
	if err != nil {
		return Candidates{}, err
	}
	crash.At(crash.ConfirmLooked)
	seen := match(p, listed)
	if len(seen.Matching)+len(seen.Similar) == 0 {
		return seen, nil
	}
	known, err := f.store.ClaimedMediaIDs(ctx, f.db, p.AccountID, seen.ids())
	if err != nil {
		return Candidates{}, err
	}
	if seen = seen.without(known); len(seen.Similar) == 0 {
		return seen, nil
	}
	others, err := f.store.OthersInDoubt(ctx, p)
	if err != nil {
		return Candidates{}, err
	}
	return seen.withoutPostsOf(others), nil
}

// listed reads the lists of the account that would have the post, newest first, back to its claim: replies are listed apart
// from posts, and ghost posts apart from both, though perhaps among the posts as well (threads-api §5.6).
func (f *Finder) listed(ctx context.Context, p *posts.Post, account accounts.Account, token threads.Token) (all []threads.Media, err error) {
	lists := []string{threads.OpPosts}
	switch {
	case p.IsReply():
		if !account.HasScope(threads.ScopeReadReplies) {
			return nil, ErrMissingScope
		}
		lists[0] = threads.OpReplies
	case p.Options.Ghost:
		lists = append(lists, threads.OpGhostPosts)
	}
	for _, name := range lists {
		list, err := f.list(ctx, p, token, name, posts.DoubtedSince(p).Add(-lookFar))
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// list is one list of the account's own, from a time on. Posts of which no call is known share a reading: after an
// outage an account costs one, not one for each of its posts.
func (f *Finder) list(ctx context.Context, p *posts.Post, token threads.Token, name string, since time.Time) ([]threads.Media, error) {
	read := func(ctx context.Context, since time.Time) ([]threads.Media, error) {
		list := f.api.Posts
		switch name {
		case threads.OpReplies:
			list = f.api.Replies
		case threads.OpGhostPosts:
			list = f.api.GhostPosts
		}
		return threads.ReadAll(ctx, list, token, threads.ListQuery{Since: since}) // not read to its end: not proven absent
	}
	if p.Presumed() {
		return f.readings.get(ctx, p.AccountID, name, since, read)
	}
	return read(ctx, since)
}
