package console

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/omni-write/threads/events"
)

// detail is a post with what was tried for it.
type detail struct {
	events.Post
	Attempts []struct {
		At      time.Time `json:"at"`
		Phase   string    `json:"phase"`
		TookMs  float64   `json:"tookMs"`
		OK      bool      `json:"ok"`
		Message string    `json:"message"`
		Code    int       `json:"code"`
		TraceID string    `json:"traceId"`
	} `json:"attempts"`
}

// said is a post on Threads, a reply for example.
type said struct {
	MediaID        string     `json:"mediaId"`
	Permalink      string     `json:"permalink"`
	Text           string     `json:"text"`
	Timestamp      *time.Time `json:"timestamp"`
	Username       string     `json:"username"`
	Mine           bool       `json:"mine"`
	HideStatus     string     `json:"hideStatus"`
	ApprovalStatus string     `json:"approvalStatus"`
}

// Hidden says that others do not see it.
func (s said) Hidden() bool { return s.HideStatus == "HIDDEN" }

type saidPage struct {
	Items []said `json:"items"`
	Next  string `json:"next"`
}

type metric struct {
	Name  string   `json:"name"`
	Total *float64 `json:"total"`
}

type insights struct {
	Metrics   []metric `json:"metrics"`
	Snapshots []struct {
		At      time.Time          `json:"at"`
		Figures map[string]float64 `json:"figures"`
	} `json:"snapshots"`
}

// step is one line of a post's life.
type step struct {
	At         time.Time
	Tone, Icon string
	Title      string
	Words      string
	Took       string
}

type postData struct {
	Post    detail
	Name    string
	Scopes  []string
	Parts   []events.Part
	Steps   []step
	Raw     string
	Curl    string
	Explain string
	NATS    string

	Figures        []metric
	FiguresProblem string
	Chart          *chart
	Replies        []said
	RepliesNext    bool
	RepliesProblem string

	CanEdit, CanCancel, CanRetry, CanResolve, CanDelete, CanRepost bool
}

// threadsWithin is how long a page waits for what Threads has to say; the rest of it does not depend on that.
const threadsWithin = 4 * time.Second

// post is a post's life.
func (c *Console) post(w http.ResponseWriter, v *visit) error {
	d := postData{}
	id := url.PathEscape(v.PathValue("id"))
	var raw json.RawMessage
	var list []account
	if err := together(
		func() error { return v.get("/api/threads/post/"+id, &raw) },
		func() (err error) { list, err = v.accounts(); return err },
	); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &d.Post); err != nil {
		return err
	}
	p := &d.Post.Post
	d.Name = names(list)[p.AccountID]
	d.Parts = p.Parts
	if len(d.Parts) == 0 {
		d.Parts = []events.Part{{Text: p.Text, Media: p.Media}}
	}
	d.Steps = stepsOf(v, &d.Post)
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, raw, "", "  "); err == nil {
		d.Raw = pretty.String()
	}
	d.Curl = fmt.Sprintf(`curl -sS "%s/api/threads/post/%s" -H "Authorization: Bearer $TOKEN"`, strings.TrimRight(c.Base.String(), "/"), p.ID)
	d.Explain = "threads explain " + p.ID
	d.NATS = fmt.Sprintf("nats sub --stream EVENTS --all '%s'", events.PostFacts(p.AccountID, p.ID, ">"))
	live := p.State == events.StatePublished && p.Status == events.StatusPosted
	queued := movable(*p)
	d.CanEdit = (queued || p.State == events.StateFailed) && p.Kind == events.KindPost
	d.CanCancel, d.CanRetry, d.CanResolve = queued, p.State == events.StateFailed, p.State == events.StateParked
	d.CanDelete, d.CanRepost = live && p.DeleteRequestedAt == nil, live
	if live && p.Kind != events.KindRepost {
		c.fromThreads(v, &d, id)
	}
	view := &view{Title: excerpt(60, wordsOf(*p)), Section: "posts", V: v, Data: d, Notice: notices[v.URL.Query().Get("done")]}
	v.moved(view, p)
	c.show(w, v.Request, http.StatusOK, "post", view)
	return nil
}

