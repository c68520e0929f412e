package bench

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/clock"
)

// request makes one HTTP request, with a JSON body or none.
func request(ctx context.Context, method, url, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return http.DefaultClient.Do(req)
}

// sleepUntil waits for an instant of the wall clock, never less.
func sleepUntil(ctx context.Context, at time.Time) error {
	for {
		wait := time.Until(at.Round(0))
		if wait <= 0 {
			return nil
		}
		if !clock.Sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}
