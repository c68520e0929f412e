package publisher

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

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
	var after *position
	if q.After != "" {
		if after = readCursor(q.After); after == nil {
			const words = "This cursor is not one of ours; take it from the page before."
			return events.PostList{}, events.Faultf(events.Invalid, words).At("/after", "cursor_invalid", words)
		}
	}
	posts, next, err := s.side().page(ctx, q, after)
	if err != nil {
		return events.PostList{}, err
	}
	list := events.PostList{Posts: posts}
	if posts == nil {
		list.Posts = []events.Post{}
	}
	if next != nil {
		list.Next = next.cursor()
	}
	return list, nil
}

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

// statusesOf are the statuses that are asked for, each once.
func statusesOf(q events.ListPosts) []events.Status {
	list := slices.Clone(q.Statuses)
	if q.Status != "" {
		list = append(list, q.Status)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// cursor is a position in the order of a list, wrapped so that nobody builds one by hand, with a sum that tells when it was
// damaged on the way. Posts that come in between shift nothing: it names where a page ended, not how many posts lie before.
func (p position) cursor() string {
	written := p.PublishAt.UTC().Format(time.RFC3339Nano) + " " + p.ID
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32([]byte(written), crc32.ChecksumIEEE([]byte(written))))
}

// readCursor reads a cursor; nil means that it is none of ours.
func readCursor(c string) *position {
	b, err := base64.RawURLEncoding.DecodeString(c)
	if err != nil || len(b) < crc32.Size {
		return nil
	}
	at, id, _ := strings.Cut(string(b[:len(b)-crc32.Size]), " ")
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil || t.UTC().Year() < 1 || id == "" || len(id) > maxPostID || strings.Trim(id, idLetters) != "" {
		return nil
	}
	p := position{t, id}
	if p.cursor() != c {
		return nil
	}
	return &p
}

// maxPostID and idLetters are what ids are made of, those of the original too.
const (
	maxPostID = 128
	idLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
)
