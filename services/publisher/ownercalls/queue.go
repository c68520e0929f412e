package ownercalls

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
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/outage"
	"github.com/omni-write/threads/internal/panics"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
)

// A command that needs a call to Threads on behalf of an owner may take as long as Threads likes. It is saved in a row and
// acknowledged, so that it holds up no command that needs none; workers take the rows, of each user a few at a time. A row
// that cannot go on now (the account has no free slot, Threads does not answer, an import has another page) is put back with
// a time, and no worker waits for it.

const (
	workersAtOnce = 32  // of this process
	perUser       = 4   // of all processes
	maxWaiting    = 500 // of a user; one more is refused
	// tryWithin bounds one try; leaseFor is longer, so that no second worker begins meanwhile.
	tryWithin = 45 * time.Second
	leaseFor  = "90 seconds"
	// tryFor is how long a call is tried while Threads does not answer, unless its handler says less.
	tryFor = 24 * time.Hour
	// maxFailures is how often one may fail for reasons of ours.
	maxFailures = 20
	// pollEvery is how often rows are looked for that nobody in this process knows of.
	pollEvery = time.Second
)

// queuedCall is a command that waits for its call to Threads.
type queuedCall struct {
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

// On has a command handled by fn once a worker is free for its user. Where needed says that a command needs no call
// to Threads, it is handled at once; nil means that each does.
func On[C events.Command](s *Service, h *bus.Handlers, fn func(context.Context, bus.Delivery, C) (any, error),
	needed func(context.Context, C) (bool, error)) {
	var zero C
	s.handlers[zero.Type()] = func(ctx context.Context, d bus.Delivery, body []byte) (any, error) {
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
		return s.Enqueue(ctx, d, cmd)
	})
}

// Enqueue saves a command for the workers. The worker that ends it replies with its outcome.
func (s *Service) Enqueue(ctx context.Context, d bus.Delivery, cmd events.Command) (any, error) {
	prior, err := commands.Find(ctx, s.db, d.Meta.ID)
	if err != nil {
		return nil, err
	}
	if prior != nil {
		if _, done := prior.Done(); done {
			return prior.Answer()
		}
	}
	waiting, err := s.db.NewSelect().Model((*queuedCall)(nil)).Where("user_id = ? AND command_id <> ?", cmd.Actor(), d.Meta.ID).Count(ctx)
	if err != nil {
		return nil, fmt.Errorf("count the calls of a user: %w", err)
	}
	if waiting >= maxWaiting {
		return s.Once(ctx, d, cmd, func(context.Context) (any, error) {
			return nil, events.Faultf(events.RateLimited,
				"%d requests of yours wait for Threads already, which is as many as are taken; please wait for some of them to end.", maxWaiting).After(time.Minute)
		})
	}
	body, err := json.Marshal(cmd)
	if err != nil {
		return nil, fmt.Errorf("encode a command: %w", err)
	}
	now := s.now().UTC()
	_, err = s.db.NewInsert().Model(&queuedCall{
		CommandID: d.Meta.ID, UserID: cmd.Actor(), Type: cmd.Type(), Meta: d.Meta, Body: body, WakeAt: now, CreatedAt: now,
	}).On("CONFLICT DO NOTHING").Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("save a call on behalf of an owner: %w", err)
	}
	s.wake()
	return nil, bus.Pending
}

