package delivery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

// Whatever is asked, in whatever order, while Threads answers whatever it likes and wake-ups come early, twice or for
// nothing: no post goes out twice or early, none is left without an end, and EVENTS alone rebuilds every row. Nothing of the
// service runs by itself here; the test is its clock and its messages.
func TestEveryOrder(t *testing.T) {
	t.Parallel()
	clock := &movedClock{}
	r := setup(t)
	r.Log = zap.NewNop()
	sim := r.worstSim(clock)
	r.Config.RefLook = 2 * time.Hour
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log, Now: clock.now})
	if err := s.Projector.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int
	rapid.Check(t, func(rt *rapid.T) {
		n++
		m := &machine{T: rt, r: r, s: s, clock: clock, user: fmt.Sprintf("user_%d", n), revs: map[string]int64{}}
		m.account = r.Connect(m.user, fmt.Sprintf("name%d", n), publishertest.ChainScopes...)
		m.from = m.lastSeq()
		sim.ClearFaults()
		rt.Repeat(map[string]func(*rapid.T){
			"schedule": m.schedule, "edit": m.edit, "cancel": m.cancel, "retry": m.retry, "resolve": m.resolve, "delete": m.remove,
			"wake": m.wake, "time": m.time, "trouble": m.trouble, "sweep": m.sweep, "": m.check,
		})
		m.settle()
		m.rebuild()
	})
}

// worstSim makes a simulator on this clock the system's Threads. It is the worst that may be: a second publish of a container makes
// a second post.
func (r *system) worstSim(clock *movedClock) *threadssim.Sim {
	r.T.Helper()
	sim, err := threadssim.New(threadssim.Options{Now: clock.now, Processing: threadssim.Processing{Text: 50 * time.Millisecond, Image: 100 * time.Millisecond, Video: 100 * time.Millisecond}})
	if err != nil {
		r.T.Fatal(err)
	}
	if err := sim.SetKnobs(func(k *threadssim.Knobs) { k.DoublePublish = "second_post" }); err != nil {
		r.T.Fatal(err)
	}
	r.UseSim(sim)
	return sim
}

// movedClock goes on by itself and can be moved ahead.
type movedClock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *movedClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *movedClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func (c *movedClock) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead = 0
}

type machine struct {
	*rapid.T
	tb      testing.TB // where there is no rapid.T
	r       *system
	s       *publisher.Service
	clock   *movedClock
	user    string
	account accounts.Account
	ids     []string
	revs    map[string]int64
	from    uint64
	texts   int
}

func (m *machine) Fatal(args ...any) { m.Fatalf("%s", fmt.Sprint(args...)) }

func (m *machine) Fatalf(format string, args ...any) {
	if m.tb != nil {
		m.tb.Fatalf(format, args...)
	}
	m.T.Fatalf(format, args...)
}

func (m *machine) now() time.Time { return m.clock.now() }

// pass lets time pass, for the database too: its clock judges when a second call may be made.
func (m *machine) pass(d time.Duration) {
	m.clock.advance(d)
	_, err := m.r.DB.NewUpdate().Model((*posts.Post)(nil)).Where("user_id = ?", m.user).
		Set("call_deadline = call_deadline - ? * interval '1 microsecond'", d.Microseconds()).
		Set("finished_seen_at = finished_seen_at - ? * interval '1 microsecond'", d.Microseconds()).Exec(context.Background())
	if err != nil {
		m.Fatal(err)
	}
}

func (m *machine) delivery() bus.Delivery {
	return bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Time: m.now()}}
}

// command gives a command twice: the second delivery must change nothing.
func (m *machine) command(do func(bus.Delivery) (any, error)) {
	d := m.delivery()
	_, err := do(d)
	_, again := do(d)
	if (err == nil) != (again == nil) {
		m.Fatalf("a command delivered twice says %v, then %v", err, again)
	}
}

func (m *machine) text() string {
	m.texts++
	return fmt.Sprintf("%s says %d", m.user, m.texts)
}

func (m *machine) draft() events.Draft {
	photo := func() events.Media { return events.Media{Type: events.Image, URL: "https://cdn.example/a.jpg"} }
	switch rapid.SampledFrom([]string{"text", "image", "carousel", "chain", "repost", "reply"}).Draw(m.T, "kind") {
	case "image":
		return events.Draft{Text: m.text(), Media: []events.Media{photo()}}
	case "carousel":
		return events.Draft{Text: m.text(), Media: []events.Media{photo(), photo()}}
	case "chain":
		return events.Draft{Parts: []events.DraftPart{{Text: m.text()}, {Text: m.text(), Media: []events.Media{photo()}}, {Text: m.text()}}}
	case "repost":
		if id := m.any(); id != "" {
			return events.Draft{RepostOf: id}
		}
	case "reply":
		if id := m.any(); id != "" {
			return events.Draft{Text: m.text(), ReplyTo: id}
		}
	}
	return events.Draft{Text: m.text()}
}

