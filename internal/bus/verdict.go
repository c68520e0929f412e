package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/omni-write/threads/events"
)

// Pending is returned by a command's handler that has taken the command on and sends the outcome later, with Reply.
var Pending = errors.New("the outcome is sent later") //nolint:errname // reads as a word of the handler: return nil, bus.Pending

// later is returned by a handler that wants the message again after a while.
type later struct{ after time.Duration }

func (l later) Error() string { return fmt.Sprintf("again in %s", l.after) }

// Later asks for the message again after d. It is no failure, however often it is said.
func Later(d time.Duration) error { return later{after: d} }

// DelayOf says whether an error asks for the message again, and after how long.
func DelayOf(err error) (after time.Duration, ok bool) {
	var l later
	ok = errors.As(err, &l)
	return l.after, ok
}

// action is what becomes of a message.
type action int

const (
	actionAck        action = iota // done with
	actionNak                      // again, after a delay
	actionDeadLetter               // nobody can handle it: to DEAD, then terminated
)

// verdict is what a handler's returned value means for its message.
type verdict struct {
	action action
	delay  time.Duration
	// fault is the outcome of a command that was refused; pending that its outcome comes later.
	fault   *events.Fault
	pending bool
	quiet   bool // nothing went wrong
	failed  bool // it did not work, and nobody has asked yet whose fault that is
}

// errUndecodable marks a message that no later delivery can save.
var errUndecodable = errors.New("undecodable")

const (
	firstDelay = time.Second
	maxDelay   = 5 * time.Minute
	// outageDelay is the longest pause while what we depend on is away: what was accepted goes on soon after its return.
	outageDelay = 10 * time.Second
)

// decide is the table: returned value → what becomes of the message.
func decide(ctx context.Context, err error, deliveries uint64) verdict {
	var again later
	var f *events.Fault
	switch {
	case err == nil:
		return verdict{action: actionAck, quiet: true}
	case errors.Is(err, Pending):
		return verdict{action: actionAck, pending: true, quiet: true}
	case errors.Is(err, errUndecodable):
		return verdict{action: actionDeadLetter, fault: internalFault()}
	case errors.As(err, &again):
		return verdict{action: actionNak, delay: max(again.after, time.Millisecond), quiet: true}
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return verdict{action: actionNak, quiet: true} // interrupted by the shutdown: at once, for another instance
	case errors.As(err, &f) && f.Code != events.Unavailable && f.Code != events.Internal:
		return verdict{action: actionAck, fault: f, quiet: true} // a refusal is an outcome
	}
	return verdict{action: actionNak, delay: retryDelay(deliveries), failed: true}
}

// decideFailed decides about a message whose handler failed. Only what fails while all that we depend on is well can be a
// command's own fault: after enough of that it becomes a dead letter. An outage is waited for, for ever.
func (c *consumer) decideFailed(d Delivery, err error, v verdict) verdict {
	switch {
	case c.bus.outage(err):
		v.delay = min(v.delay, outageDelay)
	case d.Stream == events.StreamCommands && c.failures.add(d.Sequence, time.Now()) >= c.options.CommandDeliveries:
		return verdict{action: actionDeadLetter, fault: internalFault()}
	}
	return v
}

// retryDelay is 1 s, doubling with each delivery, to 5 min.
func retryDelay(deliveries uint64) time.Duration {
	if deliveries > 9 {
		return maxDelay
	}
	return min(firstDelay<<max(deliveries, 1)>>1, maxDelay)
}
