package pace

import "sync"

// Backlog are posts whose answer was saved in a rush, and is emitted when that is over: what Threads is asked, written and emitted for them
// meanwhile would make others late. Nothing but their ids is kept. Their rows say the same, so what a process leaves behind when it dies
// is found by the sweep.
type Backlog struct {
	mu     sync.Mutex
	ids    []string
	closed bool
	Added  chan struct{} // has room for one: there is something to take
}

// maxBacklog is how many posts may wait so; the next one does not.
const maxBacklog = 50_000

// NewBacklog makes an empty one.
func NewBacklog() *Backlog { return &Backlog{Added: make(chan struct{}, 1)} }

// Add says whether the post waits.
func (b *Backlog) Add(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.ids) >= maxBacklog {
		return false
	}
	b.ids = append(b.ids, id)
	select {
	case b.Added <- struct{}{}:
	default:
	}
	return true
}

// Take takes all of them out.
func (b *Backlog) Take() (ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids, b.ids = b.ids, nil
	return ids
}

// Close has no more wait.
func (b *Backlog) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}
