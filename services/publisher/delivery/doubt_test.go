package delivery_test

import (
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/delivery"
	"github.com/omni-write/threads/services/publisher/draft"
)

// While a post may be live the store refuses every move after which it could go out twice, or be called dead.
func TestDoubtStands(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
	for name, c := range map[string]struct {
		from    events.State
		move    func(*posts.Post)
		allowed bool
	}{
		"it fails":                     {events.StateReady, func(p *posts.Post) { p.State, p.Fact = events.StateConcluding, events.FactFailed }, false},
		"it is cancelled":              {events.StateReady, func(p *posts.Post) { p.State = events.StateCancelled }, false},
		"it waits":                     {events.StateUnconfirmed, func(p *posts.Post) { p.State = events.StateWaiting }, false},
		"it is prepared again":         {events.StateUnconfirmed, func(p *posts.Post) { p.State = events.StateScheduled }, false},
		"another container":            {events.StateReady, func(p *posts.Post) { p.ContainerID = "17990000000000099" }, false},
		"no container":                 {events.StateReady, func(p *posts.Post) { p.DiscardContainer() }, false},
		"other words":                  {events.StateReady, func(p *posts.Post) { p.Text = "other" }, false},
		"other pictures":               {events.StateReady, func(p *posts.Post) { p.Media = []events.Media{{Type: events.Image, URL: "https://cdn.example/a.jpg"}} }, false},
		"no doubt, without a proof":    {events.StateUnconfirmed, func(p *posts.Post) { p.Doubt = false; p.State = events.StateReady }, false},
		"absent, before the call ends": {events.StateUnconfirmed, func(p *posts.Post) { p.EndDoubt(posts.ProofAbsent); p.State = events.StateReady }, false},
		"it fails, absent too early": {events.StateUnconfirmed, func(p *posts.Post) {
			p.EndDoubt(posts.ProofAbsent)
			p.State, p.Fact = events.StateConcluding, events.FactFailed
		}, false},
		"it has a media id": {events.StateUnconfirmed, func(p *posts.Post) {
			next, _ := p.Publish("1", "", time.Now(), time.Now(), time.Now())
			*p = *next
		}, true},
		"the call did not leave": {events.StatePublishing, func(p *posts.Post) { p.EndDoubt(posts.ProofUnsent); p.State = events.StateReady }, true},
		"its owner looked": {events.StateParked, func(p *posts.Post) {
			p.EndDoubt(posts.ProofPerson)
			p.State, p.Fact = events.StateConcluding, events.FactFailed
		}, true},
		"the same container, looked at": {events.StateUnconfirmed, func(p *posts.Post) { p.State = events.StateReady }, true},
		"a person has to look":          {events.StateUnconfirmed, func(p *posts.Post) { p.State = events.StateParked }, true},
	} {
		p := posts.Post{ID: events.NewPostID(), State: c.from, Rev: 2, EmittedRev: 2, Fact: events.FactUnconfirmed, UserID: testUser, AccountID: r.Account.ID, Kind: events.KindPost,
			Text: "words", ContentHash: name, PublishAt: time.Now(), PublishWithin: 3600, ContainerID: "17990000000000013", ContainerAt: time.Now(), Attempt: 1,
			Doubt: true, DoubtSince: time.Now(), OnAbsent: posts.AbsentRetry, CallDeadline: time.Now().Add(time.Minute), CreatedAt: time.Now(), UpdatedAt: time.Now()}
		if err := s.Delivery.Store().Insert(t.Context(), r.DB, &p); err != nil {
			t.Fatal(err)
		}
		next := p
		c.move(&next)
		if err := s.Delivery.Store().Save(t.Context(), r.DB, &p, &next); (err == nil) != c.allowed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What was posted by hand at that time could be the post, however its words look: no second call, a person looks.
func TestAnotherPostForbids(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()
	r.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropRequest})
	p := r.Schedule(2*time.Second, "lost on its way")
	r.Await(p.ID, events.FactUnconfirmed)
	r.byHand("by hand, in other words")
	parked := r.Await(p.ID, events.FactParked)
	if n, _ := r.Arrivals(p.Text); n != 0 || parked.Reason == nil || !strings.Contains(parked.Reason.Message, "could be it") {
		t.Errorf("it went out %d times, and is parked with %v", n, parked.Reason)
	}
}

// byHand posts as the demo user without us.
func (r *system) byHand(text string) {
	r.T.Helper()
	grant, err := r.Sim.Token("demo.user", "threads_basic", "threads_content_publish")
	if err != nil {
		r.T.Fatal(err)
	}
	container, err := r.API.CreateContainer(r.T.Context(), grant.AccessToken, draft.Container(&posts.Post{Text: text}))
	if err != nil {
		r.T.Fatal(err)
	}
	for _, err = r.API.Publish(r.T.Context(), grant.AccessToken, container, nil); err != nil; _, err = r.API.Publish(r.T.Context(), grant.AccessToken, container, nil) {
		clock.Sleep(r.T.Context(), 20*time.Millisecond)
	}
}

