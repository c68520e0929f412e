package console

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"slices"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
)

type composeData struct {
	draft
	ID       string // of the post that is edited
	Accounts []account
	Name     string // of the chosen account
	Problems map[string][]string
	Warnings []string
	Checked  *verdict
	Theirs   *events.Post
	Differs  []difference
	Gone     bool // it cannot be changed any more
	Empty    int  // how many empty rows of media
	Key      string
	Fresh    bool // nobody has typed anything into it yet
	Goes     string

	Places       []asks.Location // found
	PlaceProblem string
}

// MediaRows are the rows to fill in.
func (d composeData) MediaRows() []mediaRow {
	return append(slices.Clone(d.Media), make([]mediaRow, d.Empty)...)
}

// PollRows are four answers, filled or not.
func (d composeData) PollRows() []string {
	return append(slices.Clone(d.Poll), make([]string, 4)...)[:max(4, len(d.Poll))]
}

// More says whether one of the seldom fields is used, or wrong.
func (d composeData) More() bool {
	used := d.PlaceQuery != "" || len(d.Poll) > 0 || d.Topic != "" || d.ReplyControl != "" || d.Link != "" || d.Location != "" || d.SpoilerMedia || d.Ghost || d.Approvals
	for _, field := range []string{"poll", "topic", "link", "location", "reply_control", "more"} {
		used = used || len(d.Problems[field]) > 0
	}
	return used
}

// controls are who may reply, in words.
var controls = map[string]string{
	"everyone": "everyone", "accounts_you_follow": "accounts you follow", "mentioned_only": "who is mentioned", "parent_post_author_only": "the author above", "followers_only": "followers",
}

// decisions are what the clocks do, in words.
var decisions = map[events.TimeDecision]string{
	events.FirstOfTwo:   "The clocks go back that night, so this time comes twice. It goes out the first time.",
	events.SecondOfTwo:  "The clocks go back that night, so this time comes twice. It goes out the second time.",
	events.MovedForward: "The clocks go forward that night, so this time does not come. It goes out an hour later by the clock.",
}

// editor shows the editor.
func (c *Console) editor(w http.ResponseWriter, v *visit, status int, d composeData) error {
	var err error
	if d.Accounts == nil {
		if d.Accounts, err = v.accounts(); err != nil {
			return err
		}
	}
	d.Name = names(d.Accounts)[d.Account]
	if d.Name == "" && len(d.Accounts) > 0 {
		d.Name = d.Accounts[0].Name()
	}
	d.Key, d.Goes = cmp.Or(v.PostForm.Get("key"), rand.Text()), v.goes(d.draft)
	if len(d.Media) == 0 {
		d.Empty = 1
	}
	title := "Write a post"
	section := "compose"
	if d.ID != "" {
		title, section = "Edit the post", "posts"
	}
	c.show(w, v.Request, status, "compose", &view{Title: title, Section: section, V: v, Data: d, Scripts: []string{"compose.js"}})
	return nil
}

// goes says when a draft goes out, on the clocks that it names and on the person's; nothing where that is not a time, or one that
// these clocks skip, of which the API says what happens.
func (v *visit) goes(d draft) string {
	if d.Now {
		return "Goes out at once."
	}
	zone, err := time.LoadLocation(cmp.Or(d.Zone, "UTC"))
	if err != nil {
		return ""
	}
	at, err := time.ParseInLocation(time.DateOnly+"T15:04", d.Date+"T"+d.Time[:min(5, len(d.Time))], zone)
	if err != nil || at.Format("15:04") != d.Time[:5] {
		return ""
	}
	said := at.Format("Goes out Monday 2 January 2006 at 15:04, ") + zone.String() + at.Format(" (UTC-07:00).")
	if mine := at.In(v.Zone); mine.Format("15:04") != at.Format("15:04") {
		said += " On your clocks that is " + mine.Format("Monday, 15:04") + "."
	}
	if at.Before(v.Now) {
		said += " That is over."
	}
	return said
}
