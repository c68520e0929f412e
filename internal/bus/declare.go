package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
)

// Topology is what differs between deployments.
type Topology struct {
	Replicas     int           // 1 on one machine, 3 in a cluster
	EventsMaxAge time.Duration // 0: events are kept for ever
}

// The repeating schedules. Six fields, UTC: the sweep of the tokens is at 03:17:00.
const (
	tickEvery  = "@every 15s"
	tokenSweep = "0 17 3 * * *"
)

// Declare makes every stream, durable, bucket and repeating schedule as events says. It may run again at any time: what is
// there is changed where it differs, never emptied, and durables keep their place. The one exception are the alarm streams
// on the way from one replica to three, see makeWay.
func Declare(ctx context.Context, b *Bus, t Topology) error {
	t.Replicas = max(t.Replicas, 1)
	for _, cfg := range events.Streams(t.Replicas, t.EventsMaxAge) {
		if err := b.makeWay(ctx, cfg); err != nil {
			return err
		}
		if _, err := patiently(ctx, b, func(ctx context.Context) (jetstream.Stream, error) { return b.js.CreateOrUpdateStream(ctx, cfg) }); err != nil {
			return fmt.Errorf("declare stream %s: %w", cfg.Name, roomFor(cfg, err))
		}
	}
	for _, d := range events.Durables() {
		d.Config.Replicas = t.Replicas
		if _, err := patiently(ctx, b, func(ctx context.Context) (jetstream.Consumer, error) {
			return b.js.CreateOrUpdateConsumer(ctx, d.Stream, d.Config)
		}); err != nil {
			return fmt.Errorf("declare durable %s: %w", d.Config.Durable, err)
		}
	}
	if err := b.declareCopy(ctx, t); err != nil {
		return err
	}
	for _, cfg := range events.Buckets(t.Replicas) {
		if _, err := patiently(ctx, b, func(ctx context.Context) (jetstream.KeyValue, error) { return b.js.CreateOrUpdateKeyValue(ctx, cfg) }); err != nil {
			return fmt.Errorf("declare bucket %s: %w", cfg.Bucket, err)
		}
	}
	return errors.Join(
		b.repeat(ctx, events.PostTickAlarm, events.PostTickDue, tickEvery),
		b.repeat(ctx, events.TokenTickAlarm, events.TokenTickDue, tickEvery),
		b.repeat(ctx, events.TokenSweepAlarm, events.TokenSweepDue, tokenSweep),
	)
}

// roomFor says what JetStream's word for too little disk means.
func roomFor(cfg jetstream.StreamConfig, err error) error {
	if errorCode(err) != codeInsufficientStorage {
		return err
	}
	return fmt.Errorf("NATS has too little disk: the stream reserves %d MiB, and NATS gives streams three quarters of what was free on its disk "+
		"when it started, or max_file_store of its configuration; make room and restart it: %w", cfg.MaxBytes>>20, err)
}

// jetStreamTries is how often JetStream is asked for a thing that must be there before work can begin.
const jetStreamTries = 4

// patiently asks again while JetStream does not answer in time: that its disk is slow at the moment, or its leader on the
// move, is no reason not to start. What is asked for may be asked for twice.
func patiently[T any](ctx context.Context, b *Bus, ask func(context.Context) (T, error)) (answer T, err error) {
	for range jetStreamTries {
		once, cancel := context.WithTimeout(ctx, b.patience)
		answer, err = ask(once)
		cancel()
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	return answer, err
}

// makeWay deletes an alarm stream whose persist mode must change, which JetStream refuses to do. The sweeps fill the new
// one from the rows. No other stream is ever deleted.
func (b *Bus) makeWay(ctx context.Context, must jetstream.StreamConfig) error {
	if !must.AllowMsgSchedules {
		return nil
	}
	s, err := patiently(ctx, b, func(ctx context.Context) (jetstream.Stream, error) { return b.js.Stream(ctx, must.Name) })
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find stream %s: %w", must.Name, err)
	}
	if s.CachedInfo().Config.PersistMode == must.PersistMode {
		return nil
	}
	b.log.Warn("alarm stream is made anew; the sweeps set its alarms again", zap.String("stream", must.Name))
	if err := b.js.DeleteStream(ctx, must.Name); err != nil {
		return fmt.Errorf("make stream %s anew: %w", must.Name, err)
	}
	return nil
}
