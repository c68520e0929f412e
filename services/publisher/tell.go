package publisher

import (
	"context"
	"errors"
	"fmt"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/crash"
)

// tell puts the fact that led to the row's rev on EVENTS. Telling it again is the same event.
func (s *Service) tell(ctx context.Context, p *Post) error {
	if p.State == events.StateConcluding {
		return nil // fact is already the outcome's, and that is told with the next rev (conclude.go)
	}
	return s.emit(ctx, events.NewPostEvent(p.Fact, p.Snapshot()))
}

// errTold says that another event has told the outcome of a post: ours is not applied.
var errTold = errors.New("the outcome was told before, by another event")

func (s *Service) emit(ctx context.Context, ev events.Event) error {
	err := s.bus.Emit(ctx, ev)
	if told := new(bus.AlreadyPublishedError); errors.As(err, &told) {
		// EVENTS already has another PostPublished for this post. What stands there stands; the recorder writes it.
		s.log.Error("a post was told as published before, by another event", errField(err))
		return errTold
	}
	if err != nil {
		return fmt.Errorf("tell %s: %w", ev.Type(), err)
	}
	return nil
}

// step saves one move of a worker: raises rev when the move is told, and tells it.
func (s *Service) step(ctx context.Context, was, p *Post, fact events.PostFact, tried ...events.Attempt) error {
	return s.stepBy(ctx, "", was, p, fact, tried...)
}

// stepBy is step, with the crash point between the saving and the telling.
func (s *Service) stepBy(ctx context.Context, saved crash.Point, was, p *Post, fact events.PostFact, tried ...events.Attempt) error {
	p.UpdatedAt = s.now()
	if fact != "" {
		p.Rev, p.Fact = was.Rev+1, fact
	}
	s.willArm(p)
	if err := s.store.move(ctx, was, p, tried...); err != nil {
		return err
	}
	crash.At(saved)
	if fact != "" {
		return s.tell(ctx, p)
	}
	return nil
}
