package edge

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

// ratePolicy says how many requests a minute each client may make. Everybody has a bucket that holds a minute's
// worth, and fills up steadily. A nil ratePolicy allows everything.
type ratePolicy struct {
	name      string // as in the RateLimit headers
	perMinute int
	most      int // buckets in a generation

	// A bucket that nobody took from for a minute is full, which is what a new one is: so it may be forgotten. Buckets that
	// were used move to the young generation; every minute the old one goes and the young one grows old.
	mu         sync.Mutex
	young, old map[string]*rate.Limiter
	turned     time.Time
	// pending are requests in progress that may still be counted.
	pending map[string]int
}

const (
	// window is what the rates are counted over, and how long a bucket takes to fill.
	window = time.Minute
	// mostBuckets bounds the memory of an ratePolicy: two generations of some 200 bytes each. When there are more in a
	// minute, those not seen for the longest get a full bucket again.
	mostBuckets = 100_000
)

func newRatePolicy(name string, perMinute int) *ratePolicy {
	if perMinute == 0 {
		return nil
	}
	return &ratePolicy{name: name, perMinute: perMinute, most: mostBuckets, young: map[string]*rate.Limiter{}, pending: map[string]int{}}
}

// remaining is how much somebody has left.
type remaining struct {
	left int
	full time.Duration // until everything is there again
	next time.Duration // until one more is there; 0 while there is
}

