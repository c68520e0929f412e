package torture

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/threads"
)

// fault is one way in which the world goes wrong for the length of a round. Either it is a setting of the simulator
// (patch), or something that happens beside the posts (act), which leaves everything running when it returns.
type fault struct {
	name string
	what string
	knob string // two faults with the same one do not go together
	top  bool   // one of the most dangerous: always in CI's sample
	// provokes are rules of the simulator (docs/simulator.md, Inspection) that it makes even a good client break.
	provokes []string
	fails    bool // Threads refuses posts for good, so that they may fail

	// others is how long quiet tenants have posts due beside it, whose lateness it is judged by; 0: there are none.
	others time.Duration
	// own are the posts of the tenant that the fault is about, if it is about one.
	own func(p *plan, o Options, upTo func(time.Duration) time.Duration)

	patch func(rng *rand.Rand, now time.Time) string
	act   func(ctx context.Context, r *round, rng *rand.Rand) error
}

// ofPublishing are the calls that cannot be undone.
const ofPublishing = `"ops":["publish","repost"]`

func hidden(code string, top bool) fault {
	return fault{name: "hidden-" + code, what: "a publish takes effect and is answered with " + code, knob: "hidden_success", top: top,
		patch: func(rng *rand.Rand, _ time.Time) string {
			return fmt.Sprintf(`{"hidden_success":{"probability":%.2f,"error":%q,%s}}`, share(rng, 0.2, 0.6), code, ofPublishing)
		}}
}

func knob(name, what, group string, patch func(rng *rand.Rand) string) fault {
	return fault{name: name, what: what, knob: group, fails: group == "processing_error", patch: func(rng *rand.Rand, _ time.Time) string { return patch(rng) }}
}

func throttled(code int) fault {
	return knob(fmt.Sprintf("throttle-%d", code), "calls of all kinds are throttled", "throttle", func(rng *rand.Rand) string {
		return fmt.Sprintf(`{"throttle":{"probability":%.2f,"code":%d,"retry_after":"1s"}}`, share(rng, 0.1, 0.3), code)
	})
}

