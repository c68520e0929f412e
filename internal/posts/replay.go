package posts

import (
	"time"

	"github.com/omni-write/threads/events"
)

// WakeAfterReplay gives a row that comes from an event alone its working columns: nothing is known of its container,
// so what was ready is prepared again.
func (t Timing) WakeAfterReplay(p *Post, now time.Time) {
	switch {
	case p.State == events.StateReady || p.State == events.StateScheduled || p.State == events.StateWaiting:
		p.State, p.WakeAt = events.StateScheduled, p.PublishAt.Add(-t.Lead(p))
	case p.State == events.StateUnconfirmed:
		p.Doubt, p.DoubtSince, p.OnAbsent, p.WakeAt = true, p.PublishAt, AbsentRetry, now
	case p.State == events.StateParked:
		p.Doubt, p.DoubtSince = true, p.PublishAt
	case Ended(p) && !p.DeleteRequestedAt.IsZero() && p.DeletedAt.IsZero():
		p.WakeAt = now
	case p.Fact == events.FactPublished || p.Fact == events.FactFailed:
		t.LookForPermalinks(p, now)
	}
}

// LookForPermalinks has a post that was emitted without its permalink, not long ago, looked at once more.
func (t Timing) LookForPermalinks(p *Post, now time.Time) {
	if len(WithoutPermalink(p)) > 0 && now.Sub(p.AcceptedAt) < 24*time.Hour {
		p.WakeAt = t.NextPermalinkLook(now, 0)
	}
}
