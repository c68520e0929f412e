package console

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/omni-write/threads/events"
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
	Empty    int // how many empty rows of media
	Key      string
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
	used := len(d.Poll) > 0 || d.Topic != "" || d.ReplyControl != "" || d.Link != "" || d.Location != "" || d.SpoilerMedia || d.Ghost || d.Approvals
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
	d.Key = cmp.Or(v.PostForm.Get("key"), rand.Text())
	title := "Write a post"
	section := "compose"
	if d.ID != "" {
		title, section = "Edit the post", "posts"
	}
	c.show(w, v.Request, status, "compose", &view{Title: title, Section: section, V: v, Data: d, Scripts: []string{"compose.js"}})
	return nil
}

// rows does what a button in the list of media asks for, and says whether there was one.
func (d *composeData) rows(do string) bool {
	word, number, _ := strings.Cut(do, "-")
	i, err := strconv.Atoi(number)
	there := err == nil && i >= 0 && i < len(d.Media)
	switch {
	case do == "add":
		d.Empty = 1
	case word == "up" && there && i > 0:
		d.Media[i-1], d.Media[i] = d.Media[i], d.Media[i-1]
	case word == "down" && there && i+1 < len(d.Media):
		d.Media[i+1], d.Media[i] = d.Media[i], d.Media[i+1]
	case word == "drop" && there:
		d.Media = slices.Delete(d.Media, i, i+1)
	default:
		return word == "up" || word == "down" || word == "drop"
	}
	return true
}
