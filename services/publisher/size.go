package publisher

import (
	"fmt"
	"strings"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/wire"
)

// maxTold is the largest snapshot of a post, in bytes: half of what NATS carries in a message. A fact has the whole post,
// so a post that is accepted must fit into every fact that may follow.
const maxTold = 512 << 10

// What a post may get on its way that its author did not write. Threads' ids have some twenty digits; our longest reason
// quotes three hundred letters of Threads'.
var (
	longestReason = events.Faultf(events.ReauthRequired, "%s", strings.Repeat("x", 2<<10)).
			At("/scheduledAt", "reason", strings.Repeat("x", 256))
	longestID   = strings.Repeat("9", 32)
	longestLink = strings.Repeat("x", threads.MaxPermalink)
	lastMoment  = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
)

// tellable refuses a post that some later fact could not carry.
func tellable(p *posts.Post) error {
	most, err := toldAtMost(p)
	if err != nil || most <= maxTold {
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
		(most+1023)>>10, maxTold>>10)
	return events.Faultf(events.Invalid, "%s", words).At(at, "post_too_large", words)
}

// toldAtMost is the size of the largest snapshot that a post can lead to: every part live and gone again, every time known,
// and the longest of reasons, which is told twice of a post that failed.
func toldAtMost(p *posts.Post) (int, error) {
	s := p.Snapshot()
	s.State, s.Status = events.StateUnconfirmed, events.StatusCancelled
	s.Reason, s.ErrorMessage = longestReason, &longestReason.Message
	s.PostedTweetID, s.Permalink = &longestID, &longestLink
	s.ScheduledAt, s.CreatedAt, s.UpdatedAt = lastMoment, lastMoment, lastMoment
	s.CalledAt, s.AcceptedAt, s.DeleteRequestedAt, s.DeletedAt = &lastMoment, &lastMoment, &lastMoment, &lastMoment
	s.LatenessMs, s.Rev, s.PublishWithin = new(-1.0/3e6), 1<<53, maxPublishWithin
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
