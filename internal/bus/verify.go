package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
)

// Verify checks that streams and durables are there and as they must be. It changes nothing. Its error names the first
// thing that is missing or differs, and what to run.
func Verify(ctx context.Context, b *Bus, streams []string, durables []string) error {
	for _, name := range streams {
		s, err := patiently(ctx, b, func(ctx context.Context) (jetstream.Stream, error) { return b.js.Stream(ctx, name) })
		if err != nil {
			return unverified("stream", name, err, jetstream.ErrStreamNotFound)
		}
		if differs := streamDiffers(s.CachedInfo().Config); differs != "" {
			return fmt.Errorf("stream %s has another %s than this version needs; run `go run . migrate`", name, differs)
		}
	}
	for _, name := range durables {
		at := slices.IndexFunc(events.Durables(), func(d events.Durable) bool { return d.Config.Durable == name })
		if at < 0 {
			return fmt.Errorf("durable %s is not declared in events", name)
		}
		d := events.Durables()[at]
		c, err := patiently(ctx, b, func(ctx context.Context) (jetstream.Consumer, error) { return b.js.Consumer(ctx, d.Stream, name) })
		if err != nil {
			return unverified("durable", name, err, jetstream.ErrConsumerNotFound)
		}
		if differs := durableDiffers(c.CachedInfo().Config, d.Config); differs != "" {
			return fmt.Errorf("durable %s has another %s than this version needs; run `go run . migrate`", name, differs)
		}
	}
	return nil
}

func unverified(kind, name string, err, missing error) error {
	if errors.Is(err, missing) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("%s %s is missing; run `go run . migrate`", kind, name)
	}
	return fmt.Errorf("%s %s cannot be read; is NATS well, and may this user see it? %w", kind, name, err)
}

// difference is a setting that matters and whether it is as it must be.
type difference struct {
	what string
	same bool
}

func firstOf(all []difference) string {
	for _, d := range all {
		if !d.same {
			return d.what
		}
	}
	return ""
}

// streamDiffers names the first setting that matters and is wrong. Replicas and the age of EVENTS are the operator's.
func streamDiffers(is jetstream.StreamConfig) string {
	all := events.Streams(is.Replicas, 0)
	at := slices.IndexFunc(all, func(cfg jetstream.StreamConfig) bool { return cfg.Name == is.Name })
	if at < 0 {
		return "" // not one that events declares, a bucket's for example: that it is there is all there is to check
	}
	must := all[at]
	return firstOf([]difference{
		{"list of subjects", sameSet(is.Subjects, must.Subjects)},
		{"retention", is.Retention == must.Retention},
		{"discard policy", is.Discard == must.Discard},
		{"storage", is.Storage == must.Storage},
		{"message limit", is.MaxMsgs == must.MaxMsgs && unlimited(is.MaxMsgsPerSubject) == unlimited(must.MaxMsgsPerSubject)},
		{"size limit", is.MaxBytes == must.MaxBytes},
		// An alarm whose message is too large when it goes off never comes.
		{"limit of a message's size", unlimited(int64(is.MaxMsgSize)) == unlimited(int64(must.MaxMsgSize))},
		{"age limit", is.MaxAge == must.MaxAge || is.Name == events.StreamEvents},
		{"setting for delayed messages", is.AllowMsgSchedules == must.AllowMsgSchedules},
		{"setting for atomic batches", is.AllowAtomicPublish == must.AllowAtomicPublish},
		{"setting for rollups", is.AllowRollup == must.AllowRollup}, // one message with a rollup could erase EVENTS
		{"setting for direct reads", is.AllowDirect == must.AllowDirect},
		{"persist mode", is.PersistMode == must.PersistMode},
		{"protection against deletes", is.DenyDelete == must.DenyDelete},
		{"memory of message ids", is.Duplicates == must.Duplicates},
	})
}

func durableDiffers(is, must jetstream.ConsumerConfig) string {
	filters := is.FilterSubjects
	if is.FilterSubject != "" {
		filters = append(filters, is.FilterSubject)
	}
	return firstOf([]difference{
		{"list of filters", sameSet(filters, must.FilterSubjects)},
		{"ack policy", is.AckPolicy == must.AckPolicy},
		{"ack wait", is.AckWait == must.AckWait},
		{"limit of deliveries", is.MaxDeliver == must.MaxDeliver},
		{"limit of pending acks", is.MaxAckPending == must.MaxAckPending},
	})
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// unlimited makes one of the two ways to say "no limit".
func unlimited(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}
