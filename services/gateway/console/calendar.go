package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/omni-write/threads/events"
)

// entry is a post in the calendar.
type entry struct {
	badge

	Link, Words, Name string
	Clock, Time       string
	Second            bool   // the second of two such times on this day
	Rev               string // of one that can be moved
}

// cell is a day of the calendar.
type cell struct {
	Day         time.Time
	Today, Past bool
	Outside     bool    // of another month, shown to make the week whole
	Change      string  // what the clocks do on this day
	Entries     []entry // those without hours
	Hours       []hour
	More        string // how many there are beyond those that are shown
	Link, Write string
	Slot        string // what a post that is dropped here is moved to
}

// Busy says whether a day has a post.
func (c cell) Busy() bool {
	return len(c.Entries) > 0 || slices.ContainsFunc(c.Hours, func(h hour) bool { return len(h.Entries) > 0 })
}

// hour is an hour of a day, as its clocks show it.
type hour struct {
	Clock       string
	Now         bool
	Gone, Twice bool // the clocks leap over it, or show it again
	Entries     []entry
	Write, Slot string
}

type calendarData struct {
	filter

	View, Title     string
	At              string // the day that was asked for
	Views, States   []choice
	Accounts        []account
	Names           map[string]string
	Cells           []cell
	Days            []day // of a list
	Prev, Next, Now string
	Later           bool // not the first page of a list
	First, More     string
	Cut             string // where all that was found is, when only some of it is shown
	Narrowed        bool
}

// Any says whether a day has a post.
func (d calendarData) Any() bool { return slices.ContainsFunc(d.Cells, cell.Busy) }

const (
	// windowed is how many posts of a period are asked for at once. Where there are more, each day is asked for by itself.
	windowed = 300
	// pace is how long a page that took as many questions as days stays as it is, whatever happens.
	pace = 20 * time.Second
	// usualHour is when a post of a day goes out where nobody has said it yet.
	usualHour = 9
	// entryWords is how much of a text the calendar shows, in characters.
	entryWords = 40
)

// shownOf is how many posts a day of a view shows; a link leads to all of them.
var shownOf = map[string]int{viewMonth: 3, viewWeek: 12}

// calendarQuery keeps of a query what says which calendar it is.
func calendarQuery(raw string) url.Values {
	given, _ := url.ParseQuery(raw)
	kept := url.Values{}
	for _, key := range []string{"view", "at", "account", "show", "search", "after"} {
		fill(kept, key, given.Get(key))
	}
	return kept
}

// calendarBefore is the query of the calendar from which this request comes, or nothing.
func (v *visit) calendarBefore() string {
	from, err := url.Parse(v.Referer())
	if err != nil || from.Path != v.c.at("/calendar") {
		return ""
	}
	return from.RawQuery + "&view=" + viewMonth // where it names none
}

