package questions

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/posts"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// manyPosts are those of one user with a large account, a small one and one of some posts, so that what a list asks for is
// sometimes nearly everything and sometimes next to nothing.
func manyPosts(t *testing.T, db *bun.DB, rows int) (all []posts.Post) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), `
		INSERT INTO posts (id, user_id, account_id, kind, text, content_hash, publish_at, publish_within, state, deleted_at, media_id,
			created_at, updated_at, rev, told_rev, fact)
		SELECT 'post_' || lpad(i::text, 26, '0'), 'user_1',
			CASE WHEN i % 997 = 7 THEN 'acct_small' WHEN i % 100 = 3 THEN 'acct_some' ELSE 'acct_large' END,
			CASE WHEN i % 499 = 9 THEN 'repost' WHEN i <= ?0 / 4 THEN 'imported' ELSE 'post' END,
			'Number ' || i || CASE WHEN i % 4001 = 0 THEN ' ZEBRA 100%' ELSE '' END, md5(i::text),
			timestamptz '2026-01-01' + (i / 3) * interval '1 minute', 86400, state,
			CASE WHEN state IN ('published', 'failed') AND i % 700 = 11 THEN now() END,
			CASE WHEN state = 'published' THEN (CASE WHEN i = 13 THEN ?0 / 2 ELSE i END)::text END, now(), now(), 3, 3, 'scheduled'
		FROM (SELECT i, CASE WHEN i <= ?0 / 4 THEN 'published' WHEN i > ?0 * 3 / 4 THEN 'scheduled' WHEN i % 900 = 1 THEN 'failed'
				WHEN i % 20 = 2 THEN 'cancelled' WHEN i % 2000 = 4 THEN 'parked' WHEN i % 3000 = 6 THEN 'waiting' ELSE 'published' END AS state
			FROM generate_series(1, ?0) AS i) AS rows;
		INSERT INTO posts (id, user_id, account_id, kind, text, content_hash, publish_at, publish_within, state, created_at, updated_at, rev, told_rev, fact)
		SELECT 'post_other' || i, 'user_2', 'acct_other', 'post', 'Somebody else''s ' || i, 'x', '2026-01-02', 86400, 'published', now(), now(), 3, 3, 'scheduled'
		FROM generate_series(1, 500) AS i;
		UPDATE posts SET reason = jsonb_build_object('code', CASE WHEN state = 'failed' THEN 'refused' ELSE 'outcome_unknown' END, 'message', 'x')
			WHERE state IN ('failed', 'parked', 'waiting');
		ANALYZE posts`, rows)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.NewSelect().Model(&all).Where("user_id = 'user_1'").OrderExpr("publish_at, id").Scan(t.Context()); err != nil {
		t.Fatal(err)
	}
	return all
}

// listedOf is a list as it is meant, without SQL.
func listedOf(all []posts.Post, q asks.ListPosts) (ids []string) {
	twins := map[string]bool{}
	for _, p := range all {
		if p.MediaID != "" && p.Kind != events.KindImported {
			twins[p.AccountID+" "+p.MediaID] = true
		}
	}
	statuses := posts.StatusesOf(q)
	for _, p := range all {
		switch {
		case q.AccountID != "" && p.AccountID != q.AccountID, len(statuses) > 0 && !slices.Contains(statuses, posts.StatusOf(&p)),
			len(q.Kinds) == 0 && p.Kind == events.KindImported, len(q.Kinds) > 0 && !slices.Contains(q.Kinds, p.Kind),
			p.Kind == events.KindImported && twins[p.AccountID+" "+p.MediaID],
			len(q.States) > 0 && (!slices.Contains(q.States, p.State) || !p.DeletedAt.IsZero()), q.Reason != "" && (p.Reason == nil || p.Reason.Code != q.Reason),
			q.From != nil && p.PublishAt.Before(*q.From), q.To != nil && !p.PublishAt.Before(*q.To),
			!strings.Contains(strings.ToLower(p.Text), strings.ToLower(q.Search)):
		default:
			ids = append(ids, p.ID)
		}
	}
	if q.Newest {
		slices.Reverse(ids)
	}
	return ids
}

