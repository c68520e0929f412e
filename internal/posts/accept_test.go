package posts_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/posts"
)

// A post that is accepted together with others is the same row as one that is written by itself, in every column.
func TestAcceptedAsInserted(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	if _, err := db.ExecContext(t.Context(), connectAccount); err != nil {
		t.Fatal(err)
	}
	s := posts.NewStore(db, time.Minute, time.Minute)
	at := time.Date(2027, 1, 2, 9, 0, 0, 250e6, time.UTC)
	least := posts.Post{UserID: "u", AccountID: "a", Kind: events.KindPost, PublishAt: at, State: events.StateScheduled, CreatedAt: at, UpdatedAt: at, Rev: 1}
	full := least
	full.Text, full.ContentHash = "\"Zürich\\ 🙂,\n{NULL}\xff", "hash"
	full.Media = []events.Media{{Type: events.Image, URL: "https://example.com/a.png", AltText: "a \"b\""}}
	full.Options.TopicTag = "tag"
	full.Parts = []events.Part{{Text: "first"}, {Text: "second"}}
	full.ReplyTo, full.QuotePostID, full.RepostOf, full.ParentID, full.QuotedID = "1", "2", "3", "4", "5"
	full.TimeZone, full.TimeDecision, full.PublishWithin = "Europe/Zurich", "gap", 60
	full.Reason = events.Faultf(events.RateLimited, "Wait.")
	full.MediaID, full.Permalink = "18060000000000017", "https://www.threads.com/@u/post/x"
	for i, when := range []*time.Time{
		&full.CalledAt, &full.AcceptedAt, &full.DeleteRequestedAt, &full.DeletedAt, &full.WakeAt, &full.ArmedAt, &full.LeaseUntil, &full.ContainerAt, &full.DoubtSince,
		&full.ClaimedAt, &full.CallDeadline, &full.FinishedSeenAt,
	} {
		*when = at.Add(time.Duration(i) * time.Minute)
	}
	full.EmittedRev, full.Fact, full.Lease, full.ContainerID, full.Children, full.BuiltFrom = 1, events.FactScheduled, "l", "c", []string{"x", "y,z"}, "b"
	full.Doubt, full.OnAbsent, full.Attempt, full.NotReady, full.Rebuilds, full.Failures = true, posts.AbsentWait, 1, 2, 3, 4
	full.TraceParent, full.Recalled = "00-1-2-01", true
	for name, p := range map[string]posts.Post{"least": least, "full": full} {
		alone, together := p, p
		alone.ID, together.ID = name+" alone", name+" together"
		if p.MediaID != "" {
			together.MediaID = "18060000000000018" // one is one row's
		}
		if err := s.Insert(t.Context(), db, &alone); err != nil {
			t.Fatal(err)
		}
		cmd := commands.Command{ID: name, UserID: "u", Type: "x", PostID: together.ID, Outcome: json.RawMessage(`{"a":"b"}`), CreatedAt: at, FinishedAt: at}
		if err := s.Accept(t.Context(), []posts.Acceptance{{Command: cmd, Post: &together}})[0]; err != nil {
			t.Fatal(err)
		}
		row := func(id string) (columns map[string]any) {
			var text string
			if err := db.NewRaw("SELECT to_jsonb(posts) FROM posts WHERE id = ?", id).Scan(t.Context(), &text); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(text), &columns); err != nil {
				t.Fatal(err)
			}
			delete(columns, "id")
			delete(columns, "media_id")
			return columns
		}
		a, b := row(alone.ID), row(together.ID)
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s:\n%v\n%v", name, a, b)
		}
		for column, value := range b {
			if name == "full" && value == nil {
				t.Errorf("%s is set in neither: set it in this test", column)
			}
		}
		var noted commands.Command
		if err := db.NewSelect().Model(&noted).Where("id = ?", cmd.ID).Scan(t.Context()); err != nil {
			t.Fatal(err)
		}
		if noted.PostID != cmd.PostID || string(noted.Outcome) != `{"a": "b"}` || !noted.FinishedAt.Equal(at) || noted.Key != "" {
			t.Errorf("the command is %+v", noted)
		}
	}
}
