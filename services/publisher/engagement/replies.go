package engagement

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// ListReplies answers with the replies below a post, hidden ones included.
func (s *Service) ListReplies(ctx context.Context, q asks.ListReplies) (asks.ThreadsPage, error) {
	list, err := s.pageQuery(q.Limit, q.After, time.Time{}, time.Time{})
	if err != nil {
		return asks.ThreadsPage{}, err
	}
	switch {
	case !slices.Contains([]string{"", threads.ApprovalPending, threads.ApprovalIgnored}, q.Status):
		const words = "status is pending or ignored."
		return asks.ThreadsPage{}, events.Faultf(events.Invalid, words).At("/status", "status_unknown", words)
	case q.Pending && q.Conversation:
		const words = "Replies that wait for approval have one list, of every depth; leave view out."
		return asks.ThreadsPage{}, events.Faultf(events.Invalid, words).At("/view", "view_and_pending", words)
	case q.Status != "" && !q.Pending:
		const words = "Only replies that wait for approval have a status; ask with pending."
		return asks.ThreadsPage{}, events.Faultf(events.Invalid, words).At("/status", "status_without_pending", words)
	}
	list.OldestFirst = q.OldestFirst
	post, err := s.resolveTarget(ctx, q.UserID, q.AccountID, q.ID)
	if err != nil {
		return asks.ThreadsPage{}, err
	}
	read := func(ctx context.Context, a ownercalls.Access) (threads.Page, error) {
		switch {
		case q.Pending:
			return s.api.PendingReplies(ctx, a.Token, post.mediaID, q.Status, list)
		case q.Conversation:
			page, err := s.api.Conversation(ctx, a.Token, post.mediaID, list)
			if threads.ClassOf(err) == threads.Invalid && q.After == "" {
				const words = "Only the post that began a conversation has all of it; ask for the replies of this one."
				return page, events.Faultf(events.Invalid, words).At("/view", "not_a_root", words)
			}
			return page, err
		}
		return s.api.RepliesTo(ctx, a.Token, post.mediaID, list)
	}
	return s.fetchPage(ctx, post.account, threads.ScopeReadReplies, &list, read)
}

// HideReply hides a reply in a conversation of the account, with the replies below it, or shows it again.
func (s *Service) HideReply(ctx context.Context, d bus.Delivery, cmd events.HideReply) (any, error) {
	hide := func(ctx context.Context, a ownercalls.Access, id string) (asks.ReplyState, error) {
		return asks.ReplyState{Hidden: &cmd.Hide}, s.api.Hide(ctx, a.Token, id, cmd.Hide)
	}
	return s.moderate(ctx, d, cmd, reply{cmd.UserID, cmd.AccountID, cmd.ID}, hide)
}

// ApproveReply lets a reply be seen that waits for approval, or ignores it.
func (s *Service) ApproveReply(ctx context.Context, d bus.Delivery, cmd events.ApproveReply) (any, error) {
	approve := func(ctx context.Context, a ownercalls.Access, id string) (asks.ReplyState, error) {
		return asks.ReplyState{Approved: &cmd.Approve}, s.api.Approve(ctx, a.Token, id, cmd.Approve)
	}
	return s.moderate(ctx, d, cmd, reply{cmd.UserID, cmd.AccountID, cmd.ID}, approve)
}

// reply is the reply that is moderated, as the command names it.
type reply struct{ userID, accountID, id string }

// moderation is what Threads is asked to do to the reply with a media id.
type moderation func(ctx context.Context, a ownercalls.Access, mediaID string) (asks.ReplyState, error)

// moderateFor is how long a moderation is tried while Threads does not answer.
const moderateFor = time.Hour

// moderate has Threads do something to a reply. Doing it twice changes nothing more, so a crash between the call and the saving of
// its outcome costs a call. Threads itself checks that the account may moderate the reply: it is asked with the account's token.
func (s *Service) moderate(ctx context.Context, d bus.Delivery, cmd events.Command, r reply, do moderation) (any, error) {
	return s.calls.Once(ctx, d, cmd, func(ctx context.Context) (any, error) {
		state, err := s.moderateOnce(ctx, r, do)
		if errors.Is(err, &events.Fault{Code: events.Unavailable}) {
			if s.now().Sub(d.Meta.Time) < moderateFor {
				return nil, bus.Later(clock.Backoff(int(min(d.Deliveries, 20))))
			}
			err = events.Faultf(events.Missed, "Threads did not answer for an hour, so this was not done; please try again.")
		}
		return state, err
	})
}

func (s *Service) moderateOnce(ctx context.Context, r reply, do moderation) (asks.ReplyState, error) {
	post, err := s.resolveTarget(ctx, r.userID, r.accountID, r.id)
	if err != nil {
		return asks.ReplyState{}, err
	}
	call := func(ctx context.Context, a ownercalls.Access) (asks.ReplyState, error) {
		state, err := do(ctx, a, post.mediaID)
		if threads.ClassOf(err) == threads.NotFound {
			return state, events.Faultf(events.NotFound, "There is no reply with this id in a conversation of this account.")
		}
		return state, err
	}
	state, err := ownercalls.Do(ctx, s.calls, post.account, threads.ScopeManageReplies, call)
	state.AccountID, state.MediaID = post.account.ID, post.mediaID
	return state, err
}
