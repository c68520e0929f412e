package delivery_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/delivery"
)

// permalinks has every permalink that Threads shows changed by a function; "" withholds it.
func (r *system) permalinks(change func(link string) string) {
	r.T.Helper()
	edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		answer := httptest.NewRecorder()
		r.Sim.ServeHTTP(answer, req)
		body := answer.Body.Bytes()
		var media map[string]any
		if req.Method == http.MethodGet && json.Unmarshal(body, &media) == nil {
			all, _ := media["data"].([]any) // of a list
			for _, one := range append(all, media) {
				one, _ := one.(map[string]any)
				if link, ok := one["permalink"].(string); ok {
					delete(one, "permalink")
					if link = change(link); link != "" {
						one["permalink"] = link
					}
				}
			}
			body, _ = json.Marshal(media)
		}
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body)
	}))
	r.T.Cleanup(edge.Close)
	r.API = threads.New(threads.Config{BaseURL: edge.URL, AppID: threadssim.DefaultAppID, AppSecret: threadssim.DefaultAppSecret,
		PublishTimeout: r.Config.CallTimeout, HTTP: &http.Client{Transport: &http.Transport{}}})
}

// lastEmitted is the last event of its kind of a post on EVENTS.
func (r *system) lastEmitted(id string, fact events.PostFact) events.Post {
	r.T.Helper()
	stream, err := r.Bus.JetStream().Stream(r.T.Context(), events.StreamEvents)
	if err != nil {
		r.T.Fatal(err)
	}
	m, err := stream.GetLastMsgForSubject(r.T.Context(), events.PostFacts("*", id, string(fact)))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return events.Post{}
	}
	if err != nil {
		r.T.Fatal(err)
	}
	msg, err := events.Decode(m.Header.Get(events.HeaderType), m.Data)
	if err != nil {
		r.T.Fatal(err)
	}
	return msg.(events.PostEvent).Snapshot()
}

// A permalink that comes after PostPublished is emitted in an event of its own, of a single post and of every part of a chain.
func TestLatePermalink(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Config.PermalinkWait = 50 * time.Millisecond
	var shown atomic.Bool
	r.permalinks(func(link string) string {
		if !shown.Load() {
			return ""
		}
		return link
	})
	_, stop := r.Start()
	single, chain := r.Schedule(300*time.Millisecond, "late link"), r.chain(300*time.Millisecond, "one", "two")
	for _, id := range []string{single.ID, chain.ID} {
		if live := r.Await(id, events.FactPublished); live.Permalink != nil {
			t.Fatalf("the link was there at once: %s", *live.Permalink)
		}
	}
	shown.Store(true)
	updated := r.Await(single.ID, events.FactUpdated)
	if updated.Permalink == nil || updated.Status != events.StatusPosted || updated.Rev != r.Any(single.ID).Rev {
		t.Errorf("told %+v", updated)
	}
	parts := r.Await(chain.ID, events.FactUpdated)
	if parts.Permalink == nil || len(parts.Parts) != 2 || parts.Parts[0].Permalink != *parts.Permalink || parts.Parts[1].Permalink == "" {
		t.Errorf("told %+v", parts)
	}
	for _, p := range []events.Post{updated, parts} {
		for row := r.Any(p.ID); !row.WakeAt.IsZero(); row = r.Any(p.ID) { // nothing is left to do
			clock.Sleep(t.Context(), 10*time.Millisecond)
		}
		if row := r.Any(p.ID); row.Permalink != *p.Permalink || row.Rev != p.Rev || row.EmittedRev != row.Rev {
			t.Errorf("the row is %+v", row)
		}
		if n := r.Emitted(p.ID, events.FactUpdated); n != 1 {
			t.Errorf("told %d times", n)
		}
	}
	stop()
	if found, err := r.Rebuild(false); err != nil || found.Equal != 2 || found.Different != 0 {
		t.Errorf("EVENTS and the rows differ: %+v, %v", found, err)
	}

	t.Run("that never comes is looked for only so often", func(t *testing.T) {
		if at := r.Config.Timing().NextPermalinkLook(time.Now(), posts.PermalinkLooks); !at.IsZero() {
			t.Error("it is looked for without end")
		}
		if last := r.Config.Timing().NextPermalinkLook(time.Time{}.Add(time.Hour), posts.PermalinkLooks-1).Sub(time.Time{}.Add(time.Hour)); last < r.Config.PermalinkWait {
			t.Errorf("the pauses end with %s", last)
		}
	})
}

