package delivery_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

// holder lets no call of one account through to Threads until it is released, and says which came.
type holder struct {
	token   string
	arrived chan *http.Request
	release chan struct{}
}

// RoundTrip holds or passes on.
func (h *holder) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.Header.Get("Authorization"), h.token) {
		h.arrived <- r
		select {
		case <-h.release:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

// hold makes Threads hang for an account.
func (r *system) holdCallsOf(a accounts.Account) *holder {
	r.T.Helper()
	token, err := a.Open(r.Vault, time.Now())
	if err != nil {
		r.T.Fatal(err)
	}
	h := &holder{token: token.Reveal(), arrived: make(chan *http.Request, 10_000), release: make(chan struct{})}
	r.T.Cleanup(func() { close(h.release) })
	server := httptest.NewServer(r.Sim)
	r.T.Cleanup(server.Close)
	r.API = threads.New(threads.Config{BaseURL: server.URL, AppID: threadssim.DefaultAppID, AppSecret: threadssim.DefaultAppSecret,
		PublishTimeout: r.Config.CallTimeout, HTTP: &http.Client{Transport: h}})
	return h
}

func (h *holder) await(t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-h.arrived:
		case <-time.After(waiting.Limit):
			t.Fatal("no call came to Threads")
		}
	}
}

// Threads hangs for one user, who gives many commands that need it, of every kind. None of them is ended, and yet what
// another user commands is done: what needs no call to Threads, and what needs one.
func TestForeignCallsHoldUpNobody(t *testing.T) {
	t.Parallel()
	for name, flood := range map[string]func(i int, r *system) events.Command{
		"replies are hidden": func(i int, _ *system) events.Command {
			return events.HideReply{UserID: testUser, ID: "1800000000" + strconv.Itoa(i), Hide: true}
		},
		"replies are approved": func(i int, _ *system) events.Command {
			return events.ApproveReply{UserID: testUser, ID: "1800000000" + strconv.Itoa(i), Approve: true}
		},
		"posts that were made elsewhere are deleted": func(i int, _ *system) events.Command {
			return events.DeletePost{UserID: testUser, ID: "1800000000" + strconv.Itoa(i)}
		},
		"parked posts are resolved": func(i int, r *system) events.Command {
			p := r.Schedule(time.Hour, "parked "+strconv.Itoa(i))
			r.Exec("UPDATE posts SET state = 'parked' WHERE id = ?", p.ID)
			return events.ResolvePost{UserID: testUser, PostID: p.ID, Published: true, MediaID: "1800000000" + strconv.Itoa(i)}
		},
		"the history is imported": func(int, *system) events.Command { return events.ImportHistory{UserID: testUser} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			r.Account = r.Connect(testUser, "demo.user", publishertest.AllScopes...)
			r.Connect("user_2", "other.user", publishertest.AllScopes...)
			root := r.Say("other.user", "well?", time.Hour)
			r.Person("friend")
			said := r.Say("friend", "well!", 30*time.Minute, "reply_to_id", root)
			h := r.holdCallsOf(r.Account)
			r.Start()
			for i := range 80 {
				if err := r.Bus.Send(t.Context(), flood(i, r), bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
					t.Fatal(err)
				}
			}
			h.await(t, 1)
			cmd := events.SchedulePost{PostID: events.NewPostID(), UserID: "user_2", Draft: events.Draft{Text: "on time"}, PublishAt: time.Now().Add(time.Hour)}
			if p, fault := r.Do(cmd, 10*time.Second); fault != nil || p.ID != cmd.PostID {
				t.Errorf("another user's schedule: %+v, %v", p, fault)
			}
			if _, fault := r.Do(events.HideReply{UserID: "user_2", ID: said, Hide: true}, 10*time.Second); fault != nil {
				t.Errorf("another user's hide: %v", fault)
			}
		})
	}
}

