package publisher

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
)

// What a try returned → what becomes of its row.
func TestJudgeOwnerCall(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := ownerCall{Tries: 3, Failures: 2, CreatedAt: now.Add(-time.Hour)}
	unavailable, refusal, odd := events.Faultf(events.Unavailable, "Away."), events.Faultf(events.Refused, "No."), errors.New("odd")
	for name, want := range map[string]struct {
		err         error
		interrupted bool
		is          ownerCallVerdict
	}{
		"done":                {is: ownerCallVerdict{}},
		"told by others":      {err: bus.Pending, is: ownerCallVerdict{pending: true}},
		"refused":             {err: refusal, is: ownerCallVerdict{fault: refusal}},
		"another page":        {err: errMore, is: ownerCallVerdict{after: importPause}},
		"no place":            {err: fmt.Errorf("x: %w", placeTaken{time.Second}), is: ownerCallVerdict{after: time.Second, tries: 3, failures: 2}},
		"put off":             {err: bus.Later(time.Minute), is: ownerCallVerdict{after: time.Minute, tries: 4, failures: 2}},
		"Threads is away":     {err: unavailable, is: ownerCallVerdict{after: backoff(4), tries: 4, failures: 2}},
		"Postgres is away":    {err: context.DeadlineExceeded, is: ownerCallVerdict{after: backoff(4), tries: 4, failures: 2}},
		"told to stop":        {err: odd, interrupted: true, is: ownerCallVerdict{after: backoff(4), tries: 4, failures: 2}},
		"a mistake of ours":   {err: odd, is: ownerCallVerdict{after: backoff(3), tries: 3, failures: 3, cause: odd}},
		"nobody handles this": {err: bus.Later(time.Minute), is: ownerCallVerdict{after: time.Minute, tries: 4, failures: 2}},
	} {
		if is := judgeOwnerCall(c, want.err, want.interrupted, now); is != want.is {
			t.Errorf("%s: %+v, want %+v", name, is, want.is)
		}
	}
	c.Failures = ownerCallFailures - 1
	if v := judgeOwnerCall(c, odd, false, now); v.after != 0 || v.fault == nil || v.fault.Code != events.Internal {
		t.Errorf("after the last failure: %+v", v)
	}
	if v := judgeOwnerCall(c, unavailable, false, c.CreatedAt.Add(ownerCallFor)); v.after != 0 || v.fault == nil || v.fault.Code != events.Missed {
		t.Errorf("after a day without an answer: %+v", v)
	}
}

// keepCalls notes commands of a user for the workers.
func (r *rig) keepCalls(s *Service, user string, n int) (ids []string) {
	r.t.Helper()
	for i := range n {
		d := bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Time: time.Now()}, Deliveries: 1}
		_, err := s.callLater(r.t.Context(), d, events.HideReply{UserID: user, ID: strconv.Itoa(1000 + i), Hide: true})
		if !errors.Is(err, bus.Pending) {
			r.t.Fatal(err)
		}
		ids = append(ids, d.Meta.ID)
	}
	return ids
}

// However many one user has, another's is next; and a user has so many in all.
func TestOwnerCallsTakeTurns(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s, other := r.idle(), r.idle()
	r.keepCalls(s, "noisy", ownerCallsWaiting)
	quiet := r.keepCalls(s, "quiet", 1)[0]
	taken := map[string]int{}
	for _, one := range []*Service{s, other, s} {
		list, err := one.takeOwnerCalls(t.Context(), ownerCallsAtOnce)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			taken[c.UserID]++
		}
	}
	if taken["noisy"] != ownerCallsPerUser || taken["quiet"] != 1 {
		t.Errorf("at work are %v", taken)
	}
	// Whose worker died is taken by another when the lease is over.
	r.exec("UPDATE owner_calls SET lease_until = now() WHERE command_id = ?", quiet)
	if list, err := other.takeOwnerCalls(t.Context(), ownerCallsAtOnce); err != nil || len(list) != 1 || list[0].CommandID != quiet {
		t.Errorf("after the end of its lease: %+v, %v", list, err)
	}

	d := bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Time: time.Now()}, Deliveries: 1}
	cmd := events.HideReply{UserID: "noisy", ID: "1", Hide: true}
	for range 2 { // delivered twice it says the same
		if _, err := s.callLater(t.Context(), d, cmd); commands.Refusal(err) == nil || commands.Refusal(err).Code != events.RateLimited || commands.Refusal(err).RetryAfter == 0 {
			t.Errorf("one too many is told %v", err)
		}
	}
	if o, err := s.GetCommand(t.Context(), events.GetCommand{UserID: "noisy", ID: d.Meta.ID}); err != nil || o.Fault == nil || o.Fault.Code != events.RateLimited {
		t.Errorf("afterwards it stands as %+v, %v", o, err)
	}
}

// A command that waits for its call is pending to who asks, and done when it is done, whoever made the call.
func TestOwnerCallGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.account = r.connect(testUser, "demo.user", allScopes...)
	id := r.keepCalls(r.idle(), testUser, 1)[0]
	ask := func(user string) (events.Outcome, error) {
		return r.idle().GetCommand(t.Context(), events.GetCommand{UserID: user, ID: id})
	}
	if o, err := ask(testUser); err != nil || o.Done || o.CommandID != id {
		t.Errorf("before: %+v, %v", o, err)
	}
	if _, err := ask("user_2"); !errors.Is(err, &events.Fault{Code: events.NotFound}) {
		t.Errorf("to another user it is %v", err)
	}
	r.start()
	for {
		o, err := ask(testUser)
		if err != nil {
			t.Fatal(err)
		}
		if o.Done {
			if o.Fault == nil || o.Fault.Code != events.NotFound { // Threads knows no such reply
				t.Errorf("it ended as %+v", o)
			}
			break
		}
		if !pause(t.Context(), 10*time.Millisecond) {
			t.Fatal("it never ended")
		}
	}
	// Delivered again it says the same, and nothing is kept any more.
	d := bus.Delivery{Meta: events.Meta{ID: id, Time: time.Now()}, Deliveries: 2}
	if _, err := r.idle().callLater(t.Context(), d, events.HideReply{UserID: testUser, ID: "1000", Hide: true}); !errors.Is(err, &events.Fault{Code: events.NotFound}) {
		t.Errorf("delivered again: %v", err)
	}
	if c, err := commands.Find(t.Context(), r.db, id); err != nil || c == nil {
		t.Errorf("its record: %+v, %v", c, err)
	}
	for {
		n, err := r.db.NewSelect().Model((*ownerCall)(nil)).Count(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		if !pause(t.Context(), 10*time.Millisecond) {
			t.Fatal("a row is left")
		}
	}
}
