package delivery_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/services/publisher/draft/drafttest"
)

// What no event could carry is refused wherever a post can become so large, with the bound.
func TestTooLargeToBeEmitted(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()
	large := drafttest.LongChain(14, 2000)
	check := func(how string, f *events.Fault) {
		t.Helper()
		if f == nil || f.Code != events.Invalid || len(f.Details) != 1 || f.Details[0].Code != "post_too_large" ||
			f.Details[0].Pointer != "/parts" || !strings.Contains(f.Message, "512 KiB") {
			t.Errorf("%s is answered %+v", how, f)
		}
	}
	_, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: large, PublishAt: time.Now().Add(time.Hour)}, 5*time.Second)
	check("scheduling", fault)
	_, fault = r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: large, PublishAt: time.Now()}, 5*time.Second)
	check("publishing", fault)
	small, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: drafttest.LongChain(11, 2000), PublishAt: time.Now().Add(time.Hour)}, 5*time.Second)
	if fault != nil {
		t.Fatalf("a chain that can be told is refused: %+v", fault)
	}
	_, fault = r.Do(events.EditPost{PostID: small.ID, UserID: testUser, Parts: large.Parts}, 5*time.Second)
	check("editing", fault)
	v, err := bus.Ask[asks.Validation](waiting.Context(t), r.Bus, asks.ValidatePost{UserID: testUser, Draft: large, PublishAt: time.Now().Add(time.Hour)})
	if err != nil || v.Valid || len(v.Errors) != 1 || v.Errors[0].Code != "post_too_large" {
		t.Errorf("validating says %t, %+v, %v", v.Valid, v.Errors, err)
	}
	// What was accepted is emitted whole, and can be read.
	if emitted := r.Await(small.ID, events.FactScheduled); len(emitted.Parts) != 11 {
		t.Errorf("%d parts were told", len(emitted.Parts))
	}
	if p, err := bus.Ask[asks.PostDetail](waiting.Context(t), r.Bus, asks.GetPost{UserID: testUser, ID: small.ID}); err != nil || len(p.Parts) != 11 {
		t.Errorf("%d parts are read, %v", len(p.Parts), err)
	}
}

// A list of posts that are too large for one message ends early, and goes on behind: nothing is left out, nothing comes
// twice, and each page can be sent.
func TestListsEndByBytes(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s, _ := r.Start()
	few := map[string]int{"japanese": 20, "chains": 1}
	for user, fill := range map[string]string{
		"japanese": `INSERT INTO posts (id, user_id, account_id, text, content_hash, publish_at, publish_within, state, created_at, updated_at, rev, told_rev, fact)
			SELECT 'post_' || lpad(i::text, 26, '0'), 'japanese', 'acct_1', repeat('日', 500), 'x', now() + (i / 3) * interval '1 day', 86400, 'scheduled', now(), now(), 1, 1, 'scheduled'
			FROM generate_series(1, 700) AS i`,
		"chains": `INSERT INTO posts (id, user_id, account_id, text, parts, content_hash, publish_at, publish_within, state, created_at, updated_at, rev, told_rev, fact)
			SELECT 'post_c' || lpad(i::text, 25, '0'), 'chains', 'acct_2', 'one', jsonb_build_array(jsonb_build_object('text', repeat('y', i * 30000))), 'x', now(), 86400, 'parked', now(), now(), 1, 1, 'scheduled'
			FROM generate_series(1, 17) AS i`,
	} {
		r.change(fill)
		var want []string
		if err := r.DB.NewSelect().Model((*posts.Post)(nil)).Column("id").Where("user_id = ?", user).OrderExpr("publish_at, id").Scan(t.Context(), &want); err != nil {
			t.Fatal(err)
		}
		for _, limit := range []int{0, 50, few[user]} {
			for _, newest := range []bool{false, true} {
				var got []string
				pages := 0
				for q := (asks.ListPosts{UserID: user, Limit: limit, Newest: newest}); ; {
					list, err := bus.Ask[asks.PostList](waiting.Context(t), r.Bus, q)
					if err != nil {
						t.Fatalf("%s, %d at a time: %v", user, limit, err)
					}
					if len(list.Posts) == 0 || limit > 0 && len(list.Posts) > limit {
						t.Fatalf("%s: a page of %d posts where %d were asked for", user, len(list.Posts), limit)
					}
					pages++
					for _, p := range list.Posts {
						got = append(got, p.ID)
					}
					if q.After = list.Next; q.After == "" {
						break
					}
				}
				if newest {
					slices.Reverse(got)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s: %d posts on %d pages, want %d in their order", user, len(got), pages, len(want))
				}
			}
		}
	}
	// A search looks no further than it would, and ends by bytes as well.
	var found int
	for q := (asks.ListPosts{UserID: "japanese", Search: "日"}); ; {
		list, err := s.Questions.ListPosts(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		found += len(list.Posts)
		if q.After = list.Next; q.After == "" {
			break
		}
	}
	if found != 700 {
		t.Errorf("a search finds %d of 700 posts", found)
	}
}
