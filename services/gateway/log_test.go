package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/omni-write/threads/cmd/standalone/issuer"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/services/gateway"
)

func TestLog(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T) (*system, *watchedLog) {
		t.Helper()
		id := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(id.Close)
		who, err := issuer.New(id.URL)
		if err != nil {
			t.Fatal(err)
		}
		id.Config.Handler = who.Handler()
		h := &system{bus: bustest.New(t)}
		if h.token, err = who.Token(ada, time.Hour); err != nil {
			t.Fatal(err)
		}
		core, logs := observer.New(zap.InfoLevel)
		l := &watchedLog{ObservedLogs: logs, written: make(chan struct{}, 64)}
		hook := zap.Hooks(func(zapcore.Entry) error { l.written <- struct{}{}; return nil })
		h.url = serveLogging(t, h.bus, zap.New(core, hook), func(c *gateway.Config) { c.AuthIssuer = id.URL })
		return h, l
	}
	// lines is the log of n requests. It waits for it: a line is written after its answer.
	lines := func(t *testing.T, l *watchedLog, n int) []observer.LoggedEntry {
		t.Helper()
		for range n {
			select {
			case <-l.written:
			case <-time.After(waiting.Limit):
				t.Fatalf("%d of %d lines", l.Len(), n)
			}
		}
		return l.All()
	}

	t.Run("says once how each request went, and nothing of what was in it", func(t *testing.T) {
		t.Parallel()
		h, logs := setup(t)
		authThat(t, h)
		publisherThat(t, h)
		h.do(t, http.MethodGet, start+"?ticket=hunter2", "")
		h.do(t, http.MethodGet, callback+"?state=hunter2&code=hunter2", "", "Cookie", "threads_oauth_state=hunter2")
		h.do(t, http.MethodPost, "/api/threads/post", `{"text":"hunter2"}`, "X-Request-Id", "click-7")
		all := lines(t, logs, 3)
		for _, line := range all {
			if s := fmt.Sprint(line.Message, line.ContextMap()); strings.Contains(s, "hunter2") || strings.Contains(s, h.token) {
				t.Errorf("tells: %s", s)
			}
		}
		got := all[2].ContextMap()
		if got["request_id"] != "click-7" || got["route"] != "POST /api/threads/post" || got["status"] != int64(201) || got["user_id"] != ada {
			t.Errorf("%v", got)
		}
	})

	t.Run("keeps to itself what went wrong on our side", func(t *testing.T) {
		t.Parallel()
		h, logs := setup(t)
		answer(t, h, func(asks.ListPosts) (string, error) { return "no list at all", nil })
		r := h.do(t, http.MethodGet, schedule, "")
		r.problem(t, http.StatusInternalServerError, "internal")
		line := lines(t, logs, 1)[0]
		if why := fmt.Sprint(line.ContextMap()["error"]); line.Level != zapcore.ErrorLevel || !strings.Contains(why, "decode answer") || strings.Contains(string(r.body), "decode") {
			t.Errorf("%v, and to the client %s", line.ContextMap(), r.body)
		}
	})
}

// watchedLog says when a line is written.
type watchedLog struct {
	*observer.ObservedLogs
	written chan struct{}
}