// Run makes the calls until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	workers := make(chan struct{}, pg.Slots(s.side, workersAtOnce))
	var busy sync.WaitGroup
	defer busy.Wait()
	for {
		due, err := s.claim(ctx, cap(workers)-len(workers))
		if err != nil && ctx.Err() == nil {
			s.log.Warn("calls on behalf of owners are held up; they are looked for again", zap.Error(err))
		}
		for _, c := range due {
			workers <- struct{}{} // never blocks: only this loop takes slots
			busy.Go(func() {
				s.work(ctx, c)
				<-workers
				s.wake()
			})
		}
		select {
		case <-s.nudge:
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

// claim leases rows that are due, of each user no more than may be worked on at once.
func (s *Service) claim(ctx context.Context, most int) (list []queuedCall, err error) {
	if most == 0 {
		return nil, nil
	}
	err = s.side.NewRaw(`WITH held AS (
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
		s.now(), perUser, most, uuid.NewString(), leaseFor).Scan(ctx, &list)
	if err != nil {
		return nil, fmt.Errorf("claim calls on behalf of owners: %w", err)
	}
	return list, nil
}

// work makes one try, and saves its outcome.
func (s *Service) work(ctx context.Context, c queuedCall) {
	working, cancel := context.WithTimeout(withoutWaiting(bus.WithTraceParent(bus.WithCorrelation(ctx, c.Meta.Correlation), c.Meta.TraceParent)), tryWithin)
	defer cancel()
	result, err := s.try(working, c)
	// The outcome is saved even when the process is told to stop.
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), batch.Timeout)
	defer cancel()
	v := decide(c, err, working.Err() != nil, s.now())
	if v.after > 0 {
		err = s.putBack(ctx, c, v)
	} else {
		err = s.end(ctx, c, result, v)
	}
	if err != nil {
		s.log.Warn("the outcome of a call on behalf of an owner is not saved; it is made again", zap.String("command_id", c.CommandID), zap.Error(err))
	}
}

func (s *Service) try(ctx context.Context, c queuedCall) (result any, err error) {
	defer panics.ToError(&err)
	handle := s.handlers[c.Type]
	if handle == nil {
		return nil, bus.Later(time.Minute) // a newer publisher's command; that one takes it
	}
	return handle(ctx, bus.Delivery{Meta: c.Meta, Deliveries: uint64(c.Tries + c.Failures + 1)}, c.Body) //nolint:gosec // few
}

// decision is what becomes of a row: it comes again after a time, or it has ended.
type decision struct {
	after           time.Duration // 0: it has ended
	tries, failures int
	fault           *events.Fault // how it ended, where that is a refusal
	pending         bool          // others reply with its outcome
	cause           error         // of a failure of ours
}

// ErrMore says that a handler did a part of its work, and wants to be called again for the rest: others have their turn between.
var ErrMore = errors.New("there is more to do")

// morePause is the pause before it is called again: its work is in no hurry, and posts are.
const morePause = 200 * time.Millisecond

// decide says what becomes of a row after its handler returned err. interrupted says that the try was cut short.
func decide(c queuedCall, err error, interrupted bool, now time.Time) decision {
	var taken NoSlotError
	again := decision{tries: c.Tries + 1, failures: c.Failures}
	switch later, putOff := bus.DelayOf(err); {
	case err == nil:
		return decision{}
	case errors.Is(err, bus.Pending):
		return decision{pending: true}
	case errors.Is(err, ErrMore):
		return decision{after: morePause}
	case errors.As(err, &taken):
		return decision{after: taken.Again, tries: c.Tries, failures: c.Failures}
	case putOff:
		again.after = max(later, time.Millisecond)
		return again
	case commands.Refusal(err) != nil:
		return decision{fault: commands.Refusal(err)}
	case interrupted || outage.Is(err) || errors.Is(err, &events.Fault{Code: events.Unavailable}):
		if now.Sub(c.CreatedAt) >= tryFor {
			return decision{fault: events.Faultf(events.Missed, "This could not be done within a day; please try again.")}
		}
		again.after = clock.Backoff(again.tries)
		return again
	}
	again.failures, again.tries, again.cause = c.Failures+1, c.Tries, err
	again.after = clock.Backoff(again.failures)
	if again.failures >= maxFailures {
		return decision{cause: err, fault: events.Faultf(events.Internal, "Something went wrong on our side, and this was not done; we have been told.")}
	}
	return again
}

func (s *Service) putBack(ctx context.Context, c queuedCall, v decision) error {
	if v.cause != nil {
		s.log.Warn("will retry", zap.String("command_id", c.CommandID), zap.String("msg_type", c.Type), zap.Duration("in", v.after), zap.Error(v.cause))
	}
	res, err := s.side.NewUpdate().Model((*queuedCall)(nil)).Set("wake_at = ?", s.now().Add(v.after)).
		Set("tries = ?, failures = ?, lease = NULL, lease_until = NULL", v.tries, v.failures).
		Where("command_id = ? AND lease = ?", c.CommandID, c.Lease).Exec(ctx)
	time.AfterFunc(v.after, s.wake)
	return posts.Changed(res, err)
}

// end saves how a command ended, replies with it, and deletes the row.
func (s *Service) end(ctx context.Context, c queuedCall, result any, v decision) error {
	o := events.Outcome{CommandID: c.CommandID, Done: true, Fault: v.fault}
	switch {
	case v.pending:
	case v.fault != nil:
		if v.cause != nil {
			s.log.Error("given up; somebody should look", zap.String("command_id", c.CommandID), zap.String("msg_type", c.Type), zap.Error(v.cause))
		}
		if err := s.saveRefusal(ctx, s.db, c, v.fault); err != nil {
			return err
		}
	default:
		body, err := json.Marshal(result)
		if err != nil { // the call was made all the same
			s.log.Error("encode result", zap.String("command_id", c.CommandID), zap.Error(err))
		}
		o.Result = body
	}
	if !v.pending {
		if err := s.bus.Reply(ctx, c.Meta.OutcomeTo, o); err != nil {
			s.log.Warn("outcome not delivered", zap.String("command_id", c.CommandID), zap.Error(err))
		}
	}
	_, err := s.side.NewDelete().Model((*queuedCall)(nil)).Where("command_id = ? AND lease = ?", c.CommandID, c.Lease).Exec(ctx)
	if err != nil {
		return fmt.Errorf("end a call on behalf of an owner: %w", err)
	}
	return nil
}

// saveRefusal saves that a command was refused, also where its handler was never called.
func (s *Service) saveRefusal(ctx context.Context, db bun.IDB, c queuedCall, fault *events.Fault) error {
	cmd := commands.Command{ID: c.CommandID, UserID: c.UserID, Key: c.Meta.Key, BodyHash: c.Meta.BodyHash, Type: c.Type, OutcomeTo: c.Meta.OutcomeTo}
	_, _, err := commands.OnceByCall(ctx, db, cmd, s.now, func(ctx context.Context) (any, error) {
		return nil, commands.Finish(ctx, db, events.Outcome{CommandID: c.CommandID, Fault: fault}, s.now()) // whatever its code
	})
	if errors.Is(err, &events.Fault{Code: events.KeyReused}) { // another command has its key
		return nil
	}
	return err
}

// Waits says whether a command of the user waits for its call.
func (s *Service) Waits(ctx context.Context, userID, commandID string) (bool, error) {
	waits, err := s.side.NewSelect().Model((*queuedCall)(nil)).Where("command_id = ? AND user_id = ?", commandID, userID).Exists(ctx)
	if err != nil {
		return false, fmt.Errorf("look for a call on behalf of an owner: %w", err)
	}
	return waits, nil
}

// Erased is a command that was erased before its call was made: whoever waits for it is to be told.
type Erased struct{ CommandID, OutcomeTo string }

// Erase deletes the calls that wait and name the account, and saves that each ended with the fault: they were accepted. Those
// that do not name it find it gone, and end by themselves.
func (s *Service) Erase(ctx context.Context, tx bun.Tx, userID, accountID string, fault *events.Fault) (erased []Erased, err error) {
	var gone []queuedCall
	err = tx.NewDelete().Model(&gone).Where("user_id = ? AND body::text LIKE ?", userID, "%"+accountID+"%").Returning("*").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("erase calls on behalf of the owner: %w", err)
	}
	for _, c := range gone {
		if err := s.saveRefusal(ctx, tx, c, fault); err != nil {
			return nil, err
		}
		erased = append(erased, Erased{c.CommandID, c.Meta.OutcomeTo})
	}
	return erased, nil
}
