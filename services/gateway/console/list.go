package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/omni-write/threads/events"
)

type choice struct {
	Key, Word, Link string
	On              bool
	Count           string // how many there are, where that was counted
}

type day struct {
	Name  string
	Posts []events.Post
}

type listData struct {
	filter
	Shows    []choice
	Causes   []choice
	Accounts []account
	Names    map[string]string
	Days     []day
	Next     string
	Later    bool // not the first page
	First    string
	All      string // without what narrows it
	Out      bool
}

// Narrowed says whether more than a kind is asked for.
func (d listData) Narrowed() bool { return d.Search+d.Account+d.Reason+d.From+d.To != "" }

const listed = 50

// list is the posts, page by page.
func (c *Console) list(w http.ResponseWriter, v *visit) error {
	q := v.URL.Query()
	d := listData{filter: filterOf(q, "show", kinds[0]), Later: q.Get("after") != ""}
	d.Out = d.Key == "published"
	link := func(change ...string) string {
		to := url.Values{}
		fill(to, "show", d.Key, "account", d.Account, "search", d.Search, "reason", d.Reason, "from", d.From, "to", d.To)
		fill(to, change...)
		return c.at("/posts?" + to.Encode())
	}
	ask := d.query(v)
	fill(ask, "limit", strconv.Itoa(listed), "order", "oldest", "after", q.Get("after"), "counts", "true")
	if d.newest {
		ask.Set("order", "newest")
	}
	var page postPage
	if err := together(
		func() (err error) { d.Accounts, err = v.accounts(); return err },
		func() (err error) { page, err = v.posts(ask); return err },
	); err != nil {
		return err
	}
	for _, k := range kinds {
		one := choice{Key: k.Key, Word: k.Word, Link: link("show", k.Key), On: k.Key == d.Key}
		if d.Search == "" && d.Reason == "" && page.Counts != nil { // they are not counted by these
			one.Count = k.count(page.Counts).String()
		}
		d.Shows = append(d.Shows, one)
	}
	d.Causes = causeChoices(d.Reason)
	d.Names, d.First, d.Days = names(d.Accounts), link(), v.byDay(page.Posts)
	d.All = c.at("/posts?show=" + url.QueryEscape(d.Key))
	if page.Next != "" {
		d.Next = link("after", page.Next)
	}
	c.show(w, v.Request, http.StatusOK, "list", &view{Title: "Posts", Section: "posts", V: v, Data: d, Notice: notices[q.Get("done")]})
	return nil
}

// byDay groups posts that are in the order of their times.
func (v *visit) byDay(posts []events.Post) (days []day) {
	for _, p := range posts {
		name := v.Day(p.ScheduledAt)
		if len(days) == 0 || days[len(days)-1].Name != name {
			days = append(days, day{Name: name})
		}
		last := &days[len(days)-1]
		last.Posts = append(last.Posts, p)
	}
	return days
}

// causeChoices are the causes to choose from, in the order of their words.
func causeChoices(chosen string) (list []choice) {
	for code, word := range causes {
		list = append(list, choice{Key: string(code), Word: word, On: string(code) == chosen})
	}
	slices.SortFunc(list, func(a, b choice) int { return cmp.Compare(a.Word, b.Word) })
	return list
}

// notices are what a page says of what was just done. An address names one; it cannot bring words of its own.
var notices = map[string]string{
	"scheduled": "Scheduled.", "published": "It is live on Threads.", "pending": "Accepted. It is on its way; this page shows how it ends.", "saved": "Saved.",
	"moved": "Moved.", "cancelled": "Cancelled. It will not go out.", "retried": "It is being tried again.", "resolved": "Thank you; noted.",
	"reposted": "Reposted.", "deleted": "Deleted on Threads.", "hidden": "The reply is hidden.", "unhidden": "The reply can be seen again.",
	"approved": "The reply can be seen now.", "ignored": "The reply was set aside.", "replied": "Your answer is live.", "connected": "Connected.",
	"refreshed": "The key is fresh.", "left": "Disconnected.", "zone": "Saved.",
	"webhook-active": "It is active.", "webhook-paused": "It is paused.", "webhook-deleted": "The webhook is deleted.",
	"webhook-tested": "A test is on its way; load this page again to see what came of it.", "webhook-resent": "It is sent once more.",
}

// excerptRunes is at most so much of a text.
func excerptRunes(n int, text string) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n])
	}
	return text
}
