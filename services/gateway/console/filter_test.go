package console_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
)

// asked keeps what the API was asked for.
type asked struct {
	mu   sync.Mutex
	list []url.Values
}

func (a *asked) then(answer func(*http.Request) any) func(*http.Request) any {
	return func(r *http.Request) any {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.list = append(a.list, r.URL.Query())
		return answer(r)
	}
}

// take is what was asked for since the last time.
func (a *asked) take() []url.Values {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.list
	a.list = nil
	return list
}

// TestPostsAreFiltered: what a person looks for is what the API is asked for, days on the person's clocks, and every other way to
// look keeps it.
func TestPostsAreFiltered(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.client()
	session, err := f.issuer.Token("ada", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var seen asked
	f.answer("GET /api/threads/posts?QUEUED", seen.then(func(*http.Request) any {
		return map[string]any{"posts": []any{}, "counts": map[string]any{"QUEUED": map[string]any{"posts": 7}, "parked": map[string]any{"posts": 3}, "POSTED": map[string]any{"posts": 1000, "more": true}}}
	}))
	get := func(at string) (string, url.Values) {
		t.Helper()
		p := c.get("/console"+at, "Cookie", "console_zone=Europe%2FBerlin; console_session="+session)
		list := seen.take()
		if p.status != http.StatusOK || len(list) != 1 {
			t.Fatalf("%s: %d, and the API was asked for %v", at, p.status, list)
		}
		return p.body, list[0]
	}
	body, ask := get("/posts?show=parked&reason=outcome_unknown&from=2027-03-28&to=2027-03-28&search=doors+open&account=acct_2")
	for name, want := range map[string]string{
		"status": "QUEUED", "state": "parked", "reason": "outcome_unknown", "search": "doors open", "accountId": "acct_2", "order": "oldest", "limit": "50",
		"from": "2027-03-27T23:00:00Z", "to": "2027-03-28T22:00:00Z", // a day of 23 hours
	} {
		if got := ask.Get(name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	for _, want := range []string{`show=waiting`, `value="2027-03-28"`, `value="outcome_unknown" selected`, `value="acct_2" selected`, `No post here has these words.`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if strings.Contains(body, `class="tally"`) {
		t.Error("it says how many there are, which is not of these words")
	}
	if _, ask := get("/posts?from=2027-05-02&to=2027-05-01"); ask.Get("from") != "2027-04-30T22:00:00Z" || ask.Get("to") != "2027-05-02T22:00:00Z" {
		t.Errorf("days the wrong way round: %v", ask)
	}
	body, ask = get("/posts?reason=mood&from=someday")
	if ask.Has("reason") || ask.Has("from") || ask.Has("state") {
		t.Errorf("%v", ask)
	}
	for _, want := range []string{`Needs you <span class="tally">3</span>`, `Published <span class="tally">1000&#43;</span>`, `All <span class="tally">1007&#43;</span>`, `>Failed</a>`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
}

// TestCrowdedCalendar: where a period has very many posts, a page takes no more questions than it has days and shows the first of
// each day, how many more there are and where; a search takes one question, and leads to the list.
func TestCrowdedCalendar(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.signedIn("ada")
	var seen asked
	f.answer("GET /api/threads/posts?QUEUED", seen.then(fullDays))
	next := time.Now().AddDate(0, 1, 0).UTC()
	at := time.Date(next.Year(), next.Month(), 10, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	for view, want := range map[string]struct{ shown, more, most int }{"month": {3, 357, 43}, "week": {12, 348, 8}} {
		p := c.get("/console/calendar?show=queued&view=" + view + "&at=" + at)
		list := seen.take()
		if len(list) > want.most || len(list) < 7 {
			t.Errorf("%s takes %d questions", view, len(list))
		}
		for _, q := range list[1:] {
			if q.Get("counts") != "true" || q.Get("status") != "QUEUED" {
				t.Errorf("%s asks for %v", view, q)
			}
		}
		if n := strings.Count(p.body, "and "+strconv.Itoa(want.more)+" more"); n != len(list)-1 {
			t.Errorf("%s says of %d days, not of %d, that there is more", view, n, len(list)-1)
		}
		if !strings.Contains(p.body, `data-pace="20000"`) || !strings.Contains(p.body, "view=day") {
			t.Errorf("%s is made anew with every event, or leads to no day", view)
		}
		p = c.get("/console/calendar?show=queued&search=doors&view=" + view + "&at=" + at)
		if n := len(seen.take()); n != 1 || !strings.Contains(p.body, "The list has all of it") {
			t.Errorf("a search in a %s takes %d questions", view, n)
		}
	}
	f.answer("GET /api/threads/posts?QUEUED", seen.then(func(*http.Request) any { return map[string]any{"posts": []events.Post{}} }))
	p := c.get("/console/calendar")
	if list := seen.take(); len(list) != 1 || strings.Join(list[0]["status"], " ") != "QUEUED POSTED FAILED" || !strings.Contains(p.body, "Nothing is planned here") {
		t.Errorf("%v", list)
	}
}
