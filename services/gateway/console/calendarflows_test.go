package console_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// scheduleAt schedules a post for a moment.
func (s *system) scheduleAt(t *testing.T, text string, at time.Time) (p made) {
	t.Helper()
	body, _ := json.Marshal(map[string]any{"text": text, "scheduledAt": at.UTC().Format(time.RFC3339)})
	s.api(t, http.MethodPost, "/api/threads/post/schedule", string(body), &p)
	return p
}

// middle is where the middle of an element is.
func (b *browser) middle(sel string) (x, y float64) {
	b.Helper()
	at := eval[[]float64](b, `(() => { const e = document.querySelector(`+quote(sel)+`); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`)
	return at[0], at[1]
}

// drag takes one thing to another with the mouse, and sees where it would be dropped before it lets go.
func (b *browser) drag(from, to string) {
	b.Helper()
	b.do("a window in which all of it is in sight", chromedp.EmulateViewport(1280, 1400))
	x, y := b.middle(from)
	toX, toY := b.middle(to)
	mouse := func(kind input.DispatchMouseEventType, x, y float64) {
		b.Helper()
		p := input.DispatchMouseEventParams{Type: kind, X: x, Y: y, Button: input.MouseButtonLeft, Buttons: 1, ClickCount: 1}
		if _, err := chromedp.Call(b.ctx, input.DispatchMouseEvent, p); err != nil {
			b.Fatal(err)
		}
	}
	mouse(input.DispatchMouseEventTypeMousePressed, x, y)
	mouse(input.DispatchMouseEventTypeMouseMoved, x+6, y+6)
	mouse(input.DispatchMouseEventTypeMouseMoved, (x+toX)/2, (y+toY)/2)
	mouse(input.DispatchMouseEventTypeMouseMoved, toX, toY)
	mouse(input.DispatchMouseEventTypeMouseMoved, toX+1, toY+1)
	b.do("see where it would be dropped", chromedp.WaitVisible(chromedp.CSS(to+".drop")))
	mouse(input.DispatchMouseEventTypeMouseReleased, toX+1, toY+1)
}

// TestDragOnTheCalendar: a post is dragged to another day and to another hour, and taken back; where somebody was faster, both
// versions are shown. All of it is on the clocks of the person, which are not the machine's.
func TestDragOnTheCalendar(t *testing.T) {
	s := start(t)
	b := browse(t, s.url)
	b.allowed = []string{"status of 412"}
	b.zone("America/New_York")
	b.signIn()
	b.connect()
	there, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	// The second Wednesday of a month far from now, whose first days are in the same weeks.
	was := time.Date(2027, 6, 9, 21, 30, 0, 0, there)
	p := s.scheduleAt(t, "To be dragged", was)
	b.open("/calendar?at=2027-06-15")
	b.see("footer", "America/New_York")
	b.see(`[data-slot="2027-06-09"] .ev`, "21:30 Scheduled")
	b.ready()
	b.shot("30-calendar-month")
	b.drag(`[data-slot="2027-06-09"] .ev`, `[data-slot="2027-06-17"]`)
	b.see(".notice", "Moved to Thu 17 Jun 2027, 21:30.")
	b.see(`[data-slot="2027-06-17"] .ev`, "To be dragged")
	if now := s.post(t, p.ID); !now.ScheduledAt.Equal(was.AddDate(0, 0, 8)) {
		t.Errorf("it is for %s", now.ScheduledAt.In(there))
	}
	b.do("undo", chromedp.Click(chromedp.CSS(".notice button")))
	b.see(`[data-slot="2027-06-09"] .ev`, "To be dragged")
	if now := s.post(t, p.ID); !now.ScheduledAt.Equal(was) {
		t.Errorf("undone, it is for %s", now.ScheduledAt.In(there))
	}

	// In a week, to another hour; the minutes stay.
	b.do("week", chromedp.Click(chromedp.CSS(".tabs li:nth-child(2) a")))
	b.see("h1", "14 – 20 June 2027")
	b.open("/calendar?view=week&at=2027-06-09")
	b.ready()
	b.shot("31-calendar-week")
	b.drag(`[data-slot="2027-06-09T21"] .ev`, `[data-slot="2027-06-11T08"]`)
	b.see(".notice", "Moved to Fri 11 Jun 2027, 08:30.")
	b.see(`[data-slot="2027-06-11T08"] .ev`, "To be dragged")

	// Somebody else changes it while it is on the screen: who is slower sees both, and decides.
	eval[bool](b, `(document.querySelector(".ev").dataset.rev = "1", true)`)
	b.drag(`[data-slot="2027-06-11T08"] .ev`, `[data-slot="2027-06-12T10"]`)
	b.see("[role=alert]", "Fri 11 Jun 2027, 08:30: To be dragged")
	b.see("[role=alert]", "2027-06-12, 10:30 (America/New_York)")
	b.shot("32-calendar-conflict")
	b.do("mine", chromedp.Click(chromedp.CSS("main button.primary")))
	b.see(".notice", "Moved to Sat 12 Jun 2027, 10:30.")
	b.see("h1", "7 – 13 June 2027")

	// An empty hour leads to the editor, at that hour.
	b.do("empty", chromedp.Click(chromedp.CSS(`[data-slot="2027-06-10T15"] .slot`)))
	b.see("h1", "Write a post")
	if at := eval[string](b, `document.querySelector("#date").value + " " + document.querySelector("#time").value + " " + document.querySelector("#zone").value`); at != "2027-06-10 15:00 America/New_York" {
		t.Errorf("it is for %s", at)
	}
}

