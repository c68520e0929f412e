package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/omni-write/threads/events"
)

// Pending is returned by a command's handler that has taken the command on and tells the outcome later, with Reply.
var Pending = errors.New("the outcome is told later") //nolint:errname // reads as a word of the handler: return nil, bus.Pending

// later is returned by a handler that wants the message again after a while.
type later struct{ after time.Duration }

func (l later) Error() string { return fmt.Sprintf("again in %s", l.after) }

// Later asks for the message again after d. It is no failure, however often it is said.
func Later(d time.Duration) error { return later{after: d} }

// PutOff says whether an error asks for the message again, and after how long.
func PutOff(err error) (after time.Duration, ok bool) {
	var l later
	ok = errors.As(err, &l)
	return l.after, ok
}

// verb is what becomes of a message.
type verb int

const (
	ack   verb = iota // done with
	nak               // again, after a delay
	aside             // nobody can handle it: to DEAD, then terminated
)

// verdict is what a handler's returned value means for its message.
type verdict struct {
	verb  verb
	delay time.Duration
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

// judge is the table: returned value → what becomes of the message.
func judge(ctx context.Context, err error, deliveries uint64) verdict {
	var again later
	var f *events.Fault
	switch {
	case err == nil:
		return verdict{verb: ack, quiet: true}
	case errors.Is(err, Pending):
		return verdict{verb: ack, pending: true, quiet: true}
	case errors.Is(err, errUndecodable):
		return verdict{verb: aside, fault: internalFault()}
	case errors.As(err, &again):
		return verdict{verb: nak, delay: max(again.after, time.Millisecond), quiet: true}
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return verdict{verb: nak, quiet: true} // interrupted by the shutdown: at once, for another instance
	case errors.As(err, &f) && f.Code != events.Unavailable && f.Code != events.Internal:
		return verdict{verb: ack, fault: f, quiet: true} // a refusal is an outcome
	}
	return verdict{verb: nak, delay: retryDelay(deliveries), failed: true}
}

// weigh decides over a command that failed. Only what fails while all that we depend on is well can be the command's own
// fault: after enough of that it is set aside. An outage is waited for, for ever.
func (h *hands) weigh(d Delivery, err error, v verdict) verdict {
	switch {
	case h.bus.outage(err):
		v.delay = min(v.delay, outageDelay)
	case d.Stream == events.StreamCommands && h.failures.add(d.Sequence, time.Now()) >= h.options.CommandDeliveries:
		return verdict{verb: aside, fault: internalFault()}
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