// faults are all of them.
var faults = []fault{
	hidden("10/500", true), hidden("2/500", false), hidden("2/400", false), hidden("2207051/403", true),
	{name: "drop-after", what: "the connection is cut after a publish took effect", knob: "drop_response", top: true,
		patch: func(rng *rand.Rand, _ time.Time) string {
			return fmt.Sprintf(`{"drop_response":{"probability":%.2f,"when":"after",%s}}`, share(rng, 0.2, 0.6), ofPublishing)
		}},
	{name: "drop-before", what: "the connection is cut before a publish took effect", knob: "drop_response", top: true,
		patch: func(rng *rand.Rand, _ time.Time) string {
			return fmt.Sprintf(`{"drop_response":{"probability":%.2f,"when":"before",%s}}`, share(rng, 0.2, 0.6), ofPublishing)
		}},
	knob("drop-others", "connections of all other calls are cut", "drop_response", func(rng *rand.Rand) string {
		when := []string{"after", "before"}[rng.IntN(2)]
		return fmt.Sprintf(`{"drop_response":{"probability":%.2f,"when":%q,"ops":["create","status","posts","replies","media","delete"]}}`, share(rng, 0.1, 0.3), when)
	}),
	// The longest of these is shorter than CALL_TIMEOUT and SECOND_CALL_AFTER together.
	knob("publish-latency", "answers to a publish come late, some after the call was given up", "publish_latency", func(*rand.Rand) string {
		return `{"publish_latency":{"min":"0s","max":"3s","chance":0.6}}`
	}),
	knob("api-latency", "answers to all calls come late", "api_latency", func(*rand.Rand) string {
		return `{"api_latency":{"min":"100ms","max":"1500ms","chance":0.3}}`
	}),
	knob("visibility", "fresh containers are FINISHED and cannot be published yet", "visibility_delay", func(*rand.Rand) string {
		return `{"visibility_delay":{"min":"0s","max":"5s","chance":0.7}}`
	}),
	knob("lost-container", "containers are FINISHED and can never be published", "lost_container", func(rng *rand.Rand) string {
		return fmt.Sprintf(`{"lost_container":%.2f}`, share(rng, 0.1, 0.3))
	}),
	knob("slow-processing", "containers take their time", "processing_time", func(*rand.Rand) string {
		return `{"processing_time":{"text":"0s..3s","image":"1s..6s","video":"2s..8s","carousel":"0s..4s"}}`
	}),
	{name: "endless-processing", what: "containers never leave IN_PROGRESS", knob: "processing_time", fails: true,
		patch: func(*rand.Rand, time.Time) string {
			endless := `{"min":"25h","max":"25h","chance":0.25}`
			return fmt.Sprintf(`{"processing_time":{"text":%s,"image":%s,"carousel":%s}}`, endless, endless, endless)
		}},
	knob("processing-unknown", "containers end in ERROR, UNKNOWN", "processing_error", func(*rand.Rand) string {
		e := `{"probability":0.3,"message":"UNKNOWN"}`
		return fmt.Sprintf(`{"processing_error":{"text":%s,"image":%s,"video":%s,"carousel":%s}}`, e, e, e, e)
	}),
	knob("processing-refused", "media end in ERROR for a reason", "processing_error", func(*rand.Rand) string {
		e := `{"probability":0.4,"message":"INVALID_FRAME_RATE"}`
		return fmt.Sprintf(`{"processing_error":{"image":%s,"video":%s,"carousel":%s}}`, e, e, e)
	}),
	// A negative look is worth something only when lists lag less than SECOND_CALL_AFTER, as at Threads.
	{name: "list-lag", what: "lists do not show a post at once", knob: "list_lag", top: true,
		patch: func(*rand.Rand, time.Time) string { return `{"list_lag":"0s..1800ms"}` }},
	knob("permalink", "permalinks lag, or never come", "permalink_lag", func(*rand.Rand) string {
		return `{"permalink_lag":"0s..3s","permalink_withheld":0.2}`
	}),
	throttled(4), throttled(17), throttled(429),
	{name: "spam-block", what: "publishes are refused as spam, and half of them are live all the same", knob: "spam_block",
		patch: func(_ *rand.Rand, now time.Time) string {
			return fmt.Sprintf(`{"spam_block":{"until":%q,"live":0.5}}`, now.Add(window*2/3).UTC().Format(time.RFC3339))
		}},
	knob("edge-5xx", "an edge answers in the place of Threads", "edge_5xx", func(rng *rand.Rand) string {
		return fmt.Sprintf(`{"edge_5xx":{"probability":%.2f,"http":%d,"body":%q}}`, share(rng, 0.1, 0.4),
			[]int{500, 502, 503, 504}[rng.IntN(4)], []string{"html", "empty"}[rng.IntN(2)])
	}),
	knob("small-quota", "the day's quota is used up soon", "quota_total", func(rng *rand.Rand) string {
		return fmt.Sprintf(`{"quota_total":{"posts":%d,"replies":%d,"deletes":1}}`, 2+rng.IntN(3), 1+rng.IntN(3))
	}),
	{name: "errors", what: "exact calls are refused with codes, before they take effect", fails: true, provokes: []string{"retry_of_a_permanent_refusal"}, act: errorsBefore},
	{name: "errors-after", what: "exact publishes take effect and are answered with codes", top: true, act: errorsAfter},

	{name: "kill", what: "publishers are killed at random moments", top: true, act: kill},
	{name: "kill-all", what: "all publishers are killed at once", act: killAll},
	{name: "crash-points", what: "publishers die at named steps", top: true, act: crashPoints},
	{name: "freeze", what: "publishers are stopped past their leases, and go on", top: true, act: freeze},
	{name: "freeze-long", what: "a publisher is stopped past AckWait, and goes on", act: freezeLong},
	{name: "wake-lost", what: "alarms and wake-ups are purged again and again", top: true, act: purge},
	{name: "wake-extra", what: "wake-ups come doubled, early and stale", act: extraWakes},
	{name: "nats", what: "NATS stops, or is killed, and comes back", top: true, act: natsAway},
	{name: "postgres", what: "Postgres stops and comes back", top: true, act: postgresAway},
	{name: "postgres-stall", what: "Postgres hangs for some seconds", act: postgresStalls},
	{name: "both-away", what: "NATS and Postgres stop and come back, in any order", act: bothAway},
	{name: "revoked", what: "tokens die, and the accounts are connected again", provokes: []string{"retry_of_a_permanent_refusal"}, act: revoke},
	{name: "disconnected", what: "accounts are disconnected, and connected again", act: disconnect},
	{name: "clock", what: "Threads' clock is stepped back and forth", act: stepClock},
	{name: "clock-publishers", what: "the publishers' clocks are set back and forth, each by itself", top: true, act: setClocks},
	{name: "nats-long", what: "NATS stops for a minute", act: natsAwayLong},
	{name: "postgres-long", what: "Postgres stops for a minute", act: postgresAwayLong},

	{name: noisyTenant, what: "one user asks for everything at once, with pictures from a slow host", top: true,
		others: noisyFor, own: ownNoise, act: makeNoise},
	{name: frozenProjector, what: "the publisher that records stands still, and another is started again", top: true,
		others: frozenFor, act: freezeProjector},
	{name: lockedAccount, what: "the row of one account is locked from outside", top: true,
		others: lockedFor, own: ownLocked, act: lockAccount},
}

