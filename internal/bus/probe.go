package bus

import (
	"context"
	"errors"
	"fmt"
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
	once, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	sent := b.now()
	ack, err := b.js.PublishMsg(once, &nats.Msg{Subject: subject}, jetstream.WithExpectStream(stream), jetstream.WithRetryAttempts(0))
	if err == nil {
		b.stores.stored(stream, b.now())
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
	failures := 0
	for {
		if failures > 0 || b.stores.idle(stream, b.now()) {
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
				b.stores.prove(stream, failures >= 2 && b.hasLeader(stream))
			}
		}
		pause := probeEvery
		if failures > 0 {
			pause = probeAgain
		}
		select {
		case <-time.After(pause):
		case <-b.stores.doubt(stream):
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
