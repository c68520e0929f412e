package torture

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// verdict holds Threads, EVENTS and the table of one round against each other.
type verdict struct {
	*round
	unsettled   error
	byID        map[string]*posts.Post
	answers     map[string]*events.Outcome
	emitted     map[string][]string // what was emitted of each post
	commits     []threadssim.Post
	calls       []threadssim.Call
	violations  []Violation
	heldHistory []string
	lateBy      []float64 // of the first calls, in milliseconds
	// Of quiet tenants, whose lateness is held against a bound, or only shown.
	judged, shown []otherPost
	took          time.Duration
}

// Violation is a broken promise, with all that is known of the post.
type Violation struct {
	Round   int      `json:"round"`
	Faults  string   `json:"troubles"`
	Post    string   `json:"post,omitempty"`
	What    string   `json:"what"`
	History []string `json:"story,omitempty"`
}

func (v *verdict) violated(ctx context.Context, q *handed, format string, args ...any) {
	one := Violation{Round: v.plan.number, Faults: v.plan.String(), What: fmt.Sprintf(format, args...)}
	if q != nil {
		one.Post = q.id
		if v.env != nil { // without a system there is nobody to ask
			one.History = v.history(ctx, q)
		}
	}
	v.violations = append(v.violations, one)
}

// verify reads everything and compares.
func (v *verdict) verify(ctx context.Context) (err error) {
	if v.byID, err = v.rows(ctx); err != nil {
		return err
	}
	if v.answers, err = v.outcomes(ctx); err != nil {
		return err
	}
	if err := v.env.readEvents(ctx); err != nil {
		return err
	}
	v.emitted = v.env.emitted
	var list struct {
		Data []threadssim.Post `json:"data"`
	}
	if err := v.env.ask(ctx, "GET", "posts", "", &list); err != nil {
		return err
	}
	for _, c := range list.Data {
		if slices.ContainsFunc(v.accounts, func(a *account) bool { return a.name == c.Username }) {
			v.commits = append(v.commits, c)
		}
	}
	var calls struct {
		Data []threadssim.Call `json:"data"`
	}
	if err := v.env.ask(ctx, "GET", "calls", "", &calls); err != nil {
		return err
	}
	v.calls = calls.Data
	if v.unsettled != nil {
		v.violated(ctx, v.named(v.unsettled.Error()), "%v", v.unsettled)
	}
	if q := v.named(v.held); q != nil {
		v.heldHistory = v.history(ctx, q)
	}
	v.same(ctx)
	for _, q := range v.posts {
		v.post(ctx, q)
	}
	v.commands(ctx)
	return v.invariants(ctx)
}

// named is the post that a sentence names.
func (v *verdict) named(sentence string) *handed {
	for _, q := range v.posts {
		if strings.Contains(sentence, q.id) {
			return q
		}
	}
	return nil
}

// live is one part of a post as its row says that it is live.
type live struct {
	post    *handed
	mediaID string
}

func words(username, text string) string      { return username + "\x00" + text }
func reposting(username, media string) string { return username + "\x00repost of " + media }

// same compares what Threads has with what the rows say it has: the same posts with the same ids, by account and words.
// Equal words make one heap, in which there must be as many of one as of the other.
func (v *verdict) same(ctx context.Context) {
	has, says := map[string]map[string]threadssim.Post{}, map[string]map[string]live{}
	parked := map[string]*handed{}
	for _, c := range v.commits {
		key := words(c.Username, c.Text)
		if c.RepostOf != "" {
			key = reposting(c.Username, c.RepostOf)
		}
		if has[key] == nil {
			has[key] = map[string]threadssim.Post{}
		}
		has[key][c.ID] = c
	}
	maybe := map[string]int{}
	for _, q := range v.posts {
		p := v.byID[q.id]
		if p == nil {
			continue
		}
		add := func(key, media string) {
			if says[key] == nil {
				says[key] = map[string]live{}
			}
			if other, taken := says[key][media]; taken {
				v.violated(ctx, q, "it has the media id %s, as post %s has", media, other.post.id)
			}
			says[key][media] = live{q, media}
		}
		var texts, ids []string
		for _, part := range p.Parts {
			texts, ids = append(texts, part.Text), append(ids, part.MediaID)
		}
		if len(p.Parts) == 0 {
			texts, ids = []string{p.Text}, []string{p.MediaID}
		}
		open := true // the first part that is not live is the one in hand
		for i, text := range texts {
			key := words(q.account.name, text)
			if p.Kind == events.KindRepost {
				key = reposting(q.account.name, p.ParentID)
			}
			if ids[i] != "" {
				add(key, ids[i])
			} else if open && p.State == events.StateParked {
				maybe[key]++
				parked[key], open = q, false
			} else {
				open = false
			}
		}
	}
	for key, commits := range has {
		extra := 0
		for id, c := range commits {
			l, known := says[key][id]
			if !known {
				extra++
				continue
			}
			v.commit(ctx, l.post, c)
		}
		if extra > maybe[key] {
			v.violated(ctx, v.owner(key), "Threads has %d posts %q of %s, and the rows say %d (and perhaps %d that are parked)",
				len(commits), text(key), accountOf(key), len(says[key]), maybe[key])
		}
	}
	for key, rows := range says {
		for id, l := range rows {
			if _, there := has[key][id]; !there {
				v.violated(ctx, l.post, "the row says that it is live as %s, and Threads has no such post", id)
			}
		}
	}
}

