package test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// The crash matrix: the real program dies by SIGKILL at every step of a post's life, for every kind of post, and is
// started again; Threads outlives it. Whatever the step, the post must be live once, emitted once, and the row must say so.
//
// CRASH_MATRIX=all runs all of it; otherwise a sample that a seed chooses, and always the steps around the publish call.
// CRASH_SEED repeats a sample.

// crashKind is a kind of post.
type crashKind struct {
	name  string
	body  func(text, target string) map[string]any
	parts int
	op    string // the call that makes it live
}

var crashKinds = []crashKind{
	{"text", func(text, _ string) map[string]any { return map[string]any{"text": text} }, 1, threads.OpPublish},
	{"image", func(text, _ string) map[string]any {
		return map[string]any{"text": text, "media": pictures(1)}
	}, 1, threads.OpPublish},
	{"carousel", func(text, _ string) map[string]any {
		return map[string]any{"text": text, "media": pictures(2)}
	}, 1, threads.OpPublish},
	{"chain", func(text, _ string) map[string]any {
		return map[string]any{"parts": []map[string]any{{"text": text + ", the first part"}, {"text": text + ", the second part"}}}
	}, 2, threads.OpPublish},
	{"repost", func(_, target string) map[string]any { return map[string]any{"repostOf": target} }, 1, threads.OpRepost},
}

func pictures(n int) (media []map[string]any) {
	for i := range n {
		media = append(media, map[string]any{"type": "image", "url": fmt.Sprintf("https://media.example.com/%d.jpg", i)})
	}
	return media
}

// crashCase is one post and the steps at which the program dies on its way.
type crashCase struct {
	kind crashKind
	// deaths are the steps, one a life: "publish.claimed", or "publish.claimed:2" for its second passing.
	deaths []string
	// fault is what Threads does to the nth call that makes a part live, and to the following ones, so many times.
	fault      string
	nth, times int
}

func (c crashCase) String() string {
	name := c.kind.name + " dies at " + strings.Join(c.deaths, " and at ")
	if c.fault != "" {
		name += " after " + c.fault
	}
	if c.nth > 1 {
		name += " of call " + strconv.Itoa(c.nth)
	}
	return name
}

// first is the step of the first death.
func (c crashCase) first() crash.Point {
	point, _, _ := strings.Cut(c.deaths[0], ":")
	return crash.Point(point)
}

// during says whether the first death is in a phase: schedule, prepare, publish, …
func (c crashCase) during(phase string) bool { return strings.HasPrefix(c.deaths[0], phase+".") }

// never says why a kind of post never comes to a step; "" when it does.
func never(p crash.Point, kind crashKind) string {
	switch p {
	case crash.PartNoted, crash.PartTold:
		if kind.parts == 1 {
			return "it has one part, and that is told as the post"
		}
	case crash.PrepareCreated, crash.PrepareSaved, crash.PrepareInspected, crash.ConfirmAsked:
		if kind.op == threads.OpRepost {
			return "a repost has no container"
		}
	}
	return ""
}

// asking are the steps of confirm that every unclear answer leads to.
var asking = []string{"confirm.doubted", "confirm.leased", "confirm.asked", "confirm.looked"}

