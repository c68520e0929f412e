package publisher

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/posts"
)

// tell puts the fact that led to the row's rev on EVENTS. Telling it again is the same event.
func (s *Service) tell(ctx context.Context, p *posts.Post) error {
	if p.State == events.StateConcluding {
		return nil // fact is already the outcome's, and that is told with the next rev (conclude.go)
	}
	if err := s.emit(ctx, events.NewPostEvent(p.Fact, p.Snapshot())); err != nil {
		return err
	}
	s.told.add(p.ID, p.Rev)
	return nil
}

// tellAgain is tell for a change that may have been told long ago, by whom nobody knows: JetStream knows a repeat for some
// minutes only, and while nobody records the row does not say. So EVENTS is looked at first.
func (s *Service) tellAgain(ctx context.Context, p *posts.Post) error {
	if p.State == events.StateConcluding || s.told.has(p.ID, p.Rev) {
		return nil
	}
	there, err := s.bus.Emitted(ctx, events.NewPostEvent(p.Fact, p.Snapshot()))
	if err != nil {
		return fmt.Errorf("look whether %s is told: %w", p.Fact, err)
	}
	if !there {
		return s.tell(ctx, p)
	}
	s.told.add(p.ID, p.Rev)
	return nil
}

// tellFirst tells a change before the next one takes its place in the row: a crash may have come between its saving and
// its telling. What this process told itself, or the recorder has seen on EVENTS, is not told again.
func (s *Service) tellFirst(ctx context.Context, old *posts.Post) error {
	if old.ToldRev >= old.Rev {
		return nil
	}
	err := s.tellAgain(ctx, old)
	if errors.Is(err, nats.ErrMaxPayload) { // of a post from before there was a bound: its next change may be smaller
		s.log.Error("a change is too large to be told; only the next one is", postField(old.ID), errField(err))
		return nil
	}
	return err
}

// tellings remember what this process has told. To forget is harmless: the same event twice is one.
type tellings struct {
	mu   sync.Mutex
	revs map[string]int64
}

const maxTellings = 100_000

func (t *tellings) add(id string, rev int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.revs == nil || len(t.revs) >= maxTellings {
		t.revs = map[string]int64{}
	}
	t.revs[id] = rev
}

func (t *tellings) has(id string, rev int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.revs[id] == rev
}

// errTold says that another event has told the outcome of a post: that one stands.
var errTold = errors.New("the outcome was told before, by another event")

func (s *Service) emit(ctx context.Context, ev events.PostEvent) error {
	if s.graves.has(ev.Snapshot().AccountID) {
		return nil // its account is erased: there is nobody to tell it of
	}
	err := s.bus.Emit(ctx, ev)
	if told := new(bus.AlreadyPublishedError); errors.As(err, &told) {
		if told.ID == told.StandingID {
			s.log.Info("a post was told as published before, with other words; those stand", errField(err))
		} else {
			s.log.Error("a post was told as published before, by another event; that one stands", errField(err))
		}
		return errTold
	}
	if err != nil {
		return fmt.Errorf("tell %s: %w", ev.Type(), err)
	}
	measureTold(ev)
	return nil
}

// step saves one move of a worker: raises rev when the move is told, and tells it.
func (s *Service) step(ctx context.Context, old, p *posts.Post, fact events.PostFact, tried ...events.Attempt) error {
	return s.stepBy(ctx, "", old, p, fact, tried...)
}

// stepBy is step, with the crash point between the saving and the telling.
func (s *Service) stepBy(ctx context.Context, saved crash.Point, old, p *posts.Post, fact events.PostFact, tried ...events.Attempt) error {
	p.UpdatedAt = s.now()
	// What Threads answered is saved before anything else: an older change that cannot be told must not stand before it.
	answer := len(tried) > 0
	if fact != "" {
		if !answer {
			if err := s.tellFirst(ctx, old); err != nil {
				return err
			}
		}
		p.Rev, p.Fact = old.Rev+1, fact
	}
	s.willArm(p)
	if err := s.store.SaveStep(ctx, old, p, tried...); err != nil {
		return err
	}
	crash.At(saved)
	if fact == "" {
		return nil
	}
	if answer {
		if err := s.tellFirst(ctx, old); err != nil {
			return err
		}
	}
	return s.tell(ctx, p)
}