func text(key string) string      { _, t, _ := strings.Cut(key, "\x00"); return t }
func accountOf(key string) string { a, _, _ := strings.Cut(key, "\x00"); return a }

// owner is a post that a heap may belong to.
func (v *verdict) owner(key string) *handed {
	for _, q := range v.posts {
		if q.account.name != accountOf(key) {
			continue
		}
		p := v.byID[q.id]
		if p != nil && p.RepostOf != "" && reposting(q.account.name, p.ParentID) == key {
			return q
		}
		if t := text(key); q.draft.Text != "" && strings.HasPrefix(t, q.draft.Text) && (len(t) == len(q.draft.Text) || t[len(q.draft.Text)] == ',') {
			return q
		}
		if slices.ContainsFunc(q.draft.Parts, func(d events.DraftPart) bool { return d.Text == text(key) }) {
			return q
		}
	}
	return nil
}

// commit judges one post at Threads that belongs to a row: not early, deleted when and only when the row says so.
func (v *verdict) commit(ctx context.Context, q *handed, c threadssim.Post) {
	p := v.byID[q.id]
	due := p.PublishAt
	if q.retried && len(p.Parts) > 0 {
		due = q.firstAt
	}
	arrived := v.trueTime(time.Unix(0, c.ArrivedNS))
	if arrived.Before(due.Add(-v.ahead)) { // by the clock of whoever sent it
		v.violated(ctx, q, "it arrived %s early", due.Sub(arrived))
	}
	if len(p.Parts) == 0 || c.ID == p.Parts[0].MediaID {
		if !q.retried && q.refers < 0 && !slices.Contains([]string{kindEqual, kindQuiet, kindOwn}, q.kind) { // those wait for others, or are measured apart
			if p.CreatedAt.After(due) {
				due = p.CreatedAt // accepted after its time, by a publisher that had to come back first
			}
			late := arrived.Sub(due)
			v.lateBy = append(v.lateBy, float64(late.Microseconds())/1000)
			if late > sweptWithin && v.onlyWakes() {
				v.violated(ctx, q, "it arrived %s late, and nothing but wake-ups went wrong", late)
			}
		}
	}
	gone := !p.DeletedAt.IsZero() || slices.ContainsFunc(p.Parts, func(part events.Part) bool { return part.MediaID == c.ID && part.DeletedAt != nil })
	if gone != c.Deleted {
		v.violated(ctx, q, "the row says deleted: %v, Threads says %v", gone, c.Deleted)
	}
}

// sweptWithin is how late a post may be that nobody woke: the sweep finds it.
const sweptWithin = 15 * time.Second

// onlyWakes says that nothing but wake-ups went wrong, if anything did.
func (v *verdict) onlyWakes() bool {
	return !slices.ContainsFunc(v.plan.faults, func(t *fault) bool { return t.name != "wake-lost" && t.name != "wake-extra" })
}

// trueTime takes the steps of the simulator's clock out of a time of its own: the latest true time at which it can have read
// it, since a time may be read twice when a clock steps back.
func (v *verdict) trueTime(sim time.Time) time.Time {
	latest := time.Time{}
	for i := len(v.steps); i >= 0; i-- {
		ahead, from, to := time.Duration(0), time.Time{}, time.Now()
		if i > 0 {
			ahead, from = v.steps[i-1].ahead, v.steps[i-1].from
		}
		if i < len(v.steps) {
			to = v.steps[i].from.Add(100 * time.Millisecond) // the step itself takes a moment
		}
		if at := sim.Add(-ahead); !at.Before(from) && at.Before(to) && at.After(latest) {
			latest = at
		}
	}
	if latest.IsZero() {
		return sim
	}
	return latest
}

