package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/outage"
	"github.com/omni-write/threads/internal/panics"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
)

// A command that needs a call to Threads on behalf of an owner may take as long as Threads likes. It is noted in a row and
// acknowledged, so that it holds up no command that needs none; workers take the rows, of each user a few at a time. A row
// that cannot go on now (the account has no place free, Threads does not answer, an import has another page) is put back
// with a time, and no worker waits for it.

const (
	ownerCallsAtOnce  = 32  // of this process
	ownerCallsPerUser = 4   // of all processes
	ownerCallsWaiting = 500 // of a user; one more is refused
	// ownerCallWithin bounds one try; ownerCallLease is longer, so that no second worker begins meanwhile.
	ownerCallWithin = 45 * time.Second
	ownerCallLease  = "90 seconds"
	// ownerCallFor is how long one is tried while Threads does not answer, unless its handler says less.
	ownerCallFor = 24 * time.Hour
	// ownerCallFailures is how often one may fail for reasons of ours.
	ownerCallFailures = 20
	// ownerCallsLook is how often rows are looked for that nobody in this process knows of.
	ownerCallsLook = time.Second
)

// ownerCall is a command that waits for its call to Threads.
type ownerCall struct {
	bun.BaseModel `bun:"table:owner_calls"`

	CommandID string          `bun:"command_id,pk"`
	UserID    string          `bun:"user_id"`
	Type      string          `bun:"type"`
	Meta      events.Meta     `bun:"meta,type:json"`
	Body      json.RawMessage `bun:"body,type:json"`
	WakeAt    time.Time       `bun:"wake_at"`
	Tries     int             `bun:"tries"`
	Failures  int             `bun:"failures"`
	Lease     string          `bun:"lease,nullzero"`
	CreatedAt time.Time       `bun:"created_at"`
}

// ownerCalls are the handlers of such commands, and what tells the workers that there may be one.
type ownerCalls struct {
	handlers map[string]func(context.Context, bus.Delivery, []byte) (any, error)
	nudge    chan struct{}
}

func newOwnerCalls() *ownerCalls {
	return &ownerCalls{handlers: map[string]func(context.Context, bus.Delivery, []byte) (any, error){}, nudge: make(chan struct{}, 1)}
}

func (o *ownerCalls) look() {
	select {
	case o.nudge <- struct{}{}:
	default:
	}
}

// onOwnerCall has a command handled by fn once a worker is free for its user. Where needed says that a command needs no call
// to Threads, it is handled at once; nil means that each does.
func onOwnerCall[C events.Command](s *Service, h *bus.Handlers, fn func(context.Context, bus.Delivery, C) (any, error),
	needed func(context.Context, C) (bool, error)) {
	var zero C
	s.ownerCalls.handlers[zero.Type()] = func(ctx context.Context, d bus.Delivery, body []byte) (any, error) {
		var cmd C
		if err := json.Unmarshal(body, &cmd); err != nil {
			return nil, fmt.Errorf("read a kept command: %w", err)
		}
		return fn(ctx, d, cmd)
	}
	bus.OnCommand(h, func(ctx context.Context, d bus.Delivery, cmd C) (any, error) {
		if needed != nil {
			if call, err := needed(ctx, cmd); err != nil {
				return nil, err
			} else if !call {
				return fn(ctx, d, cmd)
			}
		}
		return s.callLater(ctx, d, cmd)
	})
}

// callLater notes a command for the workers. Its outcome is told by the one that ends it.
func (s *Service) callLater(ctx context.Context, d bus.Delivery, cmd events.Command) (any, error) {
	prior, err := commands.Find(ctx, s.db, d.Meta.ID)
	if err != nil {
		return nil, err
	}
	if prior != nil {
		if _, done := prior.Done(); done {
			return prior.Answer()
		}
	}
	waiting, err := s.db.NewSelect().Model((*ownerCall)(nil)).Where("user_id = ? AND command_id <> ?", cmd.Actor(), d.Meta.ID).Count(ctx)
	if err != nil {
		return nil, fmt.Errorf("count the calls of a user: %w", err)
	}
	if waiting >= ownerCallsWaiting {
		return s.onceByCall(ctx, d, cmd, func(context.Context) (any, error) {
			return nil, events.Faultf(events.RateLimited,
				"%d requests of yours wait for Threads already, which is as many as are taken; please wait for some of them to end.", ownerCallsWaiting).After(time.Minute)
		})
	}
	body, err := json.Marshal(cmd)
	if err != nil {
		return nil, fmt.Errorf("encode a command: %w", err)
	}
	now := s.now().UTC()
	_, err = s.db.NewInsert().Model(&ownerCall{
		CommandID: d.Meta.ID, UserID: cmd.Actor(), Type: cmd.Type(), Meta: d.Meta, Body: body, WakeAt: now, CreatedAt: now,
	}).On("CONFLICT DO NOTHING").Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("note a call on behalf of an owner: %w", err)
	}
	s.ownerCalls.look()
	return nil, bus.Pending
}

