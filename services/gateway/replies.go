package gateway

import (
	"context"
	"net/http"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
)

type listRepliesInput struct {
	AccountQuery
	Paged
	ID      string `path:"id" doc:"The post: our id, or Threads' media id."`
	View    string `query:"view" enum:"replies,conversation" doc:"replies: the direct ones, the default. conversation: those of every depth, of a post that began one."`
	Pending bool   `query:"pending" doc:"Those that wait for your approval, or that you ignored."`
	Status  string `query:"status" enum:"pending,ignored" doc:"With pending: only those."`
	Order   string `query:"order" enum:"newest,oldest" doc:"Which come first. Left out: the newest."`
}

// listReplies shows what was said below a post.
func (h *engagementHandlers) listReplies(ctx context.Context, in *listRepliesInput) (*threadsPageOutput, error) {
	if !plausibleID(in.ID) {
		return nil, noSuchPost()
	}
	return h.threadsPage(ctx, &in.Paged, asks.ListReplies{
		UserID: userOf(ctx), AccountID: in.AccountID, ID: in.ID, Conversation: in.View == "conversation",
		Pending: in.Pending, Status: in.Status, OldestFirst: in.Order == "oldest", Limit: in.Limit, After: in.After,
	})
}

// Hiding says whether a reply is hidden.
type Hiding struct {
	Hide bool `json:"hide" doc:"true hides the reply and what was said below it, false shows it again."`
}

type hideReplyInput struct {
	Change
	AccountQuery
	ID   string `path:"id" doc:"The reply: Threads' media id, or ours."`
	Body Hiding
}

// hideReply hides a reply in one of the account's conversations, or shows it again.
func (h *engagementHandlers) hideReply(ctx context.Context, in *hideReplyInput) (*answer, error) {
	if !plausibleID(in.ID) {
		return nil, noSuchReply()
	}
	cmd := events.HideReply{UserID: userOf(ctx), AccountID: in.AccountID, ID: in.ID, Hide: in.Body.Hide}
	return moderated(send[asks.ReplyState](ctx, h.commands, &in.Change, cmd, in.Body))
}

// Approval says whether a reply may be seen.
type Approval struct {
	Approve bool `json:"approve" doc:"true lets the reply be seen, false sets it aside; that can still be approved later."`
}

type approveReplyInput struct {
	Change
	AccountQuery
	ID   string `path:"id" doc:"The reply: Threads' media id."`
	Body Approval
}

// approveReply lets a reply be seen that waits for approval, or sets it aside.
func (h *engagementHandlers) approveReply(ctx context.Context, in *approveReplyInput) (*answer, error) {
	if !plausibleID(in.ID) {
		return nil, noSuchReply()
	}
	cmd := events.ApproveReply{UserID: userOf(ctx), AccountID: in.AccountID, ID: in.ID, Approve: in.Body.Approve}
	return moderated(send[asks.ReplyState](ctx, h.commands, &in.Change, cmd, in.Body))
}

func moderated(state *asks.ReplyState, commandID string, err error) (*answer, error) {
	switch {
	case err != nil:
		return nil, err
	case state == nil:
		return pending(commandID, ""), nil
	}
	return &answer{Status: http.StatusOK, Body: state}, nil
}

func noSuchReply() error {
	return events.Faultf(events.NotFound, "There is no reply with this id in a conversation of this account.")
}
