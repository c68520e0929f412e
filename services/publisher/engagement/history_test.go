package engagement_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/ownercalls"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

// importHistory has a history imported, and waits for the end.
func (r *system) importHistory(cmd events.ImportHistory) (h asks.HistoryImport, fault *events.Fault) {
	r.T.Helper()
	o, err := r.Bus.Do(r.T.Context(), cmd, bus.CommandOptions{ID: events.NewCommandID()}, 20*time.Second)
	if err != nil {
		r.T.Fatal(err)
	}
	if !o.Done {
		r.T.Fatal("no outcome of the import")
	}
	if o.Fault == nil {
		if err := json.Unmarshal(o.Result, &h); err != nil {
			r.T.Fatal(err)
		}
	}
	return h, o.Fault
}

func (r *system) publishNow(text string) events.Post {
	r.T.Helper()
	p, fault := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: publishertest.User, Draft: events.Draft{Text: text}, PublishAt: time.Now()}, 10*time.Second)
	if fault != nil {
		r.T.Fatal(fault)
	}
	return p
}

func TestImportHistory(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Config.Engagement.HistorySettle = 0
	r.Account = r.Connect(publishertest.User, "demo.user", publishertest.AllScopes...)
	r.Person("friend")
	const list = 120 // more than a page
	for i := range list {
		r.Say("demo.user", fmt.Sprintf("from the app %d", i), time.Duration(list-i)*time.Hour)
	}
	theirs := r.Say("friend", "hello all", 3*time.Hour)
	quote := r.Say("demo.user", "look at this", 2*time.Hour, "quote_post_id", theirs)
	answer := r.Say("demo.user", "hello back", 2*time.Hour, "reply_to_id", theirs)
	_, stop := r.Start()
	ours := r.publishNow("from here")
	clock.Sleep(t.Context(), time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // Threads takes until in whole seconds

	first, fault := r.importHistory(events.ImportHistory{UserID: publishertest.User})
	if fault != nil {
		t.Fatal(fault)
	}
	if first.Status != "done" || first.Imported != list+1 || first.Known != 1 || first.HeldBack != 0 || first.AccountID != r.Account.ID {
		t.Errorf("the first import: %+v", first)
	}
	second, fault := r.importHistory(events.ImportHistory{UserID: publishertest.User, Replies: true})
	if fault != nil {
		t.Fatal(fault)
	}
	if second.Imported != 1 || second.Known != list+2 {
		t.Errorf("the second import: %+v", second)
	}

	find := func(mediaID string) *posts.Post {
		p, err := posts.NewStore(r.DB, 0, 0).Find(t.Context(), r.DB, publishertest.User, mediaID)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := find(quote); p.Kind != events.KindImported || p.QuotePostID != theirs || p.State != events.StatePublished || p.Text != "look at this" || p.Permalink == "" {
		t.Errorf("the quote is %+v", p.Snapshot())
	}
	if p := find(answer); p.ReplyTo != theirs || time.Since(p.PublishAt) < time.Hour {
		t.Errorf("the reply is %+v", p.Snapshot())
	}
	if p := find(*ours.PostedTweetID); p.ID != ours.ID {
		t.Error("our own post was imported again")
	}
	if _, err := posts.NewStore(r.DB, 0, 0).Find(t.Context(), r.DB, publishertest.User, theirs); err == nil {
		t.Error("a post of somebody else was imported")
	}

	// An imported post is deleted like any other.
	if gone, fault := r.Do(events.DeletePost{ID: quote, UserID: publishertest.User}, 10*time.Second); fault != nil || gone.Status != events.StatusDeleted {
		t.Errorf("deleting it: %+v, %v", gone, fault)
	}
	stop()

	// EVENTS makes the same table.
	before := r.Snapshots()
	if _, err := r.DB.ExecContext(t.Context(), "TRUNCATE posts, recorder_positions"); err != nil {
		t.Fatal(err)
	}
	s, err := r.Bus.JetStream().Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	rec := r.NewProjector()
	if err := rec.Replay(t.Context(), r.DB, 1, s.CachedInfo().State.LastSeq); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, r.Snapshots()); diff != "" {
		t.Errorf("the rebuilt table differs:\n%s", diff)
	}
}

func TestImportHolds(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Account = r.Connect(publishertest.User, "demo.user", publishertest.AllScopes...)
	r.Start()
	for name, cmd := range map[string]events.ImportHistory{
		"a stranger": {UserID: "stranger", AccountID: r.Account.ID},
		"nobody":     {UserID: "nobody"},
	} {
		if _, fault := r.importHistory(cmd); fault == nil || fault.Code != events.NotFound {
			t.Errorf("%s is told %v", name, fault)
		}
	}

	t.Run("a fresh post is left to the next import", func(t *testing.T) {
		r.T = t
		r.Say("demo.user", "just now", 0)
		r.Say("demo.user", "an hour ago", time.Hour)
		h, fault := r.importHistory(events.ImportHistory{UserID: publishertest.User})
		if fault != nil || h.Imported != 1 || h.HeldBack != 0 {
			t.Errorf("%+v, %v", h, fault)
		}
	})

	t.Run("a post that may be ours is held back, and is found by whoever looks for it", func(t *testing.T) {
		r.T = t
		id := r.Say("demo.user", "whose is this?", 30*time.Minute)
		p := &posts.Post{
			ID: events.NewPostID(), UserID: publishertest.User, AccountID: r.Account.ID, Kind: events.KindPost, Text: "whose is this?", PublishWithin: 86400,
			PublishAt: time.Now().Add(-30 * time.Minute), State: events.StateParked, Rev: 1, EmittedRev: 1, Fact: events.FactParked,
			CreatedAt: time.Now(), UpdatedAt: time.Now(),
		}
		p.ContentHash = posts.HashOf(p)
		if err := posts.NewStore(r.DB, 0, 0).Insert(t.Context(), r.DB, p); err != nil {
			t.Fatal(err)
		}
		h, fault := r.importHistory(events.ImportHistory{UserID: publishertest.User})
		if fault != nil || h.Imported != 0 || h.HeldBack != 1 || h.Known != 1 {
			t.Errorf("%+v, %v", h, fault)
		}
		done, fault := r.Do(events.ResolvePost{PostID: p.ID, UserID: publishertest.User, Published: true, MediaID: id}, 10*time.Second)
		if fault != nil || done.ID != p.ID {
			t.Errorf("%+v, %v", done, fault)
		}
		r.Row(p.ID, events.StatePublished)
	})

	t.Run("a row that was imported never stands in the way of ours", func(t *testing.T) {
		r.T = t
		id := r.Say("demo.user", "ours after all", 20*time.Minute)
		if h, fault := r.importHistory(events.ImportHistory{UserID: publishertest.User}); fault != nil || h.Imported != 1 {
			t.Fatalf("%+v, %v", h, fault)
		}
		p := &posts.Post{
			ID: events.NewPostID(), UserID: publishertest.User, AccountID: r.Account.ID, Kind: events.KindPost, Text: "ours after all", PublishWithin: 86400,
			PublishAt: time.Now().Add(-20 * time.Minute), State: events.StateUnconfirmed, Rev: 1, EmittedRev: 1, Fact: events.FactUnconfirmed,
			CreatedAt: time.Now(), UpdatedAt: time.Now(), WakeAt: time.Now(), Attempt: 1, CallDeadline: time.Now().Add(-20 * time.Minute),
		}
		p.ContentHash = posts.HashOf(p)
		if err := posts.NewStore(r.DB, 0, 0).Insert(t.Context(), r.DB, p); err != nil {
			t.Fatal(err)
		}
		row := r.Row(p.ID, events.StatePublished)
		if row.MediaID != id {
			t.Errorf("it is %s, want %s", row.MediaID, id)
		}
		if n, _ := r.Arrivals("ours after all"); n != 1 {
			t.Errorf("it is on Threads %d times", n)
		}
		if found, err := posts.NewStore(r.DB, 0, 0).Find(t.Context(), r.DB, publishertest.User, id); err != nil || found.ID != p.ID {
			t.Errorf("its media id finds %+v, %v", found, err)
		}
	})
}

// An import goes on where it was after its publisher died, and when Threads forgets a cursor.
func TestImportGoesOn(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Config.Engagement.HistorySettle = 0
	for i := range 230 {
		r.Say("demo.user", fmt.Sprintf("old %d", i), time.Duration(300-i)*time.Minute)
	}
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
	d := bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Time: time.Now()}, Deliveries: 1}
	cmd := events.ImportHistory{UserID: publishertest.User}

	// The first publisher dies after a page: its context ends while it pauses.
	dying, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			if h, err := s.Engagement.GetHistoryImport(t.Context(), asks.GetHistoryImport{UserID: publishertest.User}); err != nil || h.Listed > 0 {
				cancel()
				return
			}
			clock.Sleep(t.Context(), 5*time.Millisecond)
		}
	}()
	if _, err := importAll(dying, s, d, cmd); err == nil {
		t.Fatal("it ended before it could be stopped")
	}
	half, err := s.Engagement.GetHistoryImport(t.Context(), asks.GetHistoryImport{UserID: publishertest.User})
	if err != nil || half.Status != "running" || half.Imported != 100 {
		t.Fatalf("half way: %+v, %v", half, err)
	}

	t.Run("another is refused meanwhile", func(t *testing.T) {
		other := bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Time: time.Now()}, Deliveries: 1}
		_, err := importAll(t.Context(), s, other, cmd)
		if f := commands.Refusal(err); f == nil || f.Code != events.Conflict {
			t.Errorf("%v", err)
		}
	})

	// Threads does not take the cursor any more.
	if err := r.Sim.Inject(threadssim.Fault{Op: threads.OpPosts, Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100}); err != nil {
		t.Fatal(err)
	}
	d.Deliveries = 2
	result, err := importAll(t.Context(), s, d, cmd)
	if err != nil {
		t.Fatal(err)
	}
	var h asks.HistoryImport
	if err := json.Unmarshal(result.(json.RawMessage), &h); err != nil {
		t.Fatal(err)
	}
	if h.Status != "done" || h.Imported != 230 || h.CommandID != d.Meta.ID {
		t.Errorf("%+v", h)
	}
	// Delivered once more, it says the same.
	again, err := importAll(t.Context(), s, d, cmd)
	if err != nil || string(again.(json.RawMessage)) == "" {
		t.Errorf("%s, %v", again, err)
	}
}

