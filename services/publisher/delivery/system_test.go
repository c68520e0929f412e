package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/internal/vault"
	"github.com/omni-write/threads/internal/vault/vaulttest"
	"github.com/omni-write/threads/services/publisher"
)

func TestMain(m *testing.M) {
	if bustest.ServeNode() {
		return
	}
	pgtest.Main(m)
}

const testUser = "user_1"

// rig is a publisher with everything real around it but Threads, which is simulated.
type rig struct {
	t    *testing.T
	cfg  publisher.Config
	nats *natsd.Server
	bus  *bus.Bus
	// connectBus is another connection to NATS under a service's name.
	connectBus func(name string) *bus.Bus
	now        func() time.Time // the publishers' clock; nil: the machine's
	db         *bun.DB
	side       *bun.DB // nil: db
	sim        *threadssim.Sim
	api        *threads.Client
	vault      *vault.Vault
	account    accounts.Account
	log        *zap.Logger
}

// quick shrinks every wait; the simulator's processing is shrunk with them.
func quick(t *testing.T) publisher.Config {
	t.Helper()
	c, err := publisher.ConfigFromEnv(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	c.SweepEvery, c.SweepGrace = 200*time.Millisecond, 300*time.Millisecond
	c.Lease = 2 * time.Second
	c.CallTimeout = 2 * time.Second
	c.SecondCallAfter, c.FinishedApart = 500*time.Millisecond, 300*time.Millisecond
	c.PermalinkWait = time.Second
	c.RefLook = 500 * time.Millisecond
	return c
}

func newRig(t *testing.T) *rig {
	t.Helper()
	nats := bustest.Server(t, t.TempDir())
	r := newRigOn(t, func(name string) *bus.Bus { return bustest.Connect(t, nats, name) })
	r.nats = nats
	return r
}

// newRigOn is a rig on NATS servers of the caller's.
func newRigOn(t *testing.T, connect func(name string) *bus.Bus) *rig {
	t.Helper()
	r := &rig{t: t, cfg: quick(t), db: pgtest.New(t), log: bustest.Log(t), connectBus: connect}
	r.bus = connect("test")
	var err error
	r.sim, err = threadssim.New(threadssim.Options{Processing: threadssim.Processing{Text: 50 * time.Millisecond, Image: 100 * time.Millisecond, Video: 100 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	r.useSim(r.sim)
	r.vault = vaulttest.New(t)
	r.account = r.connect(testUser, "demo.user")
	return r
}

// useSim makes a simulator the rig's Threads.
func (r *rig) useSim(sim *threadssim.Sim) {
	r.t.Helper()
	server := httptest.NewServer(sim)
	r.t.Cleanup(server.Close)
	r.sim = sim
	r.api = threads.New(threads.Config{BaseURL: server.URL, AppID: threadssim.DefaultAppID, AppSecret: threadssim.DefaultAppSecret,
		PublishTimeout: r.cfg.CallTimeout, HTTP: &http.Client{Transport: &http.Transport{}}})
}

// behind puts something between the publisher, as production configures it, and Threads: it may hold a request back.
func (r *rig) behind(between func(*http.Request)) {
	r.t.Helper()
	edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		between(req)
		r.sim.ServeHTTP(w, req)
	}))
	r.t.Cleanup(edge.Close)
	r.cfg.APIURL = edge.URL
	client := r.cfg.Threads()
	client.Timeout = time.Hour
	r.api = threads.New(client)
}

// connect gives a user a connected account.
func (r *rig) connect(user, name string, scopes ...string) accounts.Account {
	r.t.Helper()
	if len(scopes) == 0 {
		scopes = []string{threads.ScopeBasic, threads.ScopeContentPublish, threads.ScopeDelete}
	}
	grant, err := r.sim.Token(name, scopes...)
	if err != nil {
		r.t.Fatal(err)
	}
	var a accounts.Account
	err = pg.InTx(r.t.Context(), r.db, func(ctx context.Context, tx bun.Tx) (err error) {
		a, err = accounts.Connect(ctx, tx, r.vault, accounts.Grant{
			UserID: user, ProviderUserID: grant.UserID, Username: name, Scopes: scopes, Token: grant.AccessToken, ExpiresAt: time.Now().Add(grant.ExpiresIn),
		}, time.Now())
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

// start runs a publisher until the test ends or stop is called.
func (r *rig) start() (s *publisher.Service, stop func()) {
	r.t.Helper()
	b := r.connectBus("publisher")
	s = publisher.New(r.cfg, publisher.Deps{Bus: b, DB: r.db, Side: r.side, Threads: r.api, Vault: r.vault, Log: r.log, Now: r.now})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				r.t.Errorf("publisher ended with %v", err)
			}
		})
	}
	r.t.Cleanup(stop)
	return s, stop
}

