package torture

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/omni-write/threads/events"
)

// A round hands in its posts within handIn, has them due by window, and lets its faults rage until then.
const (
	handIn = 3 * time.Second
	window = 11 * time.Second
)

// plan is a round as it was drawn from the seed: the same seed and number make the same plan.
type plan struct {
	seed       uint64
	number     int
	publishers int
	accounts   int
	tenants    map[string]int // accounts of the faults' own tenants, by the faults' names
	posts      []*planned
	until      time.Duration // quiet tenants have posts due until then; 0: there are none
	faults     []*fault
	rng        *rand.Rand // of what the faults draw
}

// planned is one post, and what its owner does with it. Times count from the beginning of the round.
type planned struct {
	n       int
	kind    string
	account int
	draft   events.Draft // references are filled in when it is handed in
	refers  int          // the post it replies to, quotes or reposts; -1: none
	sent    time.Duration
	due     time.Duration // unless it is for now
	doubled bool          // the command is delivered twice
	picture bool          // it has one from the slow picture host, whose address the plan does not know
	moves   []move
}

// move is what an owner does with a post later.
type move struct {
	at   time.Duration
	verb string
	text string        // of an edit
	due  time.Duration // of an edit; 0: as it was
}

// The kinds of posts.
const (
	kindText     = "text"
	kindNow      = "now"
	kindImage    = "image"
	kindVideo    = "video"
	kindCarousel = "carousel"
	kindChain    = "chain"
	kindReply    = "reply"
	kindQuote    = "quote"
	kindRepost   = "repost"
	kindEqual    = "equal"
)

var kinds = []string{
	kindText, kindText, kindNow, kindImage, kindCarousel, kindChain, kindReply, kindRepost, kindEqual, kindVideo, kindQuote, kindText,
}

// The verbs of moves.
const (
	verbEdit   = "edit"
	verbCancel = "cancel"
	verbDelete = "delete"
)

// calmEvery round has no fault: it shows that the system works, and what lateness is without.
const calmEvery = 10

func newPlan(o Options, number int) *plan {
	rng := rand.New(rand.NewPCG(o.seed, uint64(number))) //nolint:gosec // a plan, not a secret
	p := &plan{seed: o.seed, number: number, publishers: 2, rng: rng}
	if number%3 == 0 {
		p.publishers = 3
	}
	if o.publishers > 0 {
		p.publishers = o.publishers
	}
	p.accounts = max(3, o.posts/8)
	p.drawFaults(o)
	if p.has(frozenProjector) {
		p.publishers = max(p.publishers, 2) // one stands still, another goes on
	}
	p.drawPosts(o.posts)
	p.drawOthers(o)
	return p
}

// drawFaults draws a pair, in which no two want the same knob. Where the run has only the top ones, each has its turn.
func (p *plan) drawFaults(o Options) {
	if names := o.names(); len(names) > 0 {
		for _, name := range names {
			p.faults = append(p.faults, find(name))
		}
		return
	}
	if !o.top && p.number%calmEvery == 0 {
		return
	}
	var pool []*fault
	for i := range faults {
		if !o.top || faults[i].top {
			pool = append(pool, &faults[i])
		}
	}
	if o.top { // all of them at once, in two rounds
		for i, t := range pool {
			if i%2 == p.number%2 {
				p.faults = append(p.faults, t)
			}
		}
		return
	}
	if t := aloneIn(p.number); t != nil {
		p.faults = append(p.faults, t)
		return
	}
	// Each fault leads in its turn, in an order of this seed, so that a long run leaves none out.
	order := rand.New(rand.NewPCG(p.seed, 0)).Perm(len(pool)) //nolint:gosec // as above
	turn := 0
	for n := 1; n < p.number; n++ {
		if n%calmEvery != 0 && aloneIn(n) == nil {
			turn++
		}
	}
	first := pool[order[turn%len(pool)]]
	p.faults = append(p.faults, first)
	if p.rng.Float64() < 0.15 {
		return // alone
	}
	for range 20 {
		t := pool[p.rng.IntN(len(pool))]
		if t != first && (t.knob == "" || t.knob != first.knob) {
			p.faults = append(p.faults, t)
			return
		}
	}
}

