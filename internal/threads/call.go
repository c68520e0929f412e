package threads

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Names of the calls: Error.Op, the simulator's fault knobs and metrics all use these.
const (
	OpExchange     = "exchange"
	OpExchangeLong = "exchange_long"
	OpRefresh      = "refresh"
	OpDebugToken   = "debug_token"
	OpMe           = "me"
	OpCreate       = "create"
	OpStatus       = "status"
	OpPublish      = "publish"
	OpRepost       = "repost"
	OpMedia        = "media"
	OpPosts        = "posts"
	OpReplies      = "replies"
	OpGhostPosts   = "ghost_posts"
	OpDelete       = "delete"
	OpLimits       = "limits"
)

// maxAnswer bounds what is read of an answer. The largest honest one, a page of 100 posts, is well under it.
const maxAnswer = 1 << 20

// call is one request to Threads.
type call struct {
	op     string
	method string
	path   string
	query  url.Values
	form   url.Values
	// token travels in the Authorization header, never in the URL.
	token Token
	// secrets are further values that must not come back in an error: codes, the app secret, query tokens.
	secrets []string
	// refers says that the call names another post (a reply, a quote); it changes what "not found" means.
	refers bool
	// gate, when set, guards the body of a publish.
	gate *gate
}

// do sends the call once and decodes the answer into out. Every error it returns is an *Error.
func (c *Client) do(ctx context.Context, q call, out any) error {
	timeout := c.cfg.Timeout
	if q.op == OpPublish || q.op == OpRepost {
		timeout = c.cfg.PublishTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	req, err := c.newRequest(ctx, q)
	if err != nil {
		return c.unsent(q, err)
	}
	resp, err := c.http.Do(req)
	if err == nil {
		defer func() { _ = resp.Body.Close() }()
	}
	// The gate is shut whatever came back: an edge may answer before it has read the request, and the transport must
	// not send the rest of it after this call has returned.
	if q.gate != nil && !q.gate.close() {
		return c.unsent(q, q.gate.why(err))
	}
	if err != nil {
		return c.unanswered(q, 0, err)
	}

	body, err := readAnswer(resp.Body)
	if err != nil {
		return c.unanswered(q, resp.StatusCode, err)
	}
	if refused := parseRefusal(resp.StatusCode, body); refused != nil {
		return c.refused(q, resp, refused)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return c.unanswered(q, resp.StatusCode, fmt.Errorf("decode answer: %w", err))
	}
	return nil
}

func (c *Client) newRequest(ctx context.Context, q call) (*http.Request, error) {
	target := c.cfg.BaseURL + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	var body io.Reader
	form := q.form.Encode()
	if q.form != nil {
		body = strings.NewReader(form)
		if q.gate != nil {
			body = q.gate.guard(form)
		}
	}
	req, err := http.NewRequestWithContext(ctx, q.method, target, body)
	if err != nil {
		return nil, err
	}
	if q.form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.ContentLength = int64(len(form))
	}
	if q.token != "" {
		req.Header.Set("Authorization", "Bearer "+q.token.Reveal())
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "omni-write-threads/1")
	return req, nil
}

func readAnswer(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("answer is larger than %d bytes", maxAnswer)
	}
	return bytes.TrimSpace(body), nil
}

// retryAfter reads the header in both its forms. Graph documents none, but an edge in front of it may send one.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	if d, err := time.ParseDuration(v + "s"); err == nil {
		return max(d, 0)
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
