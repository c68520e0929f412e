package subprocess

import (
	"bytes"
	"sync"
)

// Output keeps what children say, for whoever asks meanwhile.
type Output struct {
	mu  sync.Mutex
	buf bytes.Buffer // not embedded: its ReadFrom would go past the lock
}

// Write implements [io.Writer].
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// String is what was said so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