// post judges one post by itself.
func (v *verdict) post(ctx context.Context, q *handed) {
	p := v.byID[q.id]
	if p == nil {
		return // see commands
	}
	published := 0
	for _, fact := range v.emitted[q.id] {
		if fact == string(events.FactPublished) {
			published++
		}
	}
	switch p.State {
	case events.StatePublished:
		if published != 1 {
			v.violated(ctx, q, "it is POSTED and was told as published %d times", published)
		}
		if s := p.Snapshot(); s.LatenessMs == nil {
			v.violated(ctx, q, "it is POSTED and its lateness is not recorded")
		} else if *s.LatenessMs < 0 {
			v.violated(ctx, q, "its row says that it was %v ms early", -*s.LatenessMs)
		}
	case events.StateFailed, events.StateCancelled, events.StateParked:
		if published != 0 {
			v.violated(ctx, q, "it is %s and was told as published %d times", p.State, published)
		}
	}
	if (p.State == events.StateFailed || p.State == events.StateParked) && p.Reason == nil {
		v.violated(ctx, q, "it is %s without a reason", p.State)
	}
	if p.State == events.StateFailed && !v.mayFail(q, p) {
		v.violated(ctx, q, "it failed (%s), and nothing that happened excuses that", reason(p))
	}
	if p.State == events.StateCancelled && !v.accepted(q, verbCancel) && !v.has("disconnected") {
		v.violated(ctx, q, "it is cancelled, and nobody asked for that")
	}
	if p.State == events.StateParked && len(v.plan.faults) == 0 {
		v.violated(ctx, q, "it is parked in a calm round: %s", reason(p))
	}
}

func reason(p *posts.Post) string {
	if p.Reason == nil {
		return "no reason"
	}
	return p.Reason.Message
}

// mayFail says whether something excuses the failure of a post: Threads refused it, or what it refers to is not live.
func (v *verdict) mayFail(q *handed, p *posts.Post) bool {
	for _, t := range v.plan.faults {
		if t.fails {
			return true
		}
	}
	if other := v.byN[q.refers]; other != nil {
		o := v.byID[other.id]
		return o == nil || o.State != events.StatePublished || !o.DeleteRequestedAt.IsZero() || v.asked(other, verbDelete)
	}
	return false
}

func (v *verdict) asked(q *handed, verb string) bool {
	return slices.ContainsFunc(v.sent, func(s *sent) bool { return s.post == q && s.verb == verb })
}

// accepted says whether a command of that verb was, or may have been, done.
func (v *verdict) accepted(q *handed, verb string) bool {
	return slices.ContainsFunc(v.sent, func(s *sent) bool {
		o := v.answers[s.id]
		return s.post == q && s.verb == verb && o != nil && o.Fault == nil
	})
}

// commands judges what was answered: what was refused has not happened, what was accepted has.
func (v *verdict) commands(ctx context.Context) {
	for _, s := range v.sent {
		o, stored := v.answers[s.id]
		q, p := s.post, v.byID[s.post.id]
		if f := new(events.Fault); s.err != nil {
			if asFault(s.err, &f) && f.Code == events.Unavailable && stored {
				v.violated(ctx, q, "the bus said that nothing was accepted of %s, and it was", s.verb)
			}
			continue
		}
		if o == nil {
			if !stored {
				v.violated(ctx, q, "the command %s was stored and is lost", s.verb)
			}
			continue
		}
		did := o.Fault == nil
		switch s.verb {
		case "schedule", kindNow:
			// An outcome of publish may be that it failed: then there is a row.
			if did && p == nil {
				v.violated(ctx, q, "it was accepted and is not in the table")
			}
			if p == nil && !did && q.refers < 0 && !v.has("revoked") && !v.has("disconnected") {
				v.violated(ctx, q, "it was refused (%s), and nothing that happened excuses that", o.Fault.Message)
			}
		case verbEdit:
			if p != nil && s.text != "" && did != (p.Text == s.text) {
				v.violated(ctx, q, "its edit was answered with %s and its text is %q", answer(o), p.Text)
			}
		case verbCancel:
			if did && (p == nil || p.State != events.StateCancelled) {
				v.violated(ctx, q, "its cancel was accepted and it is %s", v.outcome(q))
			}
		case verbDelete:
			if did && (p == nil || p.DeletedAt.IsZero()) {
				v.violated(ctx, q, "its deletion was accepted and done, and the row does not say so")
			}
		}
	}
}

func answer(o *events.Outcome) string {
	if o == nil {
		return "nothing"
	}
	if o.Fault != nil {
		return string(o.Fault.Code)
	}
	return "yes"
}

func asFault(err error, into **events.Fault) bool {
	f, ok := err.(*events.Fault) //nolint:errorlint // the bus returns it bare
	if ok {
		*into = f
	}
	return ok
}

