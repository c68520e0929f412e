package bus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
)

func TestAsk(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	if _, err := bus.Ask[events.Outcome](t.Context(), b, asks.GetCommand{}); !errors.Is(err, &events.Fault{Code: events.Unavailable}) {
		t.Errorf("nobody there says %v", err)
	}
	err := bus.Answer(b, func(_ context.Context, q asks.GetCommand) (events.Outcome, error) {
		switch q.ID {
		case "gone":
			return events.Outcome{}, events.Faultf(events.NotFound, "Not there.").At("/id", "gone", "It is gone.")
		case "odd":
			return events.Outcome{}, errors.New("inner words")
		case "panic":
			panic("inner words")
		}
		return events.Outcome{CommandID: q.ID, Done: true}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if o, err := bus.Ask[events.Outcome](t.Context(), b, asks.GetCommand{ID: "x"}); err != nil || o.CommandID != "x" || !o.Done {
		t.Errorf("answered %+v, %v", o, err)
	}
	_, err = bus.Ask[events.Outcome](t.Context(), b, asks.GetCommand{ID: "gone"})
	if f := new(events.Fault); !errors.As(err, &f) || f.Code != events.NotFound || len(f.Details) != 1 {
		t.Errorf("a fault arrives as %v", err)
	}
	for _, id := range []string{"odd", "panic"} {
		if _, err = bus.Ask[events.Outcome](t.Context(), b, asks.GetCommand{ID: id}); !errors.Is(err, &events.Fault{Code: events.Internal}) || strings.Contains(err.Error(), "inner") {
			t.Errorf("%s arrives as %v", id, err)
		}
	}
}

func TestAnswerThatCannotBeSent(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	err := bus.Answer(b, func(_ context.Context, q asks.GetCommand) (any, error) {
		if q.ID == "large" {
			return strings.Repeat("x", 2<<20), nil
		}
		return make(chan int), nil // does not encode
	})
	if err != nil {
		t.Fatal(err)
	}
	for id, code := range map[string]events.Code{"large": events.Invalid, "odd": events.Internal} {
		if _, err := bus.Ask[any](t.Context(), b, asks.GetCommand{ID: id}); !errors.Is(err, &events.Fault{Code: code}) {
			t.Errorf("%s arrives as %v, want %s", id, err, code)
		}
	}
}

func TestStopAnswering(t *testing.T) {
	t.Parallel()
	s := bustest.Server(t, t.TempDir())
	asker, b := bustest.Connect(t, s, "asker"), bustest.Connect(t, s, "answerer")
	began, release := make(chan struct{}, 1), make(chan struct{})
	err := bus.Answer(b, func(context.Context, asks.GetCommand) (string, error) {
		began <- struct{}{}
		<-release
		return "done", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	answered, stopped := make(chan string, 1), make(chan error, 1)
	go func() {
		a, err := bus.Ask[string](context.Background(), asker, asks.GetCommand{})
		if err != nil {
			a = err.Error()
		}
		answered <- a
	}()
	next(t, began, "question")

	soon, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := b.StopAnswering(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("it did not wait for the answer in hand, and did not say so")
	}
	go func() { stopped <- b.StopAnswering(context.Background()) }()
	close(release)
	if a := next(t, answered, "answer"); a != "done" {
		t.Errorf("the asker heard %q", a)
	}
	if err := next(t, stopped, "stop"); err != nil {
		t.Error(err)
	}
	if _, err := bus.Ask[string](t.Context(), asker, asks.GetCommand{}); !errors.Is(err, &events.Fault{Code: events.Unavailable}) {
		t.Errorf("after the stop the asker hears %v", err)
	}
}