// crashCases is the matrix, and after it the steps that a post passes more than once, or comes to on another way.
func crashCases() (cases []crashCase) {
	add := func(kind crashKind, points ...string) {
		for _, p := range points {
			cases = append(cases, crashCase{kind: kind, deaths: []string{p}})
		}
	}
	faulty := func(kind crashKind, fault string, nth, times int, points ...string) {
		for _, p := range points {
			cases = append(cases, crashCase{kind: kind, deaths: []string{p}, fault: fault, nth: nth, times: times})
		}
	}
	for _, kind := range crashKinds {
		for _, p := range crash.Points {
			switch {
			case never(p, kind) != "":
			case p == crash.ConfirmAgain: // nothing came of the first call
				faulty(kind, threadssim.DropRequest, 1, 1, string(p))
			case slices.Contains(asking, string(p)): // it is live, and the answer is lost
				faulty(kind, threadssim.DropResponse, 1, 1, string(p))
			case strings.HasPrefix(string(p), "record."): // the first event is the account's
				add(kind, string(p)+":2")
			default:
				add(kind, string(p))
			}
		}
		switch kind.name {
		case "text":
			faulty(kind, threadssim.ErrorAfterCommit, 1, 1, asking...)
			faulty(kind, threadssim.DropRequest, 1, 1, asking...)
			// Lost by Threads so often that it is built anew.
			faulty(kind, threadssim.NotFound, 1, 5, "confirm.doubted", "confirm.leased", "confirm.again")
			add(kind, "record.received:3", "record.applied:3", "record.acked:3", // prepared
				"record.received:4", "record.applied:4", "record.acked:4") // published
		case "carousel": // its children, then itself
			add(kind, "prepare.created:2", "prepare.saved:2", "prepare.inspected:2",
				"prepare.created:3", "prepare.saved:3", "prepare.inspected:3")
		case "chain": // its second part
			add(kind, "prepare.created:2", "prepare.saved:2", "prepare.inspected:2", "prepare.told:2", "publish.woken:2",
				"publish.claimed:2", "publish.calling:2", "publish.called:2", "delete.calling:2", "delete.called:2")
			faulty(kind, threadssim.DropResponse, 2, 1, asking...)
			faulty(kind, threadssim.DropRequest, 2, 1, asking...)
			faulty(kind, threadssim.DropRequest, 2, 1, "confirm.again")
		}
	}
	return cases
}

// danger is above 0 for the cases that no sample leaves out: a text between its claim and its end.
func (c crashCase) danger() int {
	again := c.first() == crash.ConfirmAgain
	switch {
	case c.kind.name != "text":
	case c.during("publish") && c.first() != crash.PublishWoken:
		return 2
	case again && c.fault == threadssim.DropRequest, !again && c.during("confirm") && c.fault == threadssim.DropResponse:
		return 1
	}
	return 0
}

// next are the steps that a post still comes to after a death at one of them, whatever comes to pass: those at which it
// can die a second time. What is emitted already (publish.told) is applied from EVENTS at the next start.
func next(p crash.Point) (points []crash.Point) {
	from := func(first, last crash.Point) {
		points = append(points, crash.Points[slices.Index(crash.Points, first):slices.Index(crash.Points, last)+1]...)
	}
	switch p {
	case crash.ScheduleReceived:
		from(crash.ScheduleReceived, crash.PublishApplied)
	case crash.ScheduleCommitted, crash.ScheduleTold, crash.PrepareLeased, crash.PrepareCreated:
		from(crash.PrepareLeased, crash.PublishApplied)
	case crash.PrepareSaved, crash.PrepareInspected:
		points = append(points, crash.PrepareLeased)
		from(crash.PrepareInspected, crash.PublishApplied)
	case crash.PrepareReady, crash.PrepareTold, crash.PublishWoken:
		from(crash.PublishWoken, crash.PublishApplied)
	case crash.PublishClaimed, crash.PublishCalling:
		from(crash.ConfirmLeased, crash.ConfirmAgain)
		from(crash.PublishWoken, crash.PublishApplied)
	case crash.PublishCalled:
		from(crash.ConfirmLeased, crash.ConfirmLooked)
		from(crash.PublishNoted, crash.PublishApplied)
	case crash.PublishNoted, crash.PublishTelling:
		from(crash.PublishTelling, crash.PublishApplied)
	}
	return points
}

// twice draws posts that die a second time, on the way that the first death left them. Not chains: there it is not as
// plain what is still to come.
func twice(random *rand.Rand, n int) (cases []crashCase) {
	for len(cases) < n {
		kind, first := crashKinds[random.IntN(len(crashKinds))], crash.Points[random.IntN(len(crash.Points))]
		then := slices.DeleteFunc(next(first), func(p crash.Point) bool { return never(p, kind) != "" })
		if kind.parts > 1 || never(first, kind) != "" || len(then) == 0 {
			continue
		}
		cases = append(cases, crashCase{kind: kind, deaths: []string{string(first), string(then[random.IntN(len(then))])}})
	}
	return cases
}

