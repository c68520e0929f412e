package console

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/omni-write/threads/events"
)

// draft is what the editor holds: what a person typed, as they typed it.
type draft struct {
	Account       string
	Text          string // the parts of a chain, with a line of --- between them
	Media         []mediaRow
	Poll          []string
	Topic         string
	ReplyControl  string
	Link          string
	Location      string
	SpoilerMedia  bool
	Ghost         bool
	Approvals     bool
	ReplyTo       string
	Quote         string
	Now           bool
	Date, Time    string
	Zone          string
	Fold, Decided string
	Rev           string
}

type mediaRow struct{ Type, URL, Alt, Part string }

// divider is the line between two parts of a chain.
var divider = regexp.MustCompile(`(?m)^[ \t]*---+[ \t]*$`)

// partsOf are the texts of a chain; one where there is no divider.
func partsOf(text string) []string {
	var list []string
	for _, part := range divider.Split(strings.ReplaceAll(text, "\r\n", "\n"), -1) {
		list = append(list, strings.Trim(part, "\n"))
	}
	return list
}

func draftFrom(form url.Values) draft {
	d := draft{
		Account: form.Get("account"), Text: strings.ReplaceAll(form.Get("text"), "\r\n", "\n"), Topic: strings.TrimSpace(form.Get("topic")), ReplyControl: form.Get("reply_control"),
		Link: strings.TrimSpace(form.Get("link")), Location: strings.TrimSpace(form.Get("location")), SpoilerMedia: form.Get("spoiler") != "", Ghost: form.Get("ghost") != "",
		Approvals: form.Get("approvals") != "", ReplyTo: strings.TrimSpace(form.Get("reply_to")), Quote: strings.TrimSpace(form.Get("quote")), Now: form.Get("when") == "now",
		Date: form.Get("date"), Time: form.Get("time"), Zone: strings.TrimSpace(form.Get("zone")), Fold: form.Get("fold"), Decided: form.Get("decided"), Rev: form.Get("rev"),
	}
	at := func(name string, i int) string {
		if list := form[name]; i < len(list) {
			return strings.TrimSpace(list[i])
		}
		return ""
	}
	for i := range form["media_url"] {
		row := mediaRow{at("media_type", i), at("media_url", i), at("media_alt", i), at("media_part", i)}
		if row.URL != "" || row.Alt != "" {
			d.Media = append(d.Media, row)
		}
	}
	for _, option := range form["poll"] {
		if option = strings.TrimSpace(option); option != "" {
			d.Poll = append(d.Poll, option)
		}
	}
	return d
}

// draftOf is a post as the editor shows it.
func draftOf(v *visit, p *events.Post) draft {
	d := draft{
		Account: p.AccountID, Text: p.Text, Poll: p.Poll, Topic: p.TopicTag, ReplyControl: p.ReplyControl, Link: p.LinkAttachment, Location: p.Location,
		SpoilerMedia: p.SpoilerMedia, Ghost: p.Ghost, Approvals: p.ReplyApprovals, ReplyTo: p.ReplyTo, Quote: p.QuotePostID, Rev: strconv.FormatInt(p.Rev, 10),
	}
	zone := v.Zone
	if p.TimeZone != "" {
		zone = zoneNamed(p.TimeZone)
	}
	d.setTime(p.ScheduledAt.In(zone))
	parts := p.Parts
	if len(parts) == 0 {
		parts = []events.Part{{Text: p.Text, Media: p.Media}}
	}
	var texts []string
	for i, part := range parts {
		texts = append(texts, part.Text)
		for _, m := range part.Media {
			d.Media = append(d.Media, mediaRow{string(m.Type), m.URL, m.AltText, strconv.Itoa(i + 1)})
		}
	}
	d.Text = strings.Join(texts, "\n---\n")
	return d
}

func (d *draft) setTime(at time.Time) {
	d.Date, d.Zone = at.Format(time.DateOnly), at.Location().String()
	d.Time = at.Format("15:04")
	if at.Second() != 0 || at.Nanosecond() != 0 {
		d.Time = at.Format("15:04:05.999")
	}
}

// Parts are the texts with their media, for a preview.
func (d draft) Parts() []events.Part {
	var parts []events.Part
	for i, text := range partsOf(d.Text) {
		parts = append(parts, events.Part{Text: text, Media: d.mediaOf(i)})
	}
	return parts
}

func (d draft) mediaOf(part int) []events.Media {
	count := len(partsOf(d.Text))
	var list []events.Media
	for _, m := range d.Media {
		n, err := strconv.Atoi(m.Part)
		if err != nil || n < 1 || n > count {
			n = 1
		}
		if n-1 == part {
			kind := events.Image
			if m.Type == string(events.Video) {
				kind = events.Video
			}
			list = append(list, events.Media{Type: kind, URL: m.URL, AltText: m.Alt})
		}
	}
	return list
}

