package publisher

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
)

// answer opens the publisher to questions: threads.ask.post.get, threads.ask.post.list, threads.ask.command.get.
func (s *Service) answer() error {
	return errors.Join(
		bus.Answer(s.bus, s.GetPost),
		bus.Answer(s.bus, s.ListPosts),
		bus.Answer(s.bus, s.GetCommand),
		s.answerAccounts(),
	)
}

// GetPost answers with one of the user's posts and what was tried for it.
func (s *Service) GetPost(ctx context.Context, q events.GetPost) (events.PostDetail, error) {
	p, err := s.store.find(ctx, s.db, q.UserID, q.ID)
	if err != nil {
		return events.PostDetail{}, err
	}
	tried, err := s.store.attempts(ctx, p.ID)
	if err != nil {
		return events.PostDetail{}, err
	}
	return events.PostDetail{Post: p.Snapshot(), Attempts: tried}, nil
}

// GetCommand answers how a command of the user ended.
func (s *Service) GetCommand(ctx context.Context, q events.GetCommand) (events.Outcome, error) {
	return commands.Get(ctx, s.db, q)
}

// maxList is the most posts of one page.
const maxList = 1000

// ListPosts answers with a page of the user's posts, the earliest first.
func (s *Service) ListPosts(ctx context.Context, q events.ListPosts) (events.PostList, error) {
	limit := q.Limit
	if limit == 0 {
		limit = maxList
	}
	if limit < 1 || limit > maxList {
		return events.PostList{}, events.Faultf(events.Invalid, "limit is from 1 to %d.", maxList).
			At("/limit", "out_of_range", fmt.Sprintf("limit is from 1 to %d.", maxList))
	}
	if strings.ContainsRune(q.AccountID, 0) { // no id has one, and no statement can
		return events.PostList{Posts: []events.Post{}}, nil
	}
	var posts []Post
	sel := s.db.NewSelect().Model(&posts).Where("user_id = ? AND kind <> ?", q.UserID, events.KindImported)
	if q.AccountID != "" {
		sel = sel.Where("account_id = ?", q.AccountID)
	}
	switch q.Status {
	case "":
	case events.StatusQueued:
		sel = sel.Where("state NOT IN ('published', 'failed', 'cancelled')")
	case events.StatusPosted:
		sel = sel.Where("state = 'published' AND deleted_at IS NULL")
	case events.StatusFailed:
		sel = sel.Where("state = 'failed'")
	case events.StatusCancelled:
		sel = sel.Where("state = 'cancelled'")
	case events.StatusDeleted:
		sel = sel.Where("deleted_at IS NOT NULL")
	default:
		const words = "status is QUEUED, POSTED, FAILED, CANCELLED or DELETED."
		return events.PostList{}, events.Faultf(events.Invalid, words).At("/status", "status_unknown", words)
	}
	if q.After != "" {
		at, id, err := readCursor(q.After)
		if err != nil {
			const words = "This cursor is not one of ours; take it from the page before."
			return events.PostList{}, events.Faultf(events.Invalid, words).At("/after", "cursor_invalid", words)
		}
		sel = sel.Where("(publish_at, id) > (?, ?)", at, id)
	}
	if err := sel.Order("publish_at", "id").Limit(int64(limit) + 1).Scan(ctx); err != nil {
		return events.PostList{}, fmt.Errorf("list posts: %w", err)
	}
	list := events.PostList{Posts: []events.Post{}}
	if len(posts) > limit {
		posts = posts[:limit]
		list.Next = cursor(&posts[limit-1])
	}
	for i := range posts {
		list.Posts = append(list.Posts, posts[i].Snapshot())
	}
	return list, nil
}

// A cursor is the place of a page's last post in the order, wrapped so that nobody builds one by hand.
func cursor(p *Post) string {
	return base64.RawURLEncoding.EncodeToString([]byte(p.PublishAt.UTC().Format(time.RFC3339Nano) + " " + p.ID))
}

func readCursor(c string) (time.Time, string, error) {
	b, err := base64.RawURLEncoding.DecodeString(c)
	if err != nil {
		return time.Time{}, "", fmt.Errorf("decode cursor: %w", err)
	}
	at, id, _ := strings.Cut(string(b), " ")
	t, err := time.Parse(time.RFC3339Nano, at)
	if err == nil && !events.IsPostID(id) {
		err = fmt.Errorf("no post id in the cursor")
	}
	return t, id, err
}