// A picture host hangs, and one user has many drafts validated whose pictures are there. What others ask is answered, also
// the same; and what that user asks besides.
func TestSlowMediaBlindNobody(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Connect("user_2", "other.user")
	asked, release := make(chan struct{}, 10_000), make(chan struct{})
	host := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		asked <- struct{}{}
		select {
		case <-release:
		case <-q.Context().Done():
		}
	}))
	t.Cleanup(host.Close)
	t.Cleanup(func() { close(release) })
	at, err := url.Parse(host.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(at.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	r.Config.MediaNetworks, r.Config.MediaPorts = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, []uint16{uint16(port)}
	r.Start()
	p := r.Schedule(time.Hour, "mine")
	draft := func(media bool) events.Draft {
		if media {
			return events.Draft{Text: "look", Media: []events.Media{{Type: events.Image, URL: host.URL + "/a.jpg"}}}
		}
		return events.Draft{Text: "look"}
	}
	for range 260 {
		go func() {
			_, _ = bus.Ask[asks.Validation](t.Context(), r.Bus, asks.ValidatePost{UserID: testUser, Draft: draft(true), Fetch: true})
		}()
	}
	select {
	case <-asked:
	case <-time.After(waiting.Limit):
		t.Fatal("nobody looked at a picture")
	}
	if v, err := bus.Ask[asks.Validation](t.Context(), r.Bus, asks.ValidatePost{UserID: "user_2", Draft: draft(false), Fetch: true}); err != nil || !v.Valid {
		t.Errorf("another user's draft: %+v, %v", v, err)
	}
	if got, err := bus.Ask[asks.PostDetail](waiting.Context(t), r.Bus, asks.GetPost{UserID: testUser, ID: p.ID}); err != nil || got.ID != p.ID {
		t.Errorf("another question of the same user: %+v, %v", got, err)
	}
}

// Questions hang in Postgres, as many as a user may have and more, and so do those of many users: posts go out all the same,
// on connections that no question has.
func TestQuestionsHoldUpNoPost(t *testing.T) {
	t.Parallel()
	r := setup(t)
	url := pgtest.URL(t) + "&lock_timeout=0&statement_timeout=0" // what hangs here hangs until it is released
	open := func(conns int) *bun.DB {
		db, err := pg.Open(t.Context(), pg.Config{URL: url, MaxConns: conns}, r.Log)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	r.DB, r.Side = open(8), open(4)
	r.Account = r.Connect(testUser, "demo.user")
	users := make([]string, 16)
	for i := range users {
		users[i] = fmt.Sprintf("noisy_%d", i)
		r.Connect(users[i], fmt.Sprintf("noisy.%d", i))
	}
	r.Start()
	p := r.Schedule(time.Second, "on time")

	asking, release := context.WithCancel(t.Context())
	var asked sync.WaitGroup
	t.Cleanup(asked.Wait)
	t.Cleanup(release)
	locked, blocked := make(chan error, 1), open(1)
	asked.Go(func() {
		locked <- pg.InTx(asking, blocked, func(ctx context.Context, tx bun.Tx) error {
			if _, err := tx.NewRaw("LOCK TABLE history_imports IN ACCESS EXCLUSIVE MODE").Exec(ctx); err != nil {
				return err
			}
			locked <- nil
			<-ctx.Done()
			return ctx.Err()
		})
	})
	if err := <-locked; err != nil {
		t.Fatal(err)
	}
	for _, user := range users {
		for range 4 {
			asked.Go(func() {
				ctx, cancel := context.WithTimeout(asking, time.Minute)
				defer cancel()
				_, _ = bus.Ask[asks.HistoryImport](ctx, r.Bus, asks.GetHistoryImport{UserID: user})
			})
		}
	}
	// As many hang as have a connection.
	watch := open(1)
	for hang := 0; hang < 4; {
		err := watch.NewRaw("SELECT count(*) FROM pg_locks WHERE relation = 'history_imports'::regclass AND NOT granted").Scan(t.Context(), &hang)
		if err != nil {
			t.Fatal(err)
		}
		clock.Sleep(t.Context(), 10*time.Millisecond)
	}
	r.Await(p.ID, events.FactPublished)
	r.Once(p)
}
