package draft

import (
	"fmt"
	"strings"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/wire"
)

// maxSnapshot is the largest snapshot of a post, in bytes: half of what NATS carries in a message. Each event holds the whole
// post, so a post that is accepted must fit into every event that may follow.
const maxSnapshot = 512 << 10

// What a post may get on its way that its author did not write. Threads' ids have some twenty digits; our longest reason
// quotes three hundred letters of Threads'.
var (
	longestReason = events.Faultf(events.ReauthRequired, "%s", strings.Repeat("x", 2<<10)).
			At("/scheduledAt", "reason", strings.Repeat("x", 256))
	longestID   = strings.Repeat("9", 32)
	longestLink = strings.Repeat("x", threads.MaxPermalink)
	lastMoment  = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
)

// CheckSize refuses a post of which some later event would be too large for a message.
func CheckSize(p *posts.Post) error {
	most, err := largestSnapshot(p)
	if err != nil || most <= maxSnapshot {
		return err
	}
	at := "/text"
	switch {
	case p.IsChain():
		at = "/parts"
	case len(p.Media) > 0:
		at = "/media"
	}
	words := fmt.Sprintf("This post takes up to %d KiB in all, and %d KiB are the most; shorten its texts and addresses, or divide it.",
		(most+1023)>>10, maxSnapshot>>10)
	return events.Faultf(events.Invalid, "%s", words).At(at, "post_too_large", words)
}

// largestSnapshot is the size of the largest snapshot that a post can lead to: every part published and deleted, every time set,
// and the longest of reasons, which a post that failed has twice.
func largestSnapshot(p *posts.Post) (int, error) {
	s := p.Snapshot()
	s.State, s.Status = events.StateUnconfirmed, events.StatusCancelled
	s.Reason, s.ErrorMessage = longestReason, &longestReason.Message
	s.PostedTweetID, s.Permalink = &longestID, &longestLink
	s.ScheduledAt, s.CreatedAt, s.UpdatedAt = lastMoment, lastMoment, lastMoment
	s.CalledAt, s.AcceptedAt, s.DeleteRequestedAt, s.DeletedAt = &lastMoment, &lastMoment, &lastMoment, &lastMoment
	s.LatenessMs, s.Rev, s.PublishWithin = new(-1.0/3e6), 1<<53, MaxPublishWithin
	if s.TimeZone != "" {
		s.LocalTime = lastMoment.Format("2006-01-02T15:04:05.999999999-07:00")
	}
	parts := make([]events.Part, len(s.Parts))
	for i, part := range s.Parts {
		parts[i] = events.Part{Text: part.Text, Media: part.Media, MediaID: longestID, Permalink: longestLink,
			CalledAt: &lastMoment, AcceptedAt: &lastMoment, DeletedAt: &lastMoment}
	}
	s.Parts = parts
	b, err := wire.Encode(s)
	if err != nil {
		return 0, fmt.Errorf("measure a post: %w", err)
	}
	return len(b), nil
}