func TestCrashMatrix(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("CRASH_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("CRASH_SEED: %v", err)
		}
	}
	random := rand.New(rand.NewPCG(seed, 0))
	cases, atOnce, whole := crashCases(), 4*runtime.GOMAXPROCS(0), os.Getenv("CRASH_MATRIX") == "all"
	if whole {
		cases = append(cases, twice(random, 60)...)
		atOnce *= 3
	} else {
		random.Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
		slices.SortStableFunc(cases, func(a, b crashCase) int { return cmp.Compare(b.danger(), a.danger()) })
		always := slices.IndexFunc(cases, func(c crashCase) bool { return c.danger() == 0 })
		cases = append(cases[:always+12], twice(random, 4)...)
	}
	t.Logf("%d cases; CRASH_SEED=%d chooses them again", len(cases), seed)

	// Most of a case is waiting, so more of them are under way than there are processors; but they start one after the other.
	places, starts := make(chan struct{}, atOnce), make(chan struct{}, 1+runtime.GOMAXPROCS(0))
	var running sync.WaitGroup
	defer running.Wait()
	for _, c := range cases {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			t.Run(c.String(), func(t *testing.T) { c.run(t, starts, whole) })
		})
	}
}

// shortWaits are as short as they may be beside a Threads that takes no time.
var shortWaits = []string{
	"PUBLISHER_LEAD_TEXT=2500ms", "PUBLISHER_LEAD_IMAGE=2500ms", "PUBLISHER_LEASE=1500ms",
	"PUBLISHER_SWEEP_EVERY=300ms", "PUBLISHER_SWEEP_GRACE=300ms",
	"PUBLISHER_CALL_TIMEOUT=2s", "PUBLISHER_SECOND_CALL_AFTER=1s", "PUBLISHER_FINISHED_APART=200ms",
	"DATABASE_CONNS=4", "DATABASE_SIDE_CONNS=3", // many systems share one Postgres
}

const (
	// crashDue is when a post is due after it was asked for: time enough to be made ready.
	crashDue = 3500 * time.Millisecond
	// crashPatience is how long a death, or the end of a post, is waited for. What a dead process
	// had in hand comes again after AckWait, 30 s.
	crashPatience = 3 * time.Minute

	crashKey    = "the post"
	crashUser   = "user_1"
	crashAuthor = "demo.user" // as whom the simulator's window signs in
)

// run takes one post through its deaths to its end, and, where asked to, until nothing is left that could still touch it.
func (c crashCase) run(t *testing.T, starts chan struct{}, toTheEnd bool) {
	knobs := threadssim.Quick()
	knobs.DoublePublish = "second_post" // every call too many shows
	quick := threadssim.Always(100 * time.Millisecond)
	knobs.ProcessingTime = threadssim.ProcessingTimes{Text: quick, Image: quick, Carousel: quick}
	sim, err := threadssim.New(threadssim.Options{Knobs: &knobs, AutoApprove: true})
	if err != nil {
		t.Fatal(err)
	}
	world := httptest.NewServer(sim)
	t.Cleanup(world.Close)
	if _, err := sim.AddPerson(threadssim.Person{Username: crashAuthor}); err != nil {
		t.Fatal(err)
	}
	target, _, err := sim.Say(crashAuthor, url.Values{"text": {"worth a repost"}})
	if err != nil {
		t.Fatal(err)
	}

	h := newSystem(t, append([]string{
		"DATABASE_URL=" + pgtest.URL(t), // migrated: that need not be done so often
		"THREADS_APP_ID=" + threadssim.DefaultAppID, "THREADS_APP_SECRET=" + threadssim.DefaultAppSecret,
		"THREADS_API_URL=" + world.URL, "THREADS_AUTHORIZE_URL=" + world.URL + "/oauth/authorize",
	}, shortWaits...)...)
	h.patience = crashPatience
	const ready = true
	live := func(until string, toReady bool) {
		starts <- struct{}{}
		defer func() { <-starts }()
		plain := h.env
		h.env = append(slices.Clip(plain), crash.Env+"="+until)
		h.main = h.run()
		h.env = plain
		if toReady {
			h.up()
		}
	}
	live(c.deaths[0], ready)
	h.connect()
	if c.during("record") { // events that are near one another are recorded together: the account's shall not be with the post's
		h.silent(events.StreamEvents, events.PublisherProjector)
	}
	if c.fault != "" {
		if err := sim.Inject(threadssim.Fault{Op: c.kind.op, Kind: c.fault, Nth: c.nth, Times: c.times}); err != nil {
			t.Fatal(err)
		}
	}
	due := time.Now().Add(crashDue).UTC().Truncate(time.Millisecond)
	body := c.kind.body("killed at "+c.deaths[0], target)
	body["scheduledAt"] = due
	p := events.Post{ID: events.PostIDFor(crashUser, crashKey), ScheduledAt: due, RepostOf: target}
	status, err := h.ask(http.MethodPost, "/api/threads/post/schedule", crashKey, body, nil)
	if err == nil && status != http.StatusCreated && status != http.StatusAccepted { // an error is the answer of the dead
		t.Fatalf("scheduling answered %d", status)
	}
	switch {
	case c.during("sweep"): // nobody but the sweep shall wake it
		h.forgetAlarm(p.ID)
	case c.during("delete"):
		c.posted(t, h, sim, p)
		status, err := h.ask(http.MethodDelete, "/api/threads/post/"+p.ID, "its end", nil, nil)
		if err == nil && status != http.StatusOK && status != http.StatusAccepted {
			t.Fatalf("deleting answered %d", status)
		}
	}
	h.dies()
	for _, until := range c.deaths[1:] {
		live(until, !ready) // what the last life left may end this one before it is ready
		h.dies()
	}
	live("", ready)
	if c.during("delete") {
		c.deleted(t, h, sim, p)
	} else {
		c.posted(t, h, sim, p)
	}

	// Whoever lost the answer asks again under the same key, and is told of this very post.
	var again events.Post
	h.eventually("the repeated request to be answered", func() error {
		status, err := h.ask(http.MethodPost, "/api/threads/post/schedule", crashKey, body, &again)
		if err == nil && status != http.StatusCreated {
			err = fmt.Errorf("it is answered %d", status)
		}
		return err
	})
	if again.ID != p.ID {
		t.Errorf("the repeated request made post %s beside %s", again.ID, p.ID)
	}
	if toTheEnd {
		h.silent(events.StreamCommands, events.PublisherCommands)
		h.silent(events.StreamPostAlarms, events.PublisherDue)
		h.silent(events.StreamEvents, events.PublisherProjector)
	}
	c.once(t, h, sim, p)
	for _, broken := range sim.Mistakes(0) {
		if broken.User != "" { // nobody's is a request that the death cut short: Threads does not know whose it was to be
			t.Errorf("Threads would not like this: %+v", broken)
		}
	}
}

