package test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/services/publisher/maintenance"

	"github.com/omni-write/threads/events"
)

// An operator pauses an account, its owner sees that and why, and nothing goes out until it is resumed.
func TestPauseAndReconcile(t *testing.T) {
	t.Parallel()
	h := newSystem(t)
	h.start()
	h.connect()
	live := h.schedule("live before", 0)
	h.posted(live)
	settings := map[string]string{"THREADS_API_URL": h.url("SIMULATOR_PORT"), "TOKEN_KEYSET_FILE": h.keyset()}
	account := live.AccountID

	out := h.mustOp("pause", "--reason", "we look into it", account)
	if !strings.Contains(out, account+" is paused.") {
		t.Errorf("pause says %s", out)
	}
	held := h.schedule("held back", time.Second)
	connection := func() events.Connection {
		var list []events.Connection
		h.call(http.MethodGet, h.url("PORT")+"/api/threads/connections", nil, &list)
		if len(list) != 1 {
			t.Fatalf("there are %d connections", len(list))
		}
		return list[0]
	}
	if c := connection(); c.PausedAt == nil || c.PauseReason != "we look into it" {
		t.Errorf("the owner sees %+v", c)
	}
	h.eventually("the post to wait for its account", func() error {
		var p events.Post
		h.call(http.MethodGet, h.url("PORT")+"/api/threads/post/"+held.ID, nil, &p)
		if p.Reason == nil || p.Reason.Code != events.Paused {
			return &events.Fault{Code: events.Unavailable, Message: string(p.State)}
		}
		return nil
	})
	if n := len(h.arrivals("held back")); n != 0 {
		t.Fatalf("it went out %d times", n)
	}
	var again maintenance.Pause
	if err := json.Unmarshal([]byte(h.mustOp("pause", "--json", account)), &again); err != nil || !again.Already || again.Queued != 1 || again.FirstMissed == nil {
		t.Errorf("pause again says %+v, %v", again, err)
	}
	for _, words := range [][]string{{"pause"}, {"pause", "acct_none"}, {"resume", account, account}, {"reconcile", "--limit", "0"}} {
		if out, err := h.opWith(settings, words...); err == nil {
			t.Errorf("%q passed: %s", words, out)
		}
	}
	if out := h.mustOp("resume", account); !strings.Contains(out, account+" is resumed") {
		t.Errorf("resume says %s", out)
	}
	h.posted(held)
	if c := connection(); c.PausedAt != nil || c.PauseReason != "" {
		t.Errorf("the owner still sees %+v", c)
	}
	for _, fact := range []string{"paused", "resumed"} {
		if told := h.mustOp("replay", "--json", "--fact", fact); strings.Count(told, "\n") != 1 {
			t.Errorf("%s was told as %q", fact, told)
		}
	}

	// A look over the account, in words and as JSON.
	words, err := h.opWith(settings, "reconcile", account)
	if err != nil || !strings.Contains(words, "1 account and 2 posts looked at") {
		t.Errorf("reconcile says %s, %v", words, err)
	}
	var found maintenance.Reconciled
	out, err = h.opWith(settings, "reconcile", "--json", held.ID)
	if err != nil || json.Unmarshal([]byte(out), &found) != nil || found.Posts != 1 || len(found.Differences) != 0 {
		t.Errorf("of one post it says %s, %v", out, err)
	}
	if strings.Contains(words+out, "THAA") {
		t.Error("a token is shown")
	}
}