// fromThreads reads the figures and what was said below. Where Threads is slow or refuses, the page says so and is whole otherwise.
func (c *Console) fromThreads(v *visit, d *postData, id string) {
	ctx, cancel := context.WithTimeout(v.Context(), threadsWithin)
	defer cancel()
	ask := *v
	ask.Request = v.WithContext(ctx)
	account := "accountId=" + url.QueryEscape(d.Post.AccountID)
	var figures insights
	var replies saidPage
	_ = together(
		func() error {
			d.FiguresProblem = detailOf(ask.get("/api/threads/post/"+id+"/insights?"+account, &figures))
			return nil
		},
		func() error {
			d.RepliesProblem = detailOf(ask.get("/api/threads/post/"+id+"/replies?"+account+"&limit=25", &replies))
			return nil
		},
	)
	for _, m := range figures.Metrics {
		if m.Total != nil {
			d.Figures = append(d.Figures, m)
		}
	}
	var points []point
	for _, s := range figures.Snapshots {
		if value, ok := s.Figures["views"]; ok {
			points = append(points, point{s.At, value})
		}
	}
	d.Chart = chartOf("Views", points)
	d.Replies, d.RepliesNext = replies.Items, replies.Next != ""
}

func detailOf(err error) string {
	if err == nil {
		return ""
	}
	if p := asProblem(err); p != nil {
		return p.words()
	}
	return "Threads did not answer in time."
}

// phases are what a call was for.
var phases = map[string]string{
	"create": "Handed to Threads, to be prepared", "status": "Asked whether it is ready", "publish": "Told Threads to publish", "look": "Looked for it on the profile",
	"permalink": "Read its address", "delete": "Told Threads to delete", "reply": "Looked at the replies",
}

// stepsOf is a post's life from what the API knows of it, the earliest first.
func stepsOf(v *visit, p *detail) []step {
	steps := []step{{At: p.CreatedAt, Tone: "calm", Icon: "check", Title: "Accepted", Words: "It is on disk, for " + v.For(p.ScheduledAt) + "."}}
	for _, a := range p.Attempts {
		one := step{At: a.At, Tone: "calm", Icon: "up", Title: cmp.Or(phases[a.Phase], a.Phase), Words: a.Message, Took: took(a.TookMs)}
		if a.Phase == "publish" {
			one.Tone = "busy"
		}
		if !a.OK {
			one.Tone, one.Icon = "warn", "cross"
			if a.TraceID != "" {
				one.Words += " (Meta's trace: " + a.TraceID + ")"
			}
		}
		steps = append(steps, one)
	}
	add := func(at *time.Time, tone, icon, title, words string) {
		if at != nil {
			steps = append(steps, step{At: *at, Tone: tone, Icon: icon, Title: title, Words: words})
		}
	}
	if p.State == events.StatePublished {
		add(p.AcceptedAt, "good", "check", "Live on Threads", lateness(p.LatenessMs))
	}
	add(p.DeleteRequestedAt, "warn", "bin", "You asked to delete it", "")
	add(p.DeletedAt, "off", "bin", "Gone from Threads", "")
	slices.SortStableFunc(steps, func(a, b step) int { return a.At.Compare(b.At) })
	why := ""
	if p.Reason != nil {
		why = p.Reason.Message
	}
	now := badgeOf(&p.Post)
	switch p.State {
	case events.StateScheduled, events.StateReady:
		steps = append(steps, step{At: p.ScheduledAt, Tone: "next", Icon: "clock", Title: "Goes out", Words: why})
	case events.StateWaiting, events.StateUnconfirmed, events.StateParked, events.StateFailed, events.StateCancelled:
		steps = append(steps, step{At: p.UpdatedAt, Tone: now.Tone, Icon: now.Icon, Title: now.Word, Words: why})
	}
	return steps
}