func (p *plan) drawPosts(n int) {
	for i := range n {
		kind := kinds[(i+p.number)%len(kinds)]
		q := &planned{n: i, kind: kind, account: p.rng.IntN(p.accounts), refers: -1, doubled: p.rng.Float64() < 0.15}
		q.sent = p.upTo(handIn)
		q.due = q.sent + 1500*time.Millisecond + p.upTo(window-handIn-2500*time.Millisecond)
		q.due = q.due.Truncate(time.Millisecond)
		p.write(q)
		p.draw(q)
		p.posts = append(p.posts, q)
	}
	slices.SortStableFunc(p.posts, func(a, b *planned) int { return int(a.sent - b.sent) })
}

func (p *plan) upTo(d time.Duration) time.Duration { return time.Duration(p.rng.Int64N(int64(d))) }

// write gives a post its words and media. Every text of a run is another, but for those that are equal on purpose.
func (p *plan) write(q *planned) {
	words := fmt.Sprintf("round %d post %d of seed %d", p.number, q.n, p.seed)
	image := func(i int) events.Media {
		return events.Media{Type: events.Image, URL: fmt.Sprintf("https://media.example.com/%d/%d/%d.jpg", p.number, q.n, i)}
	}
	q.draft.Text = words
	switch q.kind {
	case kindImage:
		q.draft.Media = []events.Media{image(0)}
	case kindVideo:
		q.draft.Media = []events.Media{{Type: events.Video, URL: fmt.Sprintf("https://media.example.com/%d/%d.mp4", p.number, q.n)}}
	case kindCarousel:
		for i := range 2 + p.rng.IntN(2) {
			q.draft.Media = append(q.draft.Media, image(i))
		}
	case kindChain:
		q.draft.Text = ""
		for i := range 2 + p.rng.IntN(3) {
			part := events.DraftPart{Text: fmt.Sprintf("%s, part %d", words, i+1)}
			if i == 1 && p.rng.IntN(2) == 0 {
				part.Media = []events.Media{image(i)}
			}
			q.draft.Parts = append(q.draft.Parts, part)
		}
	case kindEqual:
		// The same words on the same account, at nearly the same time.
		q.account = 0
		q.draft.Text = fmt.Sprintf("round %d of seed %d: good morning", p.number, p.seed)
		q.due = 4*time.Second + p.upTo(time.Second).Truncate(time.Millisecond)
	case kindReply, kindQuote, kindRepost:
		p.addReference(q)
	case kindNow:
		q.sent = p.upTo(window - handIn)
		q.due = q.sent
	}
}

// addReference finds an earlier post to refer to. Without one it is a plain text.
func (p *plan) addReference(q *planned) {
	var others []*planned
	for _, o := range p.posts {
		if o.kind == kindText || o.kind == kindImage || o.kind == kindNow {
			others = append(others, o)
		}
	}
	if len(others) == 0 {
		q.kind = kindText
		return
	}
	o := others[p.rng.IntN(len(others))]
	q.account, q.refers = o.account, o.n
	q.sent = max(q.sent, o.sent+500*time.Millisecond) // it must be known by then
	q.due = max(q.due, q.sent+time.Second)
	if q.kind == kindRepost {
		q.draft.Text = ""
	}
}

// draw says what the owner does with the post later.
func (p *plan) draw(q *planned) {
	if q.kind == kindEqual {
		return
	}
	switch dice := p.rng.Float64(); {
	case q.kind == kindNow:
	case dice < 0.10:
		m := move{at: q.sent + p.upTo(q.due-q.sent), verb: verbEdit}
		if q.kind == kindText || q.kind == kindImage {
			m.text = q.draft.Text + ", edited"
		}
		if m.text == "" || p.rng.IntN(2) == 0 {
			m.due = m.at + 500*time.Millisecond + p.upTo(3*time.Second).Truncate(time.Millisecond)
		}
		q.moves = append(q.moves, m)
		return
	case dice < 0.20: // around its very moment, half of the time
		at := q.sent + p.upTo(q.due-q.sent)
		if p.rng.IntN(2) == 0 {
			at = q.due - 500*time.Millisecond + p.upTo(time.Second)
		}
		q.moves = append(q.moves, move{at: at, verb: verbCancel})
		return
	}
	if p.rng.Float64() < 0.15 {
		q.moves = append(q.moves, move{at: q.due + 200*time.Millisecond + p.upTo(3*time.Second), verb: verbDelete})
	}
}

func (p *plan) has(name string) bool {
	return slices.ContainsFunc(p.faults, func(t *fault) bool { return t.name == name })
}

// String names the faults of a plan.
func (p *plan) String() string {
	if len(p.faults) == 0 {
		return "calm"
	}
	s := ""
	for i, t := range p.faults {
		if i > 0 {
			s += " + "
		}
		s += t.name
	}
	return s
}
