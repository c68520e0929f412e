package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The headers of JetStream's delayed messages. Its Go client writes whole seconds, rounded down, so that an alarm would
// go off up to a second early; we write the time ourselves, to the nanosecond.
const (
	headerSchedule       = "Nats-Schedule"
	headerScheduleTarget = "Nats-Schedule-Target"
	headerScheduleRollup = "Nats-Schedule-Rollup"
)

// Arm sets an alarm: at the given time, never before, an empty message is stored on dueSubject. The subject is the
// alarm's identity: setting it again moves it. rev makes the setting a new one for JetStream's memory of message ids, which
// would otherwise keep the old time and say that all is well.
func (b *Bus) Arm(ctx context.Context, alarmSubject, dueSubject string, at time.Time, rev int64) error {
	m := &nats.Msg{Subject: alarmSubject, Header: nats.Header{
		headerSchedule:       {"@at " + at.UTC().Format(time.RFC3339Nano)},
		headerScheduleTarget: {dueSubject},
	}}
	return b.store(ctx, m, fmt.Sprintf("set an alarm (revision %d)", rev))
}

// Disarm takes an alarm back. It is safe when there is none. An alarm that goes off at this very moment may still be
// heard: whoever hears it looks at the row.
func (b *Bus) Disarm(ctx context.Context, stream, alarmSubject string) error {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("find %s: %w", stream, err)
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSubject(alarmSubject)); err != nil {
		return fmt.Errorf("take an alarm back: %w", err)
	}
	return nil
}

// Wake stores a wake-up now.
func (b *Bus) Wake(ctx context.Context, dueSubject string) error {
	return b.store(ctx, &nats.Msg{Subject: dueSubject}, "wake")
}

// repeat declares a schedule that goes off again and again; each firing replaces one that nobody has heard.
func (b *Bus) repeat(ctx context.Context, alarmSubject, dueSubject, schedule string) error {
	return b.store(ctx, &nats.Msg{Subject: alarmSubject, Header: nats.Header{
		headerSchedule: {schedule}, headerScheduleTarget: {dueSubject}, headerScheduleRollup: {"sub"},
	}}, "declare a repeating alarm")
}

func (b *Bus) store(ctx context.Context, m *nats.Msg, doing string) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if _, err := b.js.PublishMsg(ctx, m); err != nil {
		return fmt.Errorf("%s on %s: %w", doing, m.Subject, err)
	}
	return nil
}
