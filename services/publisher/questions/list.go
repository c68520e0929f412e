package questions

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/posts"
)

const (
	// maxList is the most posts of one page.
	maxList = 1000
	// maxSearch is the longest search, in characters.
	maxSearch = 200
)

// ListPosts answers with a page of the user's posts, the earliest first unless the newest are asked for.
func (s *Service) ListPosts(ctx context.Context, q asks.ListPosts) (asks.PostList, error) {
	if q.Limit == 0 {
		q.Limit = maxList
	}
	if fault := fieldErrors(q); fault != nil {
		return asks.PostList{}, fault
	}
	if strings.ContainsRune(q.AccountID, 0) { // no id has one, and no statement can
		return asks.PostList{Posts: []events.Post{}}, nil
	}
	var after *posts.Position
	if q.After != "" {
		if after = posts.ReadCursor(q.After); after == nil {
			const words = "This cursor is not one of ours; take it from the page before."
			return asks.PostList{}, events.Faultf(events.Invalid, words).At("/after", "cursor_invalid", words)
		}
	}
	found, next, err := s.posts.Page(ctx, q, after, s.sight())
	if err != nil {
		return asks.PostList{}, err
	}
	list := asks.PostList{Posts: found}
	if found == nil {
		list.Posts = []events.Post{}
	}
	if next != nil {
		list.Next = next.Cursor()
	}
	if q.Counts {
		if list.Counts, err = s.posts.Counts(ctx, q); err != nil {
			return asks.PostList{}, err
		}
	}
	return list, nil
}

// fieldErrors names everything that a list cannot be asked for.
func fieldErrors(q asks.ListPosts) *events.Fault {
	f := events.Faultf(events.Invalid, "This list cannot be made; see errors for each field.")
	wrong := func(pointer, code, words string) { f.Message = words; f.At(pointer, code, words) }
	if q.Limit < 1 || q.Limit > maxList {
		wrong("/limit", "out_of_range", fmt.Sprintf("A page has 1 to %d posts; choose a limit in that range.", maxList))
	}
	for _, status := range posts.StatusesOf(q) {
		if _, known := posts.StatusConditions[status]; !known {
			wrong("/status", "status_unknown", "A status is QUEUED, POSTED, FAILED, CANCELLED or DELETED; choose one of them.")
		}
	}
	for _, state := range q.States {
		if !slices.Contains(posts.HeldStates, state) {
			wrong("/state", "state_unknown", "A state to look for is waiting, unconfirmed or parked.")
		}
	}
	for _, kind := range q.Kinds {
		if !slices.Contains([]events.Kind{events.KindPost, events.KindRepost, events.KindImported}, kind) {
			wrong("/kind", "kind_unknown", "A kind is post, repost or imported; choose one of them.")
		}
	}
	if q.From != nil && q.To != nil && q.To.Before(*q.From) {
		wrong("/to", "before_from", "The time in to lies before the one in from; exchange them.")
	}
	if len([]rune(q.Search)) > maxSearch || strings.ContainsRune(q.Search, 0) {
		wrong("/search", "too_long", fmt.Sprintf("A search has up to %d characters; shorten it.", maxSearch))
	}
	if len(f.Details) == 0 {
		return nil
	}
	return f
}
