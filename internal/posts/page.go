package posts

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/wire"
)

// StatusesOf are the statuses that are asked for, each once.
func StatusesOf(q asks.ListPosts) []events.Status {
	list := slices.Clone(q.Statuses)
	if q.Status != "" {
		list = append(list, q.Status)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Cursor is a position in the order of a list, wrapped so that nobody builds one by hand, with a sum that tells when it was
// damaged on the way. Posts that come in between shift nothing: it names where a page ended, not how many posts lie before.
func (p Position) Cursor() string {
	written := p.PublishAt.UTC().Format(time.RFC3339Nano) + " " + p.ID
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32([]byte(written), crc32.ChecksumIEEE([]byte(written))))
}

// ReadCursor reads a cursor; nil means that it is none of ours.
func ReadCursor(c string) *Position {
	b, err := base64.RawURLEncoding.DecodeString(c)
	if err != nil || len(b) < crc32.Size {
		return nil
	}
	at, id, _ := strings.Cut(string(b[:len(b)-crc32.Size]), " ")
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil || t.UTC().Year() < 1 || id == "" || len(id) > maxPostID || strings.Trim(id, idLetters) != "" {
		return nil
	}
	p := Position{t, id}
	if p.Cursor() != c {
		return nil
	}
	return &p
}

// maxPostID and idLetters are what ids are made of, those of the original too.
const (
	maxPostID = 128
	idLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
)

// A page costs its own length, however many posts there are. What a list asks for is taken apart into runs: each is in the
// order of the list in one index, and Postgres merges them, reading no more of each than the page needs.

// SearchedAtOnce is through how many posts one page looks for words or a reason. A page may so be short, or empty, with more to come.
const SearchedAtOnce = 3_000

// StatusConditions are the statuses in the words of the table. Each has an index of its own, and no post has two.
var StatusConditions = map[events.Status]string{
	events.StatusQueued:    "state NOT IN ('published', 'failed', 'cancelled') AND deleted_at IS NULL",
	events.StatusPosted:    "state = 'published' AND deleted_at IS NULL",
	events.StatusFailed:    "state = 'failed' AND deleted_at IS NULL",
	events.StatusCancelled: "state = 'cancelled' AND deleted_at IS NULL",
	events.StatusDeleted:   "deleted_at IS NOT NULL",
}

var AllStatuses = []events.Status{
	events.StatusQueued, events.StatusPosted, events.StatusFailed, events.StatusCancelled, events.StatusDeleted,
}

// Which kinds a list has. Posts that were made elsewhere are left out unless they are asked for; and then those that are
// ours as well, because an import may have seen a post before we knew its id.
const (
	areOurs   = "kind <> 'imported'"
	areOthers = `kind = 'imported' AND NOT EXISTS (SELECT 1 FROM posts AS own WHERE own.account_id = post.account_id
		AND own.media_id = post.media_id AND own.kind <> 'imported')`
)

// HeldStates are those of a queued post that is held up. They have an index of their own; the other states of a queued post
// pass by themselves.
var HeldStates = []events.State{events.StateWaiting, events.StateUnconfirmed, events.StateParked}

// Runs are the conditions of each run of a list.
func Runs(q asks.ListPosts) (list []string) {
	asked := StatusesOf(q)
	if len(q.States) > 0 {
		own := ownKinds(q.Kinds)
		if own == "" || len(asked) > 0 && !slices.Contains(asked, events.StatusQueued) {
			return nil
		}
		for _, state := range slices.Compact(slices.Sorted(slices.Values(q.States))) {
			list = append(list, fmt.Sprintf("%s AND state = '%s' AND deleted_at IS NULL", own, state))
		}
		return list
	}
	statuses := asked
	if len(asked) == 0 && q.AccountID != "" {
		statuses = AllStatuses // an account's posts have an index for each status, and none for all
	}
	if own := ownKinds(q.Kinds); own != "" {
		for _, status := range statuses {
			list = append(list, own+" AND "+StatusConditions[status])
		}
		if len(statuses) == 0 {
			list = append(list, own)
		}
	}
	if slices.Contains(q.Kinds, events.KindImported) {
		for _, status := range asked {
			if status == events.StatusPosted || status == events.StatusDeleted { // they have never been anything else
				list = append(list, areOthers+" AND "+StatusConditions[status])
			}
		}
		if len(asked) == 0 {
			list = append(list, areOthers)
		}
	}
	return list
}

// ownKinds is the condition of the kinds that are ours; empty where none is asked for.
func ownKinds(kinds []events.Kind) string {
	posts, reposts := slices.Contains(kinds, events.KindPost), slices.Contains(kinds, events.KindRepost)
	switch {
	case len(kinds) == 0 || posts && reposts:
		return areOurs
	case posts:
		return areOurs + " AND kind <> 'repost'"
	case reposts:
		return "kind = 'repost'"
	}
	return ""
}

// Position is where a post is in the order of a list.
type Position struct {
	PublishAt time.Time `bun:"publish_at"`
	ID        string    `bun:"id"`
}

// Span is the stretch of a list between two positions: behind the one, up to and with the other. Nil means from its beginning,
// or to its end.
type Span struct{ after, until *Position }

// Selection is the list, in its order, within a span; of up to length posts. No columns means all.
func Selection(db bun.IDB, q asks.ListPosts, sight Sight, within Span, length int, columns ...string) *bun.SelectQuery {
	order, beyond, upTo := bun.OrderAsc, "(publish_at, id) > (?, ?)", "(publish_at, id) <= (?, ?)"
	if q.Newest {
		order, beyond, upTo = bun.OrderDesc, "(publish_at, id) < (?, ?)", "(publish_at, id) >= (?, ?)"
	}
	var whole *bun.SelectQuery
	for _, condition := range Runs(q) {
		sel := db.NewSelect().Model((*Post)(nil)).Column(columns...).Where("user_id = ?", q.UserID).Where(condition)
		if q.AccountID != "" {
			sel = sel.Where("account_id = ?", q.AccountID)
		}
		if q.From != nil {
			sel = sel.Where("publish_at >= ?", *q.From)
		}
		if q.To != nil {
			sel = sel.Where("publish_at < ?", *q.To)
		}
		if p := within.after; p != nil {
			sel = sel.Where(beyond, p.PublishAt, p.ID)
		}
		if p := within.until; p != nil {
			sel = sel.Where(upTo, p.PublishAt, p.ID)
		}
		if q.Reason != "" {
			sel = sight.whereReason(sel, q.Reason)
		}
		if q.Search != "" {
			sel = sel.Where("(text ILIKE ?0 OR parts <> '[]' AND EXISTS (SELECT 1 FROM jsonb_array_elements(parts) AS part WHERE part->>'text' ILIKE ?0))",
				"%"+literally.Replace(q.Search)+"%")
		}
		sel = sel.OrderBy("publish_at", order).OrderBy("id", order).Limit(int64(length))
		if whole == nil {
			whole = sel
		} else {
			whole = whole.UnionAll(sel)
		}
	}
	return db.NewSelect().TableExpr("(?) AS post", whole).OrderBy("publish_at", order).OrderBy("id", order).Limit(int64(length))
}

// literally takes their meaning from the wildcards of LIKE.
var literally = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// pageChunk is how many rows are read at once: what they may weigh together is what a question may cost in memory.
const pageChunk = 128

// Page reads up to a page of a list, and where the next one begins; nil when this is the last. A page ends early where its
// posts would weigh more than a message may. It has one post at least, so that the list goes on.
func (s *Store) Page(ctx context.Context, q asks.ListPosts, after *Position, sight Sight) (posts []events.Post, next *Position, err error) {
	if len(Runs(q)) == 0 {
		return nil, nil, nil
	}
	within := Span{after: after}
	if q.Search != "" || q.Reason != "" {
		if within.until, err = s.searchUpTo(ctx, q, after); err != nil {
			return nil, nil, err
		}
	}
	for room := wire.PageBytes; ; {
		length := min(q.Limit-len(posts), pageChunk)
		var rows []Post
		if err := Selection(s.DB, q, sight, within, length+1).Scan(ctx, &rows); err != nil {
			return nil, nil, fmt.Errorf("list posts: %w", err)
		}
		read := make([]events.Post, min(len(rows), length))
		for i := range read {
			read[i] = sight.Of(&rows[i])
		}
		fit, used, err := wire.Fit(read, room)
		if err != nil {
			return nil, nil, err
		}
		if fit == 1 && used > room && len(posts) > 0 {
			fit = 0 // it is not the first of its page
		}
		if fit > 0 {
			within.after = &Position{rows[fit-1].PublishAt, rows[fit-1].ID}
		}
		posts, room = append(posts, read[:fit]...), room-used
		switch {
		case fit == len(rows):
			return posts, within.until, nil // to the end, or to where the search went
		case fit < length || len(posts) == q.Limit:
			return posts, within.after, nil
		}
	}
}

// searchUpTo is how far one page looks for words or a reason: they have no index, so it looks through so many posts and no more. Nil
// means to the end of the list.
func (s *Store) searchUpTo(ctx context.Context, q asks.ListPosts, after *Position) (*Position, error) {
	q.Search, q.Reason = "", ""
	until := new(Position)
	err := Selection(s.DB, q, Sight{}, Span{after: after}, SearchedAtOnce, "publish_at", "id").Offset(SearchedAtOnce-1).Scan(ctx, until)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // there are not so many
	}
	if err != nil {
		return nil, fmt.Errorf("find how far to search: %w", err)
	}
	return until, nil
}

