package threadssim

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// Kinds of faults. At most one that decides the answer fires per call; latency and processing go with any.
const (
	// DropResponse commits, then cuts the connection.
	DropResponse = "drop_response"
	// DropRequest cuts the connection before anything happened.
	DropRequest = "drop_request"
	// ErrorAfterCommit commits, then answers an error: HTTP 500 code 10 unless the fault says otherwise. A call that is
	// refused anyway keeps its own refusal.
	ErrorAfterCommit = "error_after_commit"
	// ErrorBeforeCommit answers an error and nothing happened: HTTP 500 code 2 unless the fault says otherwise.
	ErrorBeforeCommit = "error_before_commit"
	// NotFound answers 24/4279009 and nothing happened.
	NotFound = "not_found"
	// Edge5xx answers the HTML of an edge, HTTP 502 by default, and nothing happened.
	Edge5xx = "edge_5xx"
	// Latency holds the answer back by DelayMS, after the commit.
	Latency = "latency"
	// ProcessingTime makes a new container take DelayMS, and end in ERROR when Failure is set.
	ProcessingTime = "processing"
)

// Fault is one misbehaviour, exact to the call: the Nth matching call from now on and, with Times, those after it.
type Fault struct {
	// ID is given by the simulator.
	ID int `json:"id"`
	// Op is the name of a call, as in threads.OpPublish.
	Op   string `json:"op"`
	Kind string `json:"kind"`
	// Nth is the first matching call to misbehave, 1 (the default) being the next. Times is how many do; default 1.
	Nth   int `json:"nth,omitempty"`
	Times int `json:"times,omitempty"`
	// UserID restricts the fault to the calls of one user. Token calls have no user yet.
	UserID  string `json:"user_id,omitempty"`
	DelayMS int    `json:"delay_ms,omitempty"`
	// HTTP, Code and Subcode replace the error's own.
	HTTP    int `json:"http,omitempty"`
	Code    int `json:"code,omitempty"`
	Subcode int `json:"subcode,omitempty"`
	// Body is what an edge says: html (the default) or empty.
	Body string `json:"body,omitempty"`
	// Failure is the error_message of a container that shall fail, e.g. INVALID_FRAME_RATE.
	Failure string `json:"failure,omitempty"`
}

type armedFault struct {
	Fault
	seen, fired int
}

// hit is what the faults make of one call.
type hit struct {
	before     *answer
	after      *answer
	latency    time.Duration
	processing *time.Duration
	failure    string
}

var ops = append([]string{
	threads.OpExchange, threads.OpExchangeLong, threads.OpRefresh, threads.OpDebugToken, threads.OpMe, threads.OpCreate,
	threads.OpStatus, threads.OpPublish, threads.OpMedia, threads.OpPosts, threads.OpReplies, threads.OpGhostPosts,
	threads.OpDelete, threads.OpLimits,
}, readingOps...)

// Inject arms a fault. It is used up after its last firing.
func (s *Sim) Inject(f Fault) error {
	if !slices.Contains(ops, f.Op) {
		return fmt.Errorf("unknown op %q, want one of %v", f.Op, ops)
	}
	if err := f.check(); err != nil {
		return err
	}
	f.Nth, f.Times = max(f.Nth, 1), max(f.Times, 1)
	s.api.faults.arm(f)
	return nil
}

func (f Fault) check() error {
	if _, err := f.strike(); err != nil {
		return err
	}
	switch {
	case f.Kind == ProcessingTime && f.Op != threads.OpCreate:
		return fmt.Errorf("%s is a fault of %s", ProcessingTime, threads.OpCreate)
	case f.Body != "" && !slices.Contains(edgeBodies, f.Body):
		return fmt.Errorf("body %.40q is none of %v", f.Body, edgeBodies)
	case f.DelayMS < 0:
		return fmt.Errorf("delay_ms %d is below zero", f.DelayMS)
	}
	return nil
}

// Faults lists those not used up yet.
func (s *Sim) Faults() []Fault { return s.api.faults.left() }

// ClearFaults disarms all.
func (s *Sim) ClearFaults() { s.api.faults.clear() }

// faultList holds the armed faults. It has a lock of its own.
type faultList struct {
	mu    sync.Mutex
	armed []*armedFault
	seq   int
}

func (l *faultList) arm(f Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	f.ID = l.seq
	l.armed = append(l.armed, &armedFault{Fault: f})
}

func (l *faultList) left() []Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := make([]Fault, 0, len(l.armed))
	for _, f := range l.armed {
		left = append(left, f.Fault)
	}
	return left
}

func (l *faultList) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = nil
}

