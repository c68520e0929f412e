package gateway_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway"
)

// What a request makes us do is charged before it is done: of what is refused nothing was begun.
func TestWeights(t *testing.T) {
	t.Parallel()
	const perMinute = 60
	limited := func(t *testing.T) (h *system, worked *atomic.Int64) {
		t.Helper()
		h, worked = setup(t, func(c *gateway.Config) { c.RateReads, c.RateWrites = perMinute, perMinute }), new(atomic.Int64)
		answer(t, h, func(asks.ListPosts) (asks.PostList, error) { worked.Add(1); return asks.PostList{}, nil })
		answer(t, h, func(asks.ValidatePost) (asks.Validation, error) {
			worked.Add(1)
			return asks.Validation{Valid: true}, nil
		})
		answer(t, h, func(asks.GetCommand) (events.Outcome, error) {
			return events.Outcome{}, events.Faultf(events.NotFound, "There is none.")
		})
		h.handle(t, events.PublisherCommands, func(on *bus.Handlers) {
			bus.OnCommand(on, func(_ context.Context, _ bus.Delivery, cmd events.SchedulePost) (any, error) {
				worked.Add(1)
				return events.Post{ID: cmd.PostID}, nil
			})
		})
		return h, worked
	}
	left := func(t *testing.T, r reply) int {
		t.Helper()
		_, rest, _ := strings.Cut(r.header.Get("RateLimit"), ";r=")
		number, _, _ := strings.Cut(rest, ";")
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatalf("RateLimit %q", r.header.Get("RateLimit"))
		}
		return n
	}
	tooMuch := func(t *testing.T, r reply) {
		t.Helper()
		r.problem(t, http.StatusTooManyRequests, "rate_limited")
		if seconds, err := strconv.Atoi(r.header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 60 {
			t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
		}
	}

	t.Run("a page weighs by the posts asked for, a search by those looked through", func(t *testing.T) {
		t.Parallel()
		h, worked := limited(t)
		for path, weight := range map[string]int{
			"/api/threads/posts": 1, "/api/threads/posts?limit=1000": 10, "/api/threads/posts?search=words": 31, "/api/threads/post/schedule": 10,
		} {
			h, _ := limited(t)
			r := h.do(t, http.MethodGet, path, "")
			r.is(t, http.StatusOK, nil)
			if n := left(t, r); n != perMinute-weight {
				t.Errorf("%s leaves %d of %d, want %d", path, n, perMinute, perMinute-weight)
			}
		}
		answered := int64(0)
		for r := (reply{}); r.status != http.StatusTooManyRequests && answered < 10; {
			if r = h.do(t, http.MethodGet, "/api/threads/posts?search=words", ""); r.status == http.StatusOK {
				answered++
			} else {
				tooMuch(t, r)
			}
		}
		if answered == 0 || worked.Load() != answered {
			t.Errorf("%d were answered, %d worked on", answered, worked.Load())
		}
	})

	file := func(rows int) string {
		return "text,scheduledAt\n" + strings.Repeat("words,2099-01-01T00:00:00Z\n", rows)
	}
	for name, query := range map[string]string{"the rows of a file are writes": "", "those of a preview are reads": "?preview=true"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, worked := limited(t)
			send := func(rows int) reply {
				return h.do(t, http.MethodPost, "/api/threads/post/import"+query, file(rows), "Content-Type", "text/csv")
			}
			send(40).is(t, http.StatusOK, nil)
			if n := worked.Load(); n != 40 {
				t.Errorf("%d of 40 rows were worked on", n)
			}
			tooMuch(t, send(40))
			r := send(perMinute + 1)
			r.problem(t, http.StatusUnprocessableEntity, "invalid")
			if !strings.Contains(string(r.body), strconv.Itoa(perMinute)+" a minute") {
				t.Errorf("of a file that never fits: %s", r.body)
			}
			if n := worked.Load(); n != 40 {
				t.Errorf("%d rows of a file that was refused were worked on", n-40)
			}
		})
	}
}
