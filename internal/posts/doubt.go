package posts

import (
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
)

// SameCall says whether a row, as it is now, had its last publish call when p was claimed.
func SameCall(row, p *Post) bool {
	return row.Attempt == p.Attempt && row.CurrentPart() == p.CurrentPart() && row.ContentHash == p.ContentHash &&
		row.ClaimedAt.Truncate(time.Microsecond).Equal(p.ClaimedAt.Truncate(time.Microsecond))
}

// A publish call that left may have made its post live, whatever it was answered. That is one fact about the row, doubt: the
// claim sets it, and only a proof ends it. While it stands the store refuses every move after which the post could go out
// a second time, or be called dead while it is live.

// Proof is what ends a doubt.
type Proof int

const (
	NoProof      Proof = iota
	ProofUnsent        // the call surely did not leave this process
	ProofLive          // Threads gave, or lists, a media id
	ProofAbsent        // the account's lists do not have it, long enough after the call has ended
	ProofPerson        // its owner looked at the profile
	ProofNoCalls       // what was only presumed of a time in which no publisher lived is not so
)

// OnAbsent is what follows for a post in doubt once it is proven not to be live.
type OnAbsent string

const (
	// AbsentRetry publishes again: the call had no clear answer.
	AbsentRetry OnAbsent = "retry"
	// AbsentWait publishes the same container again when what the answer asked for is over: a throttle, a full quota, a
	// token that is refused.
	AbsentWait OnAbsent = "wait"
	// AbsentFail fails: the call was refused for good, or the post's time is over.
	AbsentFail OnAbsent = "fail"
	// AbsentResume goes on as if nothing had been: no call is known of. Postgres may have been restored (restore.go).
	AbsentResume OnAbsent = "resume"
)

// EndDoubt ends the doubt, if there is one.
func (p *Post) EndDoubt(by Proof) {
	p.Doubt, p.DoubtSince, p.OnAbsent, p.Proof = false, time.Time{}, "", by
}

// Presumed says that no call is known of: the doubt is about a time of which the row may know nothing.
func (p *Post) Presumed() bool { return p.OnAbsent == AbsentResume }

// DoubtedSince is the time from which a live post could be the one that is looked for.
func DoubtedSince(p *Post) time.Time {
	if p.DoubtSince.IsZero() {
		return p.PublishAt
	}
	return p.DoubtSince
}

// AskedSince is from when the pauses between two looks grow: a post may be in doubt without a claim of ours.
func AskedSince(p *Post) time.Time { return clock.Latest(p.ClaimedAt, DoubtedSince(p)) }

// keepsDoubt says why a move is not allowed while the doubt of the row stands, or nil.
func keepsDoubt(was, p *Post) error {
	if !was.Doubt || IsFinal(was.State) {
		return nil
	}
	if !p.Doubt {
		if p.Proof == NoProof {
			return fmt.Errorf("post %s: a doubt ends with a proof only", p.ID)
		}
		return nil
	}
	switch {
	case p.State == events.StateFailed || p.State == events.StateCancelled || p.State == events.StateConcluding:
		return fmt.Errorf("post %s may be live and cannot become %s", p.ID, p.State)
	case p.State == events.StateScheduled || p.State == events.StateWaiting:
		return fmt.Errorf("post %s may be live and cannot be %s: it is asked for first", p.ID, p.State)
	case p.ContainerID != was.ContainerID || !slices.Equal(p.Children, was.Children):
		return fmt.Errorf("post %s may be live and cannot have another container", p.ID)
	case p.ContentHash != was.ContentHash || SourceOf(p) != SourceOf(was):
		return fmt.Errorf("post %s may be live and cannot say anything else", p.ID)
	}
	return nil
}

// guard adds to an update what the database has to judge of a doubt: by its clock, for another's may have been set since.
func (s *Store) guard(q *bun.UpdateQuery, was, p *Post) *bun.UpdateQuery {
	q = q.Where("doubt = ?", was.Doubt)
	switch {
	case p.Answered: // so its call has ended
		q = q.Value("call_deadline", "least(post.call_deadline, clock_timestamp())")
	case p.Doubt && !was.Doubt && !p.Presumed(): // by a call that nobody here knows of
		q = q.Value("call_deadline", "greatest(post.call_deadline, clock_timestamp())")
	}
	if was.Doubt && p.Proof == ProofAbsent {
		q = q.Where("coalesce(post.call_deadline, '-infinity') + ? * interval '1 millisecond' <= clock_timestamp()", s.secondCallAfter.Milliseconds())
	}
	return q
}
