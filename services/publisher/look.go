package publisher

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/threads"
)

const (
	// lookBack is how long before its time a post may be dated and still be ours: clocks differ.
	lookBack = time.Minute
	// lookPages bounds one look; 50 pages of 100 are more than any quota of two days.
	lookPages = 50
)

// look searches the account's own posts for one that a lost answer could belong to: same words, same kind, since its
// time, and not yet the post of another row. One candidate is it; none and several are the caller's problem.
func (s *Service) look(ctx context.Context, p *Post, a access) ([]threads.Media, events.Attempt, error) {
	began := s.now()
	match, err := s.scan(ctx, p, a)
	if err != nil {
		return nil, s.tried("look", began, err), err
	}
	ids := make([]string, len(match))
	for i, m := range match {
		ids[i] = m.ID
	}
	known, err := s.store.knownToAll(ctx, s.db, p.AccountID, ids)
	tried := s.tried("look", began, err)
	match = slices.DeleteFunc(match, func(m threads.Media) bool { return known[m.ID] })
	switch len(match) {
	case 0:
		tried.Message = "The account's list does not have this post."
	case 1:
		tried.Message = "The account's list has this post."
	default:
		tried.Message = "The account's list has several posts that could be this one."
	}
	return match, tried, err
}

// errBlind says that the list which would have the post needs a scope that the account did not grant.
var errBlind = errors.New("the list that would have this post cannot be read")

// errEndless says that a list went on for longer than any honest one.
var errEndless = errors.New("the list of posts does not end")

// scan reads the lists of the account that would have the post, newest first, back to its time: replies are listed apart
// from posts, and ghost posts apart from both, though perhaps among the posts as well (threads-api §5.6).
func (s *Service) scan(ctx context.Context, p *Post, a access) ([]threads.Media, error) {
	lists := []func(context.Context, threads.Token, threads.ListQuery) (threads.Page, error){s.api.Posts}
	switch {
	case p.replies():
		if !a.account.HasScope(scopeReadReplies) {
			return nil, errBlind
		}
		lists[0] = s.api.Replies
	case p.Options.Ghost:
		lists = append(lists, s.api.GhostPosts)
	}
	since := p.PublishAt.Add(-lookBack) // nothing of ours leaves before its time, whichever attempt it was
	var match []threads.Media
	for _, list := range lists {
		q := threads.ListQuery{Since: since, Limit: 100}
		for pages := 0; ; pages++ {
			if pages == lookPages {
				return nil, errEndless // not looked to the end, so not proven absent
			}
			page, err := list(ctx, a.token, q)
			if err != nil {
				return nil, err
			}
			for _, m := range page.Data {
				listed := slices.ContainsFunc(match, func(other threads.Media) bool { return other.ID == m.ID })
				old := !m.Timestamp.IsZero() && m.Timestamp.Before(since.Truncate(time.Second))
				if !listed && !old && sameAs(p, m) {
					match = append(match, m)
				}
			}
			if page.After == "" {
				break
			}
			q.After = page.After
		}
	}
	crash.At(crash.ConfirmLooked)
	return match, nil
}

// sameAs says whether a listed post could be the part in hand. A repost is known by what it reposts, a carousel for
// sure by its children where Threads lists the very container ids (threads-api §4.10). Everything else by its words, kind
// and place.
func sameAs(p *Post, m threads.Media) bool {
	if p.Kind == events.KindRepost {
		return m.RepostedID != "" && m.RepostedID == p.ParentID
	}
	if m.RepostedID != "" || m.IsReply != p.replies() || m.ReplyToID != p.parent() || p.turn() == 0 && m.QuotedID != p.QuotedID {
		return false
	}
	text, media := p.content()
	switch {
	case len(media) > 1:
		if m.MediaType != "CAROUSEL_ALBUM" {
			return false
		}
		if len(m.ChildIDs) > 0 && slices.Equal(m.ChildIDs, p.Children) {
			return true
		}
		// Others have seen the children under ids of their own; then their number, the words and the place must do.
		if len(m.ChildIDs) > 0 && len(m.ChildIDs) != len(media) {
			return false
		}
	case len(media) == 1 && media[0].Type == events.Video:
		if m.MediaType != "VIDEO" {
			return false
		}
	case len(media) == 1:
		if m.MediaType != "IMAGE" {
			return false
		}
	case m.MediaType != "TEXT_POST":
		return false
	}
	return asShown(text) == asShown(m.Text)
}

// asShown is a text as Threads may give it back: without white space around it, and without the hash of its topic
// tag (threads-api §4.4).
func asShown(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "#", "")
}