// inDoubt is a row whose call had no clear answer.
func (r *system) inDoubt(s *publisher.Service, user, account, text string) posts.Post {
	r.T.Helper()
	now := time.Now()
	p := posts.Post{ID: events.NewPostID(), State: events.StateUnconfirmed, Rev: 2, EmittedRev: 2, Fact: events.FactUnconfirmed, UserID: user, AccountID: account, Kind: events.KindPost,
		Text: text, PublishAt: now.Add(-time.Second), PublishWithin: 3600, Attempt: 1, Doubt: true, DoubtSince: now.Add(-time.Second), OnAbsent: posts.AbsentRetry,
		ClaimedAt: now, CallDeadline: now.Add(time.Minute), WakeAt: now.Add(time.Hour), CreatedAt: now, UpdatedAt: now}
	p.ContentHash = posts.HashOf(&p)
	if err := s.Delivery.Store().Insert(r.T.Context(), r.DB, &p); err != nil {
		r.T.Fatal(err)
	}
	return p
}

// Posts whose answers were lost explain each other in the list of their account.
func TestSeveralLostAnswers(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
	p := r.inDoubt(s, testUser, r.Account.ID, "lost on its way")
	r.byHand("live, and its answer was lost")
	a, err := s.Delivery.Access(t.Context(), &p)
	if err != nil {
		t.Fatal(err)
	}
	if matching, similar, err := s.Delivery.FindPublished(t.Context(), &p, a); err != nil || similar != 1 || matching != 0 {
		t.Errorf("what no row knows could be it: %d and %d, %v", matching, similar, err)
	}
	other := r.inDoubt(s, testUser, r.Account.ID, "live, and its answer was lost")
	if matching, similar, err := s.Delivery.FindPublished(t.Context(), &p, a); err != nil || similar+matching != 0 {
		t.Errorf("another post explains it: %d and %d, %v", matching, similar, err)
	}
	if matching, _, err := s.Delivery.FindPublished(t.Context(), &other, a); err != nil || matching != 1 {
		t.Errorf("the other is not found: %d, %v", matching, err)
	}
}

// A look that fails at the moment that settles an outcome costs seconds, however long the outcome has been asked for.
func TestOneFailedLook(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
	now := time.Now()
	p := posts.Post{ID: events.NewPostID(), State: events.StateUnconfirmed, Rev: 2, EmittedRev: 2, Fact: events.FactUnconfirmed, UserID: testUser, AccountID: r.Account.ID, Kind: events.KindPost,
		Text: "asked for long", ContentHash: "x", PublishAt: now.Add(-time.Hour), PublishWithin: 86400, Attempt: 1, Doubt: true, DoubtSince: now.Add(-time.Hour), OnAbsent: posts.AbsentRetry,
		ClaimedAt: now.Add(-time.Hour), CallDeadline: now.Add(time.Hour), WakeAt: now, CreatedAt: now, UpdatedAt: now}
	if err := s.Delivery.Store().Insert(t.Context(), r.DB, &p); err != nil {
		t.Fatal(err)
	}
	for range 8 { // looks that settle nothing
		row := r.Row(p.ID, events.StateUnconfirmed)
		if end, err := s.Delivery.Confirm(t.Context(), &row); err != nil || end != delivery.Moved {
			t.Fatal(err)
		}
	}
	if row := r.Row(p.ID, events.StateUnconfirmed); row.Failures != 0 {
		t.Errorf("looks that succeeded count as %d failures", row.Failures)
	}
	if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET call_deadline = now() - interval '1 hour'"); err != nil {
		t.Fatal(err)
	}
	r.Inject(threadssim.Fault{Op: "posts", Kind: threadssim.Edge5xx})
	row := r.Row(p.ID, events.StateUnconfirmed)
	if end, err := s.Delivery.Confirm(t.Context(), &row); err != nil || end != delivery.Moved {
		t.Fatal(err)
	}
	if row = r.Row(p.ID, events.StateUnconfirmed); row.Failures != 1 || row.WakeAt.Sub(row.UpdatedAt) > 2*time.Second {
		t.Errorf("after %d failures it is looked for again %s later", row.Failures, row.WakeAt.Sub(row.UpdatedAt))
	}
}

// What was tried for a post stays in its row when its outcome is applied; explain shows it.
func TestOutcomeKeepsWhatWasTried(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100})
	r.Start()
	p := r.Schedule(700*time.Millisecond, "refused at the call")
	r.Await(p.ID, events.FactFailed)
	if row := r.Row(p.ID, events.StateFailed); row.Attempt != 1 || row.ContainerID == "" || row.Doubt {
		t.Errorf("after the call it has %d attempts, container %q, doubt %t", row.Attempt, row.ContainerID, row.Doubt)
	}
}
