// Package times reads the times that clients write.
package times

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/zones"
	"github.com/omni-write/threads/services/gateway/edge"
)

// LocalTime is a time as a client writes it: RFC 3339 with Z or an offset, or, beside a timeZone, a time on the clocks there.
type LocalTime string

// Schema lets the form through that either of the two has; parseScheduleTime reads it.
func (LocalTime) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Pattern: `^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(:\d{2}([.]\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})?$`,
		Examples: []any{"2027-03-28T10:00:00+02:00", "2027-03-28T10:00"},
	}
}

// Clock says on whose clocks a time is meant, where it has no offset.
type Clock struct {
	TimeZone string `json:"timeZone,omitempty" doc:"IANA name, such as Europe/Berlin: the zone of a scheduledAt without an offset, and the one that answers show. Where its clocks change, timeDecision in the answer says what was chosen."`
	Fold     *int   `json:"fold,omitempty" enum:"0,1" doc:"Which one is meant of a time that the clocks of timeZone show twice, in autumn: 0 the first, 1 the second. Left out: the first. Elsewhere it says nothing."`
}

// second says that the second of two moments is meant.
func (c Clock) second() bool { return c.Fold != nil && *c.Fold == 1 }

// localLayouts are the forms of a time without an offset.
var localLayouts = []string{"2006-01-02T15:04:05", "2006-01-02T15:04"} // a fraction of a second is read anyway

// ParseSchedule reads a time and its zone. at points to the time's field; the zone may be empty where the time has an offset.
func ParseSchedule(at string, written LocalTime, clock Clock) (time.Time, events.Zoned, error) {
	zoned := events.Zoned{TimeZone: clock.TimeZone}
	loc, err := zoneOf(clock.TimeZone)
	if err != nil {
		return time.Time{}, zoned, err
	}
	if clock.Fold != nil && *clock.Fold != 0 && *clock.Fold != 1 { // lines of a file come unchecked
		const words = "fold is 0 for the first, 1 for the second of two times that look alike."
		return time.Time{}, zoned, events.Faultf(events.Invalid, words).At("/fold", "not_a_choice", words)
	}
	text := strings.ToUpper(string(written))
	instant, err := Parse(text)
	if err != nil && clock.TimeZone != "" {
		instant, zoned.TimeDecision, err = resolveLocalTime(text, loc, clock.second())
	}
	if err != nil {
		flaw := edge.TimeError(at, text)
		return instant, zoned, events.Faultf(events.Invalid, "%s", flaw.Detail).At(at, flaw.Code, flaw.Detail)
	}
	return instant.UTC(), zoned, writable(at, instant)
}

var errOffset = errors.New("no such offset")

// Parse reads a time with its offset, which is less than a day; Go's own reading takes up to 24:60.
func Parse(text string) (time.Time, error) {
	if n := len(text) - len("+00:00"); n > 0 && (text[n] == '+' || text[n] == '-') && (text[n+1:n+3] > "23" || text[n+4:] > "59") {
		return time.Time{}, errOffset
	}
	return time.Parse(time.RFC3339, text)
}

func zoneOf(zone string) (*time.Location, error) {
	if zone == "" {
		return time.UTC, nil
	}
	loc, err := zones.Load(zone)
	if err != nil {
		const words = "This is not a time zone as the IANA database names it; such as Europe/Berlin or America/New_York."
		return nil, events.Faultf(events.Invalid, words).At("/timeZone", "zone_unknown", words)
	}
	return loc, nil
}

// resolveLocalTime finds the moment at which the clocks of a zone show a time. An hour that comes twice means the first, unless
// the second is asked for; one that is left out means the moment that would have been it, had the clocks not been put
// forward: 02:30 becomes 03:30.
func resolveLocalTime(written string, loc *time.Location, second bool) (time.Time, events.TimeDecision, error) {
	var shown time.Time
	var err error
	for _, layout := range localLayouts {
		if shown, err = time.Parse(layout, written); err == nil {
			break
		}
	}
	if err != nil {
		return shown, "", err
	}
	// The moment is the shown time less the zone's offset then: one of those of the days around.
	before, after := offset(shown.Add(-24*time.Hour), loc), offset(shown.Add(24*time.Hour), loc)
	var fits []time.Time
	for _, off := range []time.Duration{max(before, after), min(before, after)} { // the larger offset is the earlier moment
		moment := shown.Add(-off)
		if offset(moment, loc) == off && !slices.ContainsFunc(fits, moment.Equal) {
			fits = append(fits, moment)
		}
	}
	switch len(fits) {
	case 0:
		return shown.Add(-before), events.MovedForward, nil
	case 1:
		return fits[0], "", nil
	}
	if second {
		return fits[1], events.SecondOfTwo, nil
	}
	return fits[0], events.FirstOfTwo, nil
}

func offset(at time.Time, loc *time.Location) time.Duration {
	_, seconds := at.In(loc).Zone()
	return time.Duration(seconds) * time.Second
}

// Bound reads an end of a stretch of time; nil where it is open.
func Bound(at, written string) (*time.Time, error) {
	t, err := Moment(at, written)
	if err != nil || written == "" {
		return nil, err
	}
	return &t, nil
}

// writable refuses a time whose year has more than four digits, or none, in UTC: RFC 3339 cannot write it.
func writable(at string, t time.Time) error {
	if year := t.UTC().Year(); year >= 1 && year <= 9999 {
		return nil
	}
	const sentence = "This time is outside of the years 1 to 9999 in UTC; choose another."
	return events.Faultf(events.Invalid, sentence).At(at, "time_invalid", sentence)
}

// Moment reads a time of the query; none is the zero time.
func Moment(at, written string) (time.Time, error) {
	if written == "" {
		return time.Time{}, nil
	}
	t, err := Parse(written)
	if err != nil {
		flaw := edge.TimeError(at, written)
		return t, events.Faultf(events.Invalid, "%s", flaw.Detail).At(at, flaw.Code, flaw.Detail)
	}
	return t.UTC(), writable(at, t)
}
