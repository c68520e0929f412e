package threads

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// RepliesTo lists the direct replies to a post, hidden ones included.
//
// https://developers.facebook.com/documentation/threads/retrieve-and-manage-replies/replies-and-conversations
func (c *Client) RepliesTo(ctx context.Context, token Token, mediaID string, q ListQuery) (Page, error) {
	return c.repliesOf(ctx, token, OpRepliesTo, mediaID, "replies", othersFields+",hide_status,is_reply_owned_by_me", q)
}

// Conversation lists all that was said below a post of the owner that began a conversation, whatever the depth.
//
// https://developers.facebook.com/documentation/threads/retrieve-and-manage-replies/replies-and-conversations
func (c *Client) Conversation(ctx context.Context, token Token, mediaID string, q ListQuery) (Page, error) {
	return c.repliesOf(ctx, token, OpConversation, mediaID, "conversation",
		replyFields+",username,has_replies,root_post,hide_status,is_reply_owned_by_me", q)
}

// What became of a reply that needs the author's approval.
const (
	ApprovalPending = "pending"
	ApprovalIgnored = "ignored"
)

// PendingReplies lists the replies that wait for approval, and those that were ignored; status, when not empty, picks one
// of the two.
//
// https://developers.facebook.com/documentation/threads/reply-management
func (c *Client) PendingReplies(ctx context.Context, token Token, mediaID, status string, l ListQuery) (Page, error) {
	q := c.repliesCall(token, OpPendingReplies, mediaID, "pending_replies", replyFields+",username,reply_approval_status", l)
	if status != "" {
		q.query.Set("approval_status", status)
	}
	if !isID(mediaID) {
		return Page{}, c.badID(q, mediaID)
	}
	return c.page(ctx, q)
}

func (c *Client) repliesOf(ctx context.Context, token Token, op, mediaID, edge, fields string, l ListQuery) (Page, error) {
	q := c.repliesCall(token, op, mediaID, edge, fields, l)
	if !isID(mediaID) {
		return Page{}, c.badID(q, mediaID)
	}
	return c.page(ctx, q)
}

func (c *Client) repliesCall(token Token, op, mediaID, edge, fields string, l ListQuery) call {
	query := l.values()
	query.Set("fields", fields)
	return call{op: op, method: http.MethodGet, path: "/v1.0/" + mediaID + "/" + edge, query: query, token: token}
}

// Hide hides a top-level reply to a post of the owner, and what was said below it, or shows it again.
//
// https://developers.facebook.com/documentation/threads/reply-management
func (c *Client) Hide(ctx context.Context, token Token, replyID string, hide bool) error {
	return c.manage(ctx, token, OpHideReply, replyID, "manage_reply", "hide", hide)
}

// Approve lets a pending reply be seen, or ignores it. An ignored one may still be approved.
//
// https://developers.facebook.com/documentation/threads/reply-management
func (c *Client) Approve(ctx context.Context, token Token, replyID string, approve bool) error {
	return c.manage(ctx, token, OpApproveReply, replyID, "manage_pending_reply", "approve", approve)
}

func (c *Client) manage(ctx context.Context, token Token, op, replyID, edge, param string, value bool) error {
	q := call{
		op: op, method: http.MethodPost, path: "/v1.0/" + replyID + "/" + edge,
		form: url.Values{param: {strconv.FormatBool(value)}}, token: token,
	}
	if !isID(replyID) {
		return c.badID(q, replyID)
	}
	return c.confirmed(ctx, q)
}
