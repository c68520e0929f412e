package gateway

import (
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/time/rate"

	"github.com/omni-write/threads/events"
)

var rateLimited = promauto.NewCounterVec(prometheus.CounterOpts{
	Name: "threads_http_rate_limited_total", Help: "Requests that were turned away because of a rate, by the policy's name.",
}, []string{"policy"})

// allowance is a policy of how many requests a minute each of many may make. Everybody has a bucket that holds a minute's
// worth, and fills up steadily. A nil allowance allows everything.
type allowance struct {
	name      string // as in the RateLimit headers
	perMinute int
	most      int // buckets in a generation

	// A bucket that nobody took from for a minute is full, which is what a new one is: so it may be forgotten. Buckets that
	// were used move to the young generation; every minute the old one goes and the young one grows old.
	mu         sync.Mutex
	young, old map[string]*rate.Limiter
	turned     time.Time
}

const (
	// window is what the rates are counted over, and how long a bucket takes to fill.
	window = time.Minute
	// mostBuckets bounds the memory of an allowance: two generations of some 200 bytes each. When there are more in a
	// minute, those not seen for the longest get a full bucket again.
	mostBuckets = 100_000
)

func newAllowance(name string, perMinute int) *allowance {
	if perMinute == 0 {
		return nil
	}
	return &allowance{name: name, perMinute: perMinute, most: mostBuckets, young: map[string]*rate.Limiter{}}
}

// standing is how much somebody has left.
type standing struct {
	left int
	full time.Duration // until everything is there again
	next time.Duration // until one more is there; 0 while there is
}

// bucket is somebody's bucket.
func (a *allowance) bucket(who string, now time.Time) *rate.Limiter {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.turned) >= window || len(a.young) >= a.most {
		if now.Sub(a.turned) >= 2*window {
			a.young = map[string]*rate.Limiter{} // nobody was here for a minute
		}
		a.young, a.old, a.turned = make(map[string]*rate.Limiter, len(a.young)), a.young, now
	}
	b, ok := a.young[who]
	if !ok {
		if b, ok = a.old[who]; !ok {
			b = rate.NewLimiter(rate.Limit(float64(a.perMinute)/window.Seconds()), a.perMinute)
		}
		a.young[who] = b
	}
	return b
}

// take takes one from somebody's bucket, if there is one, and says what is left.
func (a *allowance) take(who string, now time.Time) (standing, bool) { return a.takeSome(who, 1, now) }

// takeSome takes n from somebody's bucket, if there are so many; next is until there are.
func (a *allowance) takeSome(who string, n int, now time.Time) (standing, bool) {
	b := a.bucket(who, now)
	ok := b.AllowN(now, n)
	left := a.standing(b, now)
	if !ok {
		left.next = a.filling(float64(n) - b.TokensAt(now))
	}
	return left, ok
}

// look says what is left without taking any.
func (a *allowance) look(who string, now time.Time) (standing, bool) {
	s := a.standing(a.bucket(who, now), now)
	return s, s.left > 0
}

func (a *allowance) standing(b *rate.Limiter, now time.Time) standing {
	tokens := b.TokensAt(now)
	s := standing{left: max(0, int(tokens)), full: a.filling(float64(a.perMinute) - tokens)}
	if s.left == 0 {
		s.next = a.filling(1 - tokens)
	}
	return s
}

// filling is how long a bucket takes to gain so much.
func (a *allowance) filling(tokens float64) time.Duration {
	return time.Duration(max(0, tokens) / float64(a.perMinute) * float64(window))
}

// say tells the client, in the words of draft-ietf-httpapi-ratelimit-headers.
func (a *allowance) say(s standing, set func(name, value string)) {
	set("RateLimit-Policy", fmt.Sprintf(`"%s";q=%d;w=%d`, a.name, a.perMinute, int(window.Seconds())))
	set("RateLimit", fmt.Sprintf(`"%s";r=%d;t=%d`, a.name, s.left, int(math.Ceil(s.full.Seconds()))))
}

// refuse is the answer to one too many.
func (a *allowance) refuse(s standing) error {
	rateLimited.WithLabelValues(a.name).Inc()
	return events.Faultf(events.RateLimited, "That is more than %d requests within a minute; please wait a moment.", a.perMinute).After(s.next)
}

// allowances are those of a gateway.
type allowances struct{ reads, writes, anonymous *allowance }

func newAllowances(cfg DoorConfig) allowances {
	return allowances{
		reads: newAllowance("reads", cfg.RateReads), writes: newAllowance("writes", cfg.RateWrites),
		anonymous: newAllowance("anonymous", cfg.RateAnonymous),
	}
}

// changesSomething says whether a request does more than look.
func changesSomething(method string) bool {
	return method != http.MethodGet && method != http.MethodHead
}

// limitRate turns away who asks too often: a user by their own rate, and what no user stands behind by the address that
// it comes from.
func (s *Service) limitRate(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		user := userOf(ctx.Context())
		if user == "" {
			s.limitAnonymous(api, ctx, next)
			return
		}
		a := s.rates.reads
		if changesSomething(ctx.Method()) {
			a = s.rates.writes
		}
		if a.allows(api, ctx, user, s.now()) {
			next(charged(ctx, user))
		}
	}
}

// allows takes one from the bucket and tells the client; or refuses the request, and says no.
func (a *allowance) allows(api huma.API, ctx huma.Context, who string, now time.Time) bool {
	if a == nil {
		return true
	}
	left, ok := a.take(who, now)
	a.say(left, ctx.SetHeader)
	if !ok {
		_ = huma.WriteErr(api, ctx, http.StatusInternalServerError, "", a.refuse(left))
	}
	return ok
}

// limitAnonymous limits what no user stands behind. Open operations that change something are Meta's: it signs, and may
// come as often as it has something to tell. So these count only when they were refused.
func (s *Service) limitAnonymous(api huma.API, ctx huma.Context, next func(huma.Context)) {
	a := s.rates.anonymous
	if a == nil {
		next(ctx)
		return
	}
	from := s.householdOf(ctx)
	if !changesSomething(ctx.Method()) {
		if a.allows(api, ctx, from, s.now()) {
			next(ctx)
		}
		return
	}
	if left, ok := a.look(from, s.now()); !ok {
		_ = huma.WriteErr(api, ctx, http.StatusInternalServerError, "", a.refuse(left))
		return
	}
	next(ctx)
	if status := ctx.Status(); status >= http.StatusBadRequest && status < http.StatusInternalServerError {
		a.take(from, s.now())
	}
}

// refuseStranger answers who is not signed in: with why, or, when their address has tried that too often, to wait.
func (s *Service) refuseStranger(api huma.API, ctx huma.Context, why error) {
	if s.rates.anonymous.allows(api, ctx, s.householdOf(ctx), s.now()) {
		_ = huma.WriteErr(api, ctx, http.StatusInternalServerError, "", why)
	}
}

func (s *Service) householdOf(ctx huma.Context) string {
	r, _ := humago.Unwrap(ctx)
	return household(addressOf(r, s.trusted))
}
