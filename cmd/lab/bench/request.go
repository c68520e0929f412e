package bench

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// request makes one HTTP request, with a JSON body or none.
func request(ctx context.Context, method, url, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body)) //nolint:gosec // G704: our own parts, or what the user wants measured
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return http.DefaultClient.Do(req) //nolint:gosec // G704: as above
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sleepUntil waits for an instant of the wall clock, never less.
func sleepUntil(ctx context.Context, at time.Time) error {
	for {
		wait := time.Until(at.Round(0))
		if wait <= 0 {
			return nil
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}
