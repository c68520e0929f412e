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
	if far.State != events.StateScheduled || far.ContainerID != "" || !far.WakeAt.Equal(far.PublishAt.Add(-times.Lead(&far))) {
		t.Errorf("a container that will be dead by then is kept: %+v", far)
	}
}

// Posts of one second are not built in one second: each has a lead of its own, of at least three quarters of what is set.
func TestLeadsAreSpread(t *testing.T) {
	t.Parallel()
	times, leads := Timing{LeadText: 2 * time.Minute, LeadImage: 5 * time.Minute, LeadVideo: 15 * time.Minute}, map[time.Duration]int{}
	for range 1000 {
		p := Post{ID: events.NewPostID()}
		lead := times.Lead(&p)
		if lead > times.LeadText || lead < 3*times.LeadText/4 || lead != times.Lead(&p) {
			t.Fatalf("%s is built %s before", p.ID, lead)
		}
		leads[lead.Truncate(time.Second)]++
	}
	for second, n := range leads {
		if n > 100 {
			t.Errorf("%d of 1,000 are built %s before", n, second)
		}
	}
	if lead := (Timing{}).Lead(&Post{ID: "post_1"}); lead != 0 {
		t.Errorf("without a lead it is %s", lead)
	}
}
