package console

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/omni-write/threads/events"
)

// composePage is an empty editor, for the time and the post that the address names.
func (c *Console) composePage(w http.ResponseWriter, v *visit) error {
	q := v.URL.Query()
	d := composeData{draft: draft{Account: q.Get("account"), ReplyTo: q.Get("replyTo"), Quote: q.Get("quote"), Text: q.Get("text")}, Fresh: true}
	at, err := time.Parse(time.RFC3339, q.Get("at"))
	if err != nil {
		at = v.Now.Truncate(time.Hour).Add(2 * time.Hour)
	}
	d.setTime(at.In(v.Zone))
	return c.editor(w, v, http.StatusOK, d)
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
		d.refused(v, p)
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

// editPage is the editor with a post in it.
func (c *Console) editPage(w http.ResponseWriter, v *visit) error {
	var p detail
	if err := v.get("/api/threads/post/"+v.postID(), &p); err != nil {
		return err
	}
	d := composeData{draft: draftOf(v, &p.Post), ID: p.ID, Fresh: true}
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
		d.Differs = v.differences(draftOf(v, &now.Post), d.draft)
		v.PostForm.Set("key", rand.Text())
		return c.editor(w, v, http.StatusPreconditionFailed, d)
	case p != nil && p.Status != http.StatusUnauthorized:
		d.refused(v, p)
		d.Gone = p.Status == http.StatusConflict
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

// checkedForm shows the editor again, unless its form is to be sent: where a button changes it or a check was asked for, or something is not good yet.
func (c *Console) checkedForm(w http.ResponseWriter, v *visit, d *composeData) (shown bool, err error) {
	do := v.PostForm.Get("do")
	if v.changed(d, do) {
		return true, c.editor(w, v, http.StatusOK, *d)
	}
	check := do != "send"
	good, err := v.checked(d, check)
	if err != nil {
		return false, err
	}
	if !good {
		return true, c.editor(w, v, http.StatusUnprocessableEntity, *d)
	}
	if check || !d.settled() {
		return true, c.editor(w, v, http.StatusOK, *d)
	}
	return false, nil
}

// verdict is what the API says of a draft before it is wanted.
type verdict struct {
	Valid        bool                `json:"valid"`
	Errors       []fieldError        `json:"errors"`
	Warnings     []fieldError        `json:"warnings"`
	PublishAt    time.Time           `json:"publishAt"`
	TimeDecision events.TimeDecision `json:"timeDecision"`
	Quota        *limits             `json:"quota"`
	Parts        []struct {
		Count int `json:"count"`
		Limit int `json:"limit"`
	} `json:"parts"`
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
		d.refused(v, p)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	said.Errors = append(said.Errors, d.hiddenLater()...)
	d.Checked, d.Problems = &said, place(said.Errors)
	for _, f := range said.Warnings {
		d.Warnings = append(d.Warnings, f.Detail)
	}
	return len(said.Errors) == 0, nil
}

// settled says whether the person has seen what the clocks do at that time, where they do something.
func (d *composeData) settled() bool {
	if d.Now || d.Checked == nil || d.Checked.TimeDecision == "" || string(d.Checked.TimeDecision) == d.Decided {
		return true
	}
	d.Decided = string(d.Checked.TimeDecision)
	return false
}