func (m *machine) any() string {
	if len(m.ids) == 0 {
		return ""
	}
	return rapid.SampledFrom(m.ids).Draw(m.T, "post")
}

func (m *machine) schedule(*rapid.T) {
	if len(m.ids) > 5 {
		m.Skip("enough posts")
	}
	id := events.NewPostID()
	cmd := events.SchedulePost{PostID: id, UserID: m.user, Draft: m.draft(), PublishAt: m.now().Add(rapid.SampledFrom([]time.Duration{0, time.Minute, 5 * time.Hour, 30 * time.Hour}).Draw(m.T, "in"))}
	m.command(func(d bus.Delivery) (any, error) {
		return m.s.Delivery.SchedulePost(context.Background(), d, cmd)
	})
	if _, err := m.s.Delivery.Store().Get(context.Background(), m.r.DB, id); err == nil {
		m.ids = append(m.ids, id)
	}
}

func (m *machine) onOne(do func(id string) func(bus.Delivery) (any, error)) {
	if id := m.any(); id != "" {
		m.command(do(id))
	}
}

func (m *machine) edit(*rapid.T) {
	text, at := m.text(), m.now().Add(2*time.Hour)
	m.onOne(func(id string) func(bus.Delivery) (any, error) {
		cmd := events.EditPost{PostID: id, UserID: m.user}
		if rapid.Bool().Draw(m.T, "words") {
			cmd.Text = &text
		} else {
			cmd.PublishAt = &at
		}
		return func(d bus.Delivery) (any, error) { return m.s.Delivery.EditPost(context.Background(), d, cmd) }
	})
}

func (m *machine) cancel(*rapid.T) {
	m.onOne(func(id string) func(bus.Delivery) (any, error) {
		return func(d bus.Delivery) (any, error) {
			return m.s.Delivery.CancelPost(context.Background(), d, events.CancelPost{PostID: id, UserID: m.user})
		}
	})
}

func (m *machine) retry(*rapid.T) {
	m.onOne(func(id string) func(bus.Delivery) (any, error) {
		cmd := events.RetryPost{PostID: id, UserID: m.user, PublishAt: m.now()}
		return func(d bus.Delivery) (any, error) { return m.s.Delivery.RetryPost(context.Background(), d, cmd) }
	})
}

func (m *machine) resolve(*rapid.T) {
	m.onOne(func(id string) func(bus.Delivery) (any, error) {
		return func(d bus.Delivery) (any, error) {
			return m.s.Delivery.ResolvePost(context.Background(), d, events.ResolvePost{PostID: id, UserID: m.user, Published: true, MediaID: "18060000009999999"})
		}
	})
}

func (m *machine) remove(*rapid.T) {
	m.onOne(func(id string) func(bus.Delivery) (any, error) {
		p, err := m.s.Delivery.Store().Get(context.Background(), m.r.DB, id)
		if err != nil || p.State == events.StateConcluding { // it would wait for the end
			return func(bus.Delivery) (any, error) { return nil, nil }
		}
		return func(d bus.Delivery) (any, error) {
			return m.s.Delivery.DeletePost(context.Background(), d, events.DeletePost{ID: id, UserID: m.user})
		}
	})
}

// wake looks at a post, due or not, once or twice.
func (m *machine) wake(*rapid.T) {
	id := m.any()
	if id == "" {
		id = events.NewPostID() // about nothing
	}
	for range rapid.IntRange(1, 2).Draw(m.T, "times") {
		m.wakeOne(id)
	}
}

func (m *machine) wakeOne(id string) {
	if p, err := m.s.Delivery.Store().Get(context.Background(), m.r.DB, id); err == nil && p.State == events.StateReady {
		// It would wait out the last second of its hold: let the time come first.
		if wait := p.PublishAt.Sub(m.now()); wait > 0 && wait <= 3*posts.Hold {
			m.pass(wait)
		}
	}
	_ = m.s.Delivery.Wake(context.Background(), bus.Delivery{}, id) // its error says when to come again
}

func (m *machine) time(*rapid.T) {
	m.pass(rapid.SampledFrom([]time.Duration{100 * time.Millisecond, time.Second, 10 * time.Second, time.Minute, time.Hour}).Draw(m.T, "passes"))
}

