package threadssim

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/omni-write/threads/internal/threads"
)

// mediaFetcher fetches what posts show. It takes no lock: a fetch may be slow.
type mediaFetcher struct{ client *http.Client }

// unfetchable tries to fetch the media of a creation, as Threads does once.
func (f mediaFetcher) unfetchable(ctx context.Context, params url.Values) bool {
	k, err := containerFrom(params)
	if err != nil || k.MediaURL == "" || threads.CheckMediaURL(k.MediaURL) != nil {
		return false // refused further on
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.MediaURL, nil) //nolint:gosec // the client goes to public addresses only
	if err != nil {
		return true
	}
	resp, err := f.client.Do(req) //nolint:gosec // see above
	if err != nil {
		return true
	}
	_ = resp.Body.Close()
	want := strings.ToLower(k.MediaType) + "/"
	return resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), want)
}