// The permalink that is emitted is the row's, however often it is emitted, and whatever Threads shows meanwhile.
func TestEmittedPermalinkIsTheRows(t *testing.T) {
	t.Parallel()
	r := setup(t)
	var asked atomic.Int64
	r.permalinks(func(link string) string { return fmt.Sprintf("%s?%d", strings.SplitN(link, "?", 2)[0], asked.Add(1)) })
	concluding := func(text string) (*publisher.Service, *posts.Post) {
		t.Helper()
		_, stop := r.Start()
		p := r.Schedule(time.Minute, text)
		before := r.Row(p.ID, events.StateReady)
		for before.EmittedRev < before.Rev {
			clock.Sleep(t.Context(), 10*time.Millisecond)
			before = r.Any(p.ID)
		}
		stop()
		if _, err := r.DB.NewRaw("UPDATE posts SET publish_at = now() WHERE id = ?", p.ID).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		before = r.Any(p.ID)
		s := r.Idle()
		claimed, err := s.Delivery.Claim(t.Context(), &before)
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.Delivery.Access(t.Context(), claimed)
		if err != nil {
			t.Fatal(err)
		}
		mediaID, err := s.Delivery.CallThreads(t.Context(), a, claimed, func() error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		next, _ := claimed.Publish(mediaID, "", time.Now(), time.Now(), time.Now())
		if err := s.Delivery.Store().SaveStep(t.Context(), claimed, next); err != nil {
			t.Fatal(err)
		}
		row := r.Any(p.ID)
		return s, &row
	}

	t.Run("saved before it is told", func(t *testing.T) {
		s, row := concluding("saved first")
		deaf := bustest.Connect(t, r.NATS, "publisher")
		if err := deaf.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		useBus(s, deaf)
		if _, err := s.Delivery.FinishOutcome(t.Context(), row); err == nil {
			t.Fatalf("told without NATS: %v", err)
		}
		kept := r.Any(row.ID)
		if kept.Permalink == "" {
			t.Error("what was about to be told is not in the row")
		}
		again := r.Idle()
		if end, err := again.Delivery.FinishOutcome(t.Context(), &kept); err != nil || end != delivery.Final {
			t.Fatal(err)
		}
		if emitted := r.lastEmitted(row.ID, events.FactPublished); *emitted.Permalink != kept.Permalink || r.Any(row.ID).Permalink != kept.Permalink {
			t.Errorf("noted %s, told %s, the row has %s", kept.Permalink, *emitted.Permalink, r.Any(row.ID).Permalink)
		}
	})

	t.Run("what stands on EVENTS is applied", func(t *testing.T) {
		s, row := concluding("told before")
		first := *row
		first.Permalink = "https://www.threads.com/@demo.user/post/first"
		if err := r.Bus.Emit(t.Context(), posts.OutcomeEvent(&first, events.FactPublished)); err != nil {
			t.Fatal(err)
		}
		if end, err := s.Delivery.FinishOutcome(t.Context(), row); err != nil || end != delivery.Final {
			t.Fatal(err)
		}
		if now := r.Any(row.ID); now.Permalink != first.Permalink || now.State != events.StatePublished || r.Emitted(row.ID, events.FactPublished) != 1 {
			t.Errorf("EVENTS has %s, the row %s", first.Permalink, now.Permalink)
		}
	})
}

// Of a chain everything that its row says is emitted: EVENTS leads to the same row, and a swap takes nothing back.
func TestRebuildOfChains(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Config.PermalinkWait = time.Hour // PostPublished has it, however slow the machine
	_, stop := r.Start()
	live := r.Await(r.chain(300*time.Millisecond, "a1", "a2").ID, events.FactPublished)
	half := r.Await(r.chain(300*time.Millisecond, "b1", "b2").ID, events.FactPublished)
	kept := r.Await(r.chain(300*time.Millisecond, "c1", "c2").ID, events.FactPublished)
	for _, p := range []events.Post{live, half, kept} {
		r.Row(p.ID, events.StatePublished)
	}
	r.Inject(threadssim.Fault{Op: "create", Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100, Nth: 2})
	failed := r.Await(r.chain(300*time.Millisecond, "d1", "d2").ID, events.FactFailed)
	r.Row(failed.ID, events.StateFailed)

	// A part goes by hand, on Threads.
	err := r.Bus.Emit(t.Context(), events.DeletedOnThreads{Heard: events.Heard{
		UserID: testUser, AccountID: r.Account.ID, MediaID: half.Parts[1].MediaID, At: time.Now().UTC().Truncate(time.Second),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if p := r.Await(half.ID, events.FactUpdated); p.Parts[1].DeletedAt == nil || p.Parts[0].DeletedAt != nil || p.Status != events.StatusPosted {
		t.Errorf("told %+v", p)
	}
	// We delete the last part, and may not delete the first.
	r.Inject(threadssim.Fault{Op: threads.OpDelete, Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100, Nth: 2})
	if _, fault := r.Do(events.DeletePost{ID: kept.ID, UserID: testUser}, 10*time.Second); fault == nil || fault.Code != events.Refused {
		t.Fatalf("deleting answered %v", fault)
	}
	if p := r.Await(kept.ID, events.FactUpdated); p.Parts[1].DeletedAt == nil || p.DeleteRequestedAt == nil {
		t.Errorf("told %+v", p)
	}
	for row := r.Any(half.ID); !row.WakeAt.IsZero() || row.EmittedRev < row.Rev; row = r.Any(half.ID) {
		clock.Sleep(t.Context(), 10*time.Millisecond)
	}
	stop()

	before := r.Snapshots()
	found, err := r.Rebuild(false)
	if err != nil || found.Posts != 4 || found.Equal != 4 || found.Different != 0 {
		t.Errorf("the tables differ: %+v, %v", found, err)
	}
	if found, err = r.Rebuild(true); err != nil || found.Swapped != 0 {
		t.Errorf("swapped %+v, %v", found, err)
	}
	after := r.Snapshots()
	for _, p := range []events.Post{half, kept} {
		if b, a := before[p.ID], after[p.ID]; a.Parts[1].DeletedAt == nil || b.Parts[1].DeletedAt == nil {
			t.Errorf("a swap undeletes a part: %+v", a.Parts)
		}
	}
	// What is really different is found, and only that.
	if _, err := r.DB.NewRaw("UPDATE posts SET parts = jsonb_set(parts, '{0,text}', '\"forged\"') WHERE id = ?", live.ID).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found, err = r.Rebuild(false); err != nil || found.Different != 1 || found.Differences[0].ID != live.ID {
		t.Errorf("it found %+v, %v", found, err)
	}
}
