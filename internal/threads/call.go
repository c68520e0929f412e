package threads

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Names of the calls: Error.Op, the simulator's fault knobs and metrics all use these.
const (
	OpExchange        = "exchange"
	OpExchangeLong    = "exchange_long"
	OpRefresh         = "refresh"
	OpDebugToken      = "debug_token"
	OpMe              = "me"
	OpCreate          = "create"
	OpStatus          = "status"
	OpPublish         = "publish"
	OpRepost          = "repost"
	OpDelete          = "delete"
	OpMedia           = "media"
	OpPosts           = "posts"
	OpReplies         = "replies"
	OpGhostPosts      = "ghost_posts"
	OpMentions        = "mentions"
	OpRepliesTo       = "replies_to"
	OpConversation    = "conversation"
	OpPendingReplies  = "pending_replies"
	OpHideReply       = "hide_reply"
	OpApproveReply    = "approve_reply"
	OpSearch          = "search"
	OpProfileLookup   = "profile_lookup"
	OpProfilePosts    = "profile_posts"
	OpLocationSearch  = "location_search"
	OpMediaInsights   = "media_insights"
	OpAccountInsights = "account_insights"
	OpLimits          = "limits"
)

// Ops are all of them.
var Ops = []string{
	OpExchange, OpExchangeLong, OpRefresh, OpDebugToken, OpMe, OpCreate, OpStatus, OpPublish,
	OpRepost, OpDelete, OpMedia, OpPosts, OpReplies, OpGhostPosts, OpMentions, OpRepliesTo, OpConversation, OpPendingReplies,
	OpHideReply, OpApproveReply, OpSearch, OpProfileLookup, OpProfilePosts, OpLocationSearch, OpMediaInsights,
	OpAccountInsights, OpLimits,
}

// goesLive says whether a call makes something that the world sees: its failure may hide a success.
func goesLive(op string) bool { return op == OpPublish || op == OpRepost }

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
	// gate, when set, guards the body of a call that makes something live.
	gate *gate
}

// do makes the call once and decodes the answer into out. Every error it returns is an *Error.
func (c *Client) do(ctx context.Context, q call, out any) error {
	began := time.Now()
	ctx, span := beginCall(ctx, q)
	err := c.send(ctx, q, out)
	endCall(span, err)
	measure(q.op, err, time.Since(began))
	return err
}

func (c *Client) send(ctx context.Context, q call, out any) error {
	timeout := c.cfg.Timeout
	if goesLive(q.op) {
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

// reading is a call that only asks.
func reading(token Token, op, path string, query url.Values) call {
	return call{op: op, method: http.MethodGet, path: "/v1.0/" + path, query: query, token: token}
}

// confirmed makes a call that is answered {"success":true}.
func (c *Client) confirmed(ctx context.Context, q call) error {
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

// retryAfter reads the header in both its forms. Graph documents none, but an edge in front of it may send one. Without it
// Graph's own way of saying how long counts.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return regain(h)
	}
	if d, err := time.ParseDuration(v + "s"); err == nil {
		return max(d, 0)
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// regain is the longest time until access comes back, of all that the usage header tells in minutes. Budgets are those of
// a moving day, so it is never more than one. Whether Threads sends the header is not known.
//
// https://developers.facebook.com/docs/graph-api/overview/rate-limiting/
func regain(h http.Header) time.Duration {
	var usage map[string][]struct {
		Minutes number `json:"estimated_time_to_regain_access"`
	}
	if json.Unmarshal([]byte(h.Get("X-Business-Use-Case-Usage")), &usage) != nil {
		return 0
	}
	var longest number
	for _, of := range usage {
		for _, u := range of {
			longest = max(longest, u.Minutes)
		}
	}
	return time.Duration(min(longest, 24*60) * number(time.Minute))
}