func (r *rig) do(cmd events.Command, wait time.Duration) (events.Post, *events.Fault) {
	r.t.Helper()
	return r.doAs(events.NewCommandID(), cmd, wait)
}

func (r *rig) doAs(id string, cmd events.Command, wait time.Duration) (events.Post, *events.Fault) {
	r.t.Helper()
	wait = max(wait, waiting.Limit) // it only ends a test that hangs
	o, err := r.bus.Do(r.t.Context(), cmd, bus.CommandOptions{ID: id}, wait)
	if err != nil {
		r.t.Fatal(err)
	}
	if !o.Done {
		r.t.Fatalf("no outcome of %s within %s; the post is %s", cmd.Type(), wait, r.rows())
	}
	return decodePost(r.t, o), o.Fault
}

// rows says what the table holds, for the messages of failures.
func (r *rig) rows() string {
	var list []posts.Post
	if err := r.db.NewSelect().Model(&list).Scan(context.Background()); err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, p := range list {
		tried, _ := posts.NewStore(r.db, 0, 0).Attempts(context.Background(), r.db, p.ID)
		fmt.Fprintf(&b, "\n%s state=%s rev=%d told=%d fact=%s wake=%s reason=%v attempt=%d", p.ID, p.State, p.Rev, p.ToldRev, p.Fact, p.WakeAt, p.Reason, p.Attempt)
		for _, a := range tried {
			fmt.Fprintf(&b, "\n   %s %s ok=%t %s", a.At.Format(time.TimeOnly), a.Phase, a.OK, a.Message)
		}
	}
	return b.String()
}

func (r *rig) schedule(in time.Duration, text string) events.Post {
	r.t.Helper()
	p, fault := r.do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: text}, PublishAt: time.Now().Add(in)}, 5*time.Second)
	if fault != nil {
		r.t.Fatal(fault)
	}
	return p
}

// await waits for a fact of a post on EVENTS.
func (r *rig) await(id string, fact events.PostFact) events.Post {
	r.t.Helper()
	defer func() {
		if r.t.Failed() {
			r.t.Log(r.rows())
		}
	}()
	return bustest.Await(r.t, r.bus, func(ev events.PostEvent) bool { return ev.Snapshot().ID == id && ev.Fact() == fact }).Snapshot()
}

// row waits until the row is in a state: the projector writes it after the event.
func (r *rig) row(id string, state events.State) posts.Post {
	r.t.Helper()
	return r.rowWithin(id, state, 10*time.Second)
}

func (r *rig) rowWithin(id string, state events.State, limit time.Duration) posts.Post {
	r.t.Helper()
	deadline := time.Now().Add(max(limit, waiting.Limit)) // it only ends a test that hangs
	for {
		p, err := posts.NewStore(r.db, 0, 0).Get(r.t.Context(), r.db, id)
		if err == nil && p.State == state {
			return *p
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("post %s did not become %s: %v %s", id, state, err, r.rows())
		}
		clock.Sleep(r.t.Context(), 10*time.Millisecond)
	}
}

// arrivals is what Threads committed for a text.
func (r *rig) arrivals(text string) (n int, first time.Time) {
	for _, p := range r.sim.Posts() {
		if p.Text == text {
			if n == 0 {
				first = time.Unix(0, p.ArrivedNS)
			}
			n++
		}
	}
	return n, first
}

func (r *rig) once(p events.Post) {
	r.t.Helper()
	n, at := r.arrivals(p.Text)
	if n != 1 {
		r.t.Errorf("Threads has %q %d times, want once%s", p.Text, n, r.rows())
	}
	if at.Before(p.ScheduledAt) {
		r.t.Errorf("%q arrived %s early", p.Text, p.ScheduledAt.Sub(at))
	}
	if told := r.told(p.ID, events.FactPublished); told != 1 {
		r.t.Errorf("%q was told as published %d times", p.Text, told)
	}
}

