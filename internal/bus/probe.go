package bus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
)

// A stream can be there, answer every question, and store nothing: nats-server keeps the first error of a write, as of a full
// disk, until it is restarted, and does not answer who publishes to it. So it is tried, on a subject that nobody reads.

const (
	// probeEvery is how often a stream is tried on which nothing else was stored meanwhile.
	probeEvery = 15 * time.Second
	// probeAgain is the pause after a try that failed.
	probeAgain = time.Second
	// answersWithin is how long an answer of a stream may take before the stream is tried.
	answersWithin = 500 * time.Millisecond
	// probesKept is how long tries lie on COMMANDS.
	probesKept = time.Minute
)

// probe is the subject on which a user tries a stream; empty where none is free, as on EVENTS, of which everything is read.
func probe(stream, user string) string {
	switch stream {
	case events.StreamCommands:
		return strings.Replace(events.CommandProbes, "*", user, 1)
	case events.StreamPostAlarms: // one message a subject stays there
		return events.PostAlarm("probe_" + user)
	case events.StreamTokenAlarms:
		return events.TokenAlarm("probe_" + user)
	case events.StreamDead:
		return events.Dead("probe." + user)
	}
	return ""
}

// IsProbe reports whether nobody is meant to read what is sent to a subject.
func IsProbe(subject string) bool {
	return strings.HasPrefix(subject, strings.TrimSuffix(events.CommandProbes, "*")) || strings.HasPrefix(subject, events.Dead("probe."))
}

// ErrNotTried says that the server does not let us try a stream.
var ErrNotTried = errors.New("it cannot be tried whether the stream stores; does the server run with the nats.conf of this version?")

// TryStoring stores something small on a stream, where a subject is free for it. Its error says that nothing was stored, or
// is ErrNotTried.
func (b *Bus) TryStoring(ctx context.Context, stream string) error {
	subject := probe(stream, b.name)
	if subject == "" {
		return nil
	}
	sent := b.now()
	ack, err := b.try(ctx, stream, subject)
	if err == nil {
		b.stores.stored(stream, ack, b.now())
		if stream == events.StreamDead { // only who sorts it tries it, and cleans up
			return b.forgetProbe(ctx, stream, ack.Sequence)
		}
		return nil
	}
	if b.deniedProbe(stream) {
		return ErrNotTried
	}
	return b.stores.failed(stream, sent, err)
}

// errNotStored says that a try was worked off and not stored. What is sent to the same stream after it is not stored either: the error
// of a write stays.
var errNotStored = errors.New("it was worked off, and is not stored")

// try sends a try, and a message behind it that is refused whatever the stream can store. Where a stream has one replica, both are worked
// off in their order: once the second is answered, the first was answered before, or never will be.
func (b *Bus) try(ctx context.Context, stream, subject string) (*jetstream.PubAck, error) {
	once, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	reconnects := b.nc.Stats().Reconnects
	first, err := b.js.PublishMsgAsync(&nats.Msg{Subject: subject}, jetstream.WithExpectStream(stream), jetstream.WithRetryAttempts(0))
	if err != nil {
		return nil, err
	}
	left := time.Now()
	second, err := b.sendRefused(subject)
	if err != nil {
		return nil, err
	}
	refused := second.Err()
	for {
		select {
		case ack := <-first.Ok():
			return ack, nil
		case err := <-first.Err():
			return nil, err
		case err := <-refused:
			refused = nil
			select { // the library hands answers over in the order in which they came
			case ack := <-first.Ok():
				return ack, nil
			case err := <-first.Err():
				return nil, err
			default:
			}
			if errorCode(err) == codeWrongLastSequence && b.oneReplica(once, stream) && b.nc.Stats().Reconnects == reconnects {
				b.stores.lost(stream, left, reconnects)
				return nil, errNotStored
			}
		case <-once.Done():
			return nil, once.Err()
		}
	}
}