// someLists are lists of every filter, alone and with others.
func someLists(each func(name string, q asks.ListPosts)) {
	from, to := time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 4, 12, 0, 0, 0, time.UTC)
	statuses := [][]events.Status{nil, {events.StatusFailed, events.StatusCancelled}, {events.StatusDeleted, events.StatusQueued}}
	for _, s := range posts.AllStatuses {
		statuses = append(statuses, []events.Status{s})
	}
	for _, account := range []string{"", "acct_large", "acct_small"} {
		for _, states := range [][]events.State{{events.StateParked}, {events.StateWaiting, events.StateParked, events.StateParked}, {events.StateUnconfirmed}} {
			for _, statuses := range [][]events.Status{nil, {events.StatusQueued}, {events.StatusPosted}} {
				q := asks.ListPosts{UserID: "user_1", AccountID: account, Statuses: statuses, States: states}
				each(fmt.Sprintf("%s %v of %v", account, states, statuses), q)
			}
		}
	}
	for _, account := range []string{"", "acct_large", "acct_small", "acct_other"} {
		for _, status := range statuses {
			for _, kinds := range [][]events.Kind{
				nil, {events.KindRepost}, {events.KindImported}, {events.KindPost, events.KindRepost, events.KindImported},
			} {
				if account == "acct_other" && len(kinds)+len(status) > 1 || len(status) > 0 && slices.Equal(kinds, []events.Kind{events.KindRepost}) {
					continue // nothing new
				}
				for _, newest := range []bool{true, false} {
					q := asks.ListPosts{UserID: "user_1", AccountID: account, Statuses: status, Kinds: kinds, Newest: newest}
					name := fmt.Sprintf("%s %v %v newest %t", account, status, kinds, newest)
					each(name, q)
					if newest {
						q.From, q.To = &from, &to
						each(name+" in between", q)
					}
				}
			}
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := New(posts.NewStore(db, 0, 0), nil, time.Minute)
	const rows = 12_000 // more than are searched at once
	all := manyPosts(t, db, rows)

	// walk reads a list page by page.
	walk := func(q asks.ListPosts) (ids []string, pages int) {
		t.Helper()
		for {
			list, err := s.ListPosts(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range list.Posts {
				ids = append(ids, p.ID)
			}
			pages++
			if q.After = list.Next; list.Next == "" {
				return ids, pages
			}
		}
	}

	t.Run("have what was asked for, in order", func(t *testing.T) {
		t.Parallel()
		someLists(func(name string, q asks.ListPosts) {
			q.Limit = 1000
			want := listedOf(all, q)
			if len(want) > 40 { // in pages of an odd length, but not so many
				want, q.Limit = want[:min(len(want), 21)], 7
			}
			var got []string
			for range 3 {
				list, err := s.ListPosts(t.Context(), q)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for _, p := range list.Posts {
					got = append(got, p.ID)
				}
				if q.After = list.Next; q.After == "" {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s lists %d posts, %.3v, want %d, %.3v", name, len(got), got, len(want), want)
			}
		})
	})

	t.Run("cost their own length, whatever is asked for", func(t *testing.T) {
		t.Parallel()
		const limit = 50
		someLists(func(name string, q asks.ListPosts) {
			if len(posts.Runs(q)) == 0 {
				return
			}
			if read := rowsRead(t, db, posts.Selection(db, q, posts.Sight{}, posts.Span{}, limit+1)); read > 20*limit {
				t.Errorf("%s: %d rows are read for a page of %d", name, read, limit)
			}
		})
	})

	t.Run("of a search end after so many posts that were looked through, and go on", func(t *testing.T) {
		t.Parallel()
		pagesOf := func(q asks.ListPosts) int {
			q.Search = ""
			return 1 + len(listedOf(all, q))/posts.SearchedAtOnce
		}
		for _, newest := range []bool{true, false} {
			q := asks.ListPosts{UserID: "user_1", Search: "zebra 100%", Newest: newest, Limit: 50, Kinds: []events.Kind{"post", "repost", "imported"}}
			got, pages := walk(q)
			if want := listedOf(all, q); !slices.Equal(got, want) || len(want) == 0 || pages != pagesOf(q) {
				t.Errorf("it found %v on %d pages, want %v on %d", got, pages, want, pagesOf(q))
			}
		}
		if got, _ := walk(asks.ListPosts{UserID: "user_1", Search: "number 11", Limit: 10}); !slices.Equal(got, listedOf(all, asks.ListPosts{Search: "number 11"})) {
			t.Errorf("it found %d posts", len(got))
		}
		refused := asks.ListPosts{UserID: "user_1", Reason: events.Refused, Limit: 5}
		if got, _ := walk(refused); !slices.Equal(got, listedOf(all, refused)) || len(got) == 0 {
			t.Errorf("of a reason it found %v, want %v", got, listedOf(all, refused))
		}
		none := asks.ListPosts{UserID: "user_1", Search: "giraffe", Limit: 10}
		if got, pages := walk(none); len(got) > 0 || pages != pagesOf(none) {
			t.Errorf("it found %v on %d pages", got, pages)
		}
	})
}

func TestCounts(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := New(posts.NewStore(db, 0, 0), nil, time.Minute)
	all := manyPosts(t, db, 12_000)
	from := time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)
	for name, q := range map[string]asks.ListPosts{
		"of all":              {UserID: "user_1"},
		"of an account":       {UserID: "user_1", AccountID: "acct_small"},
		"with imported posts": {UserID: "user_1", Kinds: []events.Kind{events.KindPost, events.KindImported}},
		"of a stretch":        {UserID: "user_1", From: &from},
		"of nobody":           {UserID: "user_3"},
		"whatever is listed":  {UserID: "user_1", Statuses: []events.Status{events.StatusFailed}, Search: "zebra", Reason: events.Refused},
	} {
		want := func(status events.Status, state events.State) asks.PostCount {
			of := asks.ListPosts{AccountID: q.AccountID, Kinds: q.Kinds, From: q.From, Status: status}
			if state != "" {
				of.States = []events.State{state}
			}
			n := len(listedOf(all, of))
			if q.UserID != "user_1" {
				n = 0
			}
			return asks.PostCount{Posts: min(n, posts.CountedUpTo), More: n > posts.CountedUpTo}
		}
		q.Counts, q.Limit = true, 1
		list, err := s.ListPosts(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		expected := asks.PostCounts{
			Queued: want(events.StatusQueued, ""), Posted: want(events.StatusPosted, ""), Failed: want(events.StatusFailed, ""),
			Cancelled: want(events.StatusCancelled, ""), Deleted: want(events.StatusDeleted, ""),
			Waiting: want(events.StatusQueued, events.StateWaiting), Unconfirmed: want(events.StatusQueued, events.StateUnconfirmed), Parked: want(events.StatusQueued, events.StateParked),
		}
		if list.Counts == nil || *list.Counts != expected {
			t.Errorf("%s it counts %+v, want %+v", name, list.Counts, expected)
		}
	}
	if list, err := s.ListPosts(t.Context(), asks.ListPosts{UserID: "user_1", Limit: 1}); err != nil || list.Counts != nil {
		t.Errorf("unasked it counts %v, %v", list.Counts, err)
	}
	// A count costs what it counts, however many posts there are.
	for _, status := range posts.AllStatuses {
		q := asks.ListPosts{UserID: "user_1", Status: status}
		if read := rowsRead(t, db, posts.Selection(db, q, posts.Sight{}, posts.Span{}, posts.CountedUpTo+1, "publish_at", "id")); read > 2*posts.CountedUpTo {
			t.Errorf("%d rows are read to count those of %s", read, status)
		}
	}
}

// rowsRead is how many rows of posts a statement touches.
func rowsRead(t *testing.T, db *bun.DB, sel *bun.SelectQuery) (rows int) {
	t.Helper()
	var body []byte
	if err := db.NewRaw("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ?", sel).Scan(t.Context(), &body); err != nil {
		t.Fatal(err)
	}
	type node struct {
		Relation string  `json:"Relation Name"`
		Alias    string  `json:"Alias"`
		Rows     float64 `json:"Actual Rows"`
		Loops    float64 `json:"Actual Loops"`
		Removed  float64 `json:"Rows Removed by Filter"`
		Plans    []json.RawMessage
	}
	var count func(plan json.RawMessage)
	count = func(plan json.RawMessage) {
		var n node
		if err := json.Unmarshal(plan, &n); err != nil {
			t.Fatal(err)
		}
		if n.Relation == "posts" {
			rows += int((n.Rows + n.Removed) * n.Loops)
		}
		for _, p := range n.Plans {
			count(p)
		}
	}
	var plans []struct{ Plan json.RawMessage }
	if err := json.Unmarshal(body, &plans); err != nil {
		t.Fatal(err)
	}
	for _, p := range plans {
		count(p.Plan)
	}
	return rows
}

func TestCursors(t *testing.T) {
	t.Parallel()
	p := posts.Position{PublishAt: time.Date(2026, 11, 2, 9, 0, 0, 123456000, time.UTC), ID: "post_01jbkq4t00e7x8v5n2m3k9w0ra"}
	good := p.Cursor()
	if back := posts.ReadCursor(good); back == nil || *back != p {
		t.Errorf("%q is read as %v", good, back)
	}
	for i := range good { // nothing that could be taken for a place elsewhere in silence
		other := "A"
		if good[i] == 'A' {
			other = "B"
		}
		for _, damaged := range []string{good[:i] + good[i+1:], good[:i] + other + good[i+1:]} {
			if back := posts.ReadCursor(damaged); back != nil {
				t.Errorf("damaged at %d it is read as %v", i, back)
			}
		}
	}
	for _, written := range []posts.Position{ // nothing that the database cannot take
		{PublishAt: time.Time{}.AddDate(-1, 0, 0), ID: p.ID}, {PublishAt: p.PublishAt, ID: ""}, {PublishAt: p.PublishAt, ID: "a b"}, {PublishAt: p.PublishAt, ID: "a\x00"}, {PublishAt: p.PublishAt, ID: strings.Repeat("a", 200)},
	} {
		if back := posts.ReadCursor(written.Cursor()); back != nil {
			t.Errorf("%v is read as %v", written, back)
		}
	}
}
