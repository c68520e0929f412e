// Package breaker leaves a host alone that does not answer.
package breaker

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/sony/gobreaker/v2"
)

// ErrDown says that a call was not made because its host has failed so often in a row that it counts as down.
var ErrDown = errors.New("threads does not answer; it is left alone for some seconds")

// Breakers stop calls to a host that is down: a thousand posts that knock every second would keep it there, and each
// call would hold a place for its whole timeout. A few calls try again after a while.
type Breakers struct {
	after uint32
	retry time.Duration
	// ignored are errors that say nothing about a host.
	ignored []error

	mu     sync.Mutex
	byHost map[string]*breaker
}

// breaker is that of one host.
type breaker struct {
	*gobreaker.TwoStepCircuitBreaker[struct{}]

	mu     sync.Mutex
	blamed map[string]bool // the accounts whose media have counted against the host since it last answered
}

// New makes those of all hosts: after so many failed calls in a row a host is left alone for as long as retry says. The errors in
// ignored say nothing about a host.
func New(after int, retry time.Duration, ignored ...error) *Breakers {
	return &Breakers{
		after: uint32(after), retry: retry, ignored: ignored, //nolint:gosec // a small number of calls
		byHost: map[string]*breaker{},
	}
}

// Probes is how many calls may try a host that was down at the same time.
const Probes = 3

func (b *Breakers) of(host string) *breaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.byHost[host]
	if one == nil {
		one = &breaker{blamed: map[string]bool{}, TwoStepCircuitBreaker: gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
			Name: host, MaxRequests: Probes, Timeout: b.retry,
			ReadyToTrip: func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= b.after },
			OnStateChange: func(_ string, _, to gobreaker.State) {
				down := 0.0
				if to == gobreaker.StateOpen {
					down = 1
				}
				hostDown.WithLabelValues(host).Set(down)
			},
		})}
		b.byHost[host] = one
	}
	return one
}

// Guard is the transport of the client: every call goes through the breaker of its host.
func (b *Breakers) Guard(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		done, err := b.of(r.URL.Host).begin(fetchesFor(r.Context()))
		if err != nil {
			if r.Body != nil {
				_ = r.Body.Close()
			}
			return nil, ErrDown
		}
		resp, err := next.RoundTrip(r)
		done(b.unwell(r.Context(), resp, err))
		return resp, err
	})
}

// Fetching marks the call in which Threads fetches an account's media: how long that takes, and whether it is answered at
// all, is as much the doing of the host of the media.
func Fetching(ctx context.Context, account string) context.Context {
	return context.WithValue(ctx, fetchingKey{}, account)
}

type fetchingKey struct{}

func fetchesFor(ctx context.Context) string {
	account, _ := ctx.Value(fetchingKey{}).(string)
	return account
}

// begin says whether a call may be made; done is told how it went. A call in which media are fetched is judged when it is
// over, and against the host it counts once an account: no account's pictures bring it down for everybody, nor hold the
// places of the few calls that try it again.
func (b *breaker) begin(fetchesFor string) (done func(failure error), err error) {
	if fetchesFor != "" {
		if b.State() == gobreaker.StateOpen {
			return nil, ErrDown
		}
		return func(failure error) {
			if !b.counts(fetchesFor, failure) {
				return
			}
			if done, err := b.Allow(); err == nil {
				done(failure)
			}
		}, nil
	}
	finish, err := b.Allow()
	if err != nil {
		return nil, err
	}
	return func(failure error) {
		b.counts("", failure)
		finish(failure)
	}, nil
}

// counts says whether the end of a call says something about the host.
func (b *breaker) counts(fetchesFor string, failure error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case failure == nil:
		clear(b.blamed)
	case fetchesFor != "" && b.blamed[fetchesFor]:
		return false
	case fetchesFor != "":
		b.blamed[fetchesFor] = true
	}
	return true
}

// unwell says what counts against a host: no answer, or an edge that says so. What Threads itself answers, be it a
// refusal with HTTP 500, does not: it is there. Nor does a call that we ended ourselves.
func (b *Breakers) unwell(ctx context.Context, resp *http.Response, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), context.Canceled), slices.ContainsFunc(b.ignored, func(other error) bool { return errors.Is(err, other) }):
		return nil
	case err != nil:
		return err
	case resp.StatusCode >= http.StatusBadGateway && resp.StatusCode <= http.StatusGatewayTimeout:
		return ErrDown
	}
	return nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var hostDown = promauto.NewGaugeVec(prometheus.GaugeOpts{
	Name: "threads_api_host_down",
	Help: "1 while a host of Threads counts as down and is left alone, by host.",
}, []string{"host"})
