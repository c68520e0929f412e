package posts

import (
	"context"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/services/gateway/command"
	"github.com/omni-write/threads/services/gateway/signin"
	"github.com/omni-write/threads/services/gateway/times"
)

// Retry says when to try again.
type Retry struct {
	ScheduledAt *times.LocalTime `json:"scheduledAt,omitempty" doc:"When: RFC 3339 with Z or an offset, or a time on the clocks of timeZone. Left out: now."`
	times.Clock
}

type retryPostInput struct {
	command.Change
	ID      string `path:"id" doc:"The post."`
	IfMatch string `header:"If-Match" doc:"The ETag that you know; the retry is refused when the post has changed since."`
	Body    *Retry
}

// RetryPost tries a failed post once more.
func (h *Handlers) RetryPost(ctx context.Context, in *retryPostInput) (*command.Answer, error) {
	if !PlausibleID(in.ID) {
		return nil, NoSuchPost()
	}
	rev, err := h.ifMatch(ctx, in.IfMatch, in.ID)
	if err != nil {
		return nil, err
	}
	cmd := events.RetryPost{PostID: in.ID, UserID: signin.UserOf(ctx), IfRev: rev, PublishAt: h.Now().UTC()}
	if in.Body != nil && in.Body.ScheduledAt != nil {
		if cmd.PublishAt, cmd.Zoned, err = times.ParseSchedule("/scheduledAt", *in.Body.ScheduledAt, in.Body.Clock); err != nil {
			return nil, err
		}
	}
	post, id, err := command.Send[events.Post](ctx, h.Commands, &in.Change, cmd, in.Body)
	return changed(post, id, in.ID, err)
}

// Resolution is a person's word about a parked post.
type Resolution struct {
	Published bool   `json:"published" doc:"Whether the post is live on the profile."`
	MediaID   string `json:"mediaId,omitempty" doc:"Threads' id of the live post; needed when published."`
}

type resolvePostInput struct {
	command.Change
	ID      string `path:"id" doc:"The post."`
	IfMatch string `header:"If-Match" doc:"The ETag that you know; the word is refused when the post has changed since."`
	Body    Resolution
}

// ResolvePost settles a post whose outcome no machine could find out.
func (h *Handlers) ResolvePost(ctx context.Context, in *resolvePostInput) (*command.Answer, error) {
	if !PlausibleID(in.ID) {
		return nil, NoSuchPost()
	}
	rev, err := h.ifMatch(ctx, in.IfMatch, in.ID)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Body.Published && !digits(in.Body.MediaID):
		const sentence = "A live post is known by its media id at Threads, a number; give it as mediaId."
		return nil, events.Faultf(events.Invalid, sentence).At("/mediaId", "media_id_invalid", sentence)
	case !in.Body.Published && in.Body.MediaID != "":
		const sentence = "A post that is not live has no media id; leave mediaId out, or say published."
		return nil, events.Faultf(events.Invalid, sentence).At("/mediaId", "media_id_unexpected", sentence)
	}
	cmd := events.ResolvePost{PostID: in.ID, UserID: signin.UserOf(ctx), IfRev: rev, Published: in.Body.Published, MediaID: in.Body.MediaID}
	post, id, err := command.Send[events.Post](ctx, h.Commands, &in.Change, cmd, in.Body)
	return changed(post, id, in.ID, err)
}

func digits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != "" && len(s) <= 40
}
