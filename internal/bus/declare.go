package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
)

// Topology is what differs between deployments.
type Topology struct {
	Replicas     int           // 1 on one machine, 3 in a cluster
	EventsMaxAge time.Duration // 0: facts are kept for ever
}

// The repeating schedules. Six fields, UTC: the sweep of the tokens is at 03:17:00.
const (
	tickEvery  = "@every 15s"
	tokenSweep = "0 17 3 * * *"
)

// Declare makes every stream, durable, bucket and repeating schedule as events says. It may run again at any time: what is
// there is changed where it differs, never emptied, and durables keep their place.
func Declare(ctx context.Context, b *Bus, t Topology) error {
	t.Replicas = max(t.Replicas, 1)
	for _, cfg := range events.Streams(t.Replicas, t.EventsMaxAge) {
		if _, err := b.js.CreateOrUpdateStream(ctx, cfg); err != nil {
			return fmt.Errorf("declare stream %s: %w", cfg.Name, err)
		}
	}
	for _, d := range events.Durables() {
		d.Config.Replicas = t.Replicas
		if _, err := b.js.CreateOrUpdateConsumer(ctx, d.Stream, d.Config); err != nil {
			return fmt.Errorf("declare consumer %s: %w", d.Config.Durable, err)
		}
	}
	for _, cfg := range events.Buckets(t.Replicas) {
		if _, err := b.js.CreateOrUpdateKeyValue(ctx, cfg); err != nil {
			return fmt.Errorf("declare bucket %s: %w", cfg.Bucket, err)
		}
	}
	return errors.Join(
		b.repeat(ctx, events.PostTickAlarm, events.PostTickDue, tickEvery),
		b.repeat(ctx, events.TokenTickAlarm, events.TokenTickDue, tickEvery),
		b.repeat(ctx, events.TokenSweepAlarm, events.TokenSweepDue, tokenSweep),
	)
}

// Verify checks that streams and durables are there and as they must be. It changes nothing. Its error names the first
// thing that differs and what to run.
func Verify(ctx context.Context, b *Bus, streams []string, durables []string) error {
	for _, name := range streams {
		s, err := b.js.Stream(ctx, name)
		if err != nil {
			return fmt.Errorf("stream %s cannot be read (%w); run the command migrate", name, err)
		}
		if differs := streamDiffers(s.CachedInfo().Config); differs != "" {
			return fmt.Errorf("stream %s has another %s than this version needs; run the command migrate", name, differs)
		}
	}
	for _, d := range events.Durables() {
		if !slices.Contains(durables, d.Config.Durable) {
			continue
		}
		c, err := b.js.Consumer(ctx, d.Stream, d.Config.Durable)
		if err != nil {
			return fmt.Errorf("consumer %s cannot be read (%w); run the command migrate", d.Config.Durable, err)
		}
		if differs := durableDiffers(c.CachedInfo().Config, d.Config); differs != "" {
			return fmt.Errorf("consumer %s has another %s than this version needs; run the command migrate", d.Config.Durable, differs)
		}
	}
	return nil
}

// streamDiffers names the first setting that matters and is wrong. Replicas and the age of EVENTS are the operator's.
func streamDiffers(is jetstream.StreamConfig) string {
	var must jetstream.StreamConfig
	for _, cfg := range events.Streams(is.Replicas, 0) {
		if cfg.Name == is.Name {
			must = cfg
		}
	}
	slices.Sort(is.Subjects)
	slices.Sort(must.Subjects)
	for _, check := range []struct {
		what string
		same bool
	}{
		{"list of subjects", slices.Equal(is.Subjects, must.Subjects)},
		{"retention", is.Retention == must.Retention},
		{"discard policy", is.Discard == must.Discard},
		{"storage", is.Storage == must.Storage},
		{"message limit", is.MaxMsgs == must.MaxMsgs && unlimited(is.MaxMsgsPerSubject) == unlimited(must.MaxMsgsPerSubject)},
		{"size limit", is.MaxBytes == must.MaxBytes},
		{"age limit", is.MaxAge == must.MaxAge || is.Name == events.StreamEvents},
		{"setting for delayed messages", is.AllowMsgSchedules == must.AllowMsgSchedules},
		{"setting for atomic batches", is.AllowAtomicPublish == must.AllowAtomicPublish},
		{"persist mode", is.PersistMode == must.PersistMode},
		{"protection against deletes", is.DenyDelete == must.DenyDelete},
	} {
		if !check.same {
			return check.what
		}
	}
	return ""
}

// unlimited makes one of the two ways to say "no limit".
func unlimited(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

func durableDiffers(is, must jetstream.ConsumerConfig) string {
	filters := is.FilterSubjects
	if is.FilterSubject != "" {
		filters = append(filters, is.FilterSubject)
	}
	slices.Sort(filters)
	slices.Sort(must.FilterSubjects)
	switch {
	case !slices.Equal(filters, must.FilterSubjects):
		return "list of filters"
	case is.AckPolicy != must.AckPolicy:
		return "ack policy"
	case is.MaxDeliver != must.MaxDeliver:
		return "limit of deliveries"
	case is.MaxAckPending != must.MaxAckPending:
		return "limit of pending acks"
	}
	return ""
}
