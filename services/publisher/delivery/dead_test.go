package delivery_test

import (
	"errors"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
)

func TestDead(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s, _ := r.Start()
	// A command that came as far as its row, and then could not be finished.
	id := events.NewCommandID()
	cmd := events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "half done"}, PublishAt: time.Now().Add(time.Hour)}
	if err := r.Bus.Send(t.Context(), cmd, bus.CommandOptions{ID: id}); err != nil {
		t.Fatal(err)
	}
	r.Await(cmd.PostID, events.FactScheduled)
	s.Delivery.Dead(t.Context(), bus.Delivery{Meta: events.Meta{ID: id}}, errors.New("always"))
	if failed := r.Await(cmd.PostID, events.FactFailed); failed.Reason.Code != events.Internal {
		t.Errorf("failed with %+v", failed.Reason)
	}
	if o, err := commands.Get(t.Context(), r.DB, asks.GetCommand{UserID: testUser, ID: id}); err != nil || !o.Done || o.Fault == nil || o.Fault.Code != events.Internal {
		t.Errorf("the command ended with %+v, %v", o, err)
	}
	s.Delivery.Dead(t.Context(), bus.Delivery{Meta: events.Meta{ID: events.NewCommandID()}}, errors.New("always")) // never noted: nothing to end
}
