package console

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/omni-write/threads/events"
)

// shown are the kinds of lists, the first the usual one.
var shown = []struct {
	Key, Word string
	status    string
	order     string
}{
	{"queued", "Scheduled", "QUEUED", "oldest"},
	{"published", "Published", "POSTED", "newest"},
	{"failed", "Failed", "FAILED", "newest"},
	{"cancelled", "Cancelled", "CANCELLED", "newest"},
	{"deleted", "Deleted", "DELETED", "newest"},
	{"all", "All", "", "newest"},
}

type choice struct {
	Key, Word, Link string
	On              bool
}

type day struct {
	Name  string
	Posts []events.Post
}

type listData struct {
	Shows    []choice
	Show     string
	Accounts []account
	Account  string
	Search   string
	Names    map[string]string
	Days     []day
	Next     string
	Later    bool // not the first page
	First    string
	Out      bool
}

const listed = 50

// list is the posts, page by page.
func (c *Console) list(w http.ResponseWriter, v *visit) error {
	q := v.URL.Query()
	d := listData{Show: q.Get("show"), Account: q.Get("account"), Search: excerptRunes(200, q.Get("search")), Later: q.Get("after") != ""}
	ask := url.Values{"limit": {strconv.Itoa(listed)}}
	known := false
	for _, s := range shown {
		known = known || s.Key == d.Show
	}
	if !known {
		d.Show = shown[0].Key
	}
	link := func(change ...string) string {
		to := url.Values{}
		for key, value := range map[string]string{"show": d.Show, "account": d.Account, "search": d.Search} {
			if value != "" {
				to.Set(key, value)
			}
		}
		for i := 0; i+1 < len(change); i += 2 {
			to.Set(change[i], change[i+1])
		}
		return c.at("/posts?" + to.Encode())
	}
	for _, s := range shown {
		if d.Shows = append(d.Shows, choice{s.Key, s.Word, link("show", s.Key), s.Key == d.Show}); s.Key == d.Show {
			ask.Set("order", s.order)
			if s.status != "" {
				ask.Set("status", s.status)
			}
			d.Out = s.Key == "published"
		}
	}
	for name, value := range map[string]string{"accountId": d.Account, "search": d.Search, "after": q.Get("after")} {
		if value != "" {
			ask.Set(name, value)
		}
	}
	var page postPage
	if err := together(
		func() (err error) { d.Accounts, err = v.accounts(); return err },
		func() (err error) { page, err = v.posts(ask); return err },
	); err != nil {
		return err
	}
	d.Names, d.First = names(d.Accounts), link()
	for _, p := range page.Posts {
		name := v.Day(p.ScheduledAt)
		if len(d.Days) == 0 || d.Days[len(d.Days)-1].Name != name {
			d.Days = append(d.Days, day{Name: name})
		}
		last := &d.Days[len(d.Days)-1]
		last.Posts = append(last.Posts, p)
	}
	if page.Next != "" {
		d.Next = link("after", page.Next)
	}
	c.show(w, v.Request, http.StatusOK, "list", &view{Title: "Posts", Section: "posts", V: v, Data: d, Notice: notices[q.Get("done")]})
	return nil
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
