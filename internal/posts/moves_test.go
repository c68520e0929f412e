package posts

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omni-write/threads/events"
)

// Each move changes what it says and nothing else, and leaves the post that it is made from as it is.
func TestEachMove(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	later, long := now.Add(time.Minute), now.Add(48*time.Hour)
	reason := events.Faultf(events.Unavailable, "wait")
	other := events.Faultf(events.Refused, "no")
	times := Timing{LeadText: 2 * time.Minute, LeadImage: 5 * time.Minute, LeadVideo: 15 * time.Minute}
	// A post on which somebody works, with every column filled that a move may empty.
	base := func() *Post {
		return &Post{
			ID: "post_1", Kind: events.KindPost, Text: "words", ContentHash: "hash", PublishAt: now, PublishWithin: 3600, State: events.StateReady,
			Reason: reason, CalledAt: now, AcceptedAt: now, Rev: 3, Fact: events.FactPrepared, WakeAt: now, ArmedAt: now,
			Lease: "lease", LeaseUntil: later, ContainerID: "17", ContainerAt: now.Add(-time.Hour), BuiltFrom: "source",
			Attempt: 2, ClaimedAt: now, CallDeadline: later, NotReady: 1, Rebuilds: 1, FinishedSeenAt: now, Failures: 4, UpdatedAt: now,
		}
	}
	doubted := func() *Post {
		p := base()
		p.State, p.Doubt, p.DoubtSince, p.OnAbsent = events.StateUnconfirmed, true, now, AbsentRetry
		return p
	}
	chain := func() *Post {
		p := base()
		p.Parts = []events.Part{{Text: "one"}, {Text: "two"}}
		return p
	}
	live := func() *Post {
		p := base()
		p.State, p.Fact, p.MediaID = events.StatePublished, events.FactPublished, "1"
		return p
	}
	liveChain := func() *Post {
		p := live()
		p.Parts = []events.Part{{Text: "one", MediaID: "1"}, {Text: "two", MediaID: "2"}}
		return p
	}
	noContainer := func(p *Post) {
		p.ContainerID, p.ContainerAt, p.Children, p.BuiltFrom, p.NotReady, p.FinishedSeenAt = "", time.Time{}, nil, "", 0, time.Time{}
	}
	noDoubt := func(p *Post, by Proof) { p.Doubt, p.DoubtSince, p.OnAbsent, p.Proof = false, time.Time{}, "", by }

	for name, c := range map[string]struct {
		from func() *Post
		move func(*Post) (*Post, events.PostFact)
		want func(*Post) // changes the post as it was into what it is expected to be
		fact events.PostFact
	}{
		"release": {base, plain(func(p *Post) *Post { return p.Released() }), func(p *Post) { p.Lease = "" }, ""},
		"snooze":  {base, plain(func(p *Post) *Post { return p.SnoozeUntil(later) }), func(p *Post) { p.Lease, p.WakeAt = "", later }, ""},
		"look again": {base, plain(func(p *Post) *Post { return p.LookAgainAt(later) }), func(p *Post) {
			p.Lease, p.WakeAt, p.Failures = "", later, 0
		}, ""},
		"try again": {base, plain(func(p *Post) *Post { return p.TryAgainAt(later) }), func(p *Post) {
			p.Lease, p.WakeAt, p.Failures = "", later, 5
		}, ""},
		"schedule anew": {base, plain(func(p *Post) *Post { return p.ScheduleAnew(times) }), func(p *Post) { p.WakeAt = now.Add(-Hold) }, ""},
		"refer": {base, plain(func(p *Post) *Post { return p.Refer("7", "8", true) }), func(p *Post) {
			p.ParentID, p.QuotedID = "7", "8"
			p.ContentHash = HashOf(p)
		}, ""},
		"refer, not to the end": {base, plain(func(p *Post) *Post { return p.Refer("7", "", false) }), func(p *Post) { p.ParentID = "7" }, ""},
		"a container": {base, plain(func(p *Post) *Post { return p.AddContainer("18", now, later) }), func(p *Post) {
			p.Lease, p.Failures, p.WakeAt, p.ContainerID, p.ContainerAt = "", 0, later, "18", now
			p.BuiltFrom = SourceOf(p)
		}, ""},
		"a child, the last": {base, plain(func(p *Post) *Post { return p.AddChild("18", now, later) }), func(p *Post) {
			p.Lease, p.Failures, p.WakeAt, p.Children, p.ContainerAt = "", 0, later, []string{"18"}, now
			p.BuiltFrom = SourceOf(p)
		}, ""},
		"build anew": {base, plain(func(p *Post) *Post { return p.BuildAnew(later) }), func(p *Post) {
			p.State, p.Lease, p.WakeAt = events.StateScheduled, "", later
			noContainer(p)
		}, ""},
		"rebuild": {base, plain(func(p *Post) *Post { return p.Rebuild(later) }), func(p *Post) {
			p.State, p.Lease, p.WakeAt, p.Rebuilds = events.StateScheduled, "", later, 2
			noContainer(p)
		}, ""},
		"prepare": {base, plain(func(p *Post) *Post { return p.Prepare(later) }), func(p *Post) {
			p.State, p.Lease, p.WakeAt, p.Failures, p.Reason = events.StateReady, "", later, 0, nil
		}, ""},
		"resume": {base, plain(func(p *Post) *Post { return p.Resume(later) }), func(p *Post) { p.State, p.WakeAt = events.StateScheduled, later }, ""},
		"postpone, for what its owner knows": {base, func(p *Post) (*Post, events.PostFact) { return p.Postpone(reason, later) }, func(p *Post) {
			p.State, p.Lease, p.WakeAt = events.StateWaiting, "", later
		}, ""},
		"postpone, for longer than its time": {base, func(p *Post) (*Post, events.PostFact) { return p.Postpone(other, long) }, func(p *Post) {
			p.State, p.Lease, p.WakeAt, p.Reason = events.StateWaiting, "", now.Add(time.Hour+time.Second), other
		}, events.FactPostponed},
		"postpone in doubt": {doubted, func(p *Post) (*Post, events.PostFact) { return p.Postpone(other, long) }, func(p *Post) {
			p.State, p.Lease, p.WakeAt, p.Reason, p.Failures = events.StateUnconfirmed, "", long, other, 0
		}, events.FactUnconfirmed},
		"claim": {base, plain(func(p *Post) *Post { return p.Claim("mine", now, later) }), func(p *Post) {
			p.State, p.Lease, p.LeaseUntil, p.Attempt, p.ClaimedAt, p.UpdatedAt = events.StatePublishing, "mine", later, 3, now, now
			p.FinishedSeenAt, p.OnAbsent, p.WakeAt, p.ArmedAt = time.Time{}, AbsentRetry, later.Add(time.Second), time.Time{}
			p.Canonicalize()
		}, ""},
		"release a claim": {doubted, plain(func(p *Post) *Post {
			return p.ReleaseClaim(&Post{Attempt: 1, ClaimedAt: later, CallDeadline: long})
		}), func(p *Post) {
			p.State, p.Lease, p.Attempt, p.ClaimedAt, p.CallDeadline = events.StateReady, "", 1, later, long
			noDoubt(p, ProofUnsent)
		}, ""},
		"release a claim, in doubt before": {doubted, plain(func(p *Post) *Post {
			return p.ReleaseClaim(&Post{Attempt: 1, Doubt: true, DoubtSince: later, OnAbsent: AbsentWait})
		}), func(p *Post) {
			p.State, p.Lease, p.Attempt, p.ClaimedAt, p.CallDeadline = events.StateReady, "", 1, time.Time{}, time.Time{}
			p.Doubt, p.DoubtSince, p.OnAbsent, p.Proof = true, later, AbsentWait, ProofUnsent
		}, ""},
		"answered": {base, plain(func(p *Post) *Post { return p.MarkAnswered() }), func(p *Post) { p.Answered = true }, ""},
		"called":   {base, plain(func(p *Post) *Post { return p.MarkCalled(later) }), func(p *Post) { p.CalledAt = later }, ""},
		"call again": {doubted, plain(func(p *Post) *Post { return p.CallAgain(later) }), func(p *Post) {
			p.State, p.Lease, p.WakeAt, p.OnAbsent = events.StateReady, "", later, AbsentWait
		}, ""},
		"call when found": {doubted, plain(func(p *Post) *Post { return p.CallWhenFound(later) }), func(p *Post) {
			p.State, p.Lease, p.WakeAt, p.OnAbsent, p.NotReady = events.StateReady, "", later, AbsentWait, 2
		}, ""},
		"call what is unpublished": {doubted, plain(func(p *Post) *Post { return p.CallUnpublished(later) }), func(p *Post) {
			p.State, p.Lease, p.WakeAt, p.Failures = events.StateReady, "", later, 0
		}, ""},
		"unconfirm": {base, func(p *Post) (*Post, events.PostFact) { return p.Unconfirm(AbsentFail, other, later) }, func(p *Post) {
			p.State, p.Lease, p.WakeAt, p.Failures, p.Reason = events.StateUnconfirmed, "", later, 0, other
			p.Doubt, p.DoubtSince, p.OnAbsent = true, now.Add(-time.Hour), AbsentFail // from its container on it could be live
		}, events.FactUnconfirmed},
		"unconfirm what is": {doubted, func(p *Post) (*Post, events.PostFact) { return p.Unconfirm(AbsentWait, reason, later) }, func(p *Post) {
			p.Lease, p.WakeAt, p.Failures, p.OnAbsent = "", later, 0, AbsentWait
		}, ""},
		"see it finished": {doubted, plain(func(p *Post) *Post { return p.SeeFinished(later) }), func(p *Post) { p.FinishedSeenAt = later }, ""},
		"end the doubt":   {doubted, plain(func(p *Post) *Post { return p.WithoutDoubt(ProofAbsent) }), func(p *Post) { noDoubt(p, ProofAbsent) }, ""},
		"publish again": {doubted, plain(func(p *Post) *Post { return p.PublishAgain(later) }), func(p *Post) {
			p.State, p.Lease, p.WakeAt, p.Failures, p.FinishedSeenAt, p.CalledAt = events.StateReady, "", later, 0, time.Time{}, time.Time{}
			noDoubt(p, ProofAbsent)
		}, ""},
		"build again": {doubted, plain(func(p *Post) *Post { return p.BuildAgain(later) }), func(p *Post) {
			p.State, p.Lease, p.WakeAt, p.Failures, p.CalledAt, p.Rebuilds = events.StateScheduled, "", later, 0, time.Time{}, 2
			noContainer(p)
			noDoubt(p, ProofAbsent)
		}, ""},
		"resume uncalled": {doubted, plain(func(p *Post) *Post { return p.ResumeUncalled(later) }), func(p *Post) {
			p.State, p.Lease, p.WakeAt, p.Failures = events.StateScheduled, "", later, 0
			noDoubt(p, ProofNoCalls)
		}, ""},
		"wait for room": {doubted, func(p *Post) (*Post, events.PostFact) { return p.WaitForRoom(true, reason, later) }, func(p *Post) {
			p.State, p.Lease, p.WakeAt, p.Failures, p.CalledAt = events.StateWaiting, "", later, 0, time.Time{}
			noDoubt(p, ProofAbsent)
		}, events.FactPostponed},
		"wait for room, without a container": {doubted, func(p *Post) (*Post, events.PostFact) { return p.WaitForRoom(false, reason, later) }, func(p *Post) {
			p.State, p.Lease, p.WakeAt, p.Failures, p.CalledAt, p.Rebuilds = events.StateWaiting, "", later, 0, time.Time{}, 2
			noContainer(p)
			noDoubt(p, ProofAbsent)
		}, events.FactPostponed},
		"park": {doubted, plain(func(p *Post) *Post { return p.Park(other) }), func(p *Post) {
			p.State, p.Lease, p.WakeAt, p.Reason = events.StateParked, "", time.Time{}, other
		}, ""},
		"publish": {doubted, func(p *Post) (*Post, events.PostFact) {
			next, more := p.Publish("9", "link", later, long, now)
			return next, told(more)
		}, func(p *Post) {
			p.State, p.Fact, p.Reason, p.MediaID, p.Permalink = events.StateConcluding, events.FactPublished, nil, "9", "link"
			p.CalledAt, p.AcceptedAt = later, long
			noDoubt(p, ProofLive)
		}, ""},
		"publish the first part": {chain, func(p *Post) (*Post, events.PostFact) {
			next, more := p.Publish("9", "link", later, long, now)
			return next, told(more)
		}, func(p *Post) {
			p.State, p.Lease, p.WakeAt, p.Reason, p.MediaID, p.Permalink = events.StateScheduled, "", now, nil, "9", "link"
			p.Parts = []events.Part{{Text: "one", MediaID: "9", Permalink: "link", CalledAt: &later, AcceptedAt: &long}, {Text: "two"}}
			p.AcceptedAt, p.CalledAt, p.ClaimedAt, p.CallDeadline = long, time.Time{}, time.Time{}, time.Time{}
			p.Attempt, p.Rebuilds, p.Failures = 0, 0, 0
			noContainer(p)
			noDoubt(p, ProofLive)
			p.ContentHash = HashOf(p)
		}, events.FactPartPublished},
		"fail": {base, plain(func(p *Post) *Post { return p.Fail(other, later) }), func(p *Post) {
			p.State, p.Fact, p.Reason, p.CalledAt, p.AcceptedAt = events.StateConcluding, events.FactFailed, other, time.Time{}, later
		}, ""},
		"cancel": {base, plain(func(p *Post) *Post { return p.Cancel(nil) }), func(p *Post) {
			p.State, p.Fact, p.Reason, p.Lease, p.WakeAt = events.StateCancelled, events.FactCancelled, nil, "", time.Time{}
			noContainer(p)
		}, ""},
		"edit": {base, plain(func(p *Post) *Post { return p.Edit(events.Draft{Text: "others", PublishWithin: 60}, false, times) }), func(p *Post) {
			p.Text, p.PublishWithin, p.Reason, p.Failures, p.Fact = "others", 60, nil, 0, events.FactEdited
			p.State, p.WakeAt = events.StateScheduled, now.Add(-times.Lead(p))
			noContainer(p)
			p.ContentHash = HashOf(p)
		}, ""},
		"edit, and say the same": {base, plain(func(p *Post) *Post { return p.Edit(events.Draft{Text: "words", PublishWithin: 60}, true, times) }), func(p *Post) {
			p.PublishWithin, p.Reason, p.Failures, p.Fact, p.WakeAt = 60, nil, 0, events.FactEdited, now.Add(-Hold)
		}, ""},
		"move": {base, plain(func(p *Post) *Post { return p.MoveTo(later, "earlier").InZone("Europe/Berlin") }), func(p *Post) {
			p.PublishAt, p.TimeDecision, p.TimeZone = later, "earlier", "Europe/Berlin"
		}, ""},
		"retry": {base, plain(func(p *Post) *Post { return p.Retry(times) }), func(p *Post) {
			p.State, p.Fact, p.Reason, p.AcceptedAt, p.CalledAt = events.StateScheduled, events.FactRetried, nil, time.Time{}, time.Time{}
			p.Attempt, p.Rebuilds, p.Failures, p.ClaimedAt, p.CallDeadline = 0, 0, 0, time.Time{}, time.Time{}
			p.WakeAt = now.Add(-times.Lead(p))
			noContainer(p)
		}, ""},
		"resolve as live": {doubted, plain(func(p *Post) *Post { return p.ResolveLive("9", later, long) }), func(p *Post) {
			p.State, p.Fact, p.Reason, p.MediaID, p.CalledAt, p.AcceptedAt, p.WakeAt = events.StateConcluding, events.FactPublished, nil, "9", later, long, long
			noDoubt(p, ProofLive)
		}, ""},
		"resolve as absent": {doubted, plain(func(p *Post) *Post { return p.ResolveAbsent(other, later) }), func(p *Post) {
			p.State, p.Fact, p.Reason, p.CalledAt, p.AcceptedAt, p.WakeAt = events.StateConcluding, events.FactFailed, other, time.Time{}, later, later
			noDoubt(p, ProofPerson)
		}, ""},
		"ask for its deletion": {live, plain(func(p *Post) *Post { return p.RequestDeletion(later) }), func(p *Post) {
			p.Lease, p.WakeAt, p.ArmedAt, p.Failures, p.Rev = "", later, later, 0, 4
			p.Fact, p.DeleteRequestedAt, p.UpdatedAt = events.FactDeleteRequested, later, later
		}, ""},
		"delete": {live, func(p *Post) (*Post, events.PostFact) {
			next, more := p.Delete("1", later)
			return next, told(more)
		}, func(p *Post) {
			p.Lease, p.WakeAt, p.Failures, p.Reason, p.DeletedAt, p.Parts = "", time.Time{}, 0, nil, later, nil
		}, ""},
		"delete the last part": {liveChain, func(p *Post) (*Post, events.PostFact) {
			next, more := p.Delete("2", later)
			return next, told(more)
		}, func(p *Post) {
			p.Lease, p.WakeAt, p.ArmedAt, p.Failures, p.Reason = "", later, later, 0, nil
			p.Parts = []events.Part{{Text: "one", MediaID: "1"}, {Text: "two", MediaID: "2", DeletedAt: &later}}
		}, events.FactPartPublished},
		"wait to delete": {live, plain(func(p *Post) *Post { return p.WaitToDelete(other, later) }), func(p *Post) {
			p.Lease, p.WakeAt, p.Reason = "", later, other
		}, ""},
		"keep live": {live, plain(func(p *Post) *Post { return p.KeepLive(other) }), func(p *Post) {
			p.Lease, p.WakeAt, p.Failures, p.Reason, p.DeleteRequestedAt = "", time.Time{}, 0, other, time.Time{}
		}, ""},
		"a permalink": {live, func(p *Post) (*Post, events.PostFact) {
			next, found := p.SetPermalinks(map[string]string{"1": "link"})
			return next, told(found)
		}, func(p *Post) { p.Permalink = "link" }, events.FactPartPublished},
	} {
		old := c.from()
		next, fact := c.move(old)
		if fact != c.fact {
			t.Errorf("%s: %q is told, want %q", name, fact, c.fact)
		}
		want := c.from()
		c.want(want)
		if diff := cmp.Diff(fields(want), fields(next)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
		if diff := cmp.Diff(fields(c.from()), fields(old)); diff != "" {
			t.Errorf("%s changed the post that it was made from:\n%s", name, diff)
		}
	}
}

func plain(move func(*Post) *Post) func(*Post) (*Post, events.PostFact) {
	return func(p *Post) (*Post, events.PostFact) { return move(p), "" }
}

// told stands for the answer of a move that says whether there is more.
func told(more bool) events.PostFact {
	if more {
		return events.FactPartPublished
	}
	return ""
}

// fields are what a post says, by the names of its fields. Empty lists are equal to none.
func fields(p *Post) map[string]any {
	m := map[string]any{}
	v := reflect.ValueOf(p).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous || v.Field(i).Kind() == reflect.Slice && v.Field(i).Len() == 0 {
			continue
		}
		m[f.Name] = v.Field(i).Interface()
	}
	return m
}

// A state is left only as the table of moves says.
func TestMoves(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]events.State{
		{events.StatePublished, events.StateReady}, {events.StateCancelled, events.StateScheduled}, {events.StateScheduled, events.StatePublishing},
		{events.StatePublishing, events.StateCancelled}, {events.StateParked, events.StateReady}, {events.StateUnconfirmed, events.StatePublishing},
	} {
		if mayMove(c[0], c[1]) {
			t.Errorf("%s to %s is allowed", c[0], c[1])
		}
	}
}
