// Package crash lets a process die at a named step, as kill -9 would, so that tests can prove that a death there loses
// nothing and sends nothing twice. Nothing happens unless THREADS_CRASH_AT names a point.
package crash

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Env names the point to die at, and with ":n" the nth passing of it: publish.claimed:2.
const Env = "THREADS_CRASH_AT"

// Point is a step at which a process may be made to die.
type Point string

// The points, in the order in which a post meets them. Each stands after what its name says has happened.
const (
	ScheduleReceived  Point = "schedule.received"  // the command is here, nothing is written
	ScheduleCommitted Point = "schedule.committed" // row and command are, the alarm and the event are not
	ScheduleTold      Point = "schedule.told"      // everything but the reply and the ack

	PrepareLeased    Point = "prepare.leased"
	PrepareCreated   Point = "prepare.created" // Threads has a container, the row does not know it
	PrepareSaved     Point = "prepare.saved"   // its id is in the row
	PrepareInspected Point = "prepare.inspected"
	PrepareReady     Point = "prepare.ready" // the row says ready, no event yet
	PrepareTold      Point = "prepare.told"

	PublishWoken   Point = "publish.woken"
	PublishClaimed Point = "publish.claimed" // committed; the call has not been made
	PublishCalling Point = "publish.calling" // the next bytes would be the call
	PublishCalled  Point = "publish.called"  // Threads has answered, nothing is noted
	PublishNoted   Point = "publish.noted"   // concluding is committed
	PublishTelling Point = "publish.telling" // with its permalink, before the event is on EVENTS
	PublishTold    Point = "publish.told"    // the event is, the row is not final
	PublishApplied Point = "publish.applied" // the row is final, the message is not acked

	PartNoted Point = "part.noted" // a part of a chain is live and in the row, no event yet
	PartTold  Point = "part.told"

	ConfirmLeased  Point = "confirm.leased"
	ConfirmDoubted Point = "confirm.doubted" // unconfirmed is committed, no event yet
	ConfirmAsked   Point = "confirm.asked"   // the container's status is read
	ConfirmLooked  Point = "confirm.looked"  // the account's lists are read
	ConfirmAgain   Point = "confirm.again"   // a second call, or a new container, is allowed and committed

	RecordReceived Point = "record.received"
	RecordApplied  Point = "record.applied" // committed, not acked
	RecordAcked    Point = "record.acked"

	DeleteRequested Point = "delete.requested" // committed, not emitted
	DeleteCalling   Point = "delete.calling"
	DeleteCalled    Point = "delete.called" // Threads has answered, nothing is noted
	DeleteNoted     Point = "delete.noted"  // committed, not emitted
	DeleteTold      Point = "delete.told"

	SweepFound Point = "sweep.found" // posts that nobody woke are found, none is woken
	SweepWoken Point = "sweep.woken"
)

// Points are all of them.
var Points = []Point{
	ScheduleReceived, ScheduleCommitted, ScheduleTold,
	PrepareLeased, PrepareCreated, PrepareSaved, PrepareInspected, PrepareReady, PrepareTold,
	PublishWoken, PublishClaimed, PublishCalling, PublishCalled, PublishNoted, PublishTelling, PublishTold, PublishApplied,
	PartNoted, PartTold,
	ConfirmLeased, ConfirmDoubted, ConfirmAsked, ConfirmLooked, ConfirmAgain,
	RecordReceived, RecordApplied, RecordAcked,
	DeleteRequested, DeleteCalling, DeleteCalled, DeleteNoted, DeleteTold,
	SweepFound, SweepWoken,
}

// plan is where this process is to die.
type plan struct {
	point Point
	left  atomic.Int64
}

// armed is nil in every process that was not asked to die.
var armed *plan

// Arm reads the environment. A point that does not exist is a mistake: a test would prove nothing.
func Arm(getenv func(string) string) error {
	asked := getenv(Env)
	if asked == "" {
		return nil
	}
	name, nth, counted := strings.Cut(asked, ":")
	n := 1
	if counted {
		var err error
		if n, err = strconv.Atoi(nth); err != nil || n < 1 {
			return fmt.Errorf("%s: %q is not a number of passings", Env, nth)
		}
	}
	if !slices.Contains(Points, Point(name)) {
		return fmt.Errorf("%s: there is no point %q", Env, name)
	}
	armed = &plan{point: Point(name)}
	armed.left.Store(int64(n))
	return nil
}

// At dies here if this is the point and the passing that was asked for.
func At(p Point) {
	if armed == nil || armed.point != p || armed.left.Add(-1) != 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal may take a moment; nothing of this goroutine happens after it
}
