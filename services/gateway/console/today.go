package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
)

// postPage is a page of posts.
type postPage struct {
	Posts  []events.Post `json:"posts"`
	Next   string        `json:"next"`
	Counts counts        `json:"counts"` // when they were asked for
}

// account is a connected account, as the API shows it.
type account struct {
	Connected bool `json:"connected"`
	events.Connection
}

// Name is how people know the account.
func (a account) Name() string {
	if a.Username == nil {
		return a.ID
	}
	return *a.Username
}

func (v *visit) posts(query url.Values) (page postPage, err error) {
	err = v.get("/api/threads/posts?"+query.Encode(), &page)
	return page, err
}

func (v *visit) accounts() (list []account, err error) {
	err = v.get("/api/threads/connections", &list)
	return list, err
}

// names are the accounts' names by their ids.
func names(list []account) map[string]string {
	m := map[string]string{}
	for _, a := range list {
		m[a.ID] = a.Name()
	}
	return m
}

// atOnce is how many questions of one page the API is asked at the same time.
const atOnce = 8

// together does all of these at the same time, and says the first thing that went wrong.
func together(work ...func() error) error {
	var all errgroup.Group
	all.SetLimit(atOnce)
	for _, do := range work {
		all.Go(do)
	}
	return all.Wait()
}

// concern is something that a person must see to: a sentence, and the one button that helps.
type concern struct {
	Tone, Icon   string
	Title, Words string
	Post         *events.Post
	Link, Label  string
	Action       string // a form's, in the place of a link
	Name         string
}

type todayData struct {
	Accounts  []account
	Names     map[string]string
	Concerns  []concern
	Next      []events.Post
	More      bool
	Published []events.Post
	First     bool // nobody has posted yet
}

const (
	nextShown      = 8
	publishedShown = 6
	// troubleLooked is how many queued posts are looked through for those that need a person. What waits has a time that is
	// over, so it comes first.
	troubleLooked = 50
	failedFor     = 7 * 24 * time.Hour
)

// today is what goes out next, what needs a person, and what went out.
func (c *Console) today(w http.ResponseWriter, v *visit) error {
	var d todayData
	var queued, failed, posted postPage
	err := together(
		func() (err error) { d.Accounts, err = v.accounts(); return err },
		func() (err error) {
			queued, err = v.posts(url.Values{"status": {"QUEUED"}, "order": {"oldest"}, "limit": {fmt.Sprint(troubleLooked)}})
			return err
		},
		func() (err error) {
			failed, err = v.posts(url.Values{"status": {"FAILED"}, "from": {v.ISO(v.Now.Add(-failedFor))}, "limit": {"5"}})
			return err
		},
		func() (err error) {
			posted, err = v.posts(url.Values{"status": {"POSTED"}, "limit": {fmt.Sprint(publishedShown)}})
			return err
		},
	)
	if err != nil {
		return err
	}
	d.Names, d.Published = names(d.Accounts), posted.Posts
	for _, p := range queued.Posts {
		if one := concernOf(v, &p, d.Names); one != nil {
			d.Concerns = append(d.Concerns, *one)
			if p.State == events.StateParked {
				continue
			}
		}
		if len(d.Next) < nextShown {
			d.Next = append(d.Next, p)
		} else {
			d.More = true
		}
	}
	for _, p := range failed.Posts {
		d.Concerns = append(d.Concerns, *concernOf(v, &p, d.Names))
	}
	d.Concerns = append(accountConcerns(v, d.Accounts), d.Concerns...)
	d.Concerns = append(d.Concerns, v.limitsAhead(d.Accounts)...)
	d.First = len(queued.Posts)+len(failed.Posts)+len(posted.Posts) == 0
	c.show(w, v.Request, http.StatusOK, "today", &view{Title: "Today", Section: "today", V: v, Data: d})
	return nil
}

