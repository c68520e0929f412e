package threads_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// answering serves one body to every request.
func answering(t *testing.T, body string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestPublishCallsBeforeOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var calls atomic.Int32
	id, err := b.client.Publish(t.Context(), b.token, b.text(t, "hello"), func() error {
		calls.Add(1)
		if n := len(b.sim.Posts()); n != 0 {
			t.Errorf("%d posts before the last word was spoken", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if calls.Load() != 1 {
		t.Errorf("before ran %d times", calls.Load())
	}
	if posts := b.sim.Posts(); len(posts) != 1 || posts[0].ID != id || posts[0].ContainerID == id {
		t.Errorf("posts %+v, want one with id %s", posts, id)
	}
}

func TestPublishAbandoned(t *testing.T) {
	t.Parallel()
	lost := errors.New("lease lost")

	t.Run("by before", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.text(t, "hello")
		_, err := b.client.Publish(t.Context(), b.token, id, func() error { return lost })
		if !errors.Is(err, threads.ErrNotSent) || !errors.Is(err, lost) {
			t.Errorf("got %v, want both errors in it", err)
		}
		if threads.ClassOf(err) != threads.Transient {
			t.Errorf("class %s", threads.ClassOf(err))
		}
		if len(b.sim.Posts()) != 0 {
			t.Error("it was published")
		}
		if _, err := b.client.Publish(t.Context(), b.token, id, nil); err != nil {
			t.Errorf("the same container afterwards: %v", err)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		gone := httptest.NewServer(http.NotFoundHandler())
		gone.Close()
		_, err := newClient(gone.URL, nil).Publish(t.Context(), "t", "1", func() error {
			t.Error("before ran without a connection")
			return nil
		})
		if !errors.Is(err, threads.ErrNotSent) || threads.ClassOf(err) != threads.Transient {
			t.Errorf("got %v, want transient and not sent", err)
		}
	})
	t.Run("cancelled first", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.text(t, "hello")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := b.client.Publish(ctx, b.token, id, nil)
		if !errors.Is(err, threads.ErrNotSent) || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want not sent and cancelled", err)
		}
	})
	t.Run("a transport that comes late gets nothing", func(t *testing.T) {
		t.Parallel()
		var body io.Reader
		client := newClient("http://threads.invalid", &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			body = r.Body
			return nil, errors.New("gave up")
		})})
		_, err := client.Publish(t.Context(), "t", "1", func() error {
			t.Error("before ran after the call had ended")
			return nil
		})
		if !errors.Is(err, threads.ErrNotSent) {
			t.Errorf("got %v, want not sent", err)
		}
		if left, err := io.ReadAll(body); err == nil || len(left) > 0 {
			t.Errorf("the body still gave %q, %v", left, err)
		}
	})
	t.Run("an edge that answers without reading", func(t *testing.T) {
		t.Parallel()
		client := newClient("http://threads.invalid", &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 503, Body: io.NopCloser(strings.NewReader("busy")), Request: r}, nil
		})})
		_, err := client.Publish(t.Context(), "t", "1", nil)
		if !errors.Is(err, threads.ErrNotSent) {
			t.Errorf("got %v, want not sent", err)
		}
	})
}

// Whatever may hide a live post must say so, and nothing else may.
func TestPublishFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault       threadssim.Fault
		class, hint threads.Class
		live        int
	}{
		"answer lost":            {threadssim.Fault{Kind: threadssim.DropResponse}, threads.Ambiguous, threads.Transient, 1},
		"request lost":           {threadssim.Fault{Kind: threadssim.DropRequest}, threads.Ambiguous, threads.Transient, 0},
		"hidden success":         {threadssim.Fault{Kind: threadssim.ErrorAfterCommit}, threads.Ambiguous, threads.Permission, 1},
		"hidden success, code 2": {threadssim.Fault{Kind: threadssim.ErrorAfterCommit, Code: 2, HTTP: 400}, threads.Ambiguous, threads.Transient, 1},
		"blocked and live":       {threadssim.Fault{Kind: threadssim.ErrorAfterCommit, Code: 4, Subcode: 2207051, HTTP: 403}, threads.Ambiguous, threads.Blocked, 1},
		"server error":           {threadssim.Fault{Kind: threadssim.ErrorBeforeCommit}, threads.Ambiguous, threads.Transient, 0},
		"not there yet":          {threadssim.Fault{Kind: threadssim.NotFound}, threads.NotReady, "", 0},
		"an edge":                {threadssim.Fault{Kind: threadssim.Edge5xx}, threads.Ambiguous, threads.Transient, 0},
		"throttled":              {threadssim.Fault{Kind: threadssim.ErrorBeforeCommit, Code: 4, HTTP: 400}, threads.Quota, "", 0},
		"token dead":             {threadssim.Fault{Kind: threadssim.ErrorBeforeCommit, Code: 190, Subcode: 463, HTTP: 400}, threads.Reauthorize, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			tc.fault.Op = threads.OpPublish
			b.inject(t, tc.fault)
			_, err := b.client.Publish(t.Context(), b.token, b.text(t, "hello"), nil)
			e, ok := errors.AsType[*threads.Error](err)
			if !ok {
				t.Fatalf("got %v, want a threads error", err)
			}
			if e.Class != tc.class || e.Hint != tc.hint {
				t.Errorf("class %s hint %s, want %s and %s (%v)", e.Class, e.Hint, tc.class, tc.hint, e)
			}
			if errors.Is(err, threads.ErrNotSent) {
				t.Error("it claims not to have been sent")
			}
			if e.Sentence == "" || e.Op != threads.OpPublish {
				t.Errorf("error %#v", e)
			}
			if got := len(b.sim.Posts()); got != tc.live {
				t.Errorf("%d posts live, want %d", got, tc.live)
			}
		})
	}
}

// An idle connection that the server cuts under the request is where net/http repeats what it thinks it may.
func TestPublishIsNeverReplayed(t *testing.T) {
	t.Parallel()
	var published atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if !strings.HasSuffix(r.URL.Path, "threads_publish") {
			_, _ = io.WriteString(w, `{"id":"1"}`)
			return
		}
		if r.Header.Get("Idempotency-Key") != "" || r.Header.Get("X-Idempotency-Key") != "" {
			t.Error("an idempotency key makes net/http replay the call")
		}
		published.Add(1)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	client := newClient(server.URL, nil)
	// The first call leaves a connection behind; replays happen on reused ones only.
	if _, err := client.Me(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	_, err := client.Publish(t.Context(), "t", "1", nil)
	if threads.ClassOf(err) != threads.Ambiguous {
		t.Errorf("got %v, want class ambiguous", err)
	}
	if n := published.Load(); n != 1 {
		t.Errorf("the call arrived %d times", n)
	}
}

func TestPublishTimeout(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-done
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(done) })
	err := outOfPatience(func(patience time.Duration) error {
		_, err := threads.New(threads.Config{BaseURL: server.URL, PublishTimeout: patience}).Publish(t.Context(), "t", "1", nil)
		return err
	})
	if threads.ClassOf(err) != threads.Ambiguous || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, threads.ErrNotSent) {
		t.Errorf("got %v, want an ambiguous timeout", err)
	}
}

func TestPublishAnswerWithoutID(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, ``, `<html>`, `{"id":1.5}`, `{"id":null}`, strings.Repeat(" ", 1<<20) + `{"id":"1"}`} {
		_, err := newClient(answering(t, body).URL, nil).Publish(t.Context(), "t", "1", nil)
		if threads.ClassOf(err) != threads.Ambiguous {
			t.Errorf("%.20q: got %v, want class ambiguous", body, err)
		}
	}
}