// calendar is a month, a week, a day or a list of what goes out and went out.
func (c *Console) calendar(w http.ResponseWriter, v *visit) error {
	q := v.URL.Query()
	d := calendarData{filter: filterOf(q, "show", standing), View: q.Get("view"), Later: q.Get("after") != ""}
	if d.View != viewWeek && d.View != viewDay && d.View != viewList {
		d.View = viewMonth
	}
	today := dayOf(v.Now.In(v.Zone))
	at, err := time.Parse(time.DateOnly, dateOf(q.Get("at")))
	if err != nil {
		at = today
	}
	p := periodOf(d.View, at)
	d.Title, d.At, d.Reason = p.Title, at.Format(time.DateOnly), ""
	d.From, d.To = p.From.Format(time.DateOnly), p.To.AddDate(0, 0, -1).Format(time.DateOnly)
	d.link(c, p, today)

	ask := d.query(v)
	grid := shownOf[d.View] > 0
	if fill(ask, "order", "oldest", "limit", strconv.Itoa(listed), "after", q.Get("after")); grid {
		fill(ask, "limit", strconv.Itoa(windowed), "after", "")
	}
	page := &view{Title: "Calendar, " + d.Title, Section: "calendar", V: v, Notice: notices[q.Get("done")], Scripts: []string{"calendar.js"}}
	var found postPage
	var moved detail
	if err := together(
		func() (err error) { d.Accounts, err = v.accounts(); return err },
		func() (err error) { found, err = v.posts(ask); return err },
		func() error {
			if id := q.Get("post"); id != "" {
				_ = v.get("/api/threads/post/"+url.PathEscape(id), &moved) // gone meanwhile: there is nothing to take back
			}
			return nil
		},
	); err != nil {
		return err
	}
	v.moved(page, &moved.Post)
	d.Names = names(d.Accounts)
	switch {
	case !grid:
		d.Days = v.byDay(found.Posts)
		if found.Next != "" {
			d.More = d.to(c, "after", found.Next)
		}
	case found.Next != "" && d.Search == "":
		page.Pace = int(pace / time.Millisecond)
		if err := d.crowded(v, p, found.Posts); err != nil {
			return err
		}
	default:
		if found.Next != "" {
			d.Cut = d.to(c, "view", viewList, "at", d.From)
		}
		d.fill(v, p, found.Posts)
	}
	page.Data = d
	c.show(w, v.Request, http.StatusOK, "calendar", page)
	return nil
}

// to is the address of this calendar with something changed.
func (d *calendarData) to(c *Console, change ...string) string {
	q := url.Values{}
	fill(q, "view", d.View, "at", d.At, "account", d.Account, "show", d.Key, "search", d.Search)
	fill(q, change...)
	return c.at("/calendar?" + q.Encode())
}

// link fills in where one can go from here.
func (d *calendarData) link(c *Console, p period, today time.Time) {
	for _, view := range []choice{{Key: viewMonth, Word: "Month"}, {Key: viewWeek, Word: "Week"}, {Key: viewDay, Word: "Day"}, {Key: viewList, Word: "List"}} {
		view.On, view.Link = view.Key == d.View, d.to(c, "view", view.Key)
		d.Views = append(d.Views, view)
	}
	for _, k := range append([]kind{standing}, kinds...) {
		d.States = append(d.States, choice{Key: k.Key, Word: k.Word, On: k.Key == d.Key})
	}
	d.Prev, d.Next = d.to(c, "at", p.Prev.Format(time.DateOnly)), d.to(c, "at", p.Next.Format(time.DateOnly))
	d.Now, d.First = d.to(c, "at", today.Format(time.DateOnly)), d.to(c)
	d.Narrowed = d.Account+d.Key+d.Search != ""
}

// fill makes the cells of a period from all posts of it.
func (d *calendarData) fill(v *visit, p period, posts []events.Post) {
	byDay := map[time.Time][]events.Post{}
	for _, post := range posts {
		day := dayOf(post.ScheduledAt.In(v.Zone))
		byDay[day] = append(byDay[day], post)
	}
	for day := p.From; day.Before(p.To); day = day.AddDate(0, 0, 1) {
		d.Cells = append(d.Cells, d.cell(v, day, byDay[day], tally{Posts: len(byDay[day])}))
	}
}

// crowded makes the cells of a period that has more posts than are asked for at once: days that the first of them cover are
// whole, of each other one the API is asked for the first posts and how many there are.
func (d *calendarData) crowded(v *visit, p period, first []events.Post) error {
	d.fill(v, p, first)
	var covered time.Time
	if len(first) > 0 {
		covered = first[len(first)-1].ScheduledAt
	}
	var work []func() error
	for i := range d.Cells {
		day := d.Cells[i].Day
		if !covered.Before(firstAt(day.AddDate(0, 0, 1), v.Zone)) {
			continue
		}
		one := d.filter
		one.From = day.Format(time.DateOnly)
		one.To = one.From
		work = append(work, func() error {
			ask := one.query(v)
			fill(ask, "order", "oldest", "limit", strconv.Itoa(shownOf[d.View]), "counts", "true")
			page, err := v.posts(ask)
			if err == nil {
				d.Cells[i] = d.cell(v, day, page.Posts, one.count(page.Counts))
			}
			return err
		})
	}
	return together(work...)
}