// concernOf is why a post needs a person, or nil.
func concernOf(v *visit, p *events.Post, names map[string]string) *concern {
	why := ""
	if p.Reason != nil {
		why = p.Reason.Message
	}
	at := "/posts/" + p.ID
	one := &concern{Post: p, Name: names[p.AccountID]}
	switch p.State {
	case events.StateParked:
		one.Tone, one.Icon, one.Title = "bad", "hand", "Is this post live?"
		one.Words = "We could not find out, and do not post it again on our own. Look at the profile, then tell us."
		one.Link, one.Label = v.c.at(at+"#resolve"), "Look, and say"
	case events.StateFailed:
		one.Tone, one.Icon, one.Title, one.Words = "bad", "cross", "This post did not go out", why
		one.Action, one.Label = v.c.at(at+"/retry"), "Try again"
	case events.StateWaiting:
		if p.Reason != nil && p.Reason.Code == events.ReauthRequired {
			return nil // its account says so
		}
		one.Tone, one.Icon, one.Title, one.Words = "warn", "pause", "This post waits", why
		one.Link, one.Label = v.c.at(at), "See why"
	default:
		return nil
	}
	return one
}

func accountConcerns(v *visit, list []account) []concern {
	var all []concern
	for _, a := range list {
		connect := v.c.at("/accounts/connect?account=" + url.QueryEscape(a.ID))
		switch {
		case a.Status == events.ConnectionReconnectRequired:
			all = append(all, concern{
				Tone: "bad", Icon: "people", Title: "@" + a.Name() + " must be connected again", Link: connect, Label: "Connect again", Name: a.Name(),
				Words: "Threads no longer takes our key for it. What is scheduled waits, and goes out once you have pressed Allow.",
			})
		case a.PausedAt != nil:
			all = append(all, concern{
				Tone: "warn", Icon: "pause", Title: "@" + a.Name() + " is paused", Link: v.c.at("/accounts"), Label: "See the account", Name: a.Name(),
				Words: "Whoever runs this system holds its posts back. " + a.PauseReason,
			})
		case a.ReconnectBy != nil:
			all = append(all, concern{
				Tone: "warn", Icon: "people", Title: "Connect @" + a.Name() + " again by " + v.For(*a.ReconnectBy), Link: connect, Label: "Connect again", Name: a.Name(),
				Words: "Threads ends what you allowed after ninety days for private profiles.",
			})
		}
	}
	return all
}

// allowance is how much there is of something within a day.
type allowance struct {
	Total     int        `json:"total"`
	Used      int        `json:"used"`
	Scheduled int        `json:"scheduled"`
	Remaining int        `json:"remaining"`
	FreeAt    *time.Time `json:"freeAt"`
}

type limits struct {
	Posts   allowance `json:"posts"`
	Replies allowance `json:"replies"`
	Deletes allowance `json:"deletes"`
}

const (
	// limitsLooked is of how many accounts Today asks for the limits, and limitsWithin how long it waits for Threads.
	limitsLooked = 3
	limitsWithin = 400 * time.Millisecond
	// few is when a day's allowance is worth a word.
	few = 25
)

// limitsAhead warns of an allowance that the queue of the next day will nearly use up. Where Threads is slow to say, Today goes without.
func (v *visit) limitsAhead(list []account) []concern {
	ctx, cancel := context.WithTimeout(v.Context(), limitsWithin)
	defer cancel()
	ask := *v
	ask.Request = v.WithContext(ctx)
	found := make([]*concern, min(limitsLooked, len(list)))
	var work []func() error
	for i := range found {
		a := list[i]
		if !a.Connected {
			continue
		}
		work = append(work, func() error {
			var l limits
			if err := ask.get("/api/threads/limits?accountId="+url.QueryEscape(a.ID)+"&at="+url.QueryEscape(v.ISO(v.Now.Add(24*time.Hour))), &l); err != nil {
				return nil //nolint:nilerr // it is a hint only
			}
			if l.Posts.Total > 0 && l.Posts.Remaining < few {
				found[i] = &concern{
					Tone: "warn", Icon: "pause", Title: fmt.Sprintf("@%s has %d posts left for the coming day", a.Name(), max(0, l.Posts.Remaining)), Name: a.Name(),
					Words: fmt.Sprintf("Threads allows %d within 24 hours. What comes beyond waits until there is room.", l.Posts.Total),
					Link:  v.c.at("/accounts"), Label: "See its limits",
				}
			}
			return nil
		})
	}
	_ = together(work...)
	var all []concern
	for _, one := range found {
		if one != nil {
			all = append(all, *one)
		}
	}
	return all
}