// told counts a fact of a post on EVENTS.
func (r *rig) told(id string, fact events.PostFact) int {
	r.t.Helper()
	s, err := r.bus.JetStream().Stream(r.t.Context(), events.StreamEvents)
	if err != nil {
		r.t.Fatal(err)
	}
	info, err := s.Info(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	n := 0
	patience := time.Now().Add(20 * time.Second)
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		m, err := s.GetMsg(r.t.Context(), seq)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			continue // erased
		case err != nil && time.Now().Before(patience): // a cluster that has lost a server has no leader for a while
			clock.Sleep(r.t.Context(), 50*time.Millisecond)
			seq--
			continue
		case err != nil:
			r.t.Fatal(err)
		}
		if msg, err := events.Decode(m.Header.Get(events.HeaderType), m.Data); err == nil {
			if ev, ok := msg.(events.PostEvent); ok && ev.Snapshot().ID == id && ev.Fact() == fact {
				n++
			}
		}
	}
	return n
}

func TestLife(t *testing.T) {
	t.Parallel()

	t.Run("a scheduled text goes out at its second", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.start()
		p := r.schedule(1500*time.Millisecond, "on time")
		if p.State != events.StateScheduled || p.Status != events.StatusQueued {
			t.Errorf("accepted as %s, %s", p.State, p.Status)
		}
		live := r.await(p.ID, events.FactPublished)
		r.once(live)
		if live.Status != events.StatusPosted || *live.LatenessMs < 0 || live.Permalink == nil {
			t.Errorf("published as %+v", live)
		}
		row := r.row(p.ID, events.StatePublished)
		if row.MediaID != *live.PostedTweetID || row.Rev != live.Rev || !row.WakeAt.IsZero() {
			t.Errorf("the row is %+v", row)
		}
	})

	t.Run("a post for now is answered when it is live", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.start()
		p, fault := r.do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "now"}, PublishAt: time.Now()}, 10*time.Second)
		if fault != nil || p.Status != events.StatusPosted {
			t.Fatalf("answered %+v, %v", p, fault)
		}
		r.once(p)
		if row := r.row(p.ID, events.StatePublished); row.ID != p.ID {
			t.Error("the row does not say so")
		}
	})

	t.Run("an image and a carousel wait for their processing", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.start()
		photo := events.Media{Type: events.Image, URL: "https://cdn.example/a.jpg", AltText: "a"}
		clip := events.Media{Type: events.Video, URL: "https://cdn.example/b.mp4"}
		for name, media := range map[string][]events.Media{"image": {photo}, "carousel": {photo, clip}} {
			p, fault := r.do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: name, Media: media}, PublishAt: time.Now()}, 15*time.Second)
			if fault != nil || p.Status != events.StatusPosted {
				t.Fatalf("%s: answered %+v, %v", name, p, fault)
			}
			r.once(p)
		}
	})

	t.Run("cancelled is never published", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.start()
		p := r.schedule(1200*time.Millisecond, "taken back")
		after := r.schedule(1800*time.Millisecond, "the one after")
		cancelled, fault := r.do(events.CancelPost{PostID: p.ID, UserID: testUser}, 5*time.Second)
		if fault != nil || cancelled.Status != events.StatusCancelled {
			t.Fatalf("answered %+v, %v", cancelled, fault)
		}
		r.await(after.ID, events.FactPublished)
		if n, _ := r.arrivals(p.Text); n != 0 {
			t.Error("it went out all the same")
		}
		if _, fault := r.do(events.CancelPost{PostID: p.ID, UserID: testUser}, 5*time.Second); fault == nil || fault.Code != events.Conflict {
			t.Errorf("cancelling again says %v", fault)
		}
	})

	t.Run("edited goes out with the new words at the new time", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.start()
		p := r.schedule(time.Hour, "old words")
		words, at := "new words", time.Now().Add(1500*time.Millisecond)
		edited, fault := r.do(events.EditPost{PostID: p.ID, UserID: testUser, IfRev: p.Rev, Text: &words, PublishAt: &at}, 5*time.Second)
		if fault != nil || edited.Text != words {
			t.Fatalf("answered %+v, %v", edited, fault)
		}
		if _, fault := r.do(events.EditPost{PostID: p.ID, UserID: testUser, IfRev: p.Rev, Text: &words}, 5*time.Second); fault == nil || fault.Code != events.Conflict {
			t.Errorf("an edit of an old revision says %v", fault)
		}
		r.once(r.await(p.ID, events.FactPublished))
		if n, _ := r.arrivals("old words"); n != 0 {
			t.Error("the old words went out")
		}
	})

	t.Run("deleted is gone from Threads", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.start()
		p, _ := r.do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "soon gone"}, PublishAt: time.Now()}, 10*time.Second)
		for _, id := range []string{*p.PostedTweetID, p.ID} { // by Threads' id; and again by ours, to the same answer
			gone, fault := r.do(events.DeletePost{ID: id, UserID: testUser}, 10*time.Second)
			if fault != nil || gone.Status != events.StatusDeleted {
				t.Fatalf("answered %+v, %v", gone, fault)
			}
		}
		for _, sp := range r.sim.Posts() {
			if sp.Text == p.Text && !sp.Deleted {
				t.Error("Threads still has it")
			}
		}
	})
}

