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
// the gate is still shut. So what is behind the gate is the token: it goes in the body, where it is documented as well,
// and not in the header. How sure that is: a call without a token is refused before anything else is looked at, and a
// body that stays short of its Content-Length is no request. That the edge waits for the body is not documented; but
// without the token, it makes no difference.
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