// CountedUpTo is how many posts of a status are counted: it is what a list with counts may cost, however many there are.
const CountedUpTo = 1_000

// Counts counts the posts of a list by their status, and those that are held up by their state. Of the list's filters those hold
// that are neither about that nor looked for in each post.
func (s *Store) Counts(ctx context.Context, q asks.ListPosts) (*asks.PostCounts, error) {
	q.Status, q.Statuses, q.States, q.Search, q.Reason = "", nil, nil, "", ""
	var c asks.PostCounts
	for status, count := range map[events.Status]*asks.PostCount{
		events.StatusQueued: &c.Queued, events.StatusPosted: &c.Posted, events.StatusFailed: &c.Failed,
		events.StatusCancelled: &c.Cancelled, events.StatusDeleted: &c.Deleted,
	} {
		of := q
		of.Status = status
		if err := s.count(ctx, of, count); err != nil {
			return nil, err
		}
	}
	for state, count := range map[events.State]*asks.PostCount{
		events.StateWaiting: &c.Waiting, events.StateUnconfirmed: &c.Unconfirmed, events.StateParked: &c.Parked,
	} {
		of := q
		of.States = []events.State{state}
		if err := s.count(ctx, of, count); err != nil {
			return nil, err
		}
	}
	return &c, nil
}

func (s *Store) count(ctx context.Context, q asks.ListPosts, into *asks.PostCount) error {
	if len(Runs(q)) == 0 {
		return nil
	}
	n, err := s.DB.NewSelect().TableExpr("(?) AS counted", Selection(s.DB, q, Sight{}, Span{}, CountedUpTo+1, "publish_at", "id")).Count(ctx)
	if err != nil {
		return fmt.Errorf("count posts: %w", err)
	}
	into.Posts, into.More = min(int(n), CountedUpTo), n > CountedUpTo
	return nil
}
