package publisher

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

const (
	// maxList is the most posts of one page.
	maxList = 1000
	// maxSearch is the longest search, in characters.
	maxSearch = 200
)

// ListPosts answers with a page of the user's posts, the earliest first unless the newest are asked for.
func (s *Service) ListPosts(ctx context.Context, q events.ListPosts) (events.PostList, error) {
	if q.Limit == 0 {
		q.Limit = maxList
	}
	if fault := flaws(q); fault != nil {
		return events.PostList{}, fault
	}
	if strings.ContainsRune(q.AccountID, 0) { // no id has one, and no statement can
		return events.PostList{Posts: []events.Post{}}, nil
	}
	var posts []Post
	sel := s.db.NewSelect().Model(&posts).Where("user_id = ?", q.UserID)
	sel = ofKinds(sel, q.Kinds)
	if q.AccountID != "" {
		sel = sel.Where("account_id = ?", q.AccountID)
	}
	if q.From != nil {
		sel = sel.Where("publish_at >= ?", *q.From)
	}
	if q.To != nil {
		sel = sel.Where("publish_at < ?", *q.To)
	}
	if q.Search != "" {
		sel = sel.Where("text ILIKE ?", "%"+literally.Replace(q.Search)+"%")
	}
	sel = ofStatuses(sel, statusesOf(q))
	order, beyond := bun.OrderAsc, "(publish_at, id) > (?, ?)"
	if q.Newest {
		order, beyond = bun.OrderDesc, "(publish_at, id) < (?, ?)"
	}
	if q.After != "" {
		at, id, err := readCursor(q.After)
		if err != nil {
			const words = "This cursor is not one of ours; take it from the page before."
			return events.PostList{}, events.Faultf(events.Invalid, words).At("/after", "cursor_invalid", words)
		}
		sel = sel.Where(beyond, at, id)
	}
	if err := sel.OrderBy("publish_at", order).OrderBy("id", order).Limit(int64(q.Limit) + 1).Scan(ctx); err != nil {
		return events.PostList{}, fmt.Errorf("list posts: %w", err)
	}
	list := events.PostList{Posts: []events.Post{}}
	if len(posts) > q.Limit {
		posts = posts[:q.Limit]
		list.Next = cursor(&posts[q.Limit-1])
	}
	for i := range posts {
		list.Posts = append(list.Posts, posts[i].Snapshot())
	}
	return list, nil
}

// literally takes their meaning from the wildcards of LIKE.
var literally = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// flaws names everything that a list cannot be asked for.
func flaws(q events.ListPosts) *events.Fault {
	f := events.Faultf(events.Invalid, "This list cannot be made; see the details.")
	wrong := func(pointer, code, words string) { f.Message = words; f.At(pointer, code, words) }
	if q.Limit < 1 || q.Limit > maxList {
		wrong("/limit", "out_of_range", fmt.Sprintf("limit is from 1 to %d.", maxList))
	}
	for _, status := range statusesOf(q) {
		if _, known := statusConditions[status]; !known {
			wrong("/status", "status_unknown", "status is QUEUED, POSTED, FAILED, CANCELLED or DELETED.")
		}
	}
	for _, kind := range q.Kinds {
		if !slices.Contains([]events.Kind{events.KindPost, events.KindRepost, events.KindImported}, kind) {
			wrong("/kind", "kind_unknown", "kind is post, repost or imported.")
		}
	}
	if q.From != nil && q.To != nil && q.To.Before(*q.From) {
		wrong("/to", "before_from", "to is before from.")
	}
	if len([]rune(q.Search)) > maxSearch || strings.ContainsRune(q.Search, 0) {
		wrong("/search", "too_long", fmt.Sprintf("search is up to %d characters.", maxSearch))
	}
	if len(f.Details) == 0 {
		return nil
	}
	return f
}

func statusesOf(q events.ListPosts) []events.Status {
	if q.Status == "" {
		return q.Statuses
	}
	return append(slices.Clone(q.Statuses), q.Status)
}

// statusConditions are the statuses in the words of the table. Each has an index of its own.
var statusConditions = map[events.Status]string{
	events.StatusQueued:    "state NOT IN ('published', 'failed', 'cancelled')",
	events.StatusPosted:    "(state = 'published' AND deleted_at IS NULL)",
	events.StatusFailed:    "(state = 'failed' AND deleted_at IS NULL)",
	events.StatusCancelled: "state = 'cancelled'",
	events.StatusDeleted:   "deleted_at IS NOT NULL",
}

func ofStatuses(sel *bun.SelectQuery, statuses []events.Status) *bun.SelectQuery {
	if len(statuses) == 0 {
		return sel
	}
	var conditions []string
	for _, status := range slices.Compact(slices.Sorted(slices.Values(statuses))) {
		conditions = append(conditions, statusConditions[status])
	}
	return sel.Where("(" + strings.Join(conditions, " OR ") + ")")
}

// ofKinds leaves out posts that were made elsewhere, unless they are asked for; then not those that are ours as well: an
// import may have seen a post before we knew its id.
func ofKinds(sel *bun.SelectQuery, kinds []events.Kind) *bun.SelectQuery {
	if len(kinds) == 0 {
		return sel.Where("kind <> ?", events.KindImported)
	}
	sel = sel.Where("kind IN (?)", bun.List(kinds))
	if slices.Contains(kinds, events.KindImported) {
		sel = sel.Where(`(kind <> ? OR NOT EXISTS (SELECT 1 FROM posts o WHERE o.account_id = post.account_id
			AND o.media_id = post.media_id AND o.kind <> ?))`, events.KindImported, events.KindImported)
	}
	return sel
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
	if err == nil && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" || id == "" {
		err = fmt.Errorf("no post id in the cursor")
	}
	return t, id, err
}
