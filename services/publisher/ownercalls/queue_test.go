package ownercalls

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/commands"
)

// What a try returned → what becomes of its row.
func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := queuedCall{Tries: 3, Failures: 2, CreatedAt: now.Add(-time.Hour)}
	unavailable, refusal, odd := events.Faultf(events.Unavailable, "Away."), events.Faultf(events.Refused, "No."), errors.New("odd")
	for name, want := range map[string]struct {
		err         error
		interrupted bool
		is          decision
	}{
		"done":                {is: decision{}},
		"others reply":        {err: bus.Pending, is: decision{pending: true}},
		"refused":             {err: refusal, is: decision{fault: refusal}},
		"another page":        {err: ErrMore, is: decision{after: morePause}},
		"no slot":             {err: fmt.Errorf("x: %w", NoSlotError{time.Second}), is: decision{after: time.Second, tries: 3, failures: 2}},
		"put off":             {err: bus.Later(time.Minute), is: decision{after: time.Minute, tries: 4, failures: 2}},
		"Threads is away":     {err: unavailable, is: decision{after: clock.Backoff(4), tries: 4, failures: 2}},
		"Postgres is away":    {err: context.DeadlineExceeded, is: decision{after: clock.Backoff(4), tries: 4, failures: 2}},
		"told to stop":        {err: odd, interrupted: true, is: decision{after: clock.Backoff(4), tries: 4, failures: 2}},
		"a mistake of ours":   {err: odd, is: decision{after: clock.Backoff(3), tries: 3, failures: 3, cause: odd}},
		"nobody handles this": {err: bus.Later(time.Minute), is: decision{after: time.Minute, tries: 4, failures: 2}},
	} {
		if is := decide(c, want.err, want.interrupted, now); is != want.is {
			t.Errorf("%s: %+v, want %+v", name, is, want.is)
		}
	}
	c.Failures = maxFailures - 1
	if v := decide(c, odd, false, now); v.after != 0 || v.fault == nil || v.fault.Code != events.Internal {
		t.Errorf("after the last failure: %+v", v)
	}
	if v := decide(c, unavailable, false, c.CreatedAt.Add(tryFor)); v.after != 0 || v.fault == nil || v.fault.Code != events.Missed {
		t.Errorf("after a day without an answer: %+v", v)
	}
}

// enqueue saves commands of a user for the workers.
func (sys *system) enqueue(s *Service, user string, n int) (ids []string) {
	sys.Helper()
	for i := range n {
		d := bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Time: time.Now()}, Deliveries: 1}
		_, err := s.Enqueue(sys.Context(), d, events.HideReply{UserID: user, ID: strconv.Itoa(1000 + i), Hide: true})
		if !errors.Is(err, bus.Pending) {
			sys.Fatal(err)
		}
		ids = append(ids, d.Meta.ID)
	}
	return ids
}

// However many calls one user has waiting, another's is next; and a user may have so many in all.
func TestUsersTakeTurns(t *testing.T) {
	t.Parallel()
	sys := setup(t)
	s, other := sys.service(), sys.service()
	sys.enqueue(s, "noisy", maxWaiting)
	quiet := sys.enqueue(s, "quiet", 1)[0]
	taken := map[string]int{}
	for _, one := range []*Service{s, other, s} {
		list, err := one.claim(t.Context(), workersAtOnce)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			taken[c.UserID]++
		}
	}
	if taken["noisy"] != perUser || taken["quiet"] != 1 {
		t.Errorf("at work are %v", taken)
	}
	// A call whose worker died is claimed by another when the lease is over.
	if _, err := sys.db.NewRaw("UPDATE owner_calls SET lease_until = now() WHERE command_id = ?", quiet).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list, err := other.claim(t.Context(), workersAtOnce); err != nil || len(list) != 1 || list[0].CommandID != quiet {
		t.Errorf("after the end of its lease: %+v, %v", list, err)
	}

	d := bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Time: time.Now()}, Deliveries: 1}
	cmd := events.HideReply{UserID: "noisy", ID: "1", Hide: true}
	for range 2 { // delivered twice it says the same
		if _, err := s.Enqueue(t.Context(), d, cmd); commands.Refusal(err) == nil || commands.Refusal(err).Code != events.RateLimited || commands.Refusal(err).RetryAfter == 0 {
			t.Errorf("one too many is told %v", err)
		}
	}
	if o, err := commands.Get(t.Context(), sys.db, asks.GetCommand{UserID: "noisy", ID: d.Meta.ID}); err != nil || o.Fault == nil || o.Fault.Code != events.RateLimited {
		t.Errorf("afterwards it stands as %+v, %v", o, err)
	}
}
