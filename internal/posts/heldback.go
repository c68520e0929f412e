package posts

import (
	"time"

	"github.com/omni-write/threads/events"
)

// Seen is the post as its owner sees it now. A ready post that SpaceOut gave a later time has no event of its own: its reason
// is computed when it is read. It is one that was late already: others are put off too, for a moment.
func (p *Post) Seen(now time.Time, lateAfter time.Duration) events.Post {
	s := p.Snapshot()
	if p.State == events.StateReady && p.WakeAt.After(now) && p.WakeAt.After(p.PublishAt.Add(lateAfter)) {
		s.Reason = spaced(p, now)
	}
	return s
}

// spaced says that a post keeps its distance, and until when.
func spaced(p *Post, now time.Time) *events.Fault {
	const words = "This post was held up, and such posts of one account go out one after the other; "
	if p.WakeAt.After(p.Expires()) {
		return events.Faultf(events.RateLimited, words+"its turn does not come within the time allowed after its hour. Schedule it again if it still matters.")
	}
	return events.Faultf(events.RateLimited, words+"this one goes out at %s.", p.WakeAt.UTC().Format(time.RFC3339)).After(p.WakeAt.Sub(now))
}