// body is the draft as the API takes it. For an edit, what is empty takes away what was there.
func (d draft) body(edit bool) map[string]any {
	in := map[string]any{}
	type part struct {
		Text  string         `json:"text"`
		Media []events.Media `json:"media,omitempty"`
	}
	if texts := partsOf(d.Text); len(texts) > 1 {
		var parts []part
		for i, text := range texts {
			parts = append(parts, part{text, d.mediaOf(i)})
		}
		in["parts"] = parts
	} else {
		in["text"] = texts[0]
		if media := d.mediaOf(0); len(media) > 0 || edit {
			in["media"] = media
		}
	}
	set := func(name string, value any, there bool) {
		switch {
		case there:
			in[name] = value
		case edit:
			in[name] = nil
		}
	}
	set("topicTag", d.Topic, d.Topic != "")
	set("replyControl", d.ReplyControl, d.ReplyControl != "")
	set("linkAttachment", d.Link, d.Link != "")
	set("location", d.Location, d.Location != "")
	set("poll", d.Poll, len(d.Poll) > 0)
	set("spoilerMedia", true, d.SpoilerMedia)
	set("ghost", true, d.Ghost)
	set("replyApprovals", true, d.Approvals)
	if !edit {
		for name, value := range map[string]string{"accountId": d.Account, "replyTo": d.ReplyTo, "quotePostId": d.Quote} {
			if value != "" {
				in[name] = value
			}
		}
	}
	if !d.Now {
		d.when(in)
	}
	return in
}

// when adds the time: on the clocks of a zone, which the API knows how to read where they change.
func (d draft) when(in map[string]any) {
	at := d.Date + "T" + d.Time
	if d.Date == "" || d.Time == "" {
		at = ""
	}
	in["scheduledAt"], in["timeZone"] = at, cmp.Or(d.Zone, "UTC")
	if fold, err := strconv.Atoi(d.Fold); err == nil {
		in["fold"] = fold
	}
}

// verdict is what the API says of a draft before it is wanted.
type verdict struct {
	Valid        bool                `json:"valid"`
	Errors       []flaw              `json:"errors"`
	Warnings     []flaw              `json:"warnings"`
	PublishAt    time.Time           `json:"publishAt"`
	TimeDecision events.TimeDecision `json:"timeDecision"`
	Quota        *limits             `json:"quota"`
	Parts        []struct {
		Count int `json:"count"`
		Limit int `json:"limit"`
	} `json:"parts"`
}

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

// Say is what is wrong with a field.
func (d composeData) Say(field string) []string { return d.Problems[field] }

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

// fields are where the API's pointers lead in the form.
var fields = []struct{ prefix, field string }{
	{"/scheduledAt", "when"}, {"/timeZone", "when"}, {"/fold", "when"}, {"/accountId", "account"}, {"/media", "media"}, {"/poll", "poll"}, {"/topicTag", "topic"},
	{"/replyControl", "reply_control"}, {"/linkAttachment", "link"}, {"/location", "location"}, {"/spoiler", "more"}, {"/ghost", "more"}, {"/replyApprovals", "more"},
	{"/text", "text"}, {"/replyTo", "text"}, {"/quotePostId", "text"},
}

var inPart = regexp.MustCompile(`^/parts/(\d+)/(text|media)`)

// place puts what is wrong beside the fields.
func place(flaws []flaw) map[string][]string {
	m := map[string][]string{}
	for _, f := range flaws {
		field, words := "form", f.Detail
		if part := inPart.FindStringSubmatch(f.Pointer); part != nil {
			n, _ := strconv.Atoi(part[1])
			field, words = part[2], "Part "+strconv.Itoa(n+1)+": "+f.Detail
		} else if strings.HasPrefix(f.Pointer, "/parts") {
			field = "text"
		} else {
			for _, to := range fields {
				if strings.HasPrefix(f.Pointer, to.prefix) {
					field = to.field
					break
				}
			}
		}
		if !slices.Contains(m[field], words) {
			m[field] = append(m[field], words)
		}
	}
	return m
}