// sendRefused sends a message that no stream stores: it expects a sequence that there is not.
func (b *Bus) sendRefused(subject string) (jetstream.PubAckFuture, error) {
	return b.js.PublishMsgAsync(&nats.Msg{Subject: subject}, jetstream.WithExpectLastSequence(math.MaxInt64), jetstream.WithRetryAttempts(0))
}

// certainlyLost reports whether what was sent to a stream since a time, and was not answered, is not stored and never will be: a try went
// before it over the same connection and was not, and all that was sent so far is worked off.
func (b *Bus) certainlyLost(ctx context.Context, stream string, since time.Time) bool {
	once, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	behind, err := b.sendRefused(probe(stream, b.name))
	if err != nil {
		return false
	}
	select {
	case err := <-behind.Err():
		return errorCode(err) == codeWrongLastSequence && b.stores.lostBefore(stream, since, b.nc.Stats().Reconnects)
	case <-once.Done():
		return false
	}
}

// oneReplica reports whether one server alone works a stream's messages off.
func (b *Bus) oneReplica(ctx context.Context, stream string) bool {
	s, err := b.js.Stream(ctx, stream)
	return err == nil && s.CachedInfo().Config.Replicas == 1
}

func (b *Bus) forgetProbe(ctx context.Context, stream string, sequence uint64) error {
	s, err := b.stream(ctx, stream)
	if err == nil {
		err = s.DeleteMsg(ctx, sequence)
	}
	if err != nil {
		return fmt.Errorf("take a try off %s: %w", stream, err)
	}
	return nil
}

// KeepTrying tries streams from now on, until the bus is closed: [Bus.Healthy] then says which stores nothing, and commands are
// refused before they are sent.
func (b *Bus) KeepTrying(streams ...string) {
	for _, stream := range streams {
		go b.keepTrying(stream)
	}
}

func (b *Bus) keepTrying(stream string) {
	failures, doubted := 0, false
	for {
		if failures > 0 || doubted || b.stores.idle(stream, b.now()) {
			err := b.TryStoring(b.life, stream)
			switch {
			case err == nil:
				failures = 0
				b.stores.prove(stream, false)
			case errors.Is(err, ErrNotTried):
				b.log.Warn("a stream is not tried", zap.String("stream", stream), zap.Error(err))
				return
			default:
				failures++
				if failures == 2 { // one may fall into the change of a leader
					b.log.Error("a stream stores nothing", zap.String("stream", stream), zap.Error(err))
				}
				b.stores.prove(stream, failures >= 2 && (errors.Is(err, errNotStored) || b.hasLeader(stream)))
				if failures == 1 && errors.Is(err, errNotStored) {
					continue // what failed twice, one right after the other, is no error that passes
				}
			}
		}
		pause := probeEvery
		if failures > 0 {
			pause = probeAgain
		}
		select {
		case <-time.After(pause):
			doubted = false
		case <-b.stores.doubt(stream):
			doubted = true
		case <-b.life.Done():
			return
		}
	}
}

// hasLeader reports whether a stream has a leader that answers: then it is the storing that fails.
func (b *Bus) hasLeader(stream string) bool {
	ctx, cancel := context.WithTimeout(b.life, lookUpWithin)
	defer cancel()
	_, err := b.js.Stream(ctx, stream)
	return err == nil
}

// deniedProbe reports whether the server has just refused the try of a stream.
func (b *Bus) deniedProbe(stream string) bool {
	err := b.nc.LastError()
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), probe(stream, b.name))
}

// SweepTries takes tries off COMMANDS every so often, until the bus is closed.
func (b *Bus) SweepTries() {
	go func() {
		for clock.Sleep(b.life, probesKept) {
			if err := b.TakeTriesOff(b.life); err != nil && b.life.Err() == nil {
				b.log.Debug("tries stay on COMMANDS", zap.Error(err))
			}
		}
	}()
}

// TakeTriesOff takes tries off COMMANDS.
func (b *Bus) TakeTriesOff(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	s, err := b.stream(ctx, events.StreamCommands)
	if err != nil {
		return err
	}
	return s.Purge(ctx, jetstream.WithPurgeSubject(events.CommandProbes))
}