// everyRefusal has an answer of each class of errors. Any of them may come although the post is live.
var everyRefusal = []struct{ http, code, subcode int }{
	{400, 24, 4279009}, {400, 100, 0}, {400, 100, 33}, {400, 190, 0}, {400, 4, 0}, {400, 9, 2207042}, {400, 10, 0}, {500, 10, 0}, {400, 2, 0}, {500, 1, 0},
	{400, 368, 0}, {400, 506, 0}, {400, 100, 4279004}, {400, 777777, 0},
}

// trouble makes the next calls go wrong.
func (m *machine) trouble(*rapid.T) {
	f := threadssim.Fault{
		UserID: m.account.ProviderUserID,
		Op:     rapid.SampledFrom([]string{"create", "status", "publish", "publish", "publish", "repost", "posts", "replies", "media", "delete"}).Draw(m.T, "op"),
		Kind: rapid.SampledFrom([]string{threadssim.DropResponse, threadssim.DropRequest, threadssim.ErrorAfterCommit, threadssim.ErrorBeforeCommit, threadssim.NotFound,
			threadssim.Edge5xx}).Draw(m.T, "fault"),
		Times: rapid.IntRange(1, 3).Draw(m.T, "times"),
	}
	if f.Kind == threadssim.ErrorBeforeCommit || f.Kind == threadssim.ErrorAfterCommit {
		e := rapid.SampledFrom(everyRefusal).Draw(m.T, "code")
		f.HTTP, f.Code, f.Subcode = e.http, e.code, e.subcode
	}
	if err := m.r.Sim.Inject(f); err != nil {
		m.Fatal(err)
	}
}

func (m *machine) sweep(*rapid.T) {
	if err := m.s.Delivery.SweepOnce(context.Background()); err != nil {
		m.Fatal(err)
	}
}

func (m *machine) rows() []posts.Post {
	var rows []posts.Post
	if err := m.r.DB.NewSelect().Model(&rows).Where("account_id = ?", m.account.ID).Order("id").Scan(context.Background()); err != nil {
		m.Fatal(err)
	}
	return rows
}

// story is what became of the account's posts, for the messages of failures.
func (m *machine) story() string {
	var b strings.Builder
	for _, p := range m.rows() {
		tried, _ := m.s.Delivery.Store().Attempts(context.Background(), m.r.DB, p.ID)
		fmt.Fprintf(&b, "\n%s %s %s at %s rev=%d told=%d wake=%s lease=%q reason=%v attempt=%d rebuilds=%d doubt=%t absent=%s", p.ID, p.Kind, p.State, p.PublishAt.Format(time.DateTime), p.Rev, p.EmittedRev,
			p.WakeAt.Format(time.DateTime), p.Lease, p.Reason, p.Attempt, p.Rebuilds, p.Doubt, p.OnAbsent)
		for _, a := range tried {
			fmt.Fprintf(&b, "\n   %s %s ok=%t %s", a.At.Format(time.DateTime), a.Phase, a.OK, a.Message)
		}
	}
	return b.String()
}

// check holds every row against what must be true at any moment.
func (m *machine) check(*rapid.T) {
	commits := map[string][]threadssim.Post{}
	for _, p := range m.r.Sim.Posts() {
		if p.UserID == m.account.ProviderUserID {
			commits[p.Text+p.RepostOf] = append(commits[p.Text+p.RepostOf], p)
		}
	}
	for what, list := range commits {
		if len(list) > 1 && list[0].RepostOf == "" { // several posts may repost one
			m.Fatalf("%q is at Threads %d times%s", what, len(list), m.story())
		}
	}
	if places, err := posts.MisplacedQuota(context.Background(), m.r.DB, m.account.ID); err != nil || len(places) > 0 {
		m.Fatalf("places of the quota that nobody keeps: %v, %v%s", places, err, m.story())
	}
	for _, p := range m.rows() {
		if p.EmittedRev > p.Rev || p.Rev < m.revs[p.ID] {
			m.Fatalf("rev %d after %d, told %d%s", p.Rev, m.revs[p.ID], p.EmittedRev, m.story())
		}
		m.revs[p.ID] = p.Rev
		if !posts.IsFinal(p.State) && p.State != events.StateParked && p.WakeAt.IsZero() {
			m.Fatalf("%s is %s and will never be looked at again", p.ID, p.State)
		}
		if (p.State == events.StatePublishing || p.State == events.StateUnconfirmed) != (p.Doubt && p.State != events.StateReady && p.State != events.StateParked) {
			m.Fatalf("%s is %s, and its doubt is %t%s", p.ID, p.State, p.Doubt, m.story())
		}
		if p.State == events.StateParked && p.Reason == nil {
			m.Fatalf("%s is parked without a reason", p.ID)
		}
		texts := []string{p.Text}
		if p.IsChain() {
			texts = nil
			for _, part := range p.Parts {
				texts = append(texts, part.Text)
			}
		}
		for i, text := range texts {
			there := commits[text]
			if p.Kind == events.KindRepost {
				continue
			}
			id := p.MediaID
			if p.IsChain() {
				id = p.Parts[i].MediaID
			}
			if id != "" && (len(there) != 1 || there[0].ID != id) {
				m.Fatalf("%s says that %q is %s; Threads has %v", p.ID, text, id, there)
			}
			if len(there) == 1 && id == "" && (p.State == events.StateCancelled || p.State == events.StateFailed || posts.IsOpen(p.State) && !p.Doubt) {
				m.Fatalf("%s is %s, and %q is at Threads%s", p.ID, p.State, text, m.story())
			}
			if p.State == events.StatePublished && !p.IsChain() && time.Unix(0, there[0].ArrivedNS).Before(p.PublishAt) {
				m.Fatalf("%s arrived early", p.ID)
			}
		}
	}
}