// cell is a day with its first posts, of as many as there are.
func (d *calendarData) cell(v *visit, day time.Time, posts []events.Post, all tally) cell {
	begin, end := firstAt(day, v.Zone), firstAt(day.AddDate(0, 0, 1), v.Zone)
	date := day.Format(time.DateOnly)
	at, _ := time.Parse(time.DateOnly, d.At)
	one := cell{
		Day: day, Today: !v.Now.Before(begin) && v.Now.Before(end), Past: !v.Now.Before(end), Outside: d.View == viewMonth && day.Month() != at.Month(),
		Change: changeOf(end.Sub(begin)), Link: d.to(v.c, "view", viewDay, "at", date),
	}
	if !one.Past {
		one.Slot = date
		one.Write = d.write(v, firstAt(day.Add(usualHour*time.Hour), v.Zone), end)
	}
	posts = posts[:min(len(posts), shownOf[d.View])]
	if beyond := all.Posts - len(posts); beyond > 0 || all.More {
		one.More = fmt.Sprintf("and %s more", tally{beyond, all.More})
	}
	var hours [24]hour
	for _, p := range posts {
		e := d.entry(v, &p)
		if d.View == viewWeek {
			h := &hours[p.ScheduledAt.In(v.Zone).Hour()]
			h.Entries = append(h.Entries, e)
			continue
		}
		one.Entries = append(one.Entries, e)
	}
	if d.View == viewWeek {
		for i := range hours {
			hours[i].place(d, v, day.Add(time.Duration(i)*time.Hour))
		}
		one.Hours = hours[:]
	}
	return one
}

// place says where an hour is in time.
func (h *hour) place(d *calendarData, v *visit, wall time.Time) {
	begin, end := firstAt(wall, v.Zone), firstAt(wall.Add(time.Hour), v.Zone)
	h.Clock = wall.Format("15:04")
	h.Now = !v.Now.Before(begin) && v.Now.Before(end)
	h.Gone, h.Twice = !begin.Before(end), end.Sub(begin) > time.Hour
	if v.Now.Before(end) && !h.Gone {
		h.Slot, h.Write = wall.Format("2006-01-02T15"), d.write(v, begin, end)
	}
}

// write is where one writes a post for a time, or, where that is over, for the next good one before the end.
func (d *calendarData) write(v *visit, at, end time.Time) string {
	const step = 5 * time.Minute
	if !at.After(v.Now) {
		at = v.Now.Truncate(step).Add(2 * step)
	}
	if !at.Before(end) {
		return ""
	}
	q := url.Values{}
	fill(q, "at", v.ISO(at), "account", d.Account)
	return v.c.at("/compose?" + q.Encode())
}

func (d *calendarData) entry(v *visit, p *events.Post) entry {
	at := p.ScheduledAt.In(v.Zone)
	e := entry{badge: badgeOf(p), Link: v.c.at("/posts/" + url.PathEscape(p.ID)), Words: excerpt(entryWords, wordsOf(*p)), Clock: at.Format("15:04"), Second: foldOf(at) == 1}
	if len(d.Accounts) > 1 {
		e.Name = d.Names[p.AccountID]
	}
	if movable(*p) {
		e.Rev, e.Time = strconv.FormatInt(p.Rev, 10), timeOf(at)
	}
	return e
}

// changeOf is what the clocks do on a day of this length.
func changeOf(length time.Duration) string {
	const usual = 24 * time.Hour
	hours := strconv.FormatFloat(length.Hours(), 'f', -1, 64) + " hours"
	switch {
	case length == 0:
		return "This day is left out here"
	case length < usual:
		return "Clocks go forward: " + hours
	case length > usual:
		return "Clocks go back: " + hours
	}
	return ""
}