// workOwnerCalls makes the calls until ctx ends.
func (s *Service) workOwnerCalls(ctx context.Context) error {
	places := make(chan struct{}, pg.Slots(s.side().DB, ownerCallsAtOnce))
	var busy sync.WaitGroup
	defer busy.Wait()
	for {
		due, err := s.takeOwnerCalls(ctx, cap(places)-len(places))
		if err != nil && ctx.Err() == nil {
			s.log.Warn("calls on behalf of owners are held up; they are looked for again", errField(err))
		}
		for _, c := range due {
			places <- struct{}{} // there is one: no other takes any
			busy.Go(func() {
				s.workOwnerCall(ctx, c)
				<-places
				s.ownerCalls.look()
			})
		}
		select {
		case <-s.ownerCalls.nudge:
		case <-time.After(ownerCallsLook):
		case <-ctx.Done():
			return nil
		}
	}
}

// takeOwnerCalls leases rows that are due, of each user no more than may be worked on at once.
func (s *Service) takeOwnerCalls(ctx context.Context, most int) (list []ownerCall, err error) {
	if most == 0 {
		return nil, nil
	}
	err = s.side().DB.NewRaw(`WITH held AS (
			SELECT user_id, count(*) AS n FROM owner_calls WHERE lease_until > now() GROUP BY user_id
		), due AS (
			SELECT command_id, user_id, wake_at, row_number() OVER (PARTITION BY user_id ORDER BY wake_at, command_id) AS nth
			FROM owner_calls WHERE wake_at <= ?0 AND (lease_until IS NULL OR lease_until <= now())
		), turn AS (
			SELECT due.command_id FROM due LEFT JOIN held USING (user_id)
			WHERE due.nth + coalesce(held.n, 0) <= ?1 ORDER BY due.nth, due.wake_at LIMIT ?2
		), free AS (
			SELECT command_id FROM owner_calls WHERE command_id IN (SELECT command_id FROM turn)
				AND wake_at <= ?0 AND (lease_until IS NULL OR lease_until <= now()) FOR UPDATE SKIP LOCKED
		)
		UPDATE owner_calls AS c SET lease = ?3, lease_until = now() + ?4::interval
		FROM free WHERE c.command_id = free.command_id RETURNING c.*`,
		s.now(), ownerCallsPerUser, most, uuid.NewString(), ownerCallLease).Scan(ctx, &list)
	if err != nil {
		return nil, fmt.Errorf("take calls on behalf of owners: %w", err)
	}
	return list, nil
}

// workOwnerCall makes one try, and notes what came of it.
func (s *Service) workOwnerCall(ctx context.Context, c ownerCall) {
	working, cancel := context.WithTimeout(withoutWaiting(bus.WithTraceParent(bus.WithCorrelation(ctx, c.Meta.Correlation), c.Meta.TraceParent)), ownerCallWithin)
	defer cancel()
	result, err := s.tryOwnerCall(working, c)
	// Told to stop or not, what came of it is noted.
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), batch.Timeout)
	defer cancel()
	v := judgeOwnerCall(c, err, working.Err() != nil, s.now())
	if v.after > 0 {
		err = s.putBackOwnerCall(ctx, c, v)
	} else {
		err = s.endOwnerCall(ctx, c, result, v)
	}
	if err != nil {
		s.log.Warn("what came of a call on behalf of an owner is not noted; it is made again", zap.String("command_id", c.CommandID), errField(err))
	}
}

func (s *Service) tryOwnerCall(ctx context.Context, c ownerCall) (result any, err error) {
	defer panics.ToError(&err)
	handle := s.ownerCalls.handlers[c.Type]
	if handle == nil {
		return nil, bus.Later(time.Minute) // a newer publisher's; it takes it
	}
	return handle(ctx, bus.Delivery{Meta: c.Meta, Deliveries: uint64(c.Tries + c.Failures + 1)}, c.Body) //nolint:gosec // few
}

// ownerCallVerdict is what becomes of a row: it comes again after a time, or it has ended.
type ownerCallVerdict struct {
	after           time.Duration // 0: it has ended
	tries, failures int
	fault           *events.Fault // how it ended, where that is a refusal
	pending         bool          // its outcome is told by others
	cause           error         // of a failure of ours
}

// errMore says that something was achieved, and that there is more to do.
var errMore = errors.New("there is more to do")

