package publisher

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// While a post may be live the store refuses every move after which it could go out twice, or be called dead.
func TestDoubtStands(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := New(r.cfg, Deps{Bus: r.bus, DB: r.db, Threads: r.api, Vault: r.vault, Log: r.log})
	for name, c := range map[string]struct {
		from    events.State
		move    func(*Post)
		allowed bool
	}{
		"it fails":                      {events.StateReady, func(p *Post) { p.State, p.Fact = events.StateConcluding, events.FactFailed }, false},
		"it is cancelled":               {events.StateReady, func(p *Post) { p.State = events.StateCancelled }, false},
		"it waits":                      {events.StateUnconfirmed, func(p *Post) { p.State = events.StateWaiting }, false},
		"it is prepared again":          {events.StateUnconfirmed, func(p *Post) { p.State = events.StateScheduled }, false},
		"another container":             {events.StateReady, func(p *Post) { p.ContainerID = "17990000000000099" }, false},
		"no container":                  {events.StateReady, func(p *Post) { p.dropContainer() }, false},
		"other words":                   {events.StateReady, func(p *Post) { p.Text = "other" }, false},
		"other pictures":                {events.StateReady, func(p *Post) { p.Media = []events.Media{{Type: events.Image, URL: "https://cdn.example/a.jpg"}} }, false},
		"no doubt, without a proof":     {events.StateUnconfirmed, func(p *Post) { p.Doubt = false; p.State = events.StateReady }, false},
		"absent, before the call ends":  {events.StateUnconfirmed, func(p *Post) { p.settle(proofAbsent); p.State = events.StateReady }, false},
		"it fails, absent too early":    {events.StateUnconfirmed, func(p *Post) { p.settle(proofAbsent); p.State, p.Fact = events.StateConcluding, events.FactFailed }, false},
		"it has a media id":             {events.StateUnconfirmed, func(p *Post) { p.lived("1", "", time.Now(), time.Now()); p.State = events.StateConcluding }, true},
		"the call did not leave":        {events.StatePublishing, func(p *Post) { p.settle(proofUnsent); p.State = events.StateReady }, true},
		"its owner looked":              {events.StateParked, func(p *Post) { p.settle(proofPerson); p.State, p.Fact = events.StateConcluding, events.FactFailed }, true},
		"the same container, looked at": {events.StateUnconfirmed, func(p *Post) { p.State = events.StateReady }, true},
		"a person has to look":          {events.StateUnconfirmed, func(p *Post) { p.State = events.StateParked }, true},
	} {
		p := Post{ID: events.NewPostID(), State: c.from, Rev: 2, ToldRev: 2, Fact: events.FactUnconfirmed, UserID: testUser, AccountID: r.account.ID, Kind: events.KindPost,
			Text: "words", ContentHash: name, PublishAt: time.Now(), PublishWithin: 3600, ContainerID: "17990000000000013", ContainerAt: time.Now(), Attempt: 1,
			Doubt: true, DoubtSince: time.Now(), OnAbsent: absentRetry, CallDeadline: time.Now().Add(time.Minute), CreatedAt: time.Now(), UpdatedAt: time.Now()}
		if err := s.store.insert(t.Context(), r.db, &p); err != nil {
			t.Fatal(err)
		}
		next := p
		c.move(&next)
		if err := s.store.save(t.Context(), r.db, &p, &next); (err == nil) != c.allowed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A container built from other words, whoever left it there, is never published.
func TestContainerOfOtherWords(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	p := r.schedule(3*time.Second, "old words")
	r.row(p.ID, events.StateReady)
	if _, err := r.db.ExecContext(t.Context(), "UPDATE posts SET text = 'new words' WHERE id = ?", p.ID); err != nil {
		t.Fatal(err)
	}
	r.await(p.ID, events.FactPublished)
	if old, _ := r.arrivals("old words"); old != 0 {
		t.Errorf("the old words are live")
	}
	if n, _ := r.arrivals("new words"); n != 1 {
		t.Errorf("the new words are live %d times", n)
	}
}

// Whoever adds a column says whether an event tells it, or whether it belongs to one revision.
func TestEveryColumnHasItsPlace(t *testing.T) {
	t.Parallel()
	listed := slices.Concat(identityColumns, contentColumns, outcomeColumns, progressColumns, turnColumns, triedColumns, traceColumns)
	post := reflect.TypeFor[Post]()
	for i := range post.NumField() {
		name, _, _ := strings.Cut(post.Field(i).Tag.Get("bun"), ",")
		if name == "" || post.Field(i).Anonymous {
			continue
		}
		if n := len(slices.DeleteFunc(slices.Clone(listed), func(c string) bool { return c != name })); n != 1 {
			t.Errorf("column %s is in %d lists of rebuild.go", name, n)
		}
		listed = slices.DeleteFunc(listed, func(c string) bool { return c == name })
	}
	if len(listed) > 0 {
		t.Errorf("no such columns: %v", listed)
	}
}

// Threads may give a text back in another shape than it was given; that is the post all the same.
func TestAsShown(t *testing.T) {
	t.Parallel()
	for _, same := range [][2]string{
		{"one\r\ntwo", "one\ntwo"}, {"e\u0301t\u00e9", "\u00e9te\u0301"}, {"two  blanks", "two blanks"}, {" around ", "around"}, {"a\u200bb\ufeff", "ab"},
		{"heart \u2764\ufe0f", "heart \u2764"}, {"#topic", "topic"}, {"tab\there", "tab here"}, {"no\u00a0break", "no break"},
	} {
		if asShown(same[0]) != asShown(same[1]) {
			t.Errorf("%q is not %q", same[0], same[1])
		}
	}
	if asShown("one") == asShown("two") {
		t.Error("all texts are one")
	}
}

func TestCouldBe(t *testing.T) {
	t.Parallel()
	photo := []events.Media{{Type: events.Image, URL: "https://cdn.example/a.jpg"}}
	text, image := Post{Kind: events.KindPost, Text: "x"}, Post{Kind: events.KindPost, Text: "x", Media: photo}
	reply := Post{Kind: events.KindPost, Text: "x", ReplyTo: "9", ParentID: "9"}
	quote := Post{Kind: events.KindPost, Text: "x", QuotePostID: "8", QuotedID: "8"}
	repost := Post{Kind: events.KindRepost, RepostOf: "7", ParentID: "7"}
	for name, c := range map[string]struct {
		p    Post
		m    threads.Media
		want bool
	}{
		"other words":                  {text, threads.Media{Text: "y", MediaType: "TEXT_POST"}, true},
		"a kind nobody knows":          {text, threads.Media{MediaType: "HOLOGRAM"}, true},
		"another kind":                 {text, threads.Media{MediaType: "IMAGE"}, false},
		"a picture":                    {image, threads.Media{MediaType: "IMAGE"}, true},
		"a reply for a post":           {text, threads.Media{MediaType: "TEXT_POST", IsReply: true}, false},
		"a reply to the same":          {reply, threads.Media{MediaType: "TEXT_POST", IsReply: true, ReplyToID: "9"}, true},
		"a reply to what is not said":  {reply, threads.Media{MediaType: "TEXT_POST", IsReply: true}, true},
		"a reply to another":           {reply, threads.Media{MediaType: "TEXT_POST", IsReply: true, ReplyToID: "10"}, false},
		"a quote for a post":           {text, threads.Media{MediaType: "TEXT_POST", IsQuote: true}, false},
		"a quote of what is gone":      {quote, threads.Media{MediaType: "TEXT_POST", IsQuote: true}, true},
		"a quote of another":           {quote, threads.Media{MediaType: "TEXT_POST", IsQuote: true, QuotedID: "10"}, false},
		"a repost of the same":         {repost, threads.Media{MediaType: "REPOST_FACADE", RepostedID: "7"}, true},
		"a repost of what is not said": {repost, threads.Media{MediaType: "REPOST_FACADE"}, true},
		"a repost of another":          {repost, threads.Media{MediaType: "REPOST_FACADE", RepostedID: "10"}, false},
		"a post for a repost":          {repost, threads.Media{MediaType: "TEXT_POST"}, false},
	} {
		if couldBe(&c.p, c.m) != c.want {
			t.Errorf("%s: want %t", name, c.want)
		}
	}
}

// What was posted by hand at that time could be the post, however its words look: no second call, a person looks.
func TestAnotherPostForbids(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	p := r.schedule(2*time.Second, "lost on its way")
	r.row(p.ID, events.StateReady)
	r.inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropRequest})
	r.await(p.ID, events.FactUnconfirmed)
	r.byHand("by hand, in other words")
	parked := r.await(p.ID, events.FactParked)
	if n, _ := r.arrivals(p.Text); n != 0 || parked.Reason == nil || !strings.Contains(parked.Reason.Message, "could be it") {
		t.Errorf("it went out %d times, and is parked with %v", n, parked.Reason)
	}
}

