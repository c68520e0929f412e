package console

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/omni-write/threads/events"
)

// kind is a kind of posts that one can look at by itself.
type kind struct {
	Key, Word string
	statuses  []events.Status
	state     events.State
	newest    bool
}

// kinds are those that Posts shows, the first the usual one.
var kinds = []kind{
	{Key: "queued", Word: "Scheduled", statuses: []events.Status{events.StatusQueued}},
	{Key: "parked", Word: "Needs you", statuses: []events.Status{events.StatusQueued}, state: events.StateParked},
	{Key: "waiting", Word: "Waiting", statuses: []events.Status{events.StatusQueued}, state: events.StateWaiting},
	{Key: "unconfirmed", Word: "Being checked", statuses: []events.Status{events.StatusQueued}, state: events.StateUnconfirmed},
	{Key: "published", Word: "Published", statuses: []events.Status{events.StatusPosted}, newest: true},
	{Key: "failed", Word: "Failed", statuses: []events.Status{events.StatusFailed}, newest: true},
	{Key: "cancelled", Word: "Cancelled", statuses: []events.Status{events.StatusCancelled}, newest: true},
	{Key: "deleted", Word: "Deleted", statuses: []events.Status{events.StatusDeleted}, newest: true},
	{Key: "all", Word: "All", newest: true},
}

// standing are the posts that the calendar shows where nobody asks for others.
var standing = kind{Word: "Not cancelled", statuses: []events.Status{events.StatusQueued, events.StatusPosted, events.StatusFailed}}

func kindNamed(key string, usual kind) kind {
	if i := slices.IndexFunc(kinds, func(k kind) bool { return k.Key == key }); i >= 0 {
		return kinds[i]
	}
	return usual
}

// count is how many posts of this kind there are, as far as the API counts them.
func (k kind) count(all counts) tally {
	if k.state != "" {
		return all[string(k.state)]
	}
	statuses := k.statuses
	if len(statuses) == 0 {
		statuses = []events.Status{events.StatusQueued, events.StatusPosted, events.StatusFailed, events.StatusCancelled, events.StatusDeleted}
	}
	var sum tally
	for _, s := range statuses {
		sum.Posts += all[string(s)].Posts
		sum.More = sum.More || all[string(s)].More
	}
	return sum
}

// tally is a number of posts, or that there are more than were counted.
type tally struct {
	Posts int  `json:"posts"`
	More  bool `json:"more"`
}

// String is the number in words.
func (t tally) String() string {
	if t.More {
		return strconv.Itoa(t.Posts) + "+"
	}
	return strconv.Itoa(t.Posts)
}

// counts are the tallies by status, and by what holds a queued post up.
type counts map[string]tally

// filter is which posts a person wants to see.
type filter struct {
	kind
	Account, Search, Reason string
	From, To                string // days, both of them shown
}

// maxSearch is how many characters of a search the API looks for.
const maxSearch = 200

func filterOf(q url.Values, key string, usual kind) filter {
	f := filter{kind: kindNamed(q.Get(key), usual), Account: q.Get("account"), Search: excerptRunes(maxSearch, q.Get("search")), From: dateOf(q.Get("from")), To: dateOf(q.Get("to"))}
	if _, known := causes[events.Code(q.Get("reason"))]; known {
		f.Reason = q.Get("reason")
	}
	if f.To != "" && f.To < f.From {
		f.From, f.To = f.To, f.From
	}
	return f
}

// dateOf is a day as forms send it, or nothing.
func dateOf(text string) string {
	if at, err := time.Parse(time.DateOnly, text); err != nil || at.Year() < 1900 {
		return ""
	}
	return text
}

// query is how the API is asked for these posts.
func (f filter) query(v *visit) url.Values {
	ask := url.Values{}
	for _, s := range f.statuses {
		ask.Add("status", string(s))
	}
	from, _ := time.Parse(time.DateOnly, f.From)
	to, _ := time.Parse(time.DateOnly, f.To)
	if f.From != "" {
		ask.Set("from", v.ISO(firstAt(from, v.Zone)))
	}
	if f.To != "" {
		ask.Set("to", v.ISO(firstAt(to.AddDate(0, 0, 1), v.Zone)))
	}
	fill(ask, "state", string(f.state), "accountId", f.Account, "search", f.Search, "reason", f.Reason)
	return ask
}

// fill sets what is not empty.
func fill(values url.Values, pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if values.Del(pairs[i]); pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
}

// causes are why a post waits or failed, in a few words.
var causes = map[events.Code]string{
	events.ReauthRequired: "The account must be connected again", events.MissingScope: "A permission is missing", events.RateLimited: "The day's limit", events.Refused: "Threads refused it",
	events.Paused: "The account is paused", events.Missed: "Its time was missed", events.Unknown: "Nobody knows whether it is live", events.Unavailable: "Threads was away",
	events.Invalid: "Something in it is not allowed", events.NotFound: "Something in it is gone", events.Conflict: "Something else came first", events.Internal: "A fault on our side",
}
