package bus

import (
	"sync"
	"time"
)

// failures counts how often this process has seen each message of a durable fail while all that it depends on was well.
// JetStream's own count of deliveries grows with every outage and every wait, so it says nothing about the message. The
// count is this process' alone: a restart begins anew, and of several processes one has to see all failures. Both only
// make a message that cannot be handled stay longer; neither can lose one that can.
type failures struct {
	mu         sync.Mutex
	young, old map[uint64]uint64 // by sequence; two generations, so that what other processes finished is forgotten
	turned     time.Time
}

// failureGeneration is longer than any pause between two deliveries.
const failureGeneration = 2 * maxDelay

// add counts a failure and returns the number so far.
func (f *failures) add(sequence uint64, now time.Time) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.young == nil || now.Sub(f.turned) > failureGeneration {
		f.young, f.old, f.turned = map[uint64]uint64{}, f.young, now
	}
	n := max(f.young[sequence], f.old[sequence]) + 1
	f.young[sequence] = n
	return n
}

// forget ends the count of a message that is done with.
func (f *failures) forget(sequence uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.young, sequence)
	delete(f.old, sequence)
}