// invariants asks the simulator which rules were broken, but for those that the round itself breaks on purpose: equal posts
// are scheduled as such, and are counted above.
func (v *verdict) invariants(ctx context.Context) error {
	var found struct {
		Broken []threadssim.Mistake `json:"broken"`
	}
	if err := v.env.ask(ctx, "GET", "invariants?calls_per_minute=1000000", "", &found); err != nil {
		return err
	}
	for _, m := range found.Broken {
		key := m.Rule + m.User + m.At.String() + m.Detail
		if v.env.judged[key] || m.Rule == "equal_posts" {
			continue
		}
		v.env.judged[key] = true
		if m.User == "" { // a call that was cut off in the middle: a killed publisher's, which nobody answers
			continue
		}
		excused := slices.ContainsFunc(v.plan.faults, func(t *fault) bool { return slices.Contains(t.provokes, m.Rule) })
		if !excused {
			v.violated(ctx, nil, "the simulator says: %s by %s at %s: %s", m.Rule, m.User, m.At.Format(time.StampMilli), m.Detail)
		}
	}
	return nil
}

// readEvents reads the events that were emitted of posts since the last time.
func (e *env) readEvents(ctx context.Context) error {
	s, err := e.Bus.JetStream().Stream(ctx, events.StreamEvents)
	if err != nil {
		return fmt.Errorf("find EVENTS: %w", err)
	}
	end := s.CachedInfo().State.LastSeq
	if end <= e.read {
		return nil
	}
	consumer, err := e.Bus.JetStream().OrderedConsumer(ctx, events.StreamEvents, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: e.read + 1, HeadersOnly: true,
	})
	if err != nil {
		return fmt.Errorf("read EVENTS: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("read EVENTS: %w", err)
	}
	defer messages.Stop()
	for e.read < end {
		m, err := messages.Next(jetstream.NextMaxWait(10 * time.Second))
		if err != nil {
			return fmt.Errorf("read EVENTS: %w", err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read EVENTS: %w", err)
		}
		e.read = meta.Sequence.Stream
		// threads.evt.post.<account>.<post>.<fact>
		if words := strings.Split(m.Subject(), "."); len(words) == 6 && words[2] == "post" {
			e.emitted[words[4]] = append(e.emitted[words[4]], words[5])
		}
	}
	return nil
}

// history is all that is known of a post: row, commands, events, attempts, and what the simulator saw.
func (v *verdict) history(ctx context.Context, q *handed) (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	say("planned: %s of %s, handed in at %s, due at %s, refers to %d, moves %+v; the round began at %s", q.kind, q.account.name,
		q.sent, q.due, q.refers, q.moves, v.began.UTC().Format(time.RFC3339Nano))
	p := v.byID[q.id]
	if b, err := json.Marshal(p); err == nil {
		say("row: %s", b)
	}
	for _, s := range v.sent {
		if s.post == q {
			b, _ := json.Marshal(v.answers[s.id]) //nolint:errchkjson // an outcome always encodes
			say("command %s %s: sent with %v, outcome %s", s.verb, s.id, s.err, b)
		}
	}
	say("told: %s", strings.Join(v.emitted[q.id], ", "))
	type attempt struct {
		At      time.Time `bun:"at"`
		Phase   string    `bun:"phase"`
		TookMs  float64   `bun:"took_ms"`
		Message string    `bun:"message"`
		Code    int       `bun:"code"`
		Subcode int       `bun:"subcode"`
	}
	var attempts []attempt
	if err := v.env.DB.NewSelect().Table("post_attempts").Column("at", "phase", "took_ms", "message", "code", "subcode").
		Where("post_id = ?", q.id).Order("id").Scan(ctx, &attempts); err != nil {
		say("attempts: %v", err)
	}
	for _, a := range attempts {
		say("attempt: %s %s %.0f ms %d/%d %s", a.At.UTC().Format("15:04:05.000"), a.Phase, a.TookMs, a.Code, a.Subcode, a.Message)
	}
	for _, c := range v.commits {
		if o := v.owner(words(c.Username, c.Text)); o == q || p != nil && (c.ID == p.MediaID || p.ParentID != "" && c.RepostOf == p.ParentID) {
			say("at Threads: %s of container %s, %q, arrived %s, live %s, deleted %v", c.ID, c.ContainerID, c.Text,
				time.Unix(0, c.ArrivedNS).UTC().Format("15:04:05.000"), time.Unix(0, c.CommittedNS).UTC().Format("15:04:05.000"), c.Deleted)
		}
	}
	for _, c := range v.calls {
		if c.User == q.account.name && (c.Op == "publish" || c.Op == "repost" || p != nil && p.ContainerID != "" && strings.Contains(c.Path, p.ContainerID)) {
			say("call of the account: %s %s %s answered %d %d/%d", time.Unix(0, c.AtNS).UTC().Format("15:04:05.000"), c.Method, c.Path, c.Status, c.Code, c.Subcode)
		}
	}
	slices.SortStableFunc(lines[1:], func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return lines
}

func rank(line string) int {
	for i, begin := range []string{"row", "command", "told", "attempt", "at Threads", "call"} {
		if strings.HasPrefix(line, begin) {
			return i
		}
	}
	return 99
}
