package delivery_test

import (
	"errors"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher"
)

func TestEqualTexts(t *testing.T) {
	t.Parallel()
	r := setup(t)
	// The first answer is lost. While its outcome is unknown the second must wait: afterwards nobody could tell them apart.
	r.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropResponse})
	r.Start()
	at := time.Now().Add(700 * time.Millisecond)
	var list []events.Post
	for range 2 {
		p, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "the same words"}, PublishAt: at}, 5*time.Second)
		if fault != nil {
			t.Fatal(fault)
		}
		list = append(list, p)
	}
	ids := map[string]bool{}
	for _, p := range list {
		ids[*r.Await(p.ID, events.FactPublished).PostedTweetID] = true
	}
	if n, _ := r.Arrivals("the same words"); n != 2 || len(ids) != 2 {
		t.Errorf("two posts became %d at Threads, with %d ids", n, len(ids))
	}
}

// Two of our users have connected one Threads account. Equal words of theirs cannot be told apart there either.
func TestEqualTextsOfTwoUsers(t *testing.T) {
	t.Parallel()
	r := setup(t)
	other := r.Connect("user_2", "demo.user")
	if other.ProviderUserID != r.Account.ProviderUserID || other.ID == r.Account.ID {
		t.Fatal("they are not two connections of one Threads user")
	}
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
	r.inDoubt(s, testUser, r.Account.ID, "said by both")
	ready := posts.Post{ID: events.NewPostID(), State: events.StateReady, Rev: 2, EmittedRev: 2, Fact: events.FactPrepared, UserID: "user_2", AccountID: other.ID, Kind: events.KindPost,
		Text: "said by both", PublishAt: time.Now(), PublishWithin: 3600, ContainerID: "17990000000000013", ContainerAt: time.Now(),
		WakeAt: time.Now().Add(time.Hour), CreatedAt: time.Now(), UpdatedAt: time.Now()}
	ready.ContentHash, ready.BuiltFrom = posts.HashOf(&ready), posts.SourceOf(&ready)
	if err := s.Delivery.Store().Insert(t.Context(), r.DB, &ready); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Delivery.Claim(t.Context(), &ready); !errors.Is(err, posts.ErrDuplicateContent) {
		t.Errorf("the claim of equal words answers %v", err)
	}
}

// Two pictures under one caption cannot be told apart in the account's list: while one is in doubt the other waits.
func TestSameCaption(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropRequest})
	r.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.Latency, DelayMS: 1200, Nth: 2})
	r.Start()
	ids := map[string]bool{}
	var list []events.Post
	for i, in := range []time.Duration{time.Second, 1500 * time.Millisecond} {
		media := []events.Media{{Type: events.Image, URL: "https://cdn.example/" + string(rune('a'+i)) + ".jpg"}}
		p, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "one caption", Media: media}, PublishAt: time.Now().Add(in)}, 5*time.Second)
		if fault != nil {
			t.Fatal(fault)
		}
		list = append(list, p)
	}
	for _, p := range list {
		ids[*r.Await(p.ID, events.FactPublished).PostedTweetID] = true
	}
	if n, _ := r.Arrivals("one caption"); n != 2 || len(ids) != 2 {
		t.Errorf("two posts became %d at Threads, with %d ids%s", n, len(ids), r.Rows())
	}
}
