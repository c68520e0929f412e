package bus

import (
	"context"
	"fmt"
	"strconv"
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

// The headers of ours travel on from an alarm to the wake-up.
const (
	// HeaderAlarmRev is the revision of the row that an alarm was set for, for people to read.
	HeaderAlarmRev = "omni-rev"
	// HeaderDue is the time that the woken one has to keep. A handler that has time until then may wait for others.
	HeaderDue = "omni-due"
)

// Arm sets an alarm: at the given time, never before, an empty message is stored on dueSubject. The subject is the
// alarm's identity: setting it again moves it. An alarm has no message id on purpose. JetStream would answer a known id
// with "stored" and store nothing: an alarm that was taken back, fired, or got stuck could not be set again for minutes.
// Without one, setting it twice is setting it once. due is the time that the woken one has to keep, zero for none.
func (b *Bus) Arm(ctx context.Context, alarmSubject, dueSubject string, at time.Time, rev int64, due time.Time) error {
	return b.store(ctx, "set an alarm", &nats.Msg{Subject: alarmSubject, Header: withDue(nats.Header{
		headerSchedule:       {"@at " + at.UTC().Format(time.RFC3339Nano)},
		headerScheduleTarget: {dueSubject},
		HeaderAlarmRev:       {strconv.FormatInt(rev, 10)},
	}, due)})
}

// withDue says in the headers of a wake-up what time has to be kept; zero is none.
func withDue(h nats.Header, due time.Time) nats.Header {
	if !due.IsZero() {
		h[HeaderDue] = []string{due.UTC().Format(time.RFC3339Nano)}
	}
	return h
}

// dueOf is what withDue said, zero where nothing was said.
func dueOf(h nats.Header) time.Time {
	due, _ := time.Parse(time.RFC3339Nano, h.Get(HeaderDue)) // zero where it cannot be read
	return due
}

// Disarm takes an alarm back. It is safe when there is none, and stays done when the server is killed right after: a purge
// is on the disk, where a plain message on the alarm's subject would only be remembered. An alarm that goes off at this
// very moment may still be received: whoever receives it looks at the row.
func (b *Bus) Disarm(ctx context.Context, stream, alarmSubject string) error {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	s, err := b.stream(ctx, stream)
	if err != nil {
		return err
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSubject(alarmSubject)); err != nil {
		return fmt.Errorf("take the alarm %s back: %w", alarmSubject, err)
	}
	return nil
}

// Wake stores a wake-up now. One that nobody has finished with makes way for it: a second handler may be called while the
// first is at work. due is as in Arm.
func (b *Bus) Wake(ctx context.Context, dueSubject string, due time.Time) error {
	return b.store(ctx, "wake", &nats.Msg{Subject: dueSubject, Header: withDue(nats.Header{}, due)})
}

// repeat declares a schedule that goes off again and again; each firing replaces one that nobody has received.
func (b *Bus) repeat(ctx context.Context, alarmSubject, dueSubject, schedule string) error {
	_, err := patiently(ctx, b, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.store(ctx, "declare a repeating alarm", &nats.Msg{Subject: alarmSubject, Header: nats.Header{
			headerSchedule: {schedule}, headerScheduleTarget: {dueSubject}, headerScheduleRollup: {"sub"},
		}})
	})
	return err
}

// storeTries is how often an alarm or a wake-up is stored before its sweep has to do it.
const storeTries = 3

// store is made again where nobody answers: the stream's leader may be silent, and another one is chosen within seconds.
// Storing such a message twice is storing it once.
func (b *Bus) store(ctx context.Context, doing string, m *nats.Msg) (err error) {
	for range storeTries {
		once, cancel := context.WithTimeout(ctx, b.patience)
		_, err = b.js.PublishMsg(once, copyOf(m))
		cancel()
		if found := storingOf(err); found == isStored || found == notEver || !backoff(ctx) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("%s on %s: %w", doing, m.Subject, err)
	}
	return nil
}
