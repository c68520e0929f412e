package threads_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// withRoot is a simulator with a post to repost.
func withRoot(t *testing.T) (b *bundle, root string) {
	t.Helper()
	b = setup(t)
	return b, b.publish(t, threads.Container{MediaType: threads.Text, Text: "root"})
}

func TestRepostGoesLive(t *testing.T) {
	t.Parallel()
	b, root := withRoot(t)
	var words atomic.Int32
	id, err := b.client.Repost(t.Context(), b.token, root, func() error {
		words.Add(1)
		if n := len(b.sim.Posts()); n != 1 {
			t.Errorf("%d posts before the last word was spoken", n)
		}
		return nil
	})
	if err != nil || words.Load() != 1 {
		t.Fatalf("%v after %d last words", err, words.Load())
	}
	m, err := b.client.Media(t.Context(), b.token, id)
	if err != nil {
		t.Fatal(err)
	}
	if m.RepostedID != root || m.MediaType != "REPOST_FACADE" {
		t.Errorf("the repost reads %+v", m)
	}
}

func TestRepostAbandoned(t *testing.T) {
	t.Parallel()
	lost := errors.New("lease lost")
	b, root := withRoot(t)
	_, err := b.client.Repost(t.Context(), b.token, root, func() error { return lost })
	if !errors.Is(err, threads.ErrNotSent) || !errors.Is(err, lost) || threads.ClassOf(err) != threads.Transient {
		t.Errorf("got %v, want transient with both errors in it", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = b.client.Repost(ctx, b.token, root, nil); !errors.Is(err, threads.ErrNotSent) {
		t.Errorf("cancelled before: %v, want not sent", err)
	}
	if n := len(b.sim.Posts()); n != 1 {
		t.Errorf("%d posts are live, want the root alone", n)
	}
	if _, err := b.client.Repost(t.Context(), b.token, "me/../1", nil); !errors.Is(err, threads.ErrNotSent) {
		t.Errorf("an id that is none: %v", err)
	}
}

// What is on the wire when the last word is asked for, byte by byte: at most the headers, and nothing to act upon.
func TestRepostBytesBeforeTheGate(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	arrived := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			arrived <- err.Error()
			return
		}
		all, _ := io.ReadAll(bufio.NewReader(conn)) // to the end: the client gives up the connection
		_ = conn.Close()
		arrived <- string(all)
	}()
	client := threads.New(threads.Config{
		BaseURL: "http://" + listener.Addr().String(), PublishTimeout: 5 * time.Second, // no answer will come
	})
	no := errors.New("no")
	if _, err := client.Repost(t.Context(), bearer, "18060000000000017", func() error { return no }); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	if got := <-arrived; strings.Contains(got, string(bearer)) {
		t.Errorf("the token left before the gate was open:\n%s", got)
	}
}

func TestRepostFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault threadssim.Fault
		hint  threads.Class
		live  int
	}{
		"answer lost":    {threadssim.Fault{Kind: threadssim.DropResponse}, threads.Transient, 1},
		"request lost":   {threadssim.Fault{Kind: threadssim.DropRequest}, threads.Transient, 0},
		"hidden success": {threadssim.Fault{Kind: threadssim.ErrorAfterCommit}, threads.Permission, 1},
		"server error":   {threadssim.Fault{Kind: threadssim.ErrorBeforeCommit}, threads.Transient, 0},
		"an edge":        {threadssim.Fault{Kind: threadssim.Edge5xx}, threads.Transient, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, root := withRoot(t)
			fault := tc.fault
			fault.Op = threads.OpRepost
			b.inject(t, fault)
			_, err := b.client.Repost(t.Context(), b.token, root, nil)
			e, ok := errors.AsType[*threads.Error](err)
			if !ok || e.Class != threads.Ambiguous || e.Hint != tc.hint || e.Op != threads.OpRepost || errors.Is(err, threads.ErrNotSent) {
				t.Errorf("got %v, want ambiguous with the hint %s", err, tc.hint)
			}
			if n := len(b.sim.Posts()) - 1; n != tc.live {
				t.Errorf("%d went live, want %d", n, tc.live)
			}
		})
	}
}

func TestRepostIsNeverReplayed(t *testing.T) {
	t.Parallel()
	var arrived atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"id":"1"}`)
			return
		}
		arrived.Add(1)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	client := newClient(server.URL, nil)
	// The first call leaves a connection behind; replays happen on reused ones only.
	if _, err := client.Me(t.Context(), bearer); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Repost(t.Context(), bearer, "1", nil); threads.ClassOf(err) != threads.Ambiguous {
		t.Errorf("got %v, want class ambiguous", err)
	}
	if n := arrived.Load(); n != 1 {
		t.Errorf("the call arrived %d times", n)
	}
}

// outOfPatience calls with ever more patience, until it lasts for as long as a slow machine needs to send the call.
func outOfPatience(call func(time.Duration) error) error {
	for patience := 50 * time.Millisecond; ; patience *= 2 {
		if err := call(patience); !errors.Is(err, threads.ErrNotSent) || patience > waiting.Limit/2 {
			return err
		}
	}
}

// What makes something live may take its time: the patience for it is another than for the rest.
func TestPatience(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-done
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(done) })
	err := outOfPatience(func(patience time.Duration) error {
		client := threads.New(threads.Config{BaseURL: server.URL, Timeout: time.Hour, PublishTimeout: patience})
		_, err := client.Repost(t.Context(), bearer, "1", nil)
		return err
	})
	if threads.ClassOf(err) != threads.Ambiguous || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, threads.ErrNotSent) {
		t.Errorf("got %v, want an ambiguous timeout", err)
	}
	client := threads.New(threads.Config{BaseURL: server.URL, Timeout: 50 * time.Millisecond, PublishTimeout: time.Hour})
	if err := client.Hide(t.Context(), bearer, "1", true); threads.ClassOf(err) != threads.Transient || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a transient timeout", err)
	}
}
