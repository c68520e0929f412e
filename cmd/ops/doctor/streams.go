package doctor

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
)

func (e *examination) nats(ctx context.Context) {
	b, err := e.streams(ctx)
	if err != nil {
		e.say(Wrong, "nats", "%s", oneLine(err))
		return
	}
	nc := b.JetStream().Conn()
	trip, err := nc.RTT()
	if err != nil {
		e.say(Wrong, "nats", "NATS does not answer: %s", oneLine(err))
		return
	}
	e.say(Well, "nats", "NATS %s answers in %s.", nc.ConnectedServerVersion(), trip.Round(10*time.Microsecond))
	differing := bus.Deviations(ctx, b, bus.Topology{Replicas: e.common.Replicas, EventsMaxAge: e.common.EventsMaxAge})
	for _, d := range differing {
		if d.Err != nil {
			e.say(Wrong, "streams", "%s: services do not start with it; run migrate.", d)
			continue
		}
		e.say(Warning, "streams", "%s; migrate sets it, unless a setting of yours is another here than there.", d)
	}
	if len(differing) == 0 {
		e.say(Well, "streams", "All streams and durables are as this version needs them.")
	}
	for _, s := range events.Streams(e.common.Replicas, e.common.EventsMaxAge) {
		e.stream(ctx, b.JetStream(), s.Name)
	}
	for _, c := range events.Durables() {
		e.durable(ctx, b.JetStream(), c)
	}
}

// behind is how many messages may wait at a durable before it is worth a word.
const behind = 1000

func (e *examination) stream(ctx context.Context, js jetstream.JetStream, name string) {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return // its deviation has been said
	}
	info := s.CachedInfo()
	if full := info.Config.MaxBytes; full > 0 && info.State.Bytes > uint64(full)*8/10 {
		e.say(Warning, "streams", "%s is %d %% full; when it is full, new work is refused.", name, 100*info.State.Bytes/uint64(full))
	}
	if name == events.StreamDead && info.State.Msgs > 0 {
		e.say(Warning, "streams", "%d dead letters: nobody could handle them; `dead list` shows why.", info.State.Msgs)
	}
}

func (e *examination) durable(ctx context.Context, js jetstream.JetStream, c events.Durable) {
	consumer, err := js.Consumer(ctx, c.Stream, c.Config.Durable)
	if err != nil {
		return // its deviation has been said
	}
	info := consumer.CachedInfo()
	switch {
	case info.NumWaiting == 0 && info.NumAckPending == 0:
		e.say(Warning, "streams", "Nobody reads %s: is its service running?", c.Config.Durable)
	case info.NumPending > behind:
		e.say(Warning, "streams", "%s is %d messages behind.", c.Config.Durable, info.NumPending)
	}
}
