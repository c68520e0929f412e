package delivery

import (
	"context"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/posts"
)

// Dead ends what a command began that nobody could finish. Its sender is told that it failed; so if it got as far as a
// row, that post must not go out behind their back.
func (d *Delivery) Dead(ctx context.Context, letter bus.Delivery, cause error) {
	log := d.log.With(zap.String("command_id", letter.Meta.ID))
	noted, err := commands.Find(ctx, d.db, letter.Meta.ID)
	if err != nil {
		log.Error("a command was set aside; what it began is not known", errField(err))
		return
	}
	if noted == nil {
		return // it changed nothing
	}
	ours := events.Faultf(events.Internal, "Something went wrong on our side, and this was not done; we have been told.")
	if err := commands.Finish(ctx, d.db, events.Outcome{CommandID: noted.ID, Fault: ours}, d.now()); err != nil {
		log.Error("the end of a command that was set aside is not noted", errField(err))
	}
	created := noted.Type == (events.SchedulePost{}).Type() || noted.Type == (events.PublishPost{}).Type()
	if !created || noted.PostID == "" {
		return
	}
	p, err := d.store.Get(ctx, d.db, noted.PostID)
	if err != nil || !posts.IsOpen(p.State) || p.Doubt || p.Rev > 1 {
		return // never accepted, or gone on since
	}
	p.Lease = "" // as an owner would: rev settles it
	if _, err := d.concluder.fail(ctx, p, ours); err != nil {
		log.Error("a post whose command was set aside could not be failed", postField(p.ID), zap.NamedError("cause", cause), errField(err))
	}
}
