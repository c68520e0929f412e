package maintenance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher/projector"
)

// overdueFor is how long a post may be overdue to be looked at before that is worth a word: the sweep comes every ten
// seconds.
const overdueFor = time.Minute

// dispute is how much of what a row says EVENTS contradicts.
type dispute int

const (
	none   dispute = iota
	wishes         // what was asked for, and not what became of it
	all
)

// againstEvents compares a row with the last event that was emitted of it.
func (r *reconciliation) againstEvents(ctx context.Context, p *posts.Post) (dispute, error) {
	fact, seq, err := r.lastFact(ctx, p)
	if err != nil {
		return none, err
	}
	emit := func(ctx context.Context) error { return r.Publisher.EmitChange(ctx, p) }
	const mend = "emit it"
	concluding := p.State == events.StateConcluding // its outcome is emitted with the next rev, by the publisher
	switch {
	case fact == nil && p.EmittedRev >= p.Rev:
		if p.UpdatedAt.After(r.facts.CachedInfo().State.FirstTime) { // else EVENTS does not reach back so far
			r.found(ctx, r.of(p, "event", "EVENTS has no event of it any more: they were purged. The row stands."), nil)
		}
	case (fact == nil || fact.Snapshot().Rev < p.Rev) && !concluding:
		d := r.of(p, "event", "Its change to rev %d (%s) is not on EVENTS.", p.Rev, p.Fact)
		d.Mend = mend
		r.found(ctx, d, emit)
	case fact == nil:
	case fact.Snapshot().Rev > p.Rev:
		d := r.of(p, "row", "EVENTS has rev %d (%s), the row has rev %d.", fact.Snapshot().Rev, fact.Fact(), p.Rev)
		position, err := projector.New(projector.Config{}, projector.Deps{DB: r.DB}).Position(ctx, r.DB)
		if err != nil {
			return all, err
		}
		if position < seq {
			d.Says += fmt.Sprintf(" The projector has come to %d of %d: is a publisher running?", position, seq)
		} else {
			d.Says += " " + bringBack
		}
		r.found(ctx, d, nil)
		return all, nil
	case fact.Snapshot().Rev == p.Rev:
		return r.contradicts(ctx, p, fact)
	}
	return none, nil
}

// contradicts compares all that a row says with the event of the very same rev. Between two events a row moves through working
// states, which are not emitted.
func (r *reconciliation) contradicts(ctx context.Context, p *posts.Post, fact events.PostEvent) (dispute, error) {
	emitted := fact.Snapshot()
	columns, err := posts.DiffersFromEvent(p, emitted, fact.Fact())
	if err != nil || len(columns) == 0 {
		return none, err
	}
	var says, others []string
	for _, column := range columns {
		switch column {
		case "state":
			says = append(says, fmt.Sprintf("The row says %s, EVENTS says %s.", p.State, emitted.State))
		case "media_id":
			says = append(says, fmt.Sprintf("The row says that it is %q at Threads, EVENTS says %q.", p.MediaID, posts.Value(emitted.PostedTweetID)))
		case "publish_at":
			says = append(says, fmt.Sprintf("The row says that it is due at %s, EVENTS says %s.", p.PublishAt.UTC().Format(time.RFC3339Nano), emitted.ScheduledAt.UTC().Format(time.RFC3339Nano)))
		default:
			others = append(others, column)
		}
	}
	if len(others) > 0 {
		says = append(says, "The row and EVENTS differ in "+strings.Join(others, ", ")+".")
	}
	r.found(ctx, r.of(p, "row", "%s %s", strings.Join(says, " "), bringBack), nil)
	if posts.OnlyAskedFor(columns) {
		return wishes, nil
	}
	return all, nil
}

func (r *reconciliation) lastFact(ctx context.Context, p *posts.Post) (events.PostEvent, uint64, error) {
	m, err := r.facts.GetLastMsgForSubject(ctx, events.PostFacts(p.AccountID, p.ID, "*"))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the events of %s: %w", p.ID, err)
	}
	msg, err := events.Decode(m.Header.Get(events.HeaderType), m.Data)
	if err != nil {
		return nil, 0, fmt.Errorf("EVENTS at %d: %w", m.Sequence, err)
	}
	fact, ok := msg.(events.PostEvent)
	if !ok {
		return nil, 0, fmt.Errorf("EVENTS at %d: %s is no event of a post", m.Sequence, msg.Type())
	}
	return fact, m.Sequence, nil
}

// againstAlarms looks whether somebody will look at a post that is not at its end, and in time.
func (r *reconciliation) againstAlarms(ctx context.Context, p *posts.Post) error {
	deleting := posts.Ended(p) && !p.DeleteRequestedAt.IsZero() && p.DeletedAt.IsZero()
	switch now := r.Now(); {
	case p.State == events.StateParked:
		r.found(ctx, r.of(p, "row", "It is parked: a person must look at the profile and resolve it."), nil)
		return nil
	case posts.IsFinal(p.State) && !deleting:
		return nil
	case p.WakeAt.IsZero() && !posts.IsFinal(p.State):
		d := r.of(p, "alarm", "It is %s, and nobody will ever look at it.", p.State)
		d.Mend = mendLook
		r.found(ctx, d, r.look(p))
		return nil
	case p.WakeAt.IsZero():
		return nil // a deletion that was refused
	case now.Sub(p.WakeAt) > overdueFor:
		d := r.of(p, "alarm", "It is overdue to be looked at since %s: is a publisher running and ready?", stamp(p.WakeAt))
		d.Mend = mendLook
		r.found(ctx, d, r.look(p))
		return nil
	case p.WakeAt.Sub(now) < soon || p.WakeAt.After(now.Add(r.ArmHorizon)):
		return nil // the publisher has it in hand; or the sweep arms it as its time comes near
	}
	at, there, err := r.alarm(ctx, p)
	if err != nil {
		return err
	}
	d := r.of(p, "alarm", "It has no alarm, though it is to be looked at at %s.", stamp(p.WakeAt))
	if there {
		if at.Before(p.WakeAt.Add(time.Second)) {
			return nil // early is harmless
		}
		d.Says = fmt.Sprintf("Its alarm is set for %s, but it is to be looked at at %s.", stamp(at), stamp(p.WakeAt))
	}
	d.Mend = "have the sweep set its alarm"
	r.found(ctx, d, func(ctx context.Context) error {
		return posts.ForgetAlarm(ctx, r.DB, p)
	})
	return nil
}

// alarm is when a post's alarm goes off. A wake-up that lies at the publisher has gone off.
func (r *reconciliation) alarm(ctx context.Context, p *posts.Post) (at time.Time, there bool, err error) {
	for _, subject := range []string{events.PostDue(p.ID), events.PostAlarm(p.ID)} {
		m, err := r.alarms.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return at, false, fmt.Errorf("read %s: %w", subject, err)
		}
		at, _ = time.Parse(time.RFC3339Nano, strings.TrimPrefix(m.Header.Get("Nats-Schedule"), "@at "))
		return at, true, nil
	}
	return at, false, nil
}
