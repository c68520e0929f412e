package draft

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// queues knows about how many posts of each account wait to go out, so that not every acceptance has to count them.
type queues struct {
	most int // 0: no limit

	mu    sync.Mutex
	known map[string]*queue
}

// queue is an account's: what was counted, and what was accepted since.
type queue struct {
	posts int
	at    time.Time
}

const (
	// recountAfter is how long a count is believed. Other publishers accept meanwhile, and posts go out.
	recountAfter = 5 * time.Second
	// recountNear is how near to the limit, as a part of it, nothing is believed.
	recountNear = 0.9
	// mostQueues bounds the memory: with more, all are counted anew.
	mostQueues = 10_000
)

func newQueues(most int) *queues { return &queues{most: most, known: map[string]*queue{}} }

// CheckQueue refuses another post of an account that has as many in its queue as it may have.
func (s *Service) CheckQueue(ctx context.Context, db bun.IDB, account string) error {
	if s.cfg.QueuedPerAccount == 0 || s.queues.room(account, s.now()) {
		return nil
	}
	n, err := s.posts.Waiting(ctx, db, account, s.cfg.QueuedPerAccount)
	if err != nil {
		return err
	}
	s.queues.counted(account, n, s.now())
	if n < s.cfg.QueuedPerAccount {
		return nil
	}
	words := fmt.Sprintf("This account has %d posts in its queue, the most that it may have; cancel some, or come back when some have gone out.", n)
	return events.Faultf(events.Conflict, "%s", words).At("/accountId", "queue_full", words)
}

// room says that there surely is room for one more, and counts it.
func (q *queues) room(account string, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	k, ok := q.known[account]
	if !ok || now.Sub(k.at) >= recountAfter || float64(k.posts) >= recountNear*float64(q.most) {
		return false
	}
	k.posts++
	return true
}

func (q *queues) counted(account string, n int, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.known) >= mostQueues {
		q.known = map[string]*queue{}
	}
	q.known[account] = &queue{posts: n + 1, at: now}
}
