package posts

import (
	"cmp"
	"slices"
	"time"

	"github.com/omni-write/threads/events"
)

// Every move of a post is a method here: it takes the post as it is and returns the post as it shall be, and neither reads a
// clock nor calls anybody. The store judges whether the move is legal when it is saved. Where a move is emitted only when it is
// news to the owner, the fact is returned with it, "" when nothing is emitted.

func copyOf(p *Post) *Post {
	next := *p
	return &next
}

// Released gives up the lease.
func (p *Post) Released() *Post {
	next := copyOf(p)
	next.Lease = ""
	return next
}

// SnoozeUntil gives up the lease until a later look, and changes nothing else.
func (p *Post) SnoozeUntil(at time.Time) *Post {
	next := p.Released()
	next.WakeAt = at
	return next
}

// LookAgainAt is SnoozeUntil after a look that went well, but settled nothing.
func (p *Post) LookAgainAt(at time.Time) *Post {
	next := p.SnoozeUntil(at)
	next.Failures = 0
	return next
}

// TryAgainAt is SnoozeUntil after a failure.
func (p *Post) TryAgainAt(at time.Time) *Post {
	return p.CountFailure().SnoozeUntil(at)
}

// CountFailure counts one more failure in a row.
func (p *Post) CountFailure() *Post {
	next := copyOf(p)
	next.Failures++
	return next
}

// ScheduleAnew gives a post the state and the wake-up that its time calls for.
func (p *Post) ScheduleAnew(t Timing) *Post {
	next := copyOf(p)
	t.Reschedule(next)
	return next
}

// Refer notes what the post's references turned out to be at Threads; complete says that nothing is left to be found.
func (p *Post) Refer(parentID, quotedID string, complete bool) *Post {
	next := copyOf(p)
	next.ParentID, next.QuotedID = parentID, quotedID
	if complete {
		next.ContentHash = HashOf(next)
	}
	return next
}

// AddContainer notes a container that was created for the part in hand, and looks at it at a later time.
func (p *Post) AddContainer(id string, created, look time.Time) *Post {
	next := p.LookAgainAt(look)
	next.ContainerID = id
	next.ContainerAt, next.BuiltFrom = created, SourceOf(next)
	return next
}

// AddChild notes a container that was created for the next item of a carousel.
func (p *Post) AddChild(id string, created, look time.Time) *Post {
	next := p.LookAgainAt(look)
	next.Children = append(slices.Clone(p.Children), id)
	if _, media := next.Content(); len(next.Children) < len(media) {
		next.WakeAt = created // the next item at once
	}
	next.ContainerAt, next.BuiltFrom = created, SourceOf(next)
	return next
}

// BuildAnew discards a container that cannot be published, through no fault of Threads.
func (p *Post) BuildAnew(at time.Time) *Post {
	next := p.SnoozeUntil(at)
	next.State = events.StateScheduled
	next.DiscardContainer()
	return next
}

// Rebuild is BuildAnew for a container that Threads lost or could not process: that is done so many times.
func (p *Post) Rebuild(at time.Time) *Post {
	next := p.BuildAnew(at)
	next.Rebuilds++
	return next
}

// Prepare makes a post ready whose container is finished.
func (p *Post) Prepare(at time.Time) *Post {
	next := p.LookAgainAt(at)
	next.State, next.Reason = events.StateReady, nil
	return next
}

// Resume takes a waiting post up again. Its reason stays until the post moves on, so that nobody wonders meanwhile.
func (p *Post) Resume(at time.Time) *Post {
	next := copyOf(p)
	next.State, next.WakeAt = events.StateScheduled, at // prepare looks at its container, if there is one
	return next
}

