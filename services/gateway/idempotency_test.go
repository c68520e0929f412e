package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway"
)

func TestIdempotency(t *testing.T) {
	t.Parallel()

	// kept remembers how commands ended, as the services' common table does.
	setup := func(t *testing.T, changes ...func(*gateway.Config)) (h *system, seen <-chan bus.Delivery, posts <-chan string) {
		t.Helper()
		h = setup(t, changes...)
		deliveries, ids := make(chan bus.Delivery, 8), make(chan string, 8)
		outcomes := make(chan map[string]events.Outcome, 1)
		outcomes <- map[string]events.Outcome{}
		h.handle(t, events.PublisherCommands, func(on *bus.Handlers) {
			note := func(d bus.Delivery, id string) (any, error) {
				deliveries <- d
				ids <- id
				kept := <-outcomes
				kept[d.Meta.ID] = events.Outcome{CommandID: d.Meta.ID, Done: true, Result: []byte(`{"id":"` + id + `"}`)}
				outcomes <- kept
				return events.Post{ID: id}, nil
			}
			bus.OnCommand(on, func(_ context.Context, d bus.Delivery, c events.PublishPost) (any, error) { return note(d, c.PostID) })
			bus.OnCommand(on, func(_ context.Context, d bus.Delivery, c events.SchedulePost) (any, error) { return note(d, c.PostID) })
			bus.OnCommand(on, func(_ context.Context, d bus.Delivery, c events.CancelPost) (any, error) { return note(d, c.PostID) })
		})
		answer(t, h, func(q asks.GetCommand) (events.Outcome, error) {
			kept := <-outcomes
			defer func() { outcomes <- kept }()
			if o, ok := kept[q.ID]; ok {
				return o, nil
			}
			return events.Outcome{}, events.Faultf(events.NotFound, "There is no command with this id among yours.")
		})
		return h, deliveries, ids
	}

	t.Run("does the same request under the same key once, and answers it alike", func(t *testing.T) {
		t.Parallel()
		h, seen, _ := setup(t, func(c *gateway.Config) { c.Wait = longest })
		var first, again events.Post
		h.do(t, http.MethodPost, "/api/threads/post", `{"text":"x","accountId":"a"}`, "Idempotency-Key", "k1").is(t, http.StatusCreated, &first)
		began := time.Now()
		h.do(t, http.MethodPost, "/api/threads/post", `{ "accountId":"a", "text":"x" }`, "Idempotency-Key", `"k1"`).is(t, http.StatusCreated, &again)
		if first.ID != events.PostIDFor(ada, "k1") || again.ID != first.ID {
			t.Errorf("%s, then %s", first.ID, again.ID)
		}
		if took := time.Since(began); took > soon {
			t.Errorf("waited %s for an outcome that was told long ago", took)
		}
		d := <-seen
		if len(seen) != 0 || d.Meta.Key != "k1" || d.Meta.ID != events.CommandIDFor(ada, "k1", d.Meta.BodyHash) {
			t.Errorf("%+v, and %d more", d.Meta, len(seen))
		}
	})

	t.Run("makes another command of another request, for the service to refuse", func(t *testing.T) {
		t.Parallel()
		h, seen, posts := setup(t)
		ids := map[string]string{}
		for what, request := range map[string][]string{
			"a post":              {http.MethodPost, "/api/threads/post", `{"text":"x"}`, ""},
			"another text":        {http.MethodPost, "/api/threads/post", `{"text":"y"}`, ""},
			"a cancel":            {http.MethodDelete, "/api/threads/post/schedule/post_1", "", ""},
			"another's cancel":    {http.MethodDelete, "/api/threads/post/schedule/post_2", "", ""},
			"a cancel at a rev":   {http.MethodDelete, "/api/threads/post/schedule/post_1", "", `"4"`},
			"a post at some time": {http.MethodPost, "/api/threads/post/schedule", `{"text":"x","scheduledAt":"2026-11-22T12:00:00Z"}`, ""},
		} {
			r := h.do(t, request[0], request[1], request[2], "Idempotency-Key", "k", "If-Match", request[3])
			if r.status/100 != 2 {
				t.Fatalf("%s: %d %s", what, r.status, r.body)
			}
			d := <-seen
			if before, ok := ids[d.Meta.ID]; ok {
				t.Errorf("%s and %s are one command", what, before)
			}
			ids[d.Meta.ID] = what
			if id := <-posts; request[0] == http.MethodPost && id != events.PostIDFor(ada, "k") {
				t.Errorf("%s makes post %s", what, id)
			}
		}
	})

	t.Run("makes every request another without a key", func(t *testing.T) {
		t.Parallel()
		h, seen, posts := setup(t)
		for range 2 {
			h.do(t, http.MethodPost, "/api/threads/post", `{"text":"x"}`).is(t, http.StatusCreated, nil)
		}
		if a, b := <-seen, <-seen; a.Meta.ID == b.Meta.ID || a.Meta.Key != "" {
			t.Errorf("%+v, %+v", a.Meta, b.Meta)
		}
		if a, b := <-posts, <-posts; a == b {
			t.Errorf("twice post %s", a)
		}
	})

	t.Run("reads keys quoted and bare, and refuses what is no key", func(t *testing.T) {
		t.Parallel()
		h, seen, _ := setup(t)
		for header, key := range map[string]string{`plain key`: "plain key", `"q\"u\\o"`: `q"u\o`, `a"b`: `a"b`} {
			h.do(t, http.MethodPost, "/api/threads/post", `{"text":"x"}`, "Idempotency-Key", header).is(t, http.StatusCreated, nil)
			if d := <-seen; d.Meta.Key != key {
				t.Errorf("%s was read as %s", header, d.Meta.Key)
			}
		}
		for _, header := range []string{`""`, `"open`, `"a"b"`, `"a\b"`, `"a\"`, "\xc3\xa4", strings.Repeat("k", 256)} {
			h.do(t, http.MethodPost, "/api/threads/post", `{"text":"x"}`, "Idempotency-Key", header).
				problem(t, 422, "invalid", "/Idempotency-Key")
		}
	})
}
