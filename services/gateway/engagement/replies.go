package engagement

import (
	"context"
	"net/http"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/services/gateway/accounts"
	"github.com/omni-write/threads/services/gateway/command"
	"github.com/omni-write/threads/services/gateway/posts"
	"github.com/omni-write/threads/services/gateway/signin"
)

type listRepliesInput struct {
	accounts.AccountQuery
	Paged
	ID      string `path:"id" doc:"The post: our id, or Threads' media id."`
	View    string `query:"view" enum:"replies,conversation" doc:"replies: the direct ones, the default. conversation: those of every depth, of a post that began one."`
	Pending bool   `query:"pending" doc:"Those that wait for your approval, or that you ignored."`
	Status  string `query:"status" enum:"pending,ignored" doc:"With pending: only those."`
	Order   string `query:"order" enum:"newest,oldest" doc:"Which come first. Left out: the newest."`
}

// ListReplies shows what was said below a post.
func (h *Handlers) ListReplies(ctx context.Context, in *listRepliesInput) (*threadsPageOutput, error) {
	if !posts.PlausibleID(in.ID) {
		return nil, posts.NoSuchPost()
	}
	return h.threadsPage(ctx, &in.Paged, asks.ListReplies{
		UserID: signin.UserOf(ctx), AccountID: in.AccountID, ID: in.ID, Conversation: in.View == "conversation",
		Pending: in.Pending, Status: in.Status, OldestFirst: in.Order == "oldest", Limit: in.Limit, After: in.After,
	})
}

// Hiding says whether a reply is hidden.
type Hiding struct {
	Hide bool `json:"hide" doc:"true hides the reply and what was said below it, false shows it again."`
}

type hideReplyInput struct {
	command.Change
	accounts.AccountQuery
	ID   string `path:"id" doc:"The reply: Threads' media id, or ours."`
	Body Hiding
}

// HideReply hides a reply in one of the account's conversations, or shows it again.
func (h *Handlers) HideReply(ctx context.Context, in *hideReplyInput) (*command.Answer, error) {
	if !posts.PlausibleID(in.ID) {
		return nil, noSuchReply()
	}
	cmd := events.HideReply{UserID: signin.UserOf(ctx), AccountID: in.AccountID, ID: in.ID, Hide: in.Body.Hide}
	return moderated(command.Send[asks.ReplyState](ctx, h.Commands, &in.Change, cmd, in.Body))
}

// Approval says whether a reply may be seen.
type Approval struct {
	Approve bool `json:"approve" doc:"true lets the reply be seen, false sets it aside; that can still be approved later."`
}

type approveReplyInput struct {
	command.Change
	accounts.AccountQuery
	ID   string `path:"id" doc:"The reply: Threads' media id."`
	Body Approval
}

// ApproveReply lets a reply be seen that waits for approval, or sets it aside.
func (h *Handlers) ApproveReply(ctx context.Context, in *approveReplyInput) (*command.Answer, error) {
	if !posts.PlausibleID(in.ID) {
		return nil, noSuchReply()
	}
	cmd := events.ApproveReply{UserID: signin.UserOf(ctx), AccountID: in.AccountID, ID: in.ID, Approve: in.Body.Approve}
	return moderated(command.Send[asks.ReplyState](ctx, h.Commands, &in.Change, cmd, in.Body))
}

func moderated(state *asks.ReplyState, commandID string, err error) (*command.Answer, error) {
	switch {
	case err != nil:
		return nil, err
	case state == nil:
		return command.StillPending(commandID, ""), nil
	}
	return &command.Answer{Status: http.StatusOK, Body: state}, nil
}

func noSuchReply() error {
	return events.Faultf(events.NotFound, "There is no reply with this id in a conversation of this account.")
}