// Postpone lets a post wait with a reason that its owner can read, and no longer than its time allows: then it fails as
// missed, with a word. A post in doubt does not wait, it is asked for when its time has come again.
func (p *Post) Postpone(reason *events.Fault, until time.Time) (next *Post, fact events.PostFact) {
	if p.Doubt {
		return p.Unconfirm(cmp.Or(p.OnAbsent, AbsentWait), reason, until)
	}
	next = p.SnoozeUntil(until)
	next.State, next.Reason = events.StateWaiting, reason
	if expires := p.Expires().Add(time.Second); until.After(expires) {
		next.WakeAt = expires
	}
	if p.Reason == nil || p.Reason.Code != reason.Code {
		fact = events.FactPostponed
	}
	return next, fact
}

// Claim makes a ready post a worker's, from here to the answer: nobody may edit or cancel it. The store completes it by the
// clock of the database.
func (p *Post) Claim(lease string, now, until time.Time) *Post {
	next := copyOf(p)
	next.State, next.Lease, next.LeaseUntil = events.StatePublishing, lease, until
	next.Attempt++
	next.ClaimedAt, next.UpdatedAt = now, now
	next.FinishedSeenAt, next.OnAbsent = time.Time{}, AbsentRetry
	next.WakeAt = until.Add(time.Second) // when this worker is gone, the next may ask
	next.ArmedAt = time.Time{}           // the message in hand wakes it; if that is lost, the sweep does
	next.Canonicalize()
	return next
}

// ReleaseClaim takes a claim back whose call surely did not leave. A doubt of an earlier call stands.
func (p *Post) ReleaseClaim(before *Post) *Post {
	next := p.Released()
	next.State = events.StateReady
	next.Attempt, next.ClaimedAt, next.CallDeadline = before.Attempt, before.ClaimedAt, before.CallDeadline
	next.Doubt, next.DoubtSince, next.OnAbsent = before.Doubt, before.DoubtSince, before.OnAbsent
	next.Proof = ProofUnsent
	return next
}

// MarkAnswered notes that the publish call was answered, so that it has ended.
func (p *Post) MarkAnswered() *Post {
	next := copyOf(p)
	next.Answered = true
	return next
}

// MarkCalled notes when the publish call left.
func (p *Post) MarkCalled(at time.Time) *Post {
	next := copyOf(p)
	next.CalledAt = at
	return next
}

// CallAgain has the container of the last call called once more, after a refusal that passes. The doubt stands.
func (p *Post) CallAgain(at time.Time) *Post {
	next := p.SnoozeUntil(at)
	next.State, next.OnAbsent = events.StateReady, AbsentWait
	return next
}

// CallWhenFound is CallAgain for a container that Threads did not find yet: that is tried so many times.
func (p *Post) CallWhenFound(at time.Time) *Post {
	next := p.CallAgain(at)
	next.NotReady++
	return next
}

// CallUnpublished is CallAgain after Threads said that the container is still unpublished.
func (p *Post) CallUnpublished(at time.Time) *Post {
	next := p.LookAgainAt(at)
	next.State = events.StateReady
	return next
}

// Unconfirm has a post asked for at Threads. It is in doubt from here on, if it was not before; onAbsent is what follows
// when it is proven not to be live.
func (p *Post) Unconfirm(onAbsent OnAbsent, reason *events.Fault, ask time.Time) (next *Post, fact events.PostFact) {
	next = p.LookAgainAt(ask)
	if !p.Doubt { // Threads, not a claim of ours, says so
		next.Doubt, next.DoubtSince = true, p.PublishAt
		if !p.ContainerAt.IsZero() && p.ContainerAt.Before(next.DoubtSince) {
			next.DoubtSince = p.ContainerAt
		}
	}
	next.State, next.Reason, next.OnAbsent = events.StateUnconfirmed, reason, onAbsent
	if p.State != events.StateUnconfirmed || p.Reason == nil || p.Reason.Code != reason.Code {
		fact = events.FactUnconfirmed
	}
	return next, fact
}

// SeeFinished notes when the container of a post in doubt was first read as unpublished.
func (p *Post) SeeFinished(at time.Time) *Post {
	next := copyOf(p)
	next.FinishedSeenAt = at
	return next
}

// WithoutDoubt ends the doubt by a proof.
func (p *Post) WithoutDoubt(by Proof) *Post {
	next := copyOf(p)
	next.EndDoubt(by)
	return next
}

