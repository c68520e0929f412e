package engagement

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/wire"
	"github.com/omni-write/threads/services/publisher/draft"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// maxCursor is more than any cursor of Threads has; theirs are passed on as they are.
const maxCursor = 1000

// pageQuery checks what narrows a list of Threads.
func (s *Service) pageQuery(limit int, after string, since, until time.Time) (threads.ListQuery, error) {
	f := events.Faultf(events.Invalid, "This list cannot be asked for so; see errors for each field.")
	if limit < 0 || limit > threads.MaxPage {
		f.At("/limit", "out_of_range", fmt.Sprintf("A page has 1 to %d items; choose a limit in that range.", threads.MaxPage))
	}
	if len(after) > maxCursor || strings.ContainsFunc(after, func(r rune) bool { return r <= ' ' || r > '~' }) {
		f.At("/after", "cursor_invalid", "This cursor is not one of Threads'; take it from the page before.")
	}
	if !since.IsZero() && since.Before(threads.EarliestList) {
		f.At("/since", "too_early", "Threads began on 5 July 2023; choose a later time.")
	}
	if until.After(s.now()) {
		f.At("/until", "time_in_future", "The time in until lies in the future; leave it out for now.")
	}
	if !since.IsZero() && !since.Before(timeOr(until, s.now())) {
		f.At("/since", "span_empty", "The time in since does not lie before the one in until; choose an earlier one.")
	}
	if fault := draft.FieldErrors(f); fault != nil {
		return threads.ListQuery{}, fault
	}
	return threads.ListQuery{Since: since, Until: until, After: after, Limit: limit}, nil
}

// fetchPage is a page of a list of Threads as we answer it. list reads it as q says. A cursor that Threads refuses is the caller's
// mistake. A page that does not fit into a message is read again, with as many posts as fit: only Threads has its cursors.
func (s *Service) fetchPage(ctx context.Context, account accounts.Account, scope string, q *threads.ListQuery,
	list func(context.Context, ownercalls.Access) (threads.Page, error)) (asks.ThreadsPage, error) {
	for range rereads {
		page, err := s.fetchPageOnce(ctx, account, scope, q, list)
		if err != nil {
			return asks.ThreadsPage{}, err
		}
		fit, _, err := wire.Fit(page.Items, wire.PageBytes)
		if err != nil || fit == len(page.Items) {
			return page, err
		}
		q.Limit = fit
	}
	const words = "These posts are larger than can be sent at once; ask for fewer."
	return asks.ThreadsPage{}, events.Faultf(events.Invalid, words).At("/limit", "answer_too_large", words)
}

// rereads bounds how often a page is read that is too large.
const rereads = 3

func (s *Service) fetchPageOnce(ctx context.Context, account accounts.Account, scope string, q *threads.ListQuery,
	list func(context.Context, ownercalls.Access) (threads.Page, error)) (asks.ThreadsPage, error) {
	page, err := ownercalls.Do(ctx, s.calls, account, scope, func(ctx context.Context, a ownercalls.Access) (threads.Page, error) {
		page, err := list(ctx, a)
		if threads.ClassOf(err) == threads.Invalid && q.After != "" {
			const words = "Threads does not take this cursor; begin with the first page."
			return page, events.Faultf(events.Invalid, words).At("/after", "cursor_invalid", words)
		}
		return page, err
	})
	if err != nil {
		return asks.ThreadsPage{}, err
	}
	ids := make([]string, len(page.Data))
	for i, m := range page.Data {
		ids[i] = m.ID
	}
	ours, err := s.posts.IDsByMediaID(ctx, s.side, account.ID, ids)
	if err != nil {
		return asks.ThreadsPage{}, err
	}
	out := asks.ThreadsPage{Items: make([]asks.ThreadsPost, len(page.Data)), Next: page.After}
	for i, m := range page.Data {
		out.Items[i] = threadsPost(m, account.Username)
		out.Items[i].PostID = ours[m.ID]
	}
	return out, nil
}

func threadsPost(m threads.Media, me string) asks.ThreadsPost {
	return asks.ThreadsPost{
		MediaID: m.ID, Permalink: m.Permalink, Text: m.Text, MediaType: m.MediaType, Timestamp: posts.OptionalTime(m.Timestamp),
		Username: m.Username, IsVerified: m.AuthorVerified, ProfilePictureURL: m.AuthorPicture,
		IsReply: m.IsReply, ReplyTo: m.ReplyToID, RootID: m.RootID, HasReplies: m.HasReplies,
		QuotedID: m.QuotedID, RepostedID: m.RepostedID,
		Mine:       m.ReplyOfMine || m.Username != "" && strings.EqualFold(m.Username, me),
		HideStatus: m.HideStatus, ApprovalStatus: m.ApprovalStatus,
	}
}
