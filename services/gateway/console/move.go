package console

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/omni-write/threads/events"
)

type moveData struct {
	draft
	Post     events.Post
	Problems map[string][]string
	Theirs   bool
}

// movePage asks for another time.
func (c *Console) movePage(w http.ResponseWriter, v *visit) error {
	var p detail
	if err := v.get("/api/threads/post/"+v.postID(), &p); err != nil {
		return err
	}
	c.show(w, v.Request, http.StatusOK, "move", &view{Title: "Move the post", Section: "posts", V: v, Data: moveData{draft: draftOf(v, &p.Post), Post: p.Post}})
	return nil
}

// move gives a post another time. The page that follows can take it back.
func (c *Console) move(w http.ResponseWriter, v *visit) error {
	var before detail
	if err := v.get("/api/threads/post/"+v.postID(), &before); err != nil {
		return err
	}
	d := moveData{draft: draftFrom(v.PostForm), Post: before.Post}
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
	to := url.Values{"done": {"moved"}}
	if v.PostForm.Get("undo") == "" && !s.pending() {
		to.Set("was", v.ISO(before.ScheduledAt))
	}
	return c.done(w, v, "/posts/"+v.postID()+"?"+to.Encode())
}
