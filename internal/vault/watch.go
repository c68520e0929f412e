package vault

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// lookEvery is how often a keyset file is looked at, for a new modification time or size or another file in its place.
const lookEvery = time.Second

// watched is a keyset file that may change under a running process. Nothing runs for it: who seals or opens looks.
type watched struct {
	path string
	log  *zap.Logger

	looked atomic.Int64 // unix nanoseconds
	mu     sync.Mutex
	seen   os.FileInfo
	broken bool // as it is now; the keys in use are older
}

func (w *watched) first() (*ring, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.read()
}

// changed reads the file if it is another than it was, and returns its keys; nil when there is nothing new. At other times
// than every second it looks only when it must.
func (w *watched) changed(must bool) *ring {
	now, last := time.Now().UnixNano(), w.looked.Load()
	if !must && (now-last < int64(lookEvery) || !w.looked.CompareAndSwap(last, now)) {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	info, err := os.Stat(w.path)
	if err == nil && w.seen != nil && os.SameFile(info, w.seen) && info.ModTime().Equal(w.seen.ModTime()) && info.Size() == w.seen.Size() {
		return nil
	}
	keys, err := w.read()
	if err != nil {
		if !w.broken { // once, not at every token
			w.log.Error("the keyset file changed and cannot be used; the keys before it stay in use", zap.String("file", w.path), zap.Error(err))
		}
		w.broken = true
		return nil
	}
	w.broken = false
	w.log.Info("took the keyset file anew", zap.Uint32("primary", keys.primary), zap.Uint32s("keys", keys.ids))
	return keys
}

// read keeps what the file was before it was read: a change in between is seen at the next look.
func (w *watched) read() (*ring, error) {
	w.looked.Store(time.Now().UnixNano())
	info, err := os.Stat(w.path)
	if err != nil {
		return nil, fmt.Errorf("look for the keyset file: %w", err)
	}
	content, err := os.ReadFile(w.path)
	if err != nil {
		return nil, fmt.Errorf("read the keyset file: %w", err)
	}
	keys, err := openRing(content)
	if err != nil {
		return nil, err
	}
	w.seen = info
	return keys, nil
}
