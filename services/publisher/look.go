package publisher

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/omni-write/threads/events"
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
	known, err := s.store.known(ctx, p.AccountID, ids)
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

// scan reads the account's posts, newest first, back to the post's time.
func (s *Service) scan(ctx context.Context, p *Post, a access) ([]threads.Media, error) {
	since := p.PublishAt.Add(-lookBack) // nothing of ours leaves before its time, whichever attempt it was
	q := threads.ListQuery{Since: since, Limit: 100}
	var match []threads.Media
	for range lookPages {
		page, err := s.api.Posts(ctx, a.token, q)
		if err != nil {
			return nil, err
		}
		for _, m := range page.Data {
			if !m.Timestamp.Before(since.Truncate(time.Second)) && sameAs(p, m) {
				match = append(match, m)
			}
		}
		if page.After == "" || len(page.Data) == 0 {
			break
		}
		q.After = page.After
	}
	return match, nil
}

// sameAs says whether a listed post could be ours. A carousel is known by its children: Threads lists the very
// container ids (threads-api §4.10). Everything else by its words and kind.
func sameAs(p *Post, m threads.Media) bool {
	if m.IsReply || m.RepostedID != "" || m.QuotedID != "" {
		return false
	}
	switch {
	case len(p.Media) > 1:
		if m.MediaType != "CAROUSEL_ALBUM" {
			return false
		}
		if len(m.ChildIDs) > 0 && len(p.Children) > 0 {
			return slices.Equal(m.ChildIDs, p.Children)
		}
	case len(p.Media) == 1 && p.Media[0].Type == events.Video:
		if m.MediaType != "VIDEO" {
			return false
		}
	case len(p.Media) == 1:
		if m.MediaType != "IMAGE" {
			return false
		}
	case m.MediaType != "TEXT_POST":
		return false
	}
	return asShown(p.Text) == asShown(m.Text)
}

// asShown is a text as Threads may give it back: without white space around it, and without the hash of its topic
// tag (threads-api §4.4).
func asShown(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "#", "")
}
