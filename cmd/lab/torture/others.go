package torture

import (
	"context"
	"fmt"
	"time"

	"github.com/omni-write/threads/internal/threads/threadssim"
)

// Nobody stops anybody: in a round with a fault that is made by one tenant, or by one process of several, there are quiet
// tenants beside it, who post texts and do nothing else. How late their posts are is measured apart from all others.

const (
	// kindQuiet is a post of a quiet tenant, kindOwn one of the tenant that a fault is about.
	kindQuiet = "quiet"
	kindOwn   = "own"

	quietAccounts = 30
	quietEvery    = 50 * time.Millisecond
	// quietAhead is how long before its time a post is handed in at the latest: longer than its container takes.
	quietAhead = 3 * time.Second
)

// aloneEvery rounds, each fault with quiet tenants beside it has one to itself, so that every run judges it.
const aloneEvery = 20

// aloneIn is the fault that has the round of that number to itself, if one has: the second, the fourth and so on.
func aloneIn(number int) *fault {
	turn := number % aloneEvery
	for i := range faults {
		if faults[i].others == 0 {
			continue
		}
		if turn -= 2; turn == 0 {
			return &faults[i]
		}
	}
	return nil
}

// drawOthers adds the quiet tenants, and what the faults' own tenants post. It draws from chances of its own: the posts of
// all other rounds, and the others of this one, stay as they are.
func (p *plan) drawOthers(o Options) {
	for _, t := range p.faults {
		p.until = max(p.until, t.others)
	}
	if p.until == 0 {
		return
	}
	if o.top {
		p.until = min(p.until, window)
	}
	rng := p.rngFor("others")
	upTo := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
	for _, t := range p.faults {
		if t.own != nil {
			t.own(p, o, upTo)
		}
	}
	first := p.accounts
	p.accounts += quietAccounts
	for i, due := 0, quietAhead; due < p.until; i, due = i+1, due+quietEvery {
		q := &planned{n: len(p.posts), kind: kindQuiet, account: first + i%quietAccounts, refers: -1}
		q.due = (due + upTo(quietEvery)).Truncate(time.Millisecond)
		q.sent = upTo(min(handIn, q.due-quietAhead+1))
		if i%2 == 1 { // the others long before
			q.sent = q.due - quietAhead
		}
		q.draft.Text = fmt.Sprintf("round %d post %d of seed %d, of a quiet tenant", p.number, q.n, p.seed)
		p.posts = append(p.posts, q)
	}
}

// tenant adds an account for a fault's own tenant.
func (p *plan) tenant(name string) (account int) {
	if p.tenants == nil {
		p.tenants = map[string]int{}
	}
	p.tenants[name] = p.accounts
	p.accounts++
	return p.accounts - 1
}

// tenant is the account of a fault's own tenant.
func (r *round) tenant(name string) *account { return r.accounts[r.plan.tenants[name]] }

// ordeal says which posts of quiet tenants a fault is judged by: those that were due while it lasted. A zero time bounds
// nothing.
type ordeal struct {
	from, until time.Time
	// accepted: posts that were accepted later are not judged. Their command may have been handed to a process that stands
	// still, and no other process can know of it.
	accepted time.Time
}

// judgedBy says what a fault is judged by. Without it the round measures and does not judge.
func (r *round) judgedBy(o ordeal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ordeal = &o
}

// otherPost is a post of a quiet tenant: when it was due and accepted, and when its publish call arrived.
type otherPost struct {
	id                     string
	due, accepted, arrived time.Time
}

func (p otherPost) lateness() float64 { return float64(p.arrived.Sub(p.due).Microseconds()) / 1000 }

func (o ordeal) counts(p otherPost) bool {
	return !p.due.Before(o.from) && (o.until.IsZero() || !p.due.After(o.until)) && (o.accepted.IsZero() || p.accepted.Before(o.accepted))
}

// split parts what is judged from what is only shown. Where other faults are in the round too, they may rightly delay
// everybody, and nothing is judged.
func split(posts []otherPost, o *ordeal, alone bool) (judged, shown []otherPost) {
	for _, p := range posts {
		if alone && o != nil && o.counts(p) {
			judged = append(judged, p)
		} else {
			shown = append(shown, p)
		}
	}
	return judged, shown
}

// tooLate says whether so many of the posts were later than the bound that it is not kept for 99 of 100, and names the latest.
func tooLate(judged []otherPost, bound time.Duration) (late Lateness, worst *otherPost, is bool) {
	for i := range judged {
		if worst == nil || judged[i].lateness() > worst.lateness() {
			worst = &judged[i]
		}
	}
	late = lateness(latenesses(judged))
	return late, worst, late.P99 > float64(bound.Microseconds())/1000
}

func latenesses(posts []otherPost) []float64 {
	values := make([]float64, len(posts))
	for i, p := range posts {
		values[i] = p.lateness()
	}
	return values
}

// otherPosts are the posts of the quiet tenants. One that has not gone out by now counts as arriving now.
func (v *verdict) otherPosts(now time.Time) (posts []otherPost) {
	first := map[string]threadssim.Post{}
	for _, c := range v.commits {
		key := words(c.Username, c.Text)
		if one, there := first[key]; !there || c.ArrivedNS < one.ArrivedNS {
			first[key] = c
		}
	}
	for _, q := range v.posts {
		if q.kind != kindQuiet {
			continue
		}
		p := otherPost{id: q.id, due: v.began.Add(q.due), accepted: now, arrived: now}
		if row := v.byID[q.id]; row != nil {
			p.due, p.accepted = row.PublishAt, row.CreatedAt
		}
		if c, there := first[words(q.account.name, q.draft.Text)]; there {
			p.arrived = v.trueTime(time.Unix(0, c.ArrivedNS))
		}
		posts = append(posts, p)
	}
	return posts
}

// others holds the lateness of the quiet tenants' posts against its bound.
func (v *verdict) others(ctx context.Context, bound time.Duration) {
	posts := v.otherPosts(time.Now())
	if len(posts) == 0 {
		return
	}
	alone := len(v.plan.faults) == 1
	v.judged, v.shown = split(posts, v.ordeal, alone)
	if alone && len(v.judged) == 0 {
		v.violated(ctx, nil, "no post of a quiet tenant could be judged, so the round shows nothing")
		return
	}
	if late, worst, is := tooLate(v.judged, bound); is {
		v.violated(ctx, v.named(worst.id), "posts of other tenants were late: p50 %s, p99 %s, max %s of %d; the p99 may be %s",
			ms(late.P50), ms(late.P99), ms(late.Max), late.Posts, bound)
	}
}
