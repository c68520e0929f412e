package publisher

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// errDown says that a call was not made because its host has failed so often in a row that it counts as down.
var errDown = errors.New("threads does not answer; it is left alone for some seconds")

// breakers stops calls to a host that is down: a thousand posts that knock every second would keep it there, and each
// call would hold a place for its whole timeout. A few calls try again after BreakerRetry.
type breakers struct {
	after uint32
	retry time.Duration

	mu     sync.Mutex
	byHost map[string]*gobreaker.TwoStepCircuitBreaker[struct{}]
}

func newBreakers(c Config) *breakers {
	return &breakers{
		after: uint32(c.BreakerAfter), retry: c.BreakerRetry, //nolint:gosec // a small number of calls
		byHost: map[string]*gobreaker.TwoStepCircuitBreaker[struct{}]{},
	}
}

// probes is how many calls may try a host that was down at the same time.
const probes = 3

func (b *breakers) of(host string) *gobreaker.TwoStepCircuitBreaker[struct{}] {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.byHost[host]
	if one == nil {
		one = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
			Name: host, MaxRequests: probes, Timeout: b.retry,
			ReadyToTrip: func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= b.after },
			OnStateChange: func(_ string, _, to gobreaker.State) {
				down := 0.0
				if to == gobreaker.StateOpen {
					down = 1
				}
				hostDown.WithLabelValues(host).Set(down)
			},
		})
		b.byHost[host] = one
	}
	return one
}

// guard is the transport of the client: every call goes through the breaker of its host.
func (b *breakers) guard(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		done, err := b.of(r.URL.Host).Allow()
		if err != nil {
			if r.Body != nil {
				_ = r.Body.Close()
			}
			return nil, errDown
		}
		resp, err := next.RoundTrip(r)
		done(unwell(r.Context(), resp, err))
		return resp, err
	})
}

// unwell says what counts against a host: no answer, or an edge that says so. What Threads itself answers, be it a
// refusal with HTTP 500, does not: it is there. Nor does a call that we ended ourselves.
func unwell(ctx context.Context, resp *http.Response, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), context.Canceled), errors.Is(err, errLeaseOver):
		return nil
	case err != nil:
		return err
	case resp.StatusCode >= http.StatusBadGateway && resp.StatusCode <= http.StatusGatewayTimeout:
		return errDown
	}
	return nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
