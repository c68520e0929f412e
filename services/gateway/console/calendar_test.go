package console

import (
	"testing"
	"time"
)

// TestFirstAt: days begin and end where a zone's clocks say so, on days of 23, 24 and 25 hours, and on one that is left out.
func TestFirstAt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, day string
		hours     float64
		words     string
	}{
		{"Europe/Berlin", "2027-03-28", 23, "Clocks go forward: 23 hours"}, {"Europe/Berlin", "2026-10-25", 25, "Clocks go back: 25 hours"}, {"Europe/Berlin", "2026-10-26", 24, ""},
		{"America/New_York", "2027-11-07", 25, "Clocks go back: 25 hours"}, {"UTC", "2027-03-28", 24, ""}, {"Asia/Kolkata", "2027-03-28", 24, ""},
		{"Australia/Lord_Howe", "2027-04-04", 24.5, "Clocks go back: 24.5 hours"}, {"Pacific/Apia", "2011-12-30", 0, "This day is left out here"},
		{"America/Santiago", "2026-09-06", 23, "Clocks go forward: 23 hours"}, {"Africa/Cairo", "2026-04-24", 23, "Clocks go forward: 23 hours"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		day, _ := time.Parse(time.DateOnly, c.day)
		begin, end := firstAt(day, zone), firstAt(day.AddDate(0, 0, 1), zone)
		if got := end.Sub(begin); got.Hours() != c.hours || changeOf(got) != c.words {
			t.Errorf("%s in %s: %s (%q)", c.day, c.zone, got, changeOf(got))
		}
		if c.hours == 0 {
			continue
		}
		if dayOf(begin) != day || dayOf(begin.Add(-time.Nanosecond)).Equal(day) || dayOf(end.Add(-time.Nanosecond)) != day {
			t.Errorf("%s in %s is from %s to %s", c.day, c.zone, begin, end)
		}
		sum := time.Duration(0)
		for h := range 24 {
			hour := day.Add(time.Duration(h) * time.Hour)
			sum += firstAt(hour.Add(time.Hour), zone).Sub(firstAt(hour, zone))
		}
		if sum != end.Sub(begin) {
			t.Errorf("%s in %s: the hours are %s together", c.day, c.zone, sum)
		}
	}
	berlin, _ := time.LoadLocation("Europe/Berlin")
	first := time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC).In(berlin)
	if foldOf(first) != 0 || foldOf(first.Add(time.Hour)) != 1 || foldOf(first.Add(2*time.Hour)) != 0 {
		t.Error("which of two times it is is not known")
	}
}

// TestPeriods: a month is shown in whole weeks, and each period leads to the one before and the one after, with no day between.
func TestPeriods(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ view, at, from, to, title string }{
		{viewMonth, "2026-12-15", "2026-11-30", "2027-01-04", "December 2026"}, {viewMonth, "2027-02-01", "2027-02-01", "2027-03-01", "February 2027"},
		{viewMonth, "2026-08-31", "2026-07-27", "2026-09-07", "August 2026"}, {viewWeek, "2026-12-31", "2026-12-28", "2027-01-04", "28 December 2026 – 3 January 2027"},
		{viewWeek, "2026-11-30", "2026-11-30", "2026-12-07", "30 November – 6 December 2026"}, {viewWeek, "2026-12-13", "2026-12-07", "2026-12-14", "7 – 13 December 2026"},
		{viewDay, "2028-02-29", "2028-02-29", "2028-03-01", "Tuesday 29 February 2028"}, {viewList, "2026-12-31", "2026-12-01", "2027-01-01", "December 2026"},
	} {
		at, err := time.Parse(time.DateOnly, c.at)
		if err != nil {
			t.Fatal(err)
		}
		p := periodOf(c.view, at)
		if got := p.From.Format(time.DateOnly); got != c.from || p.To.Format(time.DateOnly) != c.to || p.Title != c.title {
			t.Errorf("%s of %s: %s to %s, %q", c.view, c.at, got, p.To.Format(time.DateOnly), p.Title)
		}
		if before, after := periodOf(c.view, p.Prev), periodOf(c.view, p.Next); before.To.Before(p.From) || after.From.After(p.To) || !before.From.Before(p.From) || !after.To.After(p.To) {
			t.Errorf("%s of %s: before it %v, after it %v", c.view, c.at, before, after)
		}
	}
}