func TestCommands(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()

	t.Run("a command delivered twice says the same twice", func(t *testing.T) {
		id, post := events.NewCommandID(), events.NewPostID()
		cmd := events.SchedulePost{PostID: post, UserID: testUser, Draft: events.Draft{Text: "twice"}, PublishAt: time.Now().Add(time.Hour)}
		first, fault := r.doAs(id, cmd, 5*time.Second)
		if fault != nil {
			t.Fatal(fault)
		}
		// The stream would drop the same id within its window; the ledger must do so for ever.
		o := r.redeliver(id, cmd)
		if again := decodePost(t, o); again.ID != first.ID || again.Rev != first.Rev || o.Fault != nil {
			t.Errorf("first %+v, then %+v, %v", first, again, o.Fault)
		}
	})

	for name, c := range map[string]struct {
		cmd     events.Command
		code    events.Code
		pointer string
		detail  string
	}{
		"a text that is too long": {events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: strings.Repeat("a", 501)}, PublishAt: time.Now().Add(time.Hour)}, events.Invalid, "/text", "text_too_long"},
		"no text and no media":    {events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, PublishAt: time.Now().Add(time.Hour)}, events.Invalid, "/text", "text_missing"},
		"a media url of no web address": {events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Media: []events.Media{{Type: events.Image, URL: "ftp://cdn.example/a.jpg"}}}, PublishAt: time.Now()},
			events.Invalid, "/media/0/url", threads.MediaURLInvalid},
		"a time in the past":        {events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "late"}, PublishAt: time.Now().Add(-2 * time.Minute)}, events.Invalid, "/scheduledAt", "time_in_past"},
		"a user without an account": {events.SchedulePost{PostID: events.NewPostID(), UserID: "stranger", Draft: events.Draft{Text: "hello"}, PublishAt: time.Now().Add(time.Hour)}, events.NotFound, "", ""},
		"a foreign account":         {events.SchedulePost{PostID: events.NewPostID(), UserID: "stranger", Draft: events.Draft{Text: "hello", AccountID: r.account.ID}, PublishAt: time.Now().Add(time.Hour)}, events.NotFound, "", ""},
		"a foreign post":            {events.CancelPost{PostID: r.schedule(time.Hour, "mine").ID, UserID: "stranger"}, events.NotFound, "", ""},
		"a post that is not there":  {events.DeletePost{ID: "18060000000000017", UserID: testUser}, events.NotFound, "", ""},
	} {
		t.Run(name+" is refused at once", func(t *testing.T) {
			_, fault := r.do(c.cmd, 5*time.Second)
			if fault == nil || fault.Code != c.code {
				t.Fatalf("answered %v, want %s", fault, c.code)
			}
			if c.pointer != "" && (len(fault.Details) != 1 || fault.Details[0].Pointer != c.pointer || fault.Details[0].Code != c.detail) {
				t.Errorf("details %+v, want %s at %s", fault.Details, c.detail, c.pointer)
			}
		})
	}
}

func TestWakeOnlyWhenDue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s, _ := r.start()
	p := r.schedule(time.Hour, "much later")
	// Early, doubled, stale wake-ups, and one for a post that never was.
	for _, id := range []string{p.ID, p.ID, events.NewPostID()} {
		err := s.Delivery.Wake(t.Context(), bus.Delivery{}, id)
		if err != nil && !strings.HasPrefix(err.Error(), "again in") {
			t.Errorf("waking %s: %v", id, err)
		}
	}
	if n, _ := r.arrivals(p.Text); n != 0 {
		t.Error("an early wake-up published the post")
	}
}
