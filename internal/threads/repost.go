package threads

import (
	"context"
	"net/http"
	"net/url"
)

// Repost shares a post again as it is, and returns the repost's own media id. There is no container and no second step,
// so there is nothing to ask after a lost answer but the account's list of posts.
//
// before is as in Publish. The path names the post already when the gate is still shut; so the token, without which
// nothing can happen, is not in the header here but in the body, behind the gate.
//
// https://developers.facebook.com/documentation/threads/posts/reposts
func (c *Client) Repost(ctx context.Context, token Token, mediaID string, before func() error) (repostID string, err error) {
	q := call{
		op:      OpRepost,
		method:  http.MethodPost,
		path:    "/v1.0/" + mediaID + "/repost",
		form:    url.Values{"access_token": {token.Reveal()}},
		secrets: []string{token.Reveal()},
		gate:    &gate{before: before},
	}
	if !isID(mediaID) {
		return "", c.badID(q, mediaID)
	}
	return c.newID(ctx, q)
}