// PublishAgain allows a second call for the same container: the first one is proven not to have made the post live.
func (p *Post) PublishAgain(at time.Time) *Post {
	next := p.WithoutDoubt(ProofAbsent).LookAgainAt(at)
	next.State = events.StateReady
	next.FinishedSeenAt, next.CalledAt = time.Time{}, time.Time{}
	return next
}

// BuildAgain allows a second call with another container.
func (p *Post) BuildAgain(at time.Time) *Post {
	next := p.WithoutDoubt(ProofAbsent).Rebuild(at)
	next.CalledAt, next.Failures = time.Time{}, 0
	return next
}

// ResumeUncalled takes up a post of which no call was known, and none was made.
func (p *Post) ResumeUncalled(at time.Time) *Post {
	next := p.WithoutDoubt(ProofNoCalls).LookAgainAt(at)
	next.State = events.StateScheduled // prepare looks at its container, if there is one
	return next
}

// WaitForRoom postpones a post that was refused for a limit and is proven not to be live. usable says that its container can
// still be published. That it waits from now on is always news.
func (p *Post) WaitForRoom(usable bool, reason *events.Fault, until time.Time) (next *Post, fact events.PostFact) {
	next = p.WithoutDoubt(ProofAbsent)
	next.CalledAt, next.Failures, next.Reason = time.Time{}, 0, nil
	if !usable && p.Kind != events.KindRepost {
		next.DiscardContainer()
		next.Rebuilds++
	}
	return next.Postpone(reason, until)
}

// Park leaves a post to a person. No automatic call is ever made for it again.
func (p *Post) Park(reason *events.Fault) *Post {
	next := p.SnoozeUntil(time.Time{})
	next.State, next.Reason = events.StateParked, reason
	return next
}

// Publish notes that the part in hand is live. Where another part follows, its turn comes at once: more says so. Otherwise
// the post is concluding until its outcome is emitted.
func (p *Post) Publish(mediaID, permalink string, called, accepted, now time.Time) (next *Post, more bool) {
	next = copyOf(p)
	next.Reason = nil
	if markPartPublished(next, mediaID, permalink, called, accepted) {
		next.State, next.Lease, next.WakeAt = events.StateScheduled, "", now
		next.AcceptedAt = accepted
		return next, true
	}
	next.State, next.Fact = events.StateConcluding, events.FactPublished
	next.CalledAt, next.AcceptedAt = called, accepted
	return next, false
}

// Fail notes that the post will not go out, and why; it is concluding until that is emitted.
func (p *Post) Fail(reason *events.Fault, at time.Time) *Post {
	next := copyOf(p)
	next.State, next.Fact, next.Reason = events.StateConcluding, events.FactFailed, reason
	next.CalledAt, next.AcceptedAt = time.Time{}, at
	return next
}

// Cancel takes a post back that was not published; reason is why, where its owner did not ask for it.
func (p *Post) Cancel(reason *events.Fault) *Post {
	next := p.SnoozeUntil(time.Time{})
	next.State, next.Reason, next.Fact = events.StateCancelled, reason, events.FactCancelled
	next.DiscardContainer()
	return next
}

// Edit changes what a post says, or when. same says that it says the same as before: then its container is still good.
func (p *Post) Edit(draft events.Draft, same bool, t Timing) *Post {
	next := copyOf(p)
	next.PublishWithin = draft.PublishWithin
	if !same {
		next.Text, next.Media, next.Options = draft.Text, draft.Media, draft.Options
		next.SetParts(draft.Parts)
		next.ContentHash = HashOf(next)
		next.DiscardContainer()
	}
	next.Reason, next.Failures, next.Fact = nil, 0, events.FactEdited
	if next.State == events.StateWaiting {
		next.State = events.StateScheduled // prepare looks at its container, if there is one
	}
	t.Reschedule(next)
	return next
}