// bucket is somebody's bucket.
func (a *ratePolicy) bucket(who string, now time.Time) *rate.Limiter {
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
func (a *ratePolicy) take(who string, now time.Time) (remaining, bool) {
	return a.takeSome(who, 1, now)
}

// takeSome takes n from somebody's bucket, if there are so many; next is until there are.
func (a *ratePolicy) takeSome(who string, n int, now time.Time) (remaining, bool) {
	b := a.bucket(who, now)
	ok := b.AllowN(now, n)
	left := a.remainingIn(b, now)
	if !ok {
		left.next = a.filling(float64(n) - b.TokensAt(now))
	}
	return left, ok
}

// hold keeps one for a request that counts only when it turns out to be refused. settle says which it was.
func (a *ratePolicy) hold(who string, now time.Time) (s remaining, settle func(counts bool, now time.Time), ok bool) {
	s = a.remainingIn(a.bucket(who, now), now)
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.left <= a.pending[who] {
		s.next = max(s.next, a.filling(1))
		return s, nil, false
	}
	a.pending[who]++
	return s, func(counts bool, now time.Time) {
		if counts {
			a.take(who, now)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.pending[who]--; a.pending[who] == 0 {
			delete(a.pending, who)
		}
	}, true
}

func (a *ratePolicy) remainingIn(b *rate.Limiter, now time.Time) remaining {
	tokens := b.TokensAt(now)
	s := remaining{left: max(0, int(tokens)), full: a.filling(float64(a.perMinute) - tokens)}
	if s.left == 0 {
		s.next = a.filling(1 - tokens)
	}
	return s
}

// filling is how long a bucket takes to gain so much.
func (a *ratePolicy) filling(tokens float64) time.Duration {
	return time.Duration(max(0, tokens) / float64(a.perMinute) * float64(window))
}

// setHeaders tells the client, in the words of draft-ietf-httpapi-ratelimit-headers.
func (a *ratePolicy) setHeaders(s remaining, set func(name, value string)) {
	set("RateLimit-Policy", fmt.Sprintf(`"%s";q=%d;w=%d`, a.name, a.perMinute, int(window.Seconds())))
	set("RateLimit", fmt.Sprintf(`"%s";r=%d;t=%d`, a.name, s.left, int(math.Ceil(s.full.Seconds()))))
}

// exceeded is the answer to one too many.
func (a *ratePolicy) exceeded(s remaining) error {
	rateLimited.WithLabelValues(a.name).Inc()
	return events.Faultf(events.RateLimited, "That is more than %d requests within a minute; please wait a moment.", a.perMinute).After(s.next)
}

// ratePolicies are those of a gateway.
type ratePolicies struct{ reads, writes, anonymous *ratePolicy }

func newRatePolicies(cfg LimitsConfig) ratePolicies {
	return ratePolicies{
		reads: newRatePolicy("reads", cfg.RateReads), writes: newRatePolicy("writes", cfg.RateWrites),
		anonymous: newRatePolicy("anonymous", cfg.RateAnonymous),
	}
}

// changesSomething says whether a request does more than look.
func changesSomething(method string) bool {
	return method != http.MethodGet && method != http.MethodHead
}

// LimitRate turns away who asks too often: a user by their own rate, and what no user stands behind by the address that
// it comes from.
func (e *Edge) LimitRate(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		user := e.User(ctx.Context())
		if user == "" {
			e.limitAnonymous(api, ctx, next)
			return
		}
		a := e.rates.reads
		if changesSomething(ctx.Method()) {
			a = e.rates.writes
		}
		if e.allows(a, api, ctx, user) {
			next(charged(ctx, user))
		}
	}
}

// allows takes one from the bucket and tells the client; or refuses the request, and says no.
func (e *Edge) allows(a *ratePolicy, api huma.API, ctx huma.Context, who string) bool {
	if a == nil {
		return true
	}
	left, ok := a.take(who, e.Now())
	a.setHeaders(left, ctx.SetHeader)
	if !ok {
		e.refuse(api, ctx, a.exceeded(left))
	}
	return ok
}

// Why an address is counted, each by itself: whoever tries tokens must not keep people off who share the address, nor Meta.
const (
	ofBearers = "bearer "
	ofLinks   = "link "
	ofSigned  = "signed "
	ofPages   = "page "
)

// limitAnonymous limits what no user stands behind. Open operations that only look are links that people follow, with a
// ticket or a code in them, and so is where our page sends its answer, which is sent on even if it is refused. Those that change
// something are Meta's: it signs, and may come as often as it has something to
// tell. So these count only when they are refused, which is provided for before they are read.
func (e *Edge) limitAnonymous(api huma.API, ctx huma.Context, next func(huma.Context)) {
	a := e.rates.anonymous
	if a == nil {
		next(ctx)
		return
	}
	from := e.clientKeyOf(ctx)
	if !changesSomething(ctx.Method()) || e.forBrowsers(ctx) {
		if e.allows(a, api, ctx, ofLinks+from) {
			next(ctx)
		}
		return
	}
	left, settle, ok := a.hold(ofSigned+from, e.Now())
	if !ok {
		e.refuse(api, ctx, a.exceeded(left))
		return
	}
	counts := true // should the handler panic
	defer func() { settle(counts, e.Now()) }()
	next(ctx)
	status := ctx.Status()
	counts = status >= http.StatusBadRequest && status < http.StatusInternalServerError
}

// LimitPages turns away an address that asks too often for what anybody may read.
func (e *Edge) LimitPages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := e.rates.anonymous; a != nil {
			left, ok := a.take(ofPages+clientKey(addressOf(r, e.trusted)), e.Now())
			a.setHeaders(left, w.Header().Set)
			if !ok {
				FromError(a.exceeded(left)).write(w, r)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// RejectUnauthenticated answers who is not signed in: with why, or, when their address has tried that too often, to wait.
func (e *Edge) RejectUnauthenticated(api huma.API, ctx huma.Context, why error) {
	if e.allows(e.rates.anonymous, api, ctx, ofBearers+e.clientKeyOf(ctx)) {
		_ = huma.WriteErr(api, ctx, http.StatusInternalServerError, "", why)
	}
}

func (e *Edge) clientKeyOf(ctx huma.Context) string {
	r, _ := humago.Unwrap(ctx)
	return clientKey(addressOf(r, e.trusted))
}
