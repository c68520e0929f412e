package threads

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Media is a published post as Threads shows it. What Threads leaves out is zero; Permalink may be missing for some
// seconds after a publish, and for ever on flagged media.
type Media struct {
	ID        string
	Permalink string
	Shortcode string
	Text      string
	// MediaType is TEXT_POST, IMAGE, VIDEO, CAROUSEL_ALBUM, REPOST_FACADE or a word yet to come.
	MediaType string
	Timestamp time.Time
	// ChildIDs of a carousel equal the ids of its child containers as far as anyone has seen.
	ChildIDs   []string
	IsReply    bool
	ReplyToID  string
	QuotedID   string
	RepostedID string
}

// Lists of top-level posts are asked without the reply fields: those belong to another permission, and one field too
// many fails the whole call.
const (
	postFields  = "id,permalink,shortcode,text,media_type,timestamp,children,is_quote_post,quoted_post,reposted_post"
	replyFields = postFields + ",is_reply,replied_to"
)

// Media reads one post of the token's owner.
//
// https://developers.facebook.com/documentation/threads/reference/media-retrieval
func (c *Client) Media(ctx context.Context, token Token, mediaID string) (Media, error) {
	q := call{
		op:     OpMedia,
		method: http.MethodGet,
		path:   "/v1.0/" + mediaID,
		query:  url.Values{"fields": {replyFields}},
		token:  token,
	}
	if !isID(mediaID) {
		return Media{}, c.badID(q, mediaID)
	}
	var answer wireMedia
	if err := c.do(ctx, q, &answer); err != nil {
		return Media{}, err
	}
	if answer.ID == "" {
		return Media{}, c.unanswered(q, http.StatusOK, errors.New("answer without an id"))
	}
	return answer.media(), nil
}

// ListQuery narrows a list. Zero fields are not sent; Threads' default limit is 25, its largest 100.
type ListQuery struct {
	Since, Until time.Time
	After        string
	Limit        int
}

// Page is one page of a list, newest first. After is empty on the last page.
type Page struct {
	Data  []Media
	After string
}

// Posts lists the owner's top-level posts, quotes and reposts. Replies are not among them.
//
// https://developers.facebook.com/documentation/threads/retrieve-and-discover-posts/retrieve-posts
func (c *Client) Posts(ctx context.Context, token Token, q ListQuery) (Page, error) {
	return c.list(ctx, token, OpPosts, "/v1.0/me/threads", postFields, q)
}

// Replies lists the replies the owner wrote.
//
// https://developers.facebook.com/documentation/threads/retrieve-and-manage-replies/retrieve-replies
func (c *Client) Replies(ctx context.Context, token Token, q ListQuery) (Page, error) {
	return c.list(ctx, token, OpReplies, "/v1.0/me/replies", replyFields, q)
}

// GhostPosts lists the owner's ghost posts, those that vanish after a day.
//
// https://developers.facebook.com/documentation/threads/create-posts/ghost-posts
func (c *Client) GhostPosts(ctx context.Context, token Token, q ListQuery) (Page, error) {
	return c.list(ctx, token, OpGhostPosts, "/v1.0/me/ghost_posts", postFields, q)
}

func (c *Client) list(ctx context.Context, token Token, op, path, fields string, l ListQuery) (Page, error) {
	query := url.Values{"fields": {fields}}
	if !l.Since.IsZero() {
		query.Set("since", strconv.FormatInt(l.Since.Unix(), 10))
	}
	if !l.Until.IsZero() {
		query.Set("until", strconv.FormatInt(l.Until.Unix(), 10))
	}
	if l.After != "" {
		query.Set("after", l.After)
	}
	if l.Limit > 0 {
		query.Set("limit", strconv.Itoa(min(l.Limit, 100)))
	}
	q := call{op: op, method: http.MethodGet, path: path, query: query, token: token}
	var answer struct {
		Data   []wireMedia `json:"data"`
		Paging struct {
			Cursors struct {
				After string `json:"after"`
			} `json:"cursors"`
		} `json:"paging"`
	}
	if err := c.do(ctx, q, &answer); err != nil {
		return Page{}, err
	}
	page := Page{Data: make([]Media, 0, len(answer.Data))}
	for _, m := range answer.Data {
		page.Data = append(page.Data, m.media())
	}
	// Cursors come even with the last page, and "next" not with every page that has a successor: only an empty page
	// proves the end. One call more, and no post is overlooked.
	if len(page.Data) > 0 {
		page.After = answer.Paging.Cursors.After
	}
	return page, nil
}

// Delete removes a post for good. An error of class NotFound after an earlier try means that the earlier try worked.
//
// https://developers.facebook.com/documentation/threads/posts/delete-posts
func (c *Client) Delete(ctx context.Context, token Token, mediaID string) error {
	q := call{op: OpDelete, method: http.MethodDelete, path: "/v1.0/" + mediaID, token: token}
	if !isID(mediaID) {
		return c.badID(q, mediaID)
	}
	var answer struct {
		Success bool `json:"success"`
	}
	if err := c.do(ctx, q, &answer); err != nil {
		return err
	}
	if !answer.Success {
		return c.unanswered(q, http.StatusOK, errors.New("answer without success"))
	}
	return nil
}