// restart forgets the numbers that were given out too.
func (l *faultList) restart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed, l.seq = nil, 0
}

// strike adds what the faults that match a call make of it, and counts the call.
func (l *faultList) strike(op, userID string, total *hit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.armed {
		if f.Op != op || (f.UserID != "" && f.UserID != userID) {
			continue
		}
		one, _ := f.strike() // was checked when it was armed
		due := f.seen+1 >= f.Nth
		if due && one.decides() && total.decides() {
			continue // the answer is taken; this one waits for the next call
		}
		f.seen++
		if !due {
			continue
		}
		f.fired++
		total.add(one)
	}
	l.armed = slices.DeleteFunc(l.armed, func(f *armedFault) bool { return f.fired >= f.Times })
}

// strike gathers what the knobs, the faults that match the call and the request itself make of it. At most one of them
// decides the answer: what the request itself asks for before an exact fault, an exact fault before a knob.
func (c *call) strike() hit {
	byKnobs := c.roll()
	var total hit
	if c.asked.fault != nil {
		one, _ := c.asked.fault.strike() // was checked when it was read
		total.add(one)
	}
	userID := ""
	if c.user != nil {
		userID = c.user.ID
	}
	c.api.faults.strike(c.op, userID, &total)
	if total.decides() {
		byKnobs.before, byKnobs.after = nil, nil
	}
	total.add(byKnobs)
	return total
}

// roll is what the knobs make of a call.
func (c *call) roll() hit {
	k, r := c.knobs, c.rng
	h := hit{latency: k.APILatency.draw(r)}
	if c.op == threads.OpPublish {
		h.latency += k.PublishLatency.draw(r)
	}
	rolls := func(probability float64, ops Ops, usual ...string) bool {
		return probability > 0 && ops.has(c.op, usual...) && chance(r, probability)
	}
	switch {
	case c.overBudget() || rolls(k.Throttle.Probability, k.Throttle.Ops):
		a := throttled(k.Throttle)
		h.before = &a
	case rolls(k.Edge5xx.Probability, k.Edge5xx.Ops):
		a := edge(k.Edge5xx.HTTP, k.Edge5xx.Body)
		h.before = &a
	case rolls(k.DropResponse.Probability, k.DropResponse.Ops, threads.OpPublish):
		if k.DropResponse.When == "before" {
			h.before = &answer{cut: true}
		} else {
			h.after = &answer{cut: true}
		}
	case rolls(k.HiddenSuccess.Probability, k.HiddenSuccess.Ops, threads.OpPublish):
		a := hiddenErrors[k.HiddenSuccess.Error]()
		h.after = &a
	}
	return h
}

// edge is the answer of something in front of Threads.
func edge(status int, body string) answer {
	if body == "empty" {
		return answer{status: status}
	}
	return answer{status: status, html: "<html><body><h1>Sorry, something went wrong.</h1></body></html>"}
}

func (h *hit) decides() bool { return h.before != nil || h.after != nil }

func (h *hit) add(other hit) {
	if other.decides() {
		h.before, h.after = other.before, other.after
	}
	h.latency += other.latency
	if other.processing != nil {
		h.processing, h.failure = other.processing, other.failure
	}
}

// strike is what the fault does to one call.
func (f Fault) strike() (hit, error) {
	delay := time.Duration(f.DelayMS) * time.Millisecond
	switch f.Kind {
	case DropResponse:
		return hit{after: &answer{cut: true}}, nil
	case DropRequest:
		return hit{before: &answer{cut: true}}, nil
	case ErrorAfterCommit:
		return hit{after: f.error(noPermission())}, nil
	case ErrorBeforeCommit:
		return hit{before: f.error(unwell())}, nil
	case NotFound:
		a := mediaNotFound("0")
		return hit{before: &a}, nil
	case Edge5xx:
		status := f.HTTP
		if status == 0 {
			status = http.StatusBadGateway
		}
		a := edge(status, f.Body)
		return hit{before: &a}, nil
	case Latency:
		return hit{latency: delay}, nil
	case ProcessingTime:
		return hit{processing: &delay, failure: f.Failure}, nil
	}
	return hit{}, fmt.Errorf("unknown kind of fault %q", f.Kind)
}

// error is the fault's own error, or the usual one of its kind.
func (f Fault) error(usual answer) *answer {
	if f.Code != 0 || f.Subcode != 0 {
		usual = refuse(http.StatusInternalServerError, oauthException, f.Code, f.Subcode, "An injected error")
	}
	if f.HTTP != 0 {
		usual.status = f.HTTP
	}
	return &usual
}