// judgeOwnerCall is the table: returned value → what becomes of the row. interrupted says that the try was cut short.
func judgeOwnerCall(c ownerCall, err error, interrupted bool, now time.Time) ownerCallVerdict {
	var taken placeTaken
	again := ownerCallVerdict{tries: c.Tries + 1, failures: c.Failures}
	switch later, putOff := bus.DelayOf(err); {
	case err == nil:
		return ownerCallVerdict{}
	case errors.Is(err, bus.Pending):
		return ownerCallVerdict{pending: true}
	case errors.Is(err, errMore):
		return ownerCallVerdict{after: importPause}
	case errors.As(err, &taken):
		return ownerCallVerdict{after: taken.again, tries: c.Tries, failures: c.Failures}
	case putOff:
		again.after = max(later, time.Millisecond)
		return again
	case commands.Refusal(err) != nil:
		return ownerCallVerdict{fault: commands.Refusal(err)}
	case interrupted || outage.Is(err) || errors.Is(err, &events.Fault{Code: events.Unavailable}):
		if now.Sub(c.CreatedAt) >= ownerCallFor {
			return ownerCallVerdict{fault: events.Faultf(events.Missed, "This could not be done within a day; please try again.")}
		}
		again.after = backoff(again.tries)
		return again
	}
	again.failures, again.tries, again.cause = c.Failures+1, c.Tries, err
	again.after = backoff(again.failures)
	if again.failures >= ownerCallFailures {
		return ownerCallVerdict{cause: err, fault: events.Faultf(events.Internal, "Something went wrong on our side, and this was not done; we have been told.")}
	}
	return again
}

func (s *Service) putBackOwnerCall(ctx context.Context, c ownerCall, v ownerCallVerdict) error {
	if v.cause != nil {
		s.log.Warn("will retry", zap.String("command_id", c.CommandID), zap.String("msg_type", c.Type), zap.Duration("in", v.after), errField(v.cause))
	}
	res, err := s.side().DB.NewUpdate().Model((*ownerCall)(nil)).Set("wake_at = ?", s.now().Add(v.after)).
		Set("tries = ?, failures = ?, lease = NULL, lease_until = NULL", v.tries, v.failures).
		Where("command_id = ? AND lease = ?", c.CommandID, c.Lease).Exec(ctx)
	time.AfterFunc(v.after, s.ownerCalls.look)
	return posts.Changed(res, err)
}

// endOwnerCall notes how a command ended, tells it, and takes the row away.
func (s *Service) endOwnerCall(ctx context.Context, c ownerCall, result any, v ownerCallVerdict) error {
	o := events.Outcome{CommandID: c.CommandID, Done: true, Fault: v.fault}
	switch {
	case v.pending:
	case v.fault != nil:
		if v.cause != nil {
			s.log.Error("given up; somebody should look", zap.String("command_id", c.CommandID), zap.String("msg_type", c.Type), errField(v.cause))
		}
		if err := s.noteRefusal(ctx, s.db, c, v.fault); err != nil {
			return err
		}
	default:
		body, err := json.Marshal(result)
		if err != nil { // it is done all the same
			s.log.Error("encode result", zap.String("command_id", c.CommandID), errField(err))
		}
		o.Result = body
	}
	if !v.pending {
		if err := s.bus.Reply(ctx, c.Meta.OutcomeTo, o); err != nil {
			s.log.Warn("outcome not delivered", zap.String("command_id", c.CommandID), errField(err))
		}
	}
	_, err := s.side().DB.NewDelete().Model((*ownerCall)(nil)).Where("command_id = ? AND lease = ?", c.CommandID, c.Lease).Exec(ctx)
	return wrapped("end a call on behalf of an owner", err)
}

// noteRefusal notes that a command was refused, also where its handler has not begun.
func (s *Service) noteRefusal(ctx context.Context, db bun.IDB, c ownerCall, fault *events.Fault) error {
	noted := commands.Command{ID: c.CommandID, UserID: c.UserID, Key: c.Meta.Key, BodyHash: c.Meta.BodyHash, Type: c.Type, OutcomeTo: c.Meta.OutcomeTo}
	_, _, err := commands.OnceByCall(ctx, db, noted, s.now, func(ctx context.Context) (any, error) {
		return nil, commands.Finish(ctx, db, events.Outcome{CommandID: c.CommandID, Fault: fault}, s.now()) // whatever its code
	})
	if commands.Refusal(err) != nil { // another command has its key
		return nil
	}
	return err
}

// callWaits says whether a command of the user waits for its call.
func callWaits(ctx context.Context, db bun.IDB, userID, commandID string) (bool, error) {
	there, err := db.NewSelect().Model((*ownerCall)(nil)).Where("command_id = ? AND user_id = ?", commandID, userID).Exists(ctx)
	return there, wrapped("look for a call on behalf of an owner", err)
}
