package delivery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

var allScopes = []string{
	threads.ScopeBasic, threads.ScopeContentPublish, threads.ScopeReadReplies, threads.ScopeManageReplies, threads.ScopeManageInsights,
	threads.ScopeDelete, threads.ScopeKeywordSearch, threads.ScopeManageMentions, threads.ScopeLocationTagging, threads.ScopeProfileDiscovery,
}

// say lets a person post at Threads, past us, some time ago.
func (r *rig) say(username, text string, ago time.Duration, params ...string) string {
	r.t.Helper()
	if err := r.sim.SetClock(time.Now().Add(-ago)); err != nil {
		r.t.Fatal(err)
	}
	form := url.Values{"text": {text}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	id, _, err := r.sim.Say(username, form)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.sim.ResetClock(); err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *rig) person(username string) {
	r.t.Helper()
	if _, err := r.sim.AddPerson(threadssim.Person{Username: username}); err != nil {
		r.t.Fatal(err)
	}
}

// importHistory has a history imported, and waits for the end.
func (r *rig) importHistory(cmd events.ImportHistory) (h events.HistoryImport, fault *events.Fault) {
	r.t.Helper()
	o, err := r.bus.Do(r.t.Context(), cmd, bus.CommandOptions{ID: events.NewCommandID()}, 20*time.Second)
	if err != nil {
		r.t.Fatal(err)
	}
	if !o.Done {
		r.t.Fatal("no outcome of the import")
	}
	if o.Fault == nil {
		if err := json.Unmarshal(o.Result, &h); err != nil {
			r.t.Fatal(err)
		}
	}
	return h, o.Fault
}

func (r *rig) publishNow(text string) events.Post {
	r.t.Helper()
	p, fault := r.do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: text}, PublishAt: time.Now()}, 10*time.Second)
	if fault != nil {
		r.t.Fatal(fault)
	}
	return p
}

func TestImportHistory(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Engagement.HistorySettle = 0
	r.account = r.connect(testUser, "demo.user", allScopes...)
	r.person("friend")
	const list = 120 // more than a page
	for i := range list {
		r.say("demo.user", fmt.Sprintf("from the app %d", i), time.Duration(list-i)*time.Hour)
	}
	theirs := r.say("friend", "hello all", 3*time.Hour)
	quote := r.say("demo.user", "look at this", 2*time.Hour, "quote_post_id", theirs)
	answer := r.say("demo.user", "hello back", 2*time.Hour, "reply_to_id", theirs)
	_, stop := r.start()
	ours := r.publishNow("from here")
	clock.Sleep(t.Context(), time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // Threads takes until in whole seconds

	first, fault := r.importHistory(events.ImportHistory{UserID: testUser})
	if fault != nil {
		t.Fatal(fault)
	}
	if first.Status != "done" || first.Imported != list+1 || first.Known != 1 || first.HeldBack != 0 || first.AccountID != r.account.ID {
		t.Errorf("the first import: %+v", first)
	}
	second, fault := r.importHistory(events.ImportHistory{UserID: testUser, Replies: true})
	if fault != nil {
		t.Fatal(fault)
	}
	if second.Imported != 1 || second.Known != list+2 {
		t.Errorf("the second import: %+v", second)
	}

	find := func(mediaID string) *posts.Post {
		p, err := posts.NewStore(r.db, 0, 0).Find(t.Context(), r.db, testUser, mediaID)
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
	if _, err := posts.NewStore(r.db, 0, 0).Find(t.Context(), r.db, testUser, theirs); err == nil {
		t.Error("a post of somebody else was imported")
	}

	// An imported post is deleted like any other.
	if gone, fault := r.do(events.DeletePost{ID: quote, UserID: testUser}, 10*time.Second); fault != nil || gone.Status != events.StatusDeleted {
		t.Errorf("deleting it: %+v, %v", gone, fault)
	}
	stop()

	// What EVENTS tells makes the same table.
	before := r.snapshots()
	if _, err := r.db.ExecContext(t.Context(), "TRUNCATE posts, recorder_positions"); err != nil {
		t.Fatal(err)
	}
	s, err := r.bus.JetStream().Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	rec := r.projector()
	if err := rec.Replay(t.Context(), r.db, 1, s.CachedInfo().State.LastSeq); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, r.snapshots()); diff != "" {
		t.Errorf("the rebuilt table differs:\n%s", diff)
	}
}

func TestImportHolds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.account = r.connect(testUser, "demo.user", allScopes...)
	r.start()
	for name, cmd := range map[string]events.ImportHistory{
		"a stranger": {UserID: "stranger", AccountID: r.account.ID},
		"nobody":     {UserID: "nobody"},
	} {
		if _, fault := r.importHistory(cmd); fault == nil || fault.Code != events.NotFound {
			t.Errorf("%s is told %v", name, fault)
		}
	}

	t.Run("a fresh post is left to the next import", func(t *testing.T) {
		r.t = t
		r.say("demo.user", "just now", 0)
		r.say("demo.user", "an hour ago", time.Hour)
		h, fault := r.importHistory(events.ImportHistory{UserID: testUser})
		if fault != nil || h.Imported != 1 || h.HeldBack != 0 {
			t.Errorf("%+v, %v", h, fault)
		}
	})

	t.Run("a post that may be ours is held back, and is found by whoever looks for it", func(t *testing.T) {
		r.t = t
		id := r.say("demo.user", "whose is this?", 30*time.Minute)
		p := &posts.Post{
			ID: events.NewPostID(), UserID: testUser, AccountID: r.account.ID, Kind: events.KindPost, Text: "whose is this?", PublishWithin: 86400,
			PublishAt: time.Now().Add(-30 * time.Minute), State: events.StateParked, Rev: 1, ToldRev: 1, Fact: events.FactParked,
			CreatedAt: time.Now(), UpdatedAt: time.Now(),
		}
		p.ContentHash = posts.HashOf(p)
		if err := posts.NewStore(r.db, 0, 0).Insert(t.Context(), r.db, p); err != nil {
			t.Fatal(err)
		}
		h, fault := r.importHistory(events.ImportHistory{UserID: testUser})
		if fault != nil || h.Imported != 0 || h.HeldBack != 1 || h.Known != 1 {
			t.Errorf("%+v, %v", h, fault)
		}
		done, fault := r.do(events.ResolvePost{PostID: p.ID, UserID: testUser, Published: true, MediaID: id}, 10*time.Second)
		if fault != nil || done.ID != p.ID {
			t.Errorf("%+v, %v", done, fault)
		}
		r.row(p.ID, events.StatePublished)
	})

	t.Run("a row that was imported never stands in the way of ours", func(t *testing.T) {
		r.t = t
		id := r.say("demo.user", "ours after all", 20*time.Minute)
		if h, fault := r.importHistory(events.ImportHistory{UserID: testUser}); fault != nil || h.Imported != 1 {
			t.Fatalf("%+v, %v", h, fault)
		}
		p := &posts.Post{
			ID: events.NewPostID(), UserID: testUser, AccountID: r.account.ID, Kind: events.KindPost, Text: "ours after all", PublishWithin: 86400,
			PublishAt: time.Now().Add(-20 * time.Minute), State: events.StateUnconfirmed, Rev: 1, ToldRev: 1, Fact: events.FactUnconfirmed,
			CreatedAt: time.Now(), UpdatedAt: time.Now(), WakeAt: time.Now(), Attempt: 1, CallDeadline: time.Now().Add(-20 * time.Minute),
		}
		p.ContentHash = posts.HashOf(p)
		if err := posts.NewStore(r.db, 0, 0).Insert(t.Context(), r.db, p); err != nil {
			t.Fatal(err)
		}
		row := r.row(p.ID, events.StatePublished)
		if row.MediaID != id {
			t.Errorf("it is %s, want %s", row.MediaID, id)
		}
		if n, _ := r.arrivals("ours after all"); n != 1 {
			t.Errorf("it is on Threads %d times", n)
		}
		if found, err := posts.NewStore(r.db, 0, 0).Find(t.Context(), r.db, testUser, id); err != nil || found.ID != p.ID {
			t.Errorf("its media id finds %+v, %v", found, err)
		}
	})
}