// posted waits until the row says POSTED, and checks that Threads and EVENTS say the same.
func (c crashCase) posted(t *testing.T, h *system, sim *threadssim.Sim, p events.Post) {
	t.Helper()
	row := h.detail(p.ID, events.StatusPosted)
	made := c.once(t, h, sim, p)
	if row.PostedTweetID == nil || *row.PostedTweetID != made[0].ID {
		t.Errorf("the row has the media id %v, Threads has %s", row.PostedTweetID, made[0].ID)
	}
	if at := time.Unix(0, made[0].ArrivedNS); at.Before(p.ScheduledAt) {
		t.Errorf("it arrived %s early", p.ScheduledAt.Sub(at))
	}
	if c.kind.parts > 1 && len(row.Parts) != c.kind.parts {
		t.Fatalf("the row has %d parts", len(row.Parts))
	}
	for i, part := range row.Parts {
		if part.MediaID != made[i].ID {
			t.Errorf("part %d has the media id %s, Threads has %s", i, part.MediaID, made[i].ID)
		}
		if i > 0 && made[i].ReplyToID != made[i-1].ID {
			t.Errorf("part %d replies to %s, not to the part before", i, made[i].ReplyToID)
		}
	}
	for _, ev := range h.facts(p.ID) {
		if told := ev.Snapshot(); ev.Fact() == events.FactPublished &&
			(told.State != row.State || told.Rev != row.Rev || told.PostedTweetID == nil || *told.PostedTweetID != made[0].ID) {
			t.Errorf("EVENTS tells %s, rev %d, media id %v; the row is %s, rev %d",
				told.State, told.Rev, told.PostedTweetID, row.State, row.Rev)
		}
	}
}

// deleted waits until the row says DELETED, and checks that Threads has nothing of it left.
func (c crashCase) deleted(t *testing.T, h *system, sim *threadssim.Sim, p events.Post) {
	t.Helper()
	h.detail(p.ID, events.StatusDeleted)
	for _, m := range c.once(t, h, sim, p) {
		if !m.Deleted {
			t.Errorf("%s is still live", m.ID)
		}
	}
}

