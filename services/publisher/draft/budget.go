package draft

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/omni-write/threads/events"
)

// budget bounds what is fetched for each user, in files and in bytes a minute. It is charged before anything is fetched.
type budget struct {
	files, bytes int64 // a minute; 0: no limit

	mu    sync.Mutex
	users map[string]*purse
	swept time.Time
}

// purse is what a user has left. It fills up within a minute.
type purse struct {
	files, bytes float64
	at           time.Time
}

// mostPurses bounds the memory of a budget: with more, those that are full again are forgotten.
const mostPurses = 10_000

func newBudget(files int, bytes int64) *budget {
	return &budget{files: int64(files), bytes: bytes, users: map[string]*purse{}}
}

// of is a user's purse as it is now. The caller holds the lock.
func (b *budget) of(user string, now time.Time) *purse {
	p, ok := b.users[user]
	if !ok {
		if len(b.users) >= mostPurses && now.Sub(b.swept) >= time.Second {
			b.swept = now
			for user, p := range b.users {
				if now.Sub(p.at) >= time.Minute {
					delete(b.users, user)
				}
			}
		}
		p = &purse{files: float64(b.files), bytes: float64(b.bytes), at: now}
		b.users[user] = p
	}
	part := max(0, now.Sub(p.at)).Minutes()
	p.files, p.bytes, p.at = min(float64(b.files), p.files+part*float64(b.files)), min(float64(b.bytes), p.bytes+part*float64(b.bytes)), now
	return p
}

// takeFetches takes n files, or says why not.
func (b *budget) takeFetches(user string, n int, now time.Time) *events.Fault {
	if b.files == 0 || n == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.of(user, now)
	if wanted := float64(min(int64(n), b.files)); p.files < wanted {
		return events.Faultf(events.RateLimited, "%s", fmt.Sprintf(
			"%d media files a minute are looked at for you, and this has %d; please wait a moment, or validate with media=false.", b.files, n)).
			After(time.Duration((wanted - p.files) / float64(b.files) * float64(time.Minute)))
	}
	p.files -= float64(n)
	return nil
}

type payerKey struct{}

// payer is the user for whom something is fetched; nil pays for everything.
type payer struct {
	budget *budget
	user   string
	now    func() time.Time
}

// paidBy has what is fetched charged to a user.
func (b *budget) paidBy(ctx context.Context, user string, now func() time.Time) context.Context {
	return context.WithValue(ctx, payerKey{}, &payer{b, user, now})
}

func payerOf(ctx context.Context) *payer {
	p, _ := ctx.Value(payerKey{}).(*payer)
	return p
}

// take takes n bytes, if there are so many.
func (p *payer) take(n int64) bool {
	if p == nil || p.budget.bytes == 0 {
		return true
	}
	p.budget.mu.Lock()
	defer p.budget.mu.Unlock()
	left := p.budget.of(p.user, p.now())
	if left.bytes < float64(min(n, p.budget.bytes)) {
		return false
	}
	left.bytes -= float64(n)
	return true
}

// giveBack gives back what was not fetched.
func (p *payer) giveBack(n int64) {
	if p == nil || p.budget.bytes == 0 {
		return
	}
	p.budget.mu.Lock()
	defer p.budget.mu.Unlock()
	left := p.budget.of(p.user, p.now())
	left.bytes = min(float64(p.budget.bytes), left.bytes+float64(n))
}
