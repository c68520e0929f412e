package live

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"
)

// untilFlushed ends a stream when something was sent on it.
type untilFlushed struct {
	*httptest.ResponseRecorder
	end context.CancelFunc
}

func (u untilFlushed) Flush() { u.end() }

// A client that comes from a gateway whose reading was ahead of ours knows some of what we read next.
func TestFollowSkipsWhatTheClientHas(t *testing.T) {
	t.Parallel()
	h := &Streams{at: place{1, 5}, cfg: StreamsConfig{LiveHeartbeat: time.Minute}}
	l := &Listener{queue: make(chan *frame, 3), after: 6}
	if at, ok := h.idle(l); ok {
		t.Errorf("the client is told that it is at %v, behind what it knows", at)
	}
	for n := range uint64(3) {
		l.queue <- &frame{sequence: 5 + n, bytes: fmt.Appendf(nil, "%d", 5+n)}
	}
	ctx, end := context.WithCancel(t.Context())
	w := untilFlushed{httptest.NewRecorder(), end}
	if err := h.follow(ctx, openSink(w, time.Minute), l); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := w.Body.String(); got != "7" {
		t.Errorf("sent %s, want only 7", got)
	}
}