// composePage is an empty editor, for the time and the post that the address names.
func (c *Console) composePage(w http.ResponseWriter, v *visit) error {
	q := v.URL.Query()
	d := composeData{draft: draft{Account: q.Get("account"), ReplyTo: q.Get("replyTo"), Quote: q.Get("quote"), Text: q.Get("text")}, Empty: 1}
	at, err := time.Parse(time.RFC3339, q.Get("at"))
	if err != nil {
		at = v.Now.Truncate(time.Hour).Add(2 * time.Hour)
	}
	d.setTime(at.In(v.Zone))
	return c.editor(w, v, http.StatusOK, d)
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

// checked holds a draft against the rules, and says whether it may be sent now.
func (v *visit) checked(d *composeData, fetch bool) (bool, error) {
	in := d.body(false)
	if d.ID != "" { // who has it, and what it answers, is not the editor's to change
		in["accountId"] = d.Account
	}
	var said verdict
	err := v.do(http.MethodPost, "/api/threads/post/validate?media="+strconv.FormatBool(fetch), in, &said)
	if p := asProblem(err); p != nil && (p.Status == http.StatusUnprocessableEntity || p.Status == http.StatusBadRequest) {
		d.refused(p)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	d.Checked, d.Problems = &said, place(said.Errors)
	for _, f := range said.Warnings {
		d.Warnings = append(d.Warnings, f.Detail)
	}
	return len(said.Errors) == 0, nil
}

// refused puts a problem of the API into the form.
func (d *composeData) refused(p *problem) {
	d.Problems = place(p.Errors)
	if len(d.Problems) == 0 {
		d.Problems = map[string][]string{"form": {cmp.Or(p.Detail, p.Title)}}
	}
}

// checkedForm shows the editor again, unless its form is to be sent: where a row was asked for, a check, or something is not good yet.
func (c *Console) checkedForm(w http.ResponseWriter, v *visit, d *composeData) (shown bool, err error) {
	do := v.PostForm.Get("do")
	if d.rows(do) {
		return true, c.editor(w, v, http.StatusOK, *d)
	}
	good, err := v.checked(d, do == "check")
	if err != nil {
		return false, err
	}
	if !good {
		return true, c.editor(w, v, http.StatusUnprocessableEntity, *d)
	}
	if do == "check" || !d.settled() {
		return true, c.editor(w, v, http.StatusOK, *d)
	}
	return false, nil
}

// compose takes the editor's form: shows it again, or sends what is in it.
func (c *Console) compose(w http.ResponseWriter, v *visit) error {
	d := composeData{draft: draftFrom(v.PostForm)}
	if shown, err := c.checkedForm(w, v, &d); shown || err != nil {
		return err
	}
	to := "/api/threads/post/schedule"
	if d.Now {
		to = "/api/threads/post"
	}
	var s sent
	err := v.do(http.MethodPost, to, d.body(false), &s, "Idempotency-Key", v.PostForm.Get("key"))
	if p := asProblem(err); p != nil && p.Status != http.StatusUnauthorized {
		d.refused(p)
		if p.Code == "key_reused" { // sent before with other words: this is another post
			v.PostForm.Set("key", rand.Text())
			d.Problems = map[string][]string{"form": {"This form was sent before, and changed since. Send it once more if you want a second post."}}
		}
		return c.editor(w, v, p.Status, d)
	}
	if err != nil {
		return err
	}
	done := "scheduled"
	switch {
	case s.pending():
		done = "pending"
	case d.Now:
		done = "published"
	}
	return c.done(w, v, "/posts/"+url.PathEscape(cmp.Or(s.ID, s.PostID))+"?done="+done)
}

// settled says whether the person has seen what the clocks do at that time, where they do something.
func (d *composeData) settled() bool {
	if d.Now || d.Checked == nil || d.Checked.TimeDecision == "" || string(d.Checked.TimeDecision) == d.Decided {
		return true
	}
	d.Decided = string(d.Checked.TimeDecision)
	return false
}

// decisions are what the clocks do, in words.
var decisions = map[events.TimeDecision]string{
	events.FirstOfTwo:   "The clocks go back that night, so this time comes twice. It goes out the first time.",
	events.SecondOfTwo:  "The clocks go back that night, so this time comes twice. It goes out the second time.",
	events.MovedForward: "The clocks go forward that night, so this time does not come. It goes out an hour later by the clock.",
}

// editPage is the editor with a post in it.
func (c *Console) editPage(w http.ResponseWriter, v *visit) error {
	var p detail
	if err := v.get("/api/threads/post/"+v.postID(), &p); err != nil {
		return err
	}
	d := composeData{draft: draftOf(v, &p.Post), ID: p.ID}
	if len(d.Media) == 0 {
		d.Empty = 1
	}
	return c.editor(w, v, http.StatusOK, d)
}

// edit saves a changed post, unless somebody else has changed it since.
func (c *Console) edit(w http.ResponseWriter, v *visit) error {
	d := composeData{draft: draftFrom(v.PostForm), ID: v.PathValue("id")}
	d.Now = false
	if shown, err := c.checkedForm(w, v, &d); shown || err != nil {
		return err
	}
	var s sent
	err := v.do(http.MethodPatch, "/api/threads/post/schedule/"+v.postID(), d.body(true), &s, "If-Match", strconv.Quote(d.Rev), "Idempotency-Key", v.PostForm.Get("key"))
	p := asProblem(err)
	switch {
	case p != nil && p.Status == http.StatusPreconditionFailed:
		var now detail
		if err := v.get("/api/threads/post/"+v.postID(), &now); err != nil {
			return err
		}
		d.Checked, d.Theirs, d.Rev = nil, &now.Post, strconv.FormatInt(now.Rev, 10)
		v.PostForm.Set("key", rand.Text())
		return c.editor(w, v, http.StatusPreconditionFailed, d)
	case p != nil && p.Status != http.StatusUnauthorized:
		d.refused(p)
		return c.editor(w, v, p.Status, d)
	case err != nil:
		return err
	}
	done := "saved"
	if s.pending() {
		done = "pending"
	}
	return c.done(w, v, "/posts/"+v.postID()+"?done="+done)
}

// controls are who may reply, in words.
var controls = map[string]string{
	"everyone": "everyone", "accounts_you_follow": "accounts you follow", "mentioned_only": "who is mentioned", "parent_post_author_only": "the author above", "followers_only": "followers",
}