// next lets time go on to the next wake-up. It reports whether there is one.
func (m *machine) next() bool {
	var next *posts.Post
	for _, p := range m.rows() {
		if !p.WakeAt.IsZero() && (next == nil || p.WakeAt.Before(next.WakeAt)) {
			next = &p
		}
	}
	if next == nil {
		return false
	}
	if wait := next.WakeAt.Sub(m.now()); wait > 0 {
		m.pass(wait + time.Millisecond)
	}
	m.wakeOne(next.ID)
	return true
}

// settle lets time go on, through whatever trouble is still in store, until every post has its end.
func (m *machine) settle() {
	for range 400 {
		if !m.next() {
			break
		}
	}
	m.check(nil)
	for _, p := range m.rows() {
		if !posts.IsFinal(p.State) && p.State != events.StateParked {
			m.Fatalf("%s has no end: %s%s", p.ID, p.State, m.story())
		}
	}
}

func (m *machine) lastSeq() uint64 {
	stream, err := m.r.Bus.JetStream().Stream(context.Background(), events.StreamEvents)
	if err != nil {
		m.Fatal(err)
	}
	return stream.CachedInfo().State.LastSeq
}

// rebuild makes the rows of EVENTS alone, and holds them against those that are there.
func (m *machine) rebuild() {
	ctx := context.Background()
	for _, p := range m.rows() {
		if err := m.s.Delivery.Flush(ctx, &p); err != nil { // as the next wake-up or the sweep would
			m.Fatal(err)
		}
	}
	before := m.rows()
	if _, err := m.r.DB.NewDelete().Model((*posts.Post)(nil)).Where("account_id = ?", m.account.ID).Exec(ctx); err != nil {
		m.Fatal(err)
	}
	stream, err := m.r.Bus.JetStream().Stream(ctx, events.StreamEvents)
	if err != nil {
		m.Fatal(err)
	}
	published := map[string]int{}
	for seq := m.from + 1; seq <= stream.CachedInfo().State.LastSeq; seq++ {
		raw, err := stream.GetMsg(ctx, seq)
		if err != nil {
			m.Fatal(err)
		}
		msg, err := events.Decode(raw.Header.Get(events.HeaderType), raw.Data)
		if err != nil {
			m.Fatal(err)
		}
		ev, ok := msg.(events.PostEvent)
		if !ok || ev.Snapshot().AccountID != m.account.ID {
			continue
		}
		if ev.Fact() == events.FactPublished {
			published[ev.Snapshot().ID]++
		}
		for range 2 { // every event twice
			err := pg.InTx(ctx, m.r.DB, func(ctx context.Context, tx bun.Tx) error {
				_, err := m.s.Projector.Apply(ctx, tx, ev)
				return err
			})
			if err != nil {
				m.Fatal(err)
			}
		}
	}
	after := m.rows()
	if len(before) != len(after) {
		m.Fatalf("%d rows became %d", len(before), len(after))
	}
	for i := range before {
		if diff := cmp.Diff(world(before[i]), world(after[i])); diff != "" {
			m.Fatalf("EVENTS rebuilds another row:\n%s", diff)
		}
		want := 0
		if before[i].State == events.StatePublished {
			want = 1
		}
		if published[before[i].ID] != want {
			m.Fatalf("%s is %s, and was told as published %d times", before[i].ID, before[i].State, published[before[i].ID])
		}
	}
}

// world is what the world sees of a row; what was ready is prepared anew after a rebuild.
func world(p posts.Post) string {
	if slices.Contains([]events.State{events.StateReady, events.StateWaiting}, p.State) {
		p.State = events.StateScheduled
	}
	b, _ := json.MarshalIndent(p.Snapshot(), "", " ")
	return string(b)
}
