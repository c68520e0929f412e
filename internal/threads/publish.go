package threads

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
)

// ErrNotSent marks an error after which Threads cannot have acted: nothing that names the container has left this
// process. It is the only kind of failed publish that may be repeated without asking Threads first.
var ErrNotSent = errors.New("not sent")

// errEarlyAnswer is the reason of an unsent call that was answered all the same, by an edge in front of Threads.
var errEarlyAnswer = errors.New("answered before the request was read")

// errGateShut is what a transport sees that asks for the body after the call was already given up.
var errGateShut = errors.New("the call was given up")

// Publish makes a FINISHED container a post and returns the post's media id.
//
// before (may be nil) is the caller's last word. It runs once, when a connection to Threads stands and the next bytes
// to be written are the container's id; if it returns an error the call is abandoned and the error satisfies both
// errors.Is(err, ErrNotSent) and errors.Is(err, that error). It runs on a goroutine of the transport, must be quick,
// and must not call back into what waits for Publish.
//
// Publish never sends twice. Any error that may hide a live post has class Ambiguous.
//
// https://developers.facebook.com/documentation/threads/reference/publishing
func (c *Client) Publish(ctx context.Context, token Token, containerID string, before func() error) (mediaID string, err error) {
	q := call{
		op:     OpPublish,
		method: http.MethodPost,
		path:   "/v1.0/me/threads_publish",
		form:   url.Values{"creation_id": {containerID}},
		token:  token,
		gate:   &gate{before: before},
	}
	if !isID(containerID) {
		return "", c.badID(q, containerID)
	}
	return c.newID(ctx, q)
}

// newID makes a call that is answered with the id of what it made.
func (c *Client) newID(ctx context.Context, q call) (string, error) {
	var answer struct {
		ID id `json:"id"`
	}
	if err := c.do(ctx, q, &answer); err != nil {
		return "", err
	}
	if answer.ID == "" {
		return "", c.unanswered(q, http.StatusOK, errors.New("answer without an id"))
	}
	return string(answer.ID), nil
}

// gate is the request body of a publish, and the point of no return.
//
// The container's id is in the body and nowhere else, so until the transport reads the body Threads cannot publish
// anything. That first Read is therefore the latest moment at which the call can still be called off for sure: dialing,
// TLS and the headers lie behind it, a few dozen bytes before it. It also tells sent from unsent afterwards.
//
// The same type keeps net/http from replaying the call. The transport repeats a request on a fresh connection only if
// it can rewind the body (GetBody, which NewRequest sets for its own reader types but not for this one), or if the
// request is idempotent (GET and the like, or an Idempotency-Key header, which is why we never set that header).
type gate struct {
	before func() error

	mu     sync.Mutex
	opened bool
	shut   bool
	err    error
	body   string
}

// guard loads the gate and returns it as a body.
func (g *gate) guard(body string) io.ReadCloser {
	g.body = body
	return g
}

func (g *gate) Read(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.opened {
		// After a cancellation the transport's write loop may get here late. Once the call has been reported as unsent,
		// it must stay unsent.
		if g.shut {
			return 0, errGateShut
		}
		if g.before != nil {
			if err := g.before(); err != nil {
				g.shut, g.err = true, err
				return 0, err
			}
		}
		g.opened = true
	}
	if g.body == "" {
		return 0, io.EOF
	}
	n := copy(p, g.body)
	g.body = g.body[n:]
	return n, nil
}

// Close is the transport's. It says nothing about whether the body was read.
func (g *gate) Close() error { return nil }

// close shuts the gate for good and reports whether the body had been handed out before.
func (g *gate) close() (sent bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	return g.opened
}

// why names the reason of an unsent call: the error of before if there is one, else the transport's.
func (g *gate) why(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.err != nil:
		return g.err
	case err != nil:
		return err
	}
	return errEarlyAnswer
}