// EditFailed changes what a failed post says when it is tried again. The parts of a chain that are live stay what they are.
func (p *Post) EditFailed(draft events.Draft) *Post {
	next := copyOf(p)
	next.PublishWithin = draft.PublishWithin
	next.Text, next.Media, next.Options = draft.Text, draft.Media, draft.Options
	next.SetParts(draft.Parts)
	if p.PartlyPublished() {
		copy(next.Parts, p.Parts[:p.CurrentPart()])
	}
	next.DiscardContainer()
	next.ContentHash = HashOf(next)
	next.Fact = events.FactEdited
	return next
}

// MoveTo gives a post another time.
func (p *Post) MoveTo(at time.Time, decision events.TimeDecision) *Post {
	next := copyOf(p)
	next.PublishAt, next.TimeDecision = at, string(decision)
	return next
}

// InZone has the post's time shown on the clocks of a zone; "" leaves it as it is.
func (p *Post) InZone(zone string) *Post {
	next := copyOf(p)
	next.TimeZone = cmp.Or(zone, p.TimeZone)
	return next
}

// Retry tries a failed post once more, a chain from the part that failed.
func (p *Post) Retry(t Timing) *Post {
	next := copyOf(p)
	next.StartOver()
	next.Reason, next.AcceptedAt, next.Recalled = nil, time.Time{}, false
	next.State, next.Fact = events.StateScheduled, events.FactRetried
	t.Reschedule(next)
	return next
}

// ResolveLive takes a person's word that a parked post is live.
func (p *Post) ResolveLive(mediaID string, called, now time.Time) *Post {
	next, more := p.Publish(mediaID, "", called, now, now)
	if next.WakeAt = now; more {
		next.Fact, next.AcceptedAt = events.FactPartPublished, p.AcceptedAt
	}
	return next
}

// ResolveAbsent takes a person's word that a parked post is not live.
func (p *Post) ResolveAbsent(reason *events.Fault, now time.Time) *Post {
	next := copyOf(p)
	next.EndDoubt(ProofPerson)
	next = next.Fail(reason, now)
	next.WakeAt = now
	return next
}

// RequestDeletion notes that a live post is to be taken off Threads. Asking again makes no new revision.
func (p *Post) RequestDeletion(now time.Time) *Post {
	next := p.SnoozeUntil(now)
	next.ArmedAt = now
	if p.DeleteRequestedAt.IsZero() {
		next.Rev++
		next.Fact, next.DeleteRequestedAt, next.UpdatedAt = events.FactDeleteRequested, now, now
		next.Failures = 0
	}
	return next
}

// WaitToDelete puts a deletion off with a reason.
func (p *Post) WaitToDelete(reason *events.Fault, until time.Time) *Post {
	next := p.SnoozeUntil(until)
	next.Reason = reason
	return next
}

// Delete notes that a part is gone from Threads, "" when none was left. more says that another one is still live.
func (p *Post) Delete(mediaID string, now time.Time) (next *Post, more bool) {
	next = p.LookAgainAt(now)
	if p.State != events.StateFailed { // of a chain that failed the reason is why
		next.Reason = nil
	}
	next.Parts = slices.Clone(p.Parts)
	for i := range next.Parts {
		if next.Parts[i].MediaID == mediaID {
			next.Parts[i].DeletedAt = OptionalTime(now)
		}
	}
	if next.IsChain() && len(LiveMediaIDs(next)) > 0 {
		next.ArmedAt = now
		return next, true
	}
	next.DeletedAt, next.WakeAt = now, time.Time{}
	return next, false
}

// KeepLive ends a deletion that did not work.
func (p *Post) KeepLive(reason *events.Fault) *Post {
	next := p.LookAgainAt(time.Time{})
	next.DeleteRequestedAt, next.Reason = time.Time{}, reason
	return next
}

// SetPermalinks notes permalinks that Threads shows by now. found says that there was one.
func (p *Post) SetPermalinks(links map[string]string) (next *Post, found bool) {
	next = copyOf(p)
	found = setPermalinks(next, links)
	return next, found
}