func took(ms float64) string {
	if ms <= 0 {
		return ""
	}
	if ms < 1000 {
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", ms/1000)
}

// point is a figure at a time.
type point struct {
	At    time.Time
	Value float64
}

// chart is a curve, and its points for a table beside it.
type chart struct {
	Name   string
	Line   string
	Area   string
	Points []point
	Top    float64
}

const chartWidth, chartHeight = 600.0, 120.0

// chartOf draws a curve as a polyline; fewer than two points are none.
func chartOf(name string, points []point) *chart {
	if len(points) < 2 {
		return nil
	}
	c := &chart{Name: name, Points: points}
	for _, p := range points {
		c.Top = max(c.Top, p.Value)
	}
	first, last := points[0].At, points[len(points)-1].At
	width := max(last.Sub(first).Seconds(), 1)
	var line strings.Builder
	for _, p := range points {
		fmt.Fprintf(&line, "%.1f,%.1f ", p.At.Sub(first).Seconds()/width*chartWidth, chartHeight-p.Value/max(c.Top, 1)*(chartHeight-8)-4)
	}
	c.Line = strings.TrimSpace(line.String())
	c.Area = fmt.Sprintf("0,%.0f %s %.0f,%.0f", chartHeight, c.Line, chartWidth, chartHeight)
	return c
}

// sent is the answer to a command about a post: the post, or that it is not done yet.
type sent struct {
	events.Post
	CommandID string `json:"commandId"`
	PostID    string `json:"postId"`
}

// pending says that the command is accepted and not done yet.
func (s *sent) pending() bool { return s.CommandID != "" }

// onPost sends a command about the post of this page and shows the page again.
func (c *Console) onPost(w http.ResponseWriter, v *visit, method, path string, in any, done string) error {
	var s sent
	rev := ""
	if r := v.PostForm.Get("rev"); r != "" {
		rev = strconv.Quote(r)
	}
	err := v.do(method, path, in, &s, "If-Match", rev, "Idempotency-Key", v.PostForm.Get("key"))
	if p := asProblem(err); p != nil && (p.Status == http.StatusConflict || p.Status == http.StatusPreconditionFailed) {
		c.show(w, v.Request, p.Status, "message", &view{Title: "It has moved on", Section: "posts", V: v, Data: message{
			Words: p.Detail, Link: c.at("/posts/" + v.PathValue("id")), Label: "See how it is now",
		}})
		return nil
	}
	if err != nil {
		return err
	}
	if s.pending() {
		done = "pending"
	}
	return c.done(w, v, "/posts/"+url.PathEscape(v.PathValue("id"))+"?done="+done)
}

func (v *visit) postID() string { return url.PathEscape(v.PathValue("id")) }

func (c *Console) cancel(w http.ResponseWriter, v *visit) error {
	return c.onPost(w, v, http.MethodDelete, "/api/threads/post/schedule/"+v.postID(), nil, "cancelled")
}

func (c *Console) retry(w http.ResponseWriter, v *visit) error {
	return c.onPost(w, v, http.MethodPost, "/api/threads/post/"+v.postID()+"/retry", nil, "retried")
}

func (c *Console) resolve(w http.ResponseWriter, v *visit) error {
	in := map[string]any{"published": false}
	if v.PostForm.Get("live") == "yes" {
		in = map[string]any{"published": true, "mediaId": strings.TrimSpace(v.PostForm.Get("media"))}
	}
	return c.onPost(w, v, http.MethodPost, "/api/threads/post/"+v.postID()+"/resolve", in, "resolved")
}

func (c *Console) repost(w http.ResponseWriter, v *visit) error {
	var s sent
	if err := v.do(http.MethodPost, "/api/threads/post/"+v.postID()+"/repost", map[string]any{"accountId": v.PostForm.Get("account")}, &s, "Idempotency-Key", v.PostForm.Get("key")); err != nil {
		return err
	}
	return c.done(w, v, "/posts/"+url.PathEscape(cmp.Or(s.ID, s.PostID, v.PathValue("id")))+"?done=reposted")
}

func (c *Console) remove(w http.ResponseWriter, v *visit) error {
	return c.onPost(w, v, http.MethodDelete, "/api/threads/post/"+v.postID(), nil, "deleted")
}

// reply answers a reply, or the post itself.
func (c *Console) reply(w http.ResponseWriter, v *visit) error {
	in := map[string]any{"text": v.PostForm.Get("text"), "replyTo": v.PostForm.Get("to"), "accountId": v.PostForm.Get("account")}
	var s sent
	if err := v.do(http.MethodPost, "/api/threads/post", in, &s, "Idempotency-Key", v.PostForm.Get("key")); err != nil {
		return err
	}
	done := "replied"
	if s.pending() {
		done = "pending"
	}
	return c.done(w, v, "/posts/"+v.postID()+"?done="+done+"#replies")
}

// moderate hides a reply, shows it again, lets it be seen, or sets it aside.
func (c *Console) moderate(w http.ResponseWriter, v *visit) error {
	reply := "/api/threads/replies/" + url.PathEscape(v.PathValue("reply"))
	account := "?accountId=" + url.QueryEscape(v.PostForm.Get("account"))
	var err error
	done := v.PostForm.Get("do")
	switch done {
	case "hidden", "unhidden":
		err = v.do(http.MethodPost, reply+"/hide"+account, map[string]any{"hide": done == "hidden"}, nil)
	case "approved", "ignored":
		err = v.do(http.MethodPost, reply+"/approve"+account, map[string]any{"approve": done == "approved"}, nil)
	}
	if err != nil {
		return err
	}
	return c.done(w, v, "/posts/"+v.postID()+"?done="+done+"#replies")
}