// An import goes on where it was after its publisher died, and when Threads forgets a cursor.
func TestImportGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Engagement.HistorySettle = 0
	for i := range 230 {
		r.say("demo.user", fmt.Sprintf("old %d", i), time.Duration(300-i)*time.Minute)
	}
	s := publisher.New(r.cfg, publisher.Deps{Bus: r.bus, DB: r.db, Threads: r.api, Vault: r.vault, Log: r.log})
	d := bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Time: time.Now()}, Deliveries: 1}
	cmd := events.ImportHistory{UserID: testUser}

	// The first publisher dies after a page: its context ends while it pauses.
	dying, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			if h, err := s.Engagement.GetHistoryImport(t.Context(), events.GetHistoryImport{UserID: testUser}); err != nil || h.Listed > 0 {
				cancel()
				return
			}
			clock.Sleep(t.Context(), 5*time.Millisecond)
		}
	}()
	if _, err := importAll(dying, s, d, cmd); err == nil {
		t.Fatal("it ended before it could be stopped")
	}
	half, err := s.Engagement.GetHistoryImport(t.Context(), events.GetHistoryImport{UserID: testUser})
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
	if err := r.sim.Inject(threadssim.Fault{Op: threads.OpPosts, Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100}); err != nil {
		t.Fatal(err)
	}
	d.Deliveries = 2
	result, err := importAll(t.Context(), s, d, cmd)
	if err != nil {
		t.Fatal(err)
	}
	var h events.HistoryImport
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
	r := newRig(t)
	r.start()
	if err := r.sim.Revoke("demo.user", 0); err != nil {
		t.Fatal(err)
	}
	if _, fault := r.importHistory(events.ImportHistory{UserID: testUser}); fault == nil || fault.Code != events.ReauthRequired {
		t.Errorf("answered %v", fault)
	}
	a, err := accounts.Get(t.Context(), r.db, r.account.ID)
	if err != nil || a.Status != events.ConnectionReconnectRequired {
		t.Errorf("the account is %s, %v", a.Status, err)
	}
	if _, fault := r.importHistory(events.ImportHistory{UserID: testUser, Replies: true}); fault == nil || fault.Code != events.ReauthRequired {
		t.Errorf("answered %v", fault)
	}
}

// Each list goes on where it was itself, whatever the other has reached.
func TestImportOfRepliesGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Engagement.HistorySettle = 0
	r.account = r.connect(testUser, "demo.user", allScopes...)
	r.person("friend")
	root := r.say("friend", "ask me anything", 60*time.Hour)
	r.say("demo.user", "the only post, and older than every reply", 50*time.Hour)
	const replies = 130
	for i := range replies {
		r.say("demo.user", fmt.Sprintf("question %d", i), time.Duration(replies-i)*time.Minute, "reply_to_id", root)
	}
	if err := r.sim.Inject(threadssim.Fault{Op: threads.OpReplies, Nth: 2, Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100}); err != nil {
		t.Fatal(err)
	}
	r.start()
	h, fault := r.importHistory(events.ImportHistory{UserID: testUser, Replies: true})
	if fault != nil || h.Imported != replies+1 {
		t.Errorf("%+v, %v", h, fault)
	}
}
