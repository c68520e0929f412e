package delivery_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/limiter"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

// An account whose pictures Threads cannot fetch in time holds its own places and no more: another's post goes out while
// every one of those calls hangs.
func TestSlowPicturesHoldNobodyUp(t *testing.T) {
	t.Parallel()
	r := setup(t)
	slow, quiet := r.Account, r.Connect("user_2", "quiet")
	r.Config.Slots = 40
	r.Config.BreakerAfter = 3
	held, all := make(chan struct{}, 1000), make(chan struct{})
	r.Behind(func(req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(body))
		if bytes.Contains(body, []byte("image_url=")) {
			held <- struct{}{}
			<-all
		}
	})
	r.Start()
	t.Cleanup(func() { close(all) })
	at := time.Now().Add(3 * time.Second)
	schedule := func(user, account, text string, media ...events.Media) events.Post {
		t.Helper()
		p, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: user, Draft: events.Draft{AccountID: account, Text: text, Media: media}, PublishAt: at}, 5*time.Second)
		if fault != nil {
			t.Fatal(fault)
		}
		return p
	}
	ready := schedule("user_2", quiet.ID, "ready")
	r.Row(ready.ID, events.StateReady)
	for i := range r.Config.Slots + 5 {
		schedule(testUser, slow.ID, fmt.Sprint("slow ", i), events.Media{Type: events.Image, URL: "https://slow.example/a.jpg"})
	}
	<-held
	at = time.Now()
	unprepared := schedule("user_2", quiet.ID, "for now")
	own := schedule(testUser, slow.ID, "words alone")
	for _, p := range []events.Post{ready, unprepared, own} {
		r.Once(r.Await(p.ID, events.FactPublished))
	}
	if n := len(held) + 1; n > r.Config.CreationsPerAccount {
		t.Errorf("%d pictures of one account are fetched at once", n)
	}
}

// The containers by which the later parts of a chain are tried keep to the account's places too.
func TestTrialsKeepToTheirPlaces(t *testing.T) {
	t.Parallel()
	r := setup(t)
	quiet := r.Connect("user_2", "quiet")
	r.Config.CreationsPerAccount = 1
	held, all := make(chan struct{}, 100), make(chan struct{})
	r.Behind(func(req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(body))
		if bytes.Contains(body, []byte("image_url=")) {
			held <- struct{}{}
			<-all
		}
	})
	r.Start()
	letGo := sync.OnceFunc(func() { close(all) })
	t.Cleanup(letGo)
	parts := []events.DraftPart{{Text: "words"}}
	for i := range 5 {
		parts = append(parts, events.DraftPart{Text: fmt.Sprint("picture ", i), Media: []events.Media{{Type: events.Image, URL: "https://slow.example/a.jpg"}}})
	}
	chain := r.accepted(events.Draft{Parts: parts}, 0)
	<-held
	for _, draft := range []events.Draft{{Text: "words alone"}, {AccountID: quiet.ID, Text: "another's"}} {
		user := testUser
		if draft.AccountID != "" {
			user = "user_2"
		}
		p, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: user, Draft: draft, PublishAt: time.Now()}, 5*time.Second)
		if fault != nil {
			t.Fatal(fault)
		}
		r.Once(r.Await(p.ID, events.FactPublished))
	}
	if n := len(held) + 1; n > 1 {
		t.Errorf("%d pictures of an account with one place are fetched at once", n)
	}
	letGo()
	r.threaded(r.Await(chain.ID, events.FactPublished))
}

// A permalink that does not come keeps no wake-up from another post.
func TestHangingPermalinksHoldNobodyUp(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Config.Slots = 16
	r.Config.PermalinkWait = time.Hour
	quiet := r.Connect("user_2", "quiet")
	all := make(chan struct{})
	r.Behind(func(req *http.Request) {
		if strings.Contains(req.URL.RawQuery, "permalink") {
			<-all
		}
	})
	r.Start()
	t.Cleanup(func() { close(all) })
	for i := range r.Config.Slots + 4 {
		r.Schedule(0, fmt.Sprint("live, but where ", i))
	}
	p, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: "user_2", Draft: events.Draft{AccountID: quiet.ID, Text: "quiet"}, PublishAt: time.Now().Add(2 * time.Second)}, 20*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	r.Once(r.Await(p.ID, events.FactPublished))
}

// A user with many accounts has half of the places at most, and waits in a line of their own.
func TestNoUserHasAllPlaces(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := publisher.New(publishertest.Quick(t), publisher.Deps{DB: pgtest.New(t)})
	for name, l := range map[string]*limiter.Limiter{"creations": s.Delivery.Creations(), "questions": s.Delivery.Questions(), "permalinks": s.Delivery.PermalinkPlaces()} {
		for n := range l.Total {
			l.Acquire("noisy", fmt.Sprint("of the noisy ", n), now)
		}
		if l.InFlight() != l.Total/2 {
			t.Errorf("%s: one user holds %d of %d places", name, l.InFlight(), l.Total)
		}
		if _, ok := l.Acquire("quiet", "of the quiet", now); !ok {
			t.Errorf("%s: another user finds no place", name)
		}
		l.Release("noisy", "of the noisy 0", time.Millisecond)
		if _, ok := l.Acquire("noisy", "of the noisy 0", now); !ok {
			t.Errorf("%s: a place that was given back is not given again", name)
		}
	}
}
