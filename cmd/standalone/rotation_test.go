package standalone_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/ops/keys"
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/vault"
)

// A whole rotation by the command an operator uses, while posts go out and tokens are refreshed without a pause.
func TestRotation(t *testing.T) {
	h := newSystem(t)
	const people = 4
	for i := range people {
		h.connect(fmt.Sprint("user", i), fmt.Sprint("person", i))
	}
	h.webhook("user0")

	var stop atomic.Bool
	var posted, refreshed atomic.Int64
	var work sync.WaitGroup
	for i := range people {
		user := fmt.Sprint("user", i)
		work.Go(func() {
			for n := 0; !stop.Load(); n++ {
				var p events.Post
				status, answer := h.call(user, http.MethodPost, "/api/threads/post", map[string]any{"text": fmt.Sprint("post ", n)})
				if err := json.Unmarshal(answer, &p); err != nil || status != http.StatusCreated || p.Status != events.StatusPosted {
					t.Errorf("a post during the rotation: %d %s", status, answer)
					return
				}
				posted.Add(1)
			}
		})
	}
	work.Go(func() {
		for n := 0; !stop.Load(); n++ {
			h.aged()
			user := fmt.Sprint("user", n%people)
			if status, answer := h.call(user, http.MethodPost, "/api/threads/refresh", map[string]any{}); status != http.StatusOK {
				t.Errorf("a refresh during the rotation: %d %s", status, answer)
				return
			}
			refreshed.Add(1)
		}
	})

	var out bytes.Buffer
	command := keys.Command{File: vault.KeysetFile{Path: h.keysetPath()}, Out: &out,
		Count: func(ctx context.Context) (map[uint32]int, error) { return accounts.SealedWith(ctx, h.db) }}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	before, err := command.File.Keys()
	if err != nil {
		t.Fatal(err)
	}
	must(command.Add())
	after, err := command.File.Keys()
	if err != nil || len(after) != 2 {
		t.Fatal(after, err)
	}
	old, fresh := before[0].ID, after[1].ID
	must(command.Promote(fresh))
	waiting.Until(h, "nothing is left under the old key", func() bool {
		counts, err := accounts.SealedWith(t.Context(), h.db)
		if err != nil {
			t.Fatal(err)
		}
		return counts[old] == 0 && counts[fresh] == people+1
	})
	must(command.Retire(t.Context(), old, false))
	must(command.Status(t.Context(), false))
	at, re := posted.Load(), refreshed.Load()
	waiting.Until(h, "posts and refreshes go on after it", func() bool { return posted.Load() > at+people && refreshed.Load() > re+2 })
	stop.Store(true)
	work.Wait()

	for i := range people {
		var c events.Connection
		h.must(http.StatusOK, fmt.Sprint("user", i), http.MethodGet, "/api/threads/connection", nil, &c)
		if c.Status != events.ConnectionActive {
			t.Errorf("person%d is %s", i, c.Status)
		}
	}
	if n := len(h.sim.Posts()); int64(n) != posted.Load() {
		t.Errorf("%d posts are on Threads, %d were answered", n, posted.Load())
	}
	for _, line := range h.logs.FilterLevelExact(zap.ErrorLevel).All() {
		t.Errorf("logged as an error: %s %v", line.Message, line.ContextMap())
	}
	t.Logf("a rotation; meanwhile %d posts and %d refreshes\n%s", posted.Load(), refreshed.Load(), out.String())
}