// importAll imports page by page until the import ends, or ctx does.
func importAll(ctx context.Context, s *publisher.Service, d bus.Delivery, cmd events.ImportHistory) (any, error) {
	for {
		result, err := s.Engagement.ImportHistory(ctx, d, cmd)
		if !errors.Is(err, ownercalls.ErrMore) {
			return result, err
		}
		if !clock.Sleep(ctx, 200*time.Millisecond) {
			return nil, ctx.Err()
		}
	}
}

func TestImportOfADeadAccount(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()
	if err := r.Sim.Revoke("demo.user", 0); err != nil {
		t.Fatal(err)
	}
	if _, fault := r.importHistory(events.ImportHistory{UserID: publishertest.User}); fault == nil || fault.Code != events.ReauthRequired {
		t.Errorf("answered %v", fault)
	}
	a, err := accounts.Get(t.Context(), r.DB, r.Account.ID)
	if err != nil || a.Status != events.ConnectionReconnectRequired {
		t.Errorf("the account is %s, %v", a.Status, err)
	}
	if _, fault := r.importHistory(events.ImportHistory{UserID: publishertest.User, Replies: true}); fault == nil || fault.Code != events.ReauthRequired {
		t.Errorf("answered %v", fault)
	}
}

// Each list goes on where it was itself, whatever the other has reached.
func TestImportOfRepliesGoesOn(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Config.Engagement.HistorySettle = 0
	r.Account = r.Connect(publishertest.User, "demo.user", publishertest.AllScopes...)
	r.Person("friend")
	root := r.Say("friend", "ask me anything", 60*time.Hour)
	r.Say("demo.user", "the only post, and older than every reply", 50*time.Hour)
	const replies = 130
	for i := range replies {
		r.Say("demo.user", fmt.Sprintf("question %d", i), time.Duration(replies-i)*time.Minute, "reply_to_id", root)
	}
	if err := r.Sim.Inject(threadssim.Fault{Op: threads.OpReplies, Nth: 2, Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100}); err != nil {
		t.Fatal(err)
	}
	r.Start()
	h, fault := r.importHistory(events.ImportHistory{UserID: publishertest.User, Replies: true})
	if fault != nil || h.Imported != replies+1 {
		t.Errorf("%+v, %v", h, fault)
	}
}
