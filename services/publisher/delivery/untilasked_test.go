package delivery

import (
	"testing"
	"time"

	"github.com/omni-write/threads/internal/posts"
)

// A post that is live without a claim of ours is asked for as often as any other.
func TestPausesWithoutAClaim(t *testing.T) {
	t.Parallel()
	c := &confirmer{cfg: Config{SecondCallAfter: 500 * time.Millisecond, FinishedApart: 300 * time.Millisecond}}
	at := time.Now()
	if pause := c.untilAsked(&posts.Post{PublishAt: at, DoubtSince: at, LeasedAt: at.Add(2 * time.Second)}); pause != time.Second {
		t.Errorf("it is asked for again after %s", pause)
	}
}
