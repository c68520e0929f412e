package doctor

import (
	"context"

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
	e.say(level(problems.NotOut, Warning), "posts", "%d changes have not been emitted on EVENTS for more than a minute.", problems.NotOut)
	e.say(level(reconnect, Warning), "accounts", "%d accounts need their owner to connect them again.", reconnect)
}