// byHand posts as the demo user without us.
func (r *rig) byHand(text string) {
	r.t.Helper()
	grant, err := r.sim.Token("demo.user", "threads_basic", "threads_content_publish")
	if err != nil {
		r.t.Fatal(err)
	}
	container, err := r.api.CreateContainer(r.t.Context(), grant.AccessToken, containerOf(&Post{Text: text}))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, err = r.api.Publish(r.t.Context(), grant.AccessToken, container, nil); err != nil; _, err = r.api.Publish(r.t.Context(), grant.AccessToken, container, nil) {
		pause(r.t.Context(), 20*time.Millisecond)
	}
}

// inDoubt is a row whose call had no clear answer.
func (r *rig) inDoubt(s *Service, user, account, text string) Post {
	r.t.Helper()
	now := time.Now()
	p := Post{ID: events.NewPostID(), State: events.StateUnconfirmed, Rev: 2, ToldRev: 2, Fact: events.FactUnconfirmed, UserID: user, AccountID: account, Kind: events.KindPost,
		Text: text, PublishAt: now.Add(-time.Second), PublishWithin: 3600, Attempt: 1, Doubt: true, DoubtSince: now.Add(-time.Second), OnAbsent: absentRetry,
		ClaimedAt: now, CallDeadline: now.Add(time.Minute), WakeAt: now.Add(time.Hour), CreatedAt: now, UpdatedAt: now}
	p.ContentHash = p.hash()
	if err := s.store.insert(r.t.Context(), r.db, &p); err != nil {
		r.t.Fatal(err)
	}
	return p
}

