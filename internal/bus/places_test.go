package bus_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
)

// Everything that one user asks hangs, until the test ends: the same question of another user is answered all the same, and
// so is another question of that very user. What is more than their places and their line is refused, and they hear so.
func TestOneUserTakesNoPlaceOfAnothers(t *testing.T) {
	t.Parallel()
	s := bustest.Server(t, t.TempDir())
	asker, b := bustest.Connect(t, s, "asker"), bustest.Connect(t, s, "answerer")
	began, release := make(chan struct{}, 1000), make(chan struct{})
	t.Cleanup(func() { close(release) })
	err := errors.Join(
		bus.Answer(b, func(_ context.Context, q asks.ValidatePost) (string, error) {
			if q.UserID == "noisy" {
				began <- struct{}{}
				<-release
			}
			return "valid", nil
		}, bus.Bounds{AtOnce: 8, PerUser: 3, Waiting: 5}),
		bus.Answer(b, func(context.Context, asks.GetPost) (string, error) { return "a post", nil }),
	)
	if err != nil {
		t.Fatal(err)
	}
	asking, leave := context.WithCancel(t.Context())
	defer leave()
	refused := make(chan error, 1000)
	const flood = 300
	for range flood {
		go func() {
			if _, err := bus.Ask[string](asking, asker, asks.ValidatePost{UserID: "noisy"}); asking.Err() == nil {
				refused <- err
			}
		}()
	}
	for range flood - 8 {
		err := next(t, refused, "refusal")
		if f := new(events.Fault); !errors.As(err, &f) || f.Code != events.RateLimited || f.RetryAfter == 0 {
			t.Fatalf("one too many is told %v", err)
		}
	}
	for range 3 {
		next(t, began, "question at work")
	}
	if a, err := bus.Ask[string](t.Context(), asker, asks.ValidatePost{UserID: "quiet"}); err != nil || a != "valid" {
		t.Errorf("the same question of another user: %q, %v", a, err)
	}
	if a, err := bus.Ask[string](t.Context(), asker, asks.GetPost{UserID: "noisy"}); err != nil || a != "a post" {
		t.Errorf("another question of the same user: %q, %v", a, err)
	}
	if n := len(began); n != 0 {
		t.Errorf("%d more are at work than the user has places", n)
	}
}

// The asker's patience is what the answering side works by.
func TestAnswerEndsWithItsAsker(t *testing.T) {
	t.Parallel()
	s := bustest.Server(t, t.TempDir())
	asker, b := bustest.Connect(t, s, "asker"), bustest.Connect(t, s, "answerer")
	ended := make(chan error, 1)
	err := bus.Answer(b, func(ctx context.Context, _ asks.GetPost) (string, error) {
		<-ctx.Done()
		ended <- ctx.Err()
		return "", ctx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := bus.Ask[string](ctx, asker, asks.GetPost{UserID: "user_1"}); !errors.Is(err, &events.Fault{Code: events.Unavailable}) {
		t.Errorf("the asker hears %v", err)
	}
	if err := next(t, ended, "end of the work"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the work ended with %v", err)
	}
}

// What waits for a place when its asker leaves is not begun, and keeps no place in the line.
func TestQuestionOfNobodyIsNotBegun(t *testing.T) {
	t.Parallel()
	p := bus.NewPlaces(bus.Bounds{AtOnce: 1, PerUser: 1, Waiting: 1})
	first, err := p.Take(t.Context(), "user_1")
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"user_1", "user_2", ""} { // in their own line, and in that of the kind
		ctx, leave := context.WithCancel(t.Context())
		waited := make(chan error, 1)
		go func() {
			_, err := p.Take(ctx, user)
			waited <- err
		}()
		leave()
		if err := next(t, waited, "end of the wait"); !errors.Is(err, context.Canceled) {
			t.Errorf("%q: %v", user, err)
		}
	}
	first()
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := p.Take(gone, "user_1"); !errors.Is(err, context.Canceled) {
		t.Errorf("a place is free, and its asker is gone: %v", err)
	}
	last, err := p.Take(t.Context(), "user_1")
	if err != nil {
		t.Fatal(err)
	}
	last()
	if n := p.Users(); n != 0 {
		t.Errorf("%d users are remembered who ask nothing", n)
	}
}
