package ownercalls_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

// enqueue saves commands of a user for the workers.
func enqueue(t *testing.T, s *publisher.Service, user string, n int) (ids []string) {
	t.Helper()
	for i := range n {
		d := bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Time: time.Now()}, Deliveries: 1}
		_, err := s.OwnerCalls.Enqueue(t.Context(), d, events.HideReply{UserID: user, ID: strconv.Itoa(1000 + i), Hide: true})
		if !errors.Is(err, bus.Pending) {
			t.Fatal(err)
		}
		ids = append(ids, d.Meta.ID)
	}
	return ids
}

// A command that waits for its call is pending to who asks, and done when it is done, whoever made the call.
func TestOwnerCallGoesOn(t *testing.T) {
	t.Parallel()
	r := publishertest.New(t)
	r.Account = r.Connect(publishertest.User, "demo.user", publishertest.AllScopes...)
	id := enqueue(t, r.Idle(), publishertest.User, 1)[0]
	ask := func(user string) (events.Outcome, error) {
		return r.Idle().Questions.GetCommand(t.Context(), asks.GetCommand{UserID: user, ID: id})
	}
	if o, err := ask(publishertest.User); err != nil || o.Done || o.CommandID != id {
		t.Errorf("before: %+v, %v", o, err)
	}
	if _, err := ask("user_2"); !errors.Is(err, &events.Fault{Code: events.NotFound}) {
		t.Errorf("to another user it is %v", err)
	}
	r.Start()
	for {
		o, err := ask(publishertest.User)
		if err != nil {
			t.Fatal(err)
		}
		if o.Done {
			if o.Fault == nil || o.Fault.Code != events.NotFound { // Threads knows no such reply
				t.Errorf("it ended as %+v", o)
			}
			break
		}
		if !clock.Sleep(t.Context(), 10*time.Millisecond) {
			t.Fatal("it never ended")
		}
	}
	// Delivered again it says the same, and nothing is kept any more.
	d := bus.Delivery{Meta: events.Meta{ID: id, Time: time.Now()}, Deliveries: 2}
	if _, err := r.Idle().OwnerCalls.Enqueue(t.Context(), d, events.HideReply{UserID: publishertest.User, ID: "1000", Hide: true}); !errors.Is(err, &events.Fault{Code: events.NotFound}) {
		t.Errorf("delivered again: %v", err)
	}
	if c, err := commands.Find(t.Context(), r.DB, id); err != nil || c == nil {
		t.Errorf("its record: %+v, %v", c, err)
	}
	for {
		n, err := r.DB.NewSelect().Table("owner_calls").Count(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		if !clock.Sleep(t.Context(), 10*time.Millisecond) {
			t.Fatal("a row is left")
		}
	}
}
