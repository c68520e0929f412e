package threads

import (
	"context"
	"net/http"
	"net/url"
)

// Repost shares a post again as it is, and returns the repost's own media id. There is no container and no second step,
// so there is nothing to ask after a lost answer but the account's list of posts.
//
// before is as in Publish, and so are the errors. But here the path says what to do, and is written with the headers while
// the gate is still shut. So the token is what is kept behind it: in the body, where Threads takes it as well, and not in
// the header. How sure that is: whether Threads waits for a body before it acts is not documented, and does not matter,
// since every call needs a token and what was sent until then has none.
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
