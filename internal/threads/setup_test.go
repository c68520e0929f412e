package threads_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type bundle struct {
	sim    *threadssim.Sim
	client *threads.Client
	server *httptest.Server
	clock  *clock
	grant  threadssim.Grant
	token  threads.Token
}

// setup gives a simulator whose containers are ready at once, a client for it, and a connected account.
func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{clock: &clock{now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}}
	var err error
	b.sim, err = threadssim.New(threadssim.Options{
		AutoApprove: true,
		Now:         b.clock.Now,
		Processing:  threadssim.Processing{Text: -1, Image: -1, Video: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.server = httptest.NewServer(b.sim)
	t.Cleanup(b.server.Close)
	b.client = newClient(b.server.URL, nil)
	b.grant, err = b.sim.Token("demo.user")
	if err != nil {
		t.Fatal(err)
	}
	b.token = b.grant.AccessToken
	return b
}

func newClient(base string, hc *http.Client) *threads.Client {
	return threads.New(threads.Config{
		BaseURL:      base,
		AuthorizeURL: base + "/oauth/authorize",
		AppID:        threadssim.DefaultAppID,
		AppSecret:    threadssim.DefaultAppSecret,
		HTTP:         hc,
	})
}

// text makes a container that is ready to be published.
func (b *bundle) text(t *testing.T, words string) string {
	t.Helper()
	id, err := b.client.CreateContainer(t.Context(), b.token, threads.Container{MediaType: threads.Text, Text: words})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (b *bundle) publish(t *testing.T, k threads.Container) string {
	t.Helper()
	id, err := b.client.CreateContainer(t.Context(), b.token, k)
	if err != nil {
		t.Fatal(err)
	}
	mediaID, err := b.client.Publish(t.Context(), b.token, id, nil)
	if err != nil {
		t.Fatal(err)
	}
	return mediaID
}

func (b *bundle) inject(t *testing.T, f threadssim.Fault) {
	t.Helper()
	if err := b.sim.Inject(f); err != nil {
		t.Fatal(err)
	}
}
