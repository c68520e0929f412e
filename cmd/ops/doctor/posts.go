package doctor

import (
	"context"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts/queue"
)

// posts counts what an operator should know of.
func (e *examination) posts(ctx context.Context) {
	if e.db == nil {
		return // postgres has said so
	}
	problems, err := queue.Count(ctx, e.db)
	var reconnect int
	if err == nil {
		err = e.db.NewRaw("SELECT count(*) FROM social_connections WHERE status = ?", events.ConnectionReconnectRequired).Scan(ctx, &reconnect)
	}
	if err != nil {
		e.say(Wrong, "posts", "The posts cannot be counted: %s", oneLine(err))
		return
	}
	level := func(n int, bad Level) Level {
		if n > 0 {
			return bad
		}
		return Well
	}
	e.say(level(problems.Overdue, Wrong), "posts", "%d posts are overdue to be looked at by more than a minute.", problems.Overdue)
	e.say(level(problems.Parked, Warning), "posts", "%d posts are parked and need a person.", problems.Parked)
	e.say(level(reconnect, Warning), "accounts", "%d accounts need their owner to connect them again.", reconnect)
}

// emitting looks whether what happens to posts reaches EVENTS. That stream cannot be tried, for all of it is read; but where changes wait and
// nothing has come since, it stores nothing, though others may.
func (e *examination) emitting(ctx context.Context) {
	b, err := e.streams(ctx)
	if err != nil || e.db == nil {
		return // nats or postgres has said so
	}
	problems, err := queue.Count(ctx, e.db)
	if err != nil {
		return // posts has said so
	}
	if problems.NotOut == 0 {
		e.say(Well, "events", "What happens to posts is emitted on EVENTS.")
		return
	}
	since := problems.NotOutSince.UTC().Format(time.RFC3339)
	if s, err := b.JetStream().Stream(ctx, events.StreamEvents); err == nil && s.CachedInfo().State.LastTime.Before(*problems.NotOutSince) {
		e.say(Wrong, "events", "%d changes wait to be emitted, and EVENTS has stored nothing since %s. Where a publisher runs, NATS' disk is full, or was: "+
			"make room, then restart that nats-server; it keeps the error until then, for each stream by itself.", problems.NotOut, since)
		return
	}
	e.say(Warning, "events", "%d changes have not been emitted on EVENTS for more than a minute, the oldest since %s.", problems.NotOut, since)
}