// share is a probability within bounds.
func share(rng *rand.Rand, low, high float64) float64 { return low + rng.Float64()*(high-low) }

// rngOf is the chance of one fault in one round: what one draws does not change what another does.
func (p *plan) rngOf(t *fault) *rand.Rand { return p.rngFor(t.name) }

func (p *plan) rngFor(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))                                     // never fails
	return rand.New(rand.NewPCG(p.seed^h.Sum64(), uint64(p.number))) //nolint:gosec // a plan, not a secret
}

// moment waits for one between now and the end of the window, n times in a row.
func moment(ctx context.Context, r *round, rng *rand.Rand, n int) bool {
	return clock.Sleep(ctx, time.Duration(rng.Int64N(int64(2*window)/int64(n+1)))) && time.Since(r.began) < window
}

func errorsBefore(ctx context.Context, r *round, rng *rand.Rand) error {
	codes := []struct{ http, code, subcode int }{
		{500, 1, 0}, {500, 2, 0}, {500, 10, 0}, {400, -1, 0}, {400, 24, 4279009}, {400, 4, 0}, {400, 100, 0}, {403, 4, 2207051},
	}
	ops := []string{
		threads.OpCreate, threads.OpStatus, threads.OpPublish, threads.OpRepost, threads.OpPosts, threads.OpReplies,
		threads.OpMedia, threads.OpDelete, threads.OpLimits,
	}
	for range 25 {
		e := codes[rng.IntN(len(codes))]
		err := r.env.ask(ctx, "POST", "faults", fmt.Sprintf(`{"op":%q,"kind":"error_before_commit","nth":%d,"times":%d,"http":%d,"code":%d,"subcode":%d}`,
			ops[rng.IntN(len(ops))], 1+rng.IntN(15), 1+rng.IntN(3), e.http, e.code, e.subcode), nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// errorsAfter lies about publishes in every class of error but that of tokens, which are looked at before anything else.
func errorsAfter(ctx context.Context, r *round, rng *rand.Rand) error {
	codes := []struct{ http, code, subcode int }{
		{500, 1, 0}, {500, 10, 0}, {400, -1, 0}, {400, 24, 4279009}, {400, 4, 0}, {400, 9, 2207042}, {403, 4, 2207051}, {400, 100, 0}, {400, 368, 0},
	}
	for i := range 12 {
		e, op := codes[rng.IntN(len(codes))], threads.OpPublish
		if i%4 == 0 {
			op = threads.OpRepost
			e = codes[rng.IntN(3)]
		}
		err := r.env.ask(ctx, "POST", "faults", fmt.Sprintf(`{"op":%q,"kind":"error_after_commit","nth":%d,"http":%d,"code":%d,"subcode":%d}`,
			op, 1+rng.IntN(25), e.http, e.code, e.subcode), nil)
		if err != nil {
			return err
		}
	}
	return nil
}

func kill(ctx context.Context, r *round, rng *rand.Rand) error {
	for n := 3 + rng.IntN(4); moment(ctx, r, rng, n); {
		r.killed("")
		r.env.workers[rng.IntN(len(r.env.workers))].kill("")
	}
	return nil
}

func killAll(ctx context.Context, r *round, rng *rand.Rand) error {
	for range 2 {
		if !moment(ctx, r, rng, 2) {
			break
		}
		for _, p := range r.env.workers {
			r.killed("")
			p.kill("")
		}
	}
	return nil
}

// crashPoints lets publishers die at named steps. In a short run not with a command in hand: that comes again only after
// AckWait (30 s).
func crashPoints(ctx context.Context, r *round, rng *rand.Rand) error {
	points := slices.Clone(crash.Points)
	if r.env.o.top {
		points = slices.DeleteFunc(points, func(p crash.Point) bool {
			return strings.HasPrefix(string(p), "schedule.") || p == crash.DeleteRequested
		})
	}
	for {
		p := r.env.workers[rng.IntN(len(r.env.workers))]
		point := string(points[rng.IntN(len(points))])
		if n := 1 + rng.IntN(4); n > 1 {
			point = fmt.Sprintf("%s:%d", point, n)
		}
		r.killed(point)
		p.kill(point)
		if !moment(ctx, r, rng, 5) {
			return nil
		}
	}
}

func freeze(ctx context.Context, r *round, rng *rand.Rand) error {
	for moment(ctx, r, rng, 4) {
		r.count("freezes")
		r.env.workers[rng.IntN(len(r.env.workers))].freeze(ctx, 2500*time.Millisecond+time.Duration(rng.Int64N(int64(3*time.Second))))
	}
	return nil
}

func freezeLong(ctx context.Context, r *round, rng *rand.Rand) error {
	if moment(ctx, r, rng, 3) {
		r.count("freezes")
		r.env.workers[rng.IntN(len(r.env.workers))].freeze(ctx, 33*time.Second)
	}
	return nil
}

func purge(ctx context.Context, r *round, rng *rand.Rand) error {
	for moment(ctx, r, rng, 12) {
		s, err := r.env.Bus.JetStream().Stream(ctx, events.StreamPostAlarms)
		if err == nil {
			err = s.Purge(ctx)
		}
		if err == nil {
			r.count("purges")
		}
	}
	return nil // NATS may be away: then there is nothing to purge
}

func extraWakes(ctx context.Context, r *round, rng *rand.Rand) error {
	for moment(ctx, r, rng, 60) {
		var id string
		if n := len(r.env.old); n > 0 && rng.IntN(3) == 0 {
			id = r.env.old[rng.IntN(n)]
		} else {
			id = r.posts[rng.IntN(len(r.posts))].id
		}
		for range 1 + rng.IntN(3) {
			if r.env.Bus.JetStream().Conn().PublishMsg(&nats.Msg{Subject: events.PostDue(id)}) == nil {
				r.count("extra wake-ups")
			}
		}
	}
	return nil
}

func natsAway(ctx context.Context, r *round, rng *rand.Rand) error {
	for range 2 {
		if !moment(ctx, r, rng, 3) {
			return nil
		}
		r.count("NATS away")
		if err := r.env.WithoutNATS(ctx, time.Duration(rng.Int64N(int64(5*time.Second))), rng.IntN(2) == 0); err != nil {
			return err
		}
	}
	return nil
}

func postgresAway(ctx context.Context, r *round, rng *rand.Rand) error {
	if !moment(ctx, r, rng, 2) {
		return nil
	}
	r.count("Postgres away")
	return r.env.WithoutPostgres(ctx, time.Duration(rng.Int64N(int64(6*time.Second))))
}

func postgresStalls(ctx context.Context, r *round, rng *rand.Rand) error {
	for moment(ctx, r, rng, 3) {
		r.count("Postgres stalled")
		release := r.env.Proxy.Stall()
		clock.Sleep(ctx, 2*time.Second+time.Duration(rng.Int64N(int64(4*time.Second))))
		release()
	}
	return nil
}

func bothAway(ctx context.Context, r *round, rng *rand.Rand) error {
	if !moment(ctx, r, rng, 3) {
		return nil
	}
	r.count("NATS away")
	r.count("Postgres away")
	first, second := time.Duration(rng.Int64N(int64(6*time.Second))), time.Duration(rng.Int64N(int64(6*time.Second)))
	inOrder, late := rng.IntN(2) == 0, time.Duration(rng.Int64N(int64(2*time.Second)))
	natsFirst := rng.IntN(2) == 0
	done := make(chan error, 1)
	go func() {
		if !natsFirst {
			clock.Sleep(ctx, late)
		}
		done <- r.env.WithoutNATS(ctx, first, inOrder)
	}()
	if natsFirst {
		clock.Sleep(ctx, late)
	}
	err := r.env.WithoutPostgres(ctx, second)
	if other := <-done; err == nil {
		err = other
	}
	return err
}

func revoke(ctx context.Context, r *round, rng *rand.Rand) error {
	for moment(ctx, r, rng, 4) {
		a := r.accounts[rng.IntN(len(r.accounts))]
		r.count("tokens revoked")
		subcode := []int{458, 460, 463}[rng.IntN(3)]
		if err := r.env.ask(ctx, "POST", "revoke", fmt.Sprintf(`{"username":%q,"subcode":%d}`, a.name, subcode), nil); err != nil {
			return err
		}
		clock.Sleep(ctx, time.Duration(rng.Int64N(int64(3*time.Second))))
		if rng.IntN(2) == 0 { // the others are connected again when the round ends
			r.connect(ctx, a)
		}
	}
	return nil
}

func disconnect(ctx context.Context, r *round, rng *rand.Rand) error {
	if !moment(ctx, r, rng, 2) {
		return nil
	}
	a := r.accounts[rng.IntN(len(r.accounts))]
	r.count("accounts disconnected")
	r.disconnect(ctx, a)
	clock.Sleep(ctx, time.Duration(rng.Int64N(int64(4*time.Second))))
	r.connect(ctx, a)
	return nil
}

// stepClock steps the simulator's clock by less than a post's look goes back, which is what clocks may differ by. What was
// made while it was ahead takes longer afterwards: processing follows that clock.
func stepClock(ctx context.Context, r *round, rng *rand.Rand) error {
	for moment(ctx, r, rng, 6) {
		if err := r.step(ctx, time.Duration(rng.Int64N(int64(30*time.Second)))-15*time.Second); err != nil {
			return err
		}
		r.count("clock steps")
	}
	return r.step(ctx, 0)
}

// setClocks sets the clocks of the publishers' machines, as far as stepClock sets Threads'. A post then goes out by a clock
// that is wrong, but not twice: how long ago a call was made is the database's to say.
func setClocks(ctx context.Context, r *round, rng *rand.Rand) error {
	for moment(ctx, r, rng, 8) {
		ahead := time.Duration(rng.Int64N(int64(30*time.Second))) - 15*time.Second
		r.mu.Lock()
		r.ahead = max(r.ahead, ahead)
		r.mu.Unlock()
		r.env.workers[rng.IntN(len(r.env.workers))].setClock(ahead)
		r.count("publishers' clocks set")
	}
	for _, p := range r.env.workers {
		p.setClock(0)
	}
	return nil
}

// longAway is an outage in which everything is given up that ever is.
const longAway = time.Minute

func natsAwayLong(ctx context.Context, r *round, rng *rand.Rand) error {
	if !moment(ctx, r, rng, 2) {
		return nil
	}
	r.count("NATS away for a minute")
	return r.env.WithoutNATS(ctx, longAway, rng.IntN(2) == 0)
}

func postgresAwayLong(ctx context.Context, r *round, rng *rand.Rand) error {
	if !moment(ctx, r, rng, 2) {
		return nil
	}
	r.count("Postgres away for a minute")
	return r.env.WithoutPostgres(ctx, longAway)
}
