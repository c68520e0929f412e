package times

import (
	"errors"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
)

func TestWhen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		written  LocalTime
		zone     string
		want     string // UTC
		decision events.TimeDecision
		flaw     string
		fold     *int
	}{
		{"2027-03-28T10:00:00+02:00", "", "2027-03-28T08:00:00Z", "", "", nil},
		{"2027-03-28t10:00:00.25z", "Europe/Berlin", "2027-03-28T10:00:00.25Z", "", "", nil}, // the offset wins; the zone is for showing
		{"2027-06-01T10:00", "Europe/Berlin", "2027-06-01T08:00:00Z", "", "", nil},
		{"2027-01-01T10:00:30.5", "Europe/Berlin", "2027-01-01T09:00:30.5Z", "", "", nil},
		// The clocks go forward at 02:00 on 28 March and back at 03:00 on 31 October 2027.
		{"2027-03-28T01:59:59", "Europe/Berlin", "2027-03-28T00:59:59Z", "", "", nil},
		{"2027-03-28T02:30", "Europe/Berlin", "2027-03-28T01:30:00Z", events.MovedForward, "", nil}, // shown as 03:30
		{"2027-03-28T03:00", "Europe/Berlin", "2027-03-28T01:00:00Z", "", "", nil},
		{"2027-10-31T01:59", "Europe/Berlin", "2027-10-30T23:59:00Z", "", "", nil},
		{"2027-10-31T02:30", "Europe/Berlin", "2027-10-31T00:30:00Z", events.FirstOfTwo, "", nil},
		{"2027-10-31T03:00", "Europe/Berlin", "2027-10-31T02:00:00Z", "", "", nil},
		{"2027-11-07T01:30", "America/New_York", "2027-11-07T05:30:00Z", events.FirstOfTwo, "", nil},
		{"2027-03-14T02:30", "America/New_York", "2027-03-14T07:30:00Z", events.MovedForward, "", nil},
		// Half an hour only, in the south; and a whole day that an island once left out.
		{"2027-04-04T01:45", "Australia/Lord_Howe", "2027-04-03T14:45:00Z", events.FirstOfTwo, "", nil},
		{"2011-12-30T12:00", "Pacific/Apia", "2011-12-30T22:00:00Z", events.MovedForward, "", nil},
		// The client may say which of the two it means, and where there is only one it says nothing.
		{"2027-10-31T02:30", "Europe/Berlin", "2027-10-31T00:30:00Z", events.FirstOfTwo, "", new(0)},
		{"2027-10-31T02:30", "Europe/Berlin", "2027-10-31T01:30:00Z", events.SecondOfTwo, "", new(1)},
		{"2027-04-04T01:45", "Australia/Lord_Howe", "2027-04-03T15:15:00Z", events.SecondOfTwo, "", new(1)},
		{"2027-10-31T03:00", "Europe/Berlin", "2027-10-31T02:00:00Z", "", "", new(1)},
		{"2027-03-28T02:30", "Europe/Berlin", "2027-03-28T01:30:00Z", events.MovedForward, "", new(1)},
		{"2027-10-31T02:30", "Europe/Berlin", "", "", "not_a_choice", new(2)},
		{"2027-06-01T10:00", "UTC", "2027-06-01T10:00:00Z", "", "", nil},

		{"2027-06-01T10:00", "", "", "", "time_without_offset", nil},
		{"2027-06-31T10:00", "Europe/Berlin", "", "", "time_invalid", nil},
		{"2027-06-01T10:00", "Europe/Atlantis", "", "", "zone_unknown", nil},
		{"2027-06-01T10:00", "Local", "", "", "zone_unknown", nil},
		{"2027-06-01T10:00", "../../etc/passwd", "", "", "zone_unknown", nil},
	} {
		at, zoned, err := ParseSchedule("/scheduledAt", c.written, Clock{TimeZone: c.zone, Fold: c.fold})
		if c.flaw != "" {
			var f *events.Fault
			if !errors.As(err, &f) || len(f.Details) != 1 || f.Details[0].Code != c.flaw {
				t.Errorf("%s in %q: %v, want %s", c.written, c.zone, err, c.flaw)
			}
			continue
		}
		if err != nil || at.Format(time.RFC3339Nano) != c.want || zoned.TimeDecision != c.decision || zoned.TimeZone != c.zone {
			t.Errorf("%s in %q is %s %+v, %v; want %s %q", c.written, c.zone, at.Format(time.RFC3339Nano), zoned, err, c.want, c.decision)
		}
	}
}
