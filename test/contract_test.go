package test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus/contract"
)

// keptContract ends the tests of the whole program: every event that the system has emitted keeps to its schema. A system that is
// down has emitted all it will.
func (h *system) keptContract() {
	h.t.Helper()
	if h.main == nil || !h.main.Alive() || h.t.Failed() || h.otherVersions {
		return
	}
	nc, js := h.outside()
	defer nc.Close()
	if _, err := contract.Stream(context.WithoutCancel(h.t.Context()), js, events.StreamEvents); err != nil {
		h.t.Errorf("EVENTS breaks the contract: %v", err)
	}
}

// Whatever a user does, every command and event that follows keeps to its schema.
func TestContract(t *testing.T) {
	t.Parallel()
	h := newSystem(t)
	h.start()
	nc, _ := h.outside()
	t.Cleanup(nc.Close)
	stop, err := contract.Watch(nc)
	if err != nil {
		t.Fatal(err)
	}
	h.connect()
	h.posted(h.schedule("for the contract", time.Second))
	later := h.schedule("for later", time.Hour)
	one := h.url("PORT") + "/api/threads/post/schedule/" + later.ID
	h.call(http.MethodPatch, one, map[string]any{"text": "mended", "media": []map[string]any{{"type": "image", "url": "https://cdn.example/p.jpg", "altText": "a cat"}}}, nil)
	h.call(http.MethodDelete, one, nil, nil)
	var chain events.Post
	h.call(http.MethodPost, h.url("PORT")+"/api/threads/post", map[string]any{"parts": []map[string]any{{"text": "one"}, {"text": "two"}}, "topicTag": "cats"}, &chain)
	h.call(http.MethodDelete, h.url("PORT")+"/api/threads/post/"+chain.ID, nil, nil)
	h.call(http.MethodPost, h.url("PORT")+"/api/threads/refresh", nil, nil)
	h.call(http.MethodDelete, h.url("PORT")+"/api/threads/connection", nil, nil)
	n, err := stop()
	if err != nil {
		t.Error(err)
	}
	if n < 15 {
		t.Errorf("only %d messages were seen", n)
	}
}
