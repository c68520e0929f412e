package console

import "time"

// firstAt is the first moment at which the clocks of a zone show at least a wall time, which is given as if it were in UTC:
// the first of two where it comes twice, and the end of the gap where the clocks leap over it.
func firstAt(wall time.Time, zone *time.Location) time.Time {
	for at := wall.Add(-36 * time.Hour).In(zone); ; {
		start, end := at.ZoneBounds()
		_, offset := at.Zone()
		found := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		if found.Before(start) {
			found = start
		}
		if end.IsZero() || found.Before(end) {
			return found
		}
		at = end
	}
}

// wallOf is what the clocks show at a moment, as if it were in UTC.
func wallOf(at time.Time) time.Time {
	_, offset := at.Zone()
	return at.Add(time.Duration(offset) * time.Second).UTC()
}

// dayOf is the day of a moment on its own clocks. Days are midnights in UTC, whatever the zone.
func dayOf(at time.Time) time.Time { return wallOf(at).Truncate(24 * time.Hour) }

// timeOf is the time of a moment on its own clocks, as forms have it.
func timeOf(at time.Time) string {
	if at.Truncate(time.Minute).Equal(at) {
		return at.Format("15:04")
	}
	return at.Format("15:04:05.999")
}

// foldOf is which of two moments with the same wall time this is: 1 for the second one, else 0.
func foldOf(at time.Time) int {
	if firstAt(wallOf(at), at.Location()).Equal(at) {
		return 0
	}
	return 1
}

// The ways to look at the calendar.
const (
	viewMonth = "month"
	viewWeek  = "week"
	viewDay   = "day"
	viewList  = "list"
)

// period is what one page of the calendar shows: the days from From up to To, which is not shown.
type period struct {
	From, To   time.Time
	Prev, Next time.Time // a day of the period before, and of the one after
	Title      string
}

func periodOf(view string, at time.Time) period {
	monday := func(day time.Time) time.Time { return day.AddDate(0, 0, -(int(day.Weekday())+6)%7) }
	first := at.AddDate(0, 0, 1-at.Day())
	next := first.AddDate(0, 1, 0)
	switch view {
	case viewDay:
		return period{at, at.AddDate(0, 0, 1), at.AddDate(0, 0, -1), at.AddDate(0, 0, 1), at.Format("Monday 2 January 2006")}
	case viewWeek:
		from := monday(at)
		last, begins := from.AddDate(0, 0, 6), "2 January 2006"
		switch {
		case from.Month() == last.Month():
			begins = "2"
		case from.Year() == last.Year():
			begins = "2 January"
		}
		return period{from, from.AddDate(0, 0, 7), at.AddDate(0, 0, -7), at.AddDate(0, 0, 7), from.Format(begins) + " – " + last.Format("2 January 2006")}
	}
	p := period{first, next, first.AddDate(0, -1, 0), next, first.Format("January 2006")}
	if view == viewMonth { // whole weeks
		p.From, p.To = monday(first), monday(next.AddDate(0, 0, -1)).AddDate(0, 0, 7)
	}
	return p
}
