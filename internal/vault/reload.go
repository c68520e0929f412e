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

// reloader reads a keyset file again when it has changed. It has no goroutine: sealing and opening look at the file.
type reloader struct {
	path string
	log  *zap.Logger

	looked atomic.Int64 // unix nanoseconds
	mu     sync.Mutex
	seen   os.FileInfo
	broken bool // as it is now; the keys in use are older
}

func (r *reloader) first() (*keyring, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.read()
}

// changed reads the file if it is another than it was, and returns its keys; nil when there is nothing new. At other times
// than every second it looks only when it must.
func (r *reloader) changed(must bool) *keyring {
	now, last := time.Now().UnixNano(), r.looked.Load()
	if !must && (now-last < int64(lookEvery) || !r.looked.CompareAndSwap(last, now)) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	info, err := os.Stat(r.path)
	if err == nil && r.seen != nil && os.SameFile(info, r.seen) && info.ModTime().Equal(r.seen.ModTime()) && info.Size() == r.seen.Size() {
		return nil
	}
	keys, err := r.read()
	if err != nil {
		if !r.broken { // once, not at every token
			r.log.Error("the keyset file changed and cannot be used; the keys before it stay in use", zap.String("file", r.path), zap.Error(err))
		}
		r.broken = true
		return nil
	}
	r.broken = false
	r.log.Info("took the keyset file anew", zap.Uint32("primary", keys.primary), zap.Uint32s("keys", keys.ids))
	return keys
}

// read keeps what the file was before it was read: a change in between is seen at the next look.
func (r *reloader) read() (*keyring, error) {
	r.looked.Store(time.Now().UnixNano())
	info, err := os.Stat(r.path)
	if err != nil {
		return nil, fmt.Errorf("look for the keyset file: %w", err)
	}
	content, err := os.ReadFile(r.path)
	if err != nil {
		return nil, fmt.Errorf("read the keyset file: %w", err)
	}
	keys, err := openKeyring(content)
	if err != nil {
		return nil, err
	}
	r.seen = info
	return keys, nil
}
