package posts

import (
	"testing"
	"time"

	"github.com/omni-write/threads/events"
)

func TestReschedule(t *testing.T) {
	t.Parallel()
	times, now := Timing{LeadText: time.Minute}, time.Now()
	near := Post{State: events.StateReady, ContainerID: "1", ContainerAt: now, PublishAt: now.Add(time.Hour)}
	times.Reschedule(&near)
	if near.State != events.StateReady || near.ContainerID == "" {
		t.Errorf("a container that lives long enough is dropped: %+v", near)
	}
	far := Post{State: events.StateReady, ContainerID: "1", ContainerAt: now, PublishAt: now.Add(30 * time.Hour)}
	times.Reschedule(&far)
	if far.State != events.StateScheduled || far.ContainerID != "" || !far.WakeAt.Equal(far.PublishAt.Add(-times.LeadText)) {
		t.Errorf("a container that will be dead by then is kept: %+v", far)
	}
}
