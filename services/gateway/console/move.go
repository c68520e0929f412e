package console

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/omni-write/threads/events"
)

type moveData struct {
	draft
	Post     events.Post
	Problems map[string][]string
	Theirs   bool
	Back     string // where one came from, if that was the calendar: its query
}

// Leave is where one goes who does not move it.
func (d moveData) Leave(v *visit) string {
	if d.Back != "" {
		return v.c.at("/calendar?" + calendarQuery(d.Back).Encode())
	}
	return v.c.at("/posts/" + url.PathEscape(d.Post.ID))
}

// movePage asks for another time.
func (c *Console) movePage(w http.ResponseWriter, v *visit) error {
	var p detail
	if err := v.get("/api/threads/post/"+v.postID(), &p); err != nil {
		return err
	}
	c.show(w, v.Request, http.StatusOK, "move", &view{Title: "Move the post", Section: "posts", V: v, Data: moveData{draft: draftOf(v, &p.Post), Post: p.Post, Back: v.calendarBefore()}})
	return nil
}

// move gives a post another time. The page that follows can take it back.
func (c *Console) move(w http.ResponseWriter, v *visit) error {
	var before detail
	if err := v.get("/api/threads/post/"+v.postID(), &before); err != nil {
		return err
	}
	d := moveData{draft: draftFrom(v.PostForm), Post: before.Post, Back: cmp.Or(v.PostForm.Get("back"), v.calendarBefore())}
	in := map[string]any{}
	d.when(in)
	var s sent
	err := v.do(http.MethodPatch, "/api/threads/post/schedule/"+v.postID(), in, &s, "If-Match", strconv.Quote(d.Rev))
	if p := asProblem(err); p != nil && p.Status != http.StatusUnauthorized {
		if d.Problems = place(p.Errors); len(d.Problems["when"]) == 0 {
			d.Problems = map[string][]string{"when": {p.Detail}}
		}
		if p.Status == http.StatusPreconditionFailed {
			d.Problems, d.Theirs, d.Rev = nil, true, strconv.FormatInt(before.Rev, 10)
		}
		c.show(w, v.Request, p.Status, "move", &view{Title: "Move the post", Section: "posts", V: v, Data: d})
		return nil
	}
	if err != nil {
		return err
	}
	path, to := "/posts/"+v.postID(), url.Values{}
	if d.Back != "" {
		path, to = "/calendar", calendarQuery(d.Back)
		to.Set("post", before.ID)
	}
	to.Set("done", "moved")
	if s.pending() {
		to.Set("done", "pending")
	} else if v.PostForm.Get("undo") == "" {
		to.Set("was", v.ISO(before.ScheduledAt))
	}
	return c.done(w, v, path+"?"+to.Encode())
}

// moved says on a page that a post was moved, and offers to take it back, where the address says when it was to go out before.
func (v *visit) moved(page *view, p *events.Post) {
	was, err := time.Parse(time.RFC3339Nano, v.URL.Query().Get("was"))
	if err != nil || !movable(*p) {
		return
	}
	page.Notice = "Moved to " + v.For(p.ScheduledAt) + "."
	if words := decisions[p.TimeDecision]; words != "" {
		page.Notice += " " + words
	}
	at := was.In(v.Zone)
	page.Undo = &undo{v.c.at("/posts/" + p.ID + "/move"), []field{
		{"date", at.Format(time.DateOnly)}, {"time", timeOf(at)}, {"fold", strconv.Itoa(foldOf(at))}, {"zone", v.Zone.String()},
		{"rev", strconv.FormatInt(p.Rev, 10)}, {"undo", "1"},
	}}
}
