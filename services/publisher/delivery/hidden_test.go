package delivery_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

// A publish call that succeeds may be answered with any refusal there is. Whatever is answered afterwards, and whatever its
// owner asks for meanwhile, the post goes out once, and is never called failed or cancelled while it is live.
func TestEveryHiddenSuccess(t *testing.T) {
	t.Parallel()
	clock := &movedClock{}
	r := setup(t)
	r.Log = zap.NewNop()
	sim := r.worstSim(clock)
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log, Now: clock.now})
	if err := s.Projector.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	later := map[string]func(*machine, string){
		"nothing more":               func(*machine, string) {},
		"no status can be read":      func(m *machine, _ string) { m.fault("status", threadssim.Edge5xx, 5) },
		"the container is not found": func(m *machine, _ string) { m.fault("status", threadssim.NotFound, 8) },
		"the lists cannot be read": func(m *machine, _ string) {
			m.fault("posts", threadssim.Edge5xx, 3)
			m.fault("replies", threadssim.Edge5xx, 3)
		},
		"its time passes": func(m *machine, _ string) { m.pass(25 * time.Hour) },
		"status first, then the lists": func(m *machine, _ string) {
			m.fault("status", threadssim.NotFound, 2)
			m.fault("posts", threadssim.DropRequest, 2)
		},
		"its owner takes it back": func(m *machine, id string) {
			m.fault("status", threadssim.Edge5xx, 2)
			m.wakeOne(id)
			m.command(func(d bus.Delivery) (any, error) {
				return s.Delivery.CancelPost(context.Background(), d, events.CancelPost{PostID: id, UserID: m.user})
			})
			text := "other words"
			m.command(func(d bus.Delivery) (any, error) {
				return s.Delivery.EditPost(context.Background(), d, events.EditPost{PostID: id, UserID: m.user, Text: &text})
			})
		},
	}
	var n int
	for name, after := range later {
		for _, refusal := range everyRefusal {
			for _, kind := range []string{"text", "chain", "repost"} {
				n++
				clock.reset() // each case has an account of its own; a token lives for 60 days
				m := &machine{T: nil, tb: t, r: r, s: s, clock: clock, user: fmt.Sprintf("user_%d", n), revs: map[string]int64{}}
				m.account = r.Connect(m.user, fmt.Sprintf("hidden%d", n), publishertest.ChainScopes...)
				sim.ClearFaults()
				draft := events.Draft{Text: m.text()}
				switch kind {
				case "chain":
					draft = events.Draft{Parts: []events.DraftPart{{Text: m.text()}, {Text: m.text()}}}
				case "repost":
					draft.Text = ""
					draft.RepostOf = m.live(t)
				}
				id := events.NewPostID()
				m.command(func(d bus.Delivery) (any, error) {
					return s.Delivery.SchedulePost(context.Background(), d, events.SchedulePost{PostID: id, UserID: m.user, Draft: draft, PublishAt: clock.now()})
				})
				op := "publish"
				if kind == "repost" {
					op = "repost"
				}
				before := len(sim.Posts())
				if err := sim.Inject(threadssim.Fault{UserID: m.account.ProviderUserID, Op: op, Kind: threadssim.ErrorAfterCommit, HTTP: refusal.http, Code: refusal.code, Subcode: refusal.subcode}); err != nil {
					t.Fatal(err)
				}
				for range 20 { // until the call was made
					if len(sim.Posts()) > before {
						break
					}
					m.next()
				}
				after(m, id)
				m.settle()
				want := 1
				if kind == "chain" {
					want = 2
				}
				row, err := s.Delivery.Store().Get(context.Background(), r.DB, id)
				if err != nil {
					t.Fatal(err)
				}
				committed := len(sim.Posts()) - before
				if row.State == events.StatePublished && committed != want || committed < 1 || committed > want || row.State != events.StatePublished && row.State != events.StateParked &&
					!(kind == "chain" && row.State == events.StateFailed && len(posts.LiveMediaIDs(row)) == committed) {
					t.Errorf("%s after %+v, %s: %s, and Threads has it %d times%s", kind, refusal, name, row.State, committed, m.story())
				}
			}
		}
	}
}

// live is the media id of a post of the account that is on Threads.
func (m *machine) live(t *testing.T) string {
	t.Helper()
	id := events.NewPostID()
	m.command(func(d bus.Delivery) (any, error) {
		return m.s.Delivery.SchedulePost(context.Background(), d, events.SchedulePost{PostID: id, UserID: m.user, Draft: events.Draft{Text: m.text()}, PublishAt: m.now()})
	})
	m.settle()
	p, err := m.s.Delivery.Store().Get(context.Background(), m.r.DB, id)
	if err != nil || p.MediaID == "" {
		t.Fatalf("the post to be reposted did not go out: %v%s", err, m.story())
	}
	return p.MediaID
}

func (m *machine) fault(op, kind string, times int) {
	if err := m.r.Sim.Inject(threadssim.Fault{UserID: m.account.ProviderUserID, Op: op, Kind: kind, Times: times}); err != nil {
		m.Fatal(err)
	}
}