// TestCalendarByKeys: with the keyboard alone a post is found on the calendar, moved, and moved back.
func TestCalendarByKeys(t *testing.T) {
	s := start(t)
	b := browse(t, s.url)
	b.zone("Pacific/Auckland")
	b.signIn()
	b.connect()
	there, err := time.LoadLocation("Pacific/Auckland")
	if err != nil {
		t.Fatal(err)
	}
	p := s.schedule(t, "Moved by keys", time.Hour)
	here := p.ScheduledAt.In(there)
	b.open("/")
	b.see("footer", "Pacific/Auckland")
	b.ready()
	b.do("g c", chromedp.KeyEvent("g"), chromedp.KeyEvent("c"))
	b.see(`[data-slot="`+here.Format(time.DateOnly)+`"] .ev`, here.Format("15:04"))
	b.ready()
	b.do("j m", chromedp.KeyEvent("j"), chromedp.KeyEvent("m"))
	b.see("h1", "Move the post")
	day := here.AddDate(0, 0, 2)
	b.set("#date", day.Format(time.DateOnly))
	b.set("#time", "06:30")
	b.do("send", chromedp.Focus(chromedp.CSS("#zone")), chromedp.KeyEvent("\r"))
	b.see(".notice", "Moved to")
	b.see(`[aria-current=page]`, "Calendar")
	want := time.Date(day.Year(), day.Month(), day.Day(), 6, 30, 0, 0, there)
	if now := s.post(t, p.ID); !now.ScheduledAt.Equal(want) {
		t.Errorf("it is for %s, not %s", now.ScheduledAt, want)
	}
	b.do("undo", chromedp.Focus(chromedp.CSS(".notice button")), chromedp.KeyEvent("\r"))
	b.see(".notice", "Moved.")
	if now := s.post(t, p.ID); !now.ScheduledAt.Equal(p.ScheduledAt) {
		t.Errorf("undone, it is for %s", now.ScheduledAt)
	}
}

// TestClockChangesOnTheCalendar: a day of 23 hours has an hour less and one of 25 shows which of two times is meant; what is moved
// into an hour that is left out goes out after it, and the page says so.
func TestClockChangesOnTheCalendar(t *testing.T) {
	s := start(t)
	b := browse(t, s.url)
	b.zone("Europe/Berlin")
	b.signIn()
	b.connect()
	second := time.Date(2027, 10, 31, 1, 30, 0, 0, time.UTC) // 02:30, when it comes again
	p := s.scheduleAt(t, "At night", second)
	b.open("/calendar?view=week&at=2027-10-31")
	b.see(".change", "Clocks go back: 25 hours")
	b.see(`[data-slot="2027-10-31T02"]`, "comes twice")
	b.see(`[data-slot="2027-10-31T02"] .ev`, "02:30 Scheduled (second time)")
	b.ready()
	b.drag(`[data-slot="2027-10-31T02"] .ev`, `[data-slot="2027-10-31T05"]`)
	b.see(".notice", "05:30")
	b.do("undo", chromedp.Click(chromedp.CSS(".notice button")))
	b.see(`[data-slot="2027-10-31T02"] .ev`, "02:30 Scheduled (second time)")
	if now := s.post(t, p.ID); !now.ScheduledAt.Equal(second) {
		t.Errorf("undone, it is for %s", now.ScheduledAt)
	}
	b.open("/calendar?view=week&at=2028-03-26")
	b.see(".change", "Clocks go forward: 23 hours")
	b.see(".hour.gone", "left out")
	if n := eval[int](b, `document.querySelectorAll('[data-slot^="2028-03-26T"]').length`); n != 23 {
		t.Errorf("%d hours", n)
	}
	b.shot("33-calendar-clocks")
}

// TestCalendarWithoutScripts: the list, the calendar, its moves and a cancel do all they do where no script runs.
func TestCalendarWithoutScripts(t *testing.T) {
	s := start(t)
	b := browse(t, s.url)
	b.signIn()
	b.connect()
	p := s.schedule(t, "Without scripts", 48*time.Hour)
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	shown := func(what, sel string) {
		t.Helper()
		b.do(what, chromedp.WaitVisible(chromedp.CSS(sel)))
	}
	day := p.ScheduledAt.Format(time.DateOnly)
	for _, view := range []string{"month", "week"} {
		b.open("/calendar?view=" + view + "&at=" + day)
		shown(view, `.ev[href$="`+p.ID+`"]`)
	}
	b.open("/calendar?view=list&at=" + day)
	shown("list", `#calendar .row-main[href$="`+p.ID+`"]`)
	b.click(".row-act a", "#time")
	b.set("#time", "07:15")
	b.click("main button.primary", ".notice button")
	shown("back on the list", `#calendar .row-main[href$="`+p.ID+`"]`)
	b.do("undo", chromedp.Click(chromedp.CSS(".notice button")))
	b.see(".notice", "Moved.")
	b.open("/posts")
	b.click(`.row-main[href$="`+p.ID+`"]`, "button.danger")
	b.click("button.danger", ".notice")
	if now := s.post(t, p.ID); now.Status != "CANCELLED" || !now.ScheduledAt.Equal(p.ScheduledAt) {
		t.Errorf("%+v", now)
	}
	b.open("/posts")
	shown("nothing is left", ".empty")
	if at := b.at(); !strings.HasSuffix(at, "/console/posts") {
		t.Error(at)
	}
}
