package breaker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// What hangs on the host of somebody's pictures is no word about Threads: it counts once an account.
func TestBreakerAndPictures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		accounts int
		media    bool
		down     bool
	}{
		{"one account's pictures", 1, true, false},
		{"the pictures of a few accounts", 4, true, false},
		{"everybody's pictures", 50, true, true},
		{"one account's words", 1, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fail := true
			guarded := New(5, time.Hour).Guard(roundTripper(func(*http.Request) (*http.Response, error) {
				if fail {
					return nil, context.DeadlineExceeded
				}
				return &http.Response{StatusCode: http.StatusOK}, nil
			}))
			call := func(account string) error {
				ctx := t.Context()
				if account != "" {
					ctx = Fetching(ctx, account)
				}
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://graph.example/", nil)
				if err != nil {
					t.Fatal(err)
				}
				_, err = guarded.RoundTrip(req)
				return err
			}
			for i := range 50 {
				account := ""
				if c.media {
					account = fmt.Sprint(i % c.accounts)
				}
				_ = call(account)
			}
			fail = false
			if down := errors.Is(call(""), ErrDown); down != c.down {
				t.Errorf("Threads counts as down: %t", down)
			}
		})
	}
}
