package pace

import (
	"fmt"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/posts"
)

// A hundred posts of one account that are due in one second: made and looked at ahead of it, they are never more calls in a
// minute than the simulator's rule call_storm allows, and all are done in time. Those of another account wait for none of it.
func TestPacer(t *testing.T) {
	t.Parallel()
	const posted, callsEach, allowed = 100, 2, 120
	begin := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	due := begin.Add(10 * time.Minute)
	times := posts.Timing{LeadText: 5 * time.Minute}
	c := NewPacer()
	type work struct {
		post *posts.Post
		left int
		at   time.Time
	}
	var all []*work
	for i := range posted {
		p := &posts.Post{ID: fmt.Sprintf("post_%03d", i), AccountID: "acct_1", PublishAt: due}
		all = append(all, &work{p, callsEach, due.Add(-times.Lead(p))})
	}
	var calls []time.Time
	for now := begin; now.Before(due); now = now.Add(100 * time.Millisecond) {
		for _, w := range all {
			if w.left == 0 || w.at.After(now) {
				continue
			}
			if wait := c.Wait(w.post, now); wait > 0 {
				w.at = now.Add(wait)
				continue
			}
			c.Spend(w.post.AccountID, now)
			calls = append(calls, now)
			w.left--
			w.at = now.Add(3 * time.Second)
		}
	}
	if len(calls) != posted*callsEach {
		t.Fatalf("%d of %d calls were made before the posts were due", len(calls), posted*callsEach)
	}
	for i, at := range calls {
		n := 0
		for _, later := range calls[i:] {
			if later.Sub(at) < time.Minute {
				n++
			}
		}
		if n > allowed {
			t.Fatalf("%d calls in the minute after %s", n, at)
		}
	}
	inTheMinute := posted // publish calls, all in the last
	for _, at := range calls {
		if due.Sub(at) < time.Minute {
			inTheMinute++
		}
	}
	if inTheMinute > allowed {
		t.Errorf("%d calls in the minute of the posts", inTheMinute)
	}

	for range 10 * aheadAtOnce {
		c.Spend("acct_1", begin)
	}
	waiting := &posts.Post{AccountID: "acct_1", PublishAt: begin.Add(time.Hour)}
	if c.Wait(waiting, begin) == 0 {
		t.Error("an account that made its calls makes another")
	}
	if wait := c.Wait(&posts.Post{AccountID: "acct_1", PublishAt: begin.Add(unpaced)}, begin); wait != 0 {
		t.Errorf("a post that is soon due waits %s", wait)
	}
	if wait := c.Wait(&posts.Post{AccountID: "acct_2", PublishAt: begin.Add(time.Hour)}, begin); wait != 0 {
		t.Errorf("another account waits %s", wait)
	}
	if wait := c.Wait(&posts.Post{AccountID: "acct_1", PublishAt: begin.Add(unpaced + time.Millisecond)}, begin); wait > time.Millisecond {
		t.Errorf("a post waits %s, which makes it late", wait)
	}
}