// Posts whose answers were lost explain each other in the list of their account.
func TestSeveralLostAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := New(r.cfg, Deps{Bus: r.bus, DB: r.db, Threads: r.api, Vault: r.vault, Log: r.log})
	p := r.inDoubt(s, testUser, r.account.ID, "lost on its way")
	r.byHand("live, and its answer was lost")
	a, err := s.access(t.Context(), &p)
	if err != nil {
		t.Fatal(err)
	}
	if seen, _, err := s.look(t.Context(), &p, a); err != nil || len(seen.similar) != 1 || len(seen.same) != 0 {
		t.Errorf("what no row knows could be it: %+v, %v", seen, err)
	}
	other := r.inDoubt(s, testUser, r.account.ID, "live, and its answer was lost")
	if seen, _, err := s.look(t.Context(), &p, a); err != nil || len(seen.similar)+len(seen.same) != 0 {
		t.Errorf("another post explains it: %+v, %v", seen, err)
	}
	if seen, _, err := s.look(t.Context(), &other, a); err != nil || len(seen.same) != 1 {
		t.Errorf("the other is not found: %+v, %v", seen, err)
	}
}

// Two of our users have connected one Threads account. Equal words of theirs cannot be told apart there either.
func TestEqualTextsOfTwoUsers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	other := r.connect("user_2", "demo.user")
	if other.ProviderUserID != r.account.ProviderUserID || other.ID == r.account.ID {
		t.Fatal("they are not two connections of one Threads user")
	}
	s := New(r.cfg, Deps{Bus: r.bus, DB: r.db, Threads: r.api, Vault: r.vault, Log: r.log})
	r.inDoubt(s, testUser, r.account.ID, "said by both")
	ready := Post{ID: events.NewPostID(), State: events.StateReady, Rev: 2, ToldRev: 2, Fact: events.FactPrepared, UserID: "user_2", AccountID: other.ID, Kind: events.KindPost,
		Text: "said by both", PublishAt: time.Now(), PublishWithin: 3600, ContainerID: "17990000000000013", ContainerAt: time.Now(),
		WakeAt: time.Now().Add(time.Hour), CreatedAt: time.Now(), UpdatedAt: time.Now()}
	ready.ContentHash, ready.BuiltFrom = ready.hash(), ready.source()
	if err := s.store.insert(t.Context(), r.db, &ready); err != nil {
		t.Fatal(err)
	}
	if _, err := s.claim(t.Context(), &ready); !errors.Is(err, errTwin) {
		t.Errorf("the claim of equal words answers %v", err)
	}
}

