package posts

import (
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// Sight is how owners see posts: at what time, and by how much a post is late that was held up. A ready post that SpaceOut gave a later
// time has no event of its own: its reason is found out when it is read. It is one that was late already: others are put off too, for a
// moment.
type Sight struct {
	Now       time.Time
	LateAfter time.Duration
}

// Of is the post as its owner sees it.
func (v Sight) Of(p *Post) events.Post {
	s := p.Snapshot()
	if p.State == events.StateReady && p.WakeAt.After(v.Now) && p.WakeAt.After(p.PublishAt.Add(v.LateAfter)) {
		s.Reason = spaced(p, v.Now)
	}
	return s
}

// whereReason has only posts whose reason, as Of shows it, has a code.
func (v Sight) whereReason(sel *bun.SelectQuery, code events.Code) *bun.SelectQuery {
	return sel.Where("CASE WHEN state = ? AND wake_at > ? AND wake_at > publish_at + make_interval(secs => ?) THEN ? ELSE reason->>'code' END = ?",
		events.StateReady, v.Now.UTC(), v.LateAfter.Seconds(), events.RateLimited, code)
}

// spaced says that a post keeps its distance, and until when.
func spaced(p *Post, now time.Time) *events.Fault {
	const words = "This post was held up, and such posts of one account go out one after the other; "
	if p.WakeAt.After(p.Expires()) {
		return events.Faultf(events.RateLimited, words+"its turn does not come within the time allowed after its hour. Schedule it again if it still matters.")
	}
	return events.Faultf(events.RateLimited, words+"this one goes out at %s.", p.WakeAt.UTC().Format(time.RFC3339)).After(p.WakeAt.Sub(now))
}