// once checks that Threads was given every part of the post once, and that EVENTS has every event once.
func (c crashCase) once(t *testing.T, h *system, sim *threadssim.Sim, p events.Post) (made []threadssim.Post) {
	t.Helper()
	for _, m := range sim.Posts() {
		if m.ID != p.RepostOf {
			made = append(made, m)
		}
	}
	if len(made) != c.kind.parts {
		t.Fatalf("Threads has %d posts where %d were asked for: %+v", len(made), c.kind.parts, made)
	}
	told, revs := map[events.PostFact]int{}, map[int64]events.PostFact{}
	for _, ev := range h.facts(p.ID) {
		told[ev.Fact()]++
		rev := ev.Snapshot().Rev
		if other, known := revs[rev]; known {
			t.Errorf("rev %d is told twice: %s and %s", rev, other, ev.Fact())
		}
		revs[rev] = ev.Fact()
	}
	want := map[events.PostFact]int{
		events.FactScheduled: 1, events.FactPartPublished: c.kind.parts - 1, events.FactPublished: 1,
		events.FactFailed: 0, events.FactParked: 0, events.FactCancelled: 0, events.FactDeleteFailed: 0,
	}
	if told[events.FactDeleted] > 0 {
		want[events.FactDeleteRequested], want[events.FactDeleted] = 1, 1
	}
	for fact, n := range want {
		if told[fact] != n {
			t.Errorf("%s is told %d times, not %d; told is %v", fact, told[fact], n, told)
		}
	}
	return made
}

// dies waits until the program has died of itself, by the signal that cannot be caught.
func (h *system) dies() {
	h.t.Helper()
	main := h.main
	h.main = nil
	patience := time.AfterFunc(h.patience, main.Kill)
	status := main.Status()
	if !patience.Stop() || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		h.t.Fatalf("it never came to the step: %v", main.Wait())
	}
}

// detail waits until a post has a status.
func (h *system) detail(id string, want events.Status) (row asks.PostDetail) {
	h.t.Helper()
	h.eventually("the post to be "+string(want), func() error {
		row = asks.PostDetail{}
		status, err := h.ask(http.MethodGet, "/api/threads/post/"+id, "", nil, &row)
		switch {
		case err != nil:
			return err
		case status != http.StatusOK:
			return fmt.Errorf("asking for it is answered %d", status)
		case row.Status != want:
			return fmt.Errorf("it is %s (%s), because %v; tried: %+v", row.Status, row.State, row.Reason, row.Attempts)
		}
		return nil
	})
	return row
}

// forgetAlarm takes a post's alarm out of the stream.
func (h *system) forgetAlarm(id string) {
	h.t.Helper()
	s, err := h.jetStream().Stream(h.t.Context(), events.StreamPostAlarms)
	if err == nil {
		err = s.Purge(h.t.Context(), jetstream.WithPurgeSubject(events.PostAlarm(id)))
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// silent waits until a durable has nothing to deliver any more, nor anything in hand, be it in the hands of the dead.
func (h *system) silent(stream, durable string) {
	h.t.Helper()
	consumer, err := h.jetStream().Consumer(h.t.Context(), stream, durable)
	if err != nil {
		h.t.Fatal(err)
	}
	h.eventually(durable+" to fall silent", func() error {
		info, err := consumer.Info(h.t.Context())
		if err == nil && info.NumPending+uint64(info.NumAckPending) > 0 {
			err = fmt.Errorf("%d messages wait, %d are in hand", info.NumPending, info.NumAckPending)
		}
		return err
	})
}

// ask calls the API of a system that may die meanwhile.
func (h *system) ask(method, path, key string, body, out any) (status int, err error) {
	var payload io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		payload = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.url("PORT")+path, payload)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && out != nil && resp.StatusCode/100 == 2 {
		err = json.Unmarshal(answer, out)
	}
	return resp.StatusCode, err
}

// Every kind of post dies at every step, or it is said why it cannot.
func TestCrashCases(t *testing.T) {
	t.Parallel()
	dies := map[string]bool{}
	for _, c := range crashCases() {
		dies[c.kind.name+" at "+string(c.first())] = true
	}
	for _, kind := range crashKinds {
		for _, p := range crash.Points {
			name := kind.name + " at " + string(p)
			if why := never(p, kind); dies[name] == (why != "") {
				t.Errorf("%s: there is a case: %v, it cannot be: %q", name, dies[name], why)
			}
		}
	}
}