// A look that fails at the moment that settles an outcome costs seconds, however long the outcome has been asked for.
func TestOneFailedLook(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := New(r.cfg, Deps{Bus: r.bus, DB: r.db, Threads: r.api, Vault: r.vault, Log: r.log})
	now := time.Now()
	p := Post{ID: events.NewPostID(), State: events.StateUnconfirmed, Rev: 2, ToldRev: 2, Fact: events.FactUnconfirmed, UserID: testUser, AccountID: r.account.ID, Kind: events.KindPost,
		Text: "asked for long", ContentHash: "x", PublishAt: now.Add(-time.Hour), PublishWithin: 86400, Attempt: 1, Doubt: true, DoubtSince: now.Add(-time.Hour), OnAbsent: absentRetry,
		ClaimedAt: now.Add(-time.Hour), CallDeadline: now.Add(time.Hour), WakeAt: now, CreatedAt: now, UpdatedAt: now}
	if err := s.store.insert(t.Context(), r.db, &p); err != nil {
		t.Fatal(err)
	}
	for range 8 { // looks that settle nothing
		row := r.row(p.ID, events.StateUnconfirmed)
		if err := s.confirm(t.Context(), &row); err != nil {
			t.Fatal(err)
		}
	}
	if row := r.row(p.ID, events.StateUnconfirmed); row.Failures != 0 {
		t.Errorf("looks that succeeded count as %d failures", row.Failures)
	}
	if _, err := r.db.ExecContext(t.Context(), "UPDATE posts SET call_deadline = now() - interval '1 hour'"); err != nil {
		t.Fatal(err)
	}
	r.inject(threadssim.Fault{Op: "posts", Kind: threadssim.Edge5xx})
	row := r.row(p.ID, events.StateUnconfirmed)
	if err := s.confirm(t.Context(), &row); err != nil {
		t.Fatal(err)
	}
	if row = r.row(p.ID, events.StateUnconfirmed); row.Failures != 1 || row.WakeAt.Sub(row.UpdatedAt) > 2*time.Second {
		t.Errorf("after %d failures it is looked for again %s later", row.Failures, row.WakeAt.Sub(row.UpdatedAt))
	}
}

// What was tried for a post stays in its row when its outcome is applied; explain shows it.
func TestOutcomeKeepsWhatWasTried(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.inject(threadssim.Fault{Op: "publish", Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100})
	r.start()
	p := r.schedule(700*time.Millisecond, "refused at the call")
	r.await(p.ID, events.FactFailed)
	if row := r.row(p.ID, events.StateFailed); row.Attempt != 1 || row.ContainerID == "" || row.Doubt {
		t.Errorf("after the call it has %d attempts, container %q, doubt %t", row.Attempt, row.ContainerID, row.Doubt)
	}
}
