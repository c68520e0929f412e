package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway"
)

// publisherThat posts whatever it is told to, and shows the test what that was.
func publisherThat(t *testing.T, h *system) <-chan events.Command {
	t.Helper()
	seen := make(chan events.Command, 16)
	row := func(id, user, text string, status events.Status) events.Post {
		return events.Post{ID: id, UserID: user, Text: text, Status: status, Provider: events.Provider, Rev: 3, ScheduledAt: noon}
	}
	h.handle(t, events.PublisherCommands, func(on *bus.Handlers) {
		bus.OnCommand(on, func(_ context.Context, _ bus.Delivery, c events.PublishPost) (any, error) {
			seen <- c
			return row(c.PostID, c.UserID, c.Draft.Text, events.StatusPosted), nil
		})
		bus.OnCommand(on, func(_ context.Context, _ bus.Delivery, c events.SchedulePost) (any, error) {
			seen <- c
			return row(c.PostID, c.UserID, c.Draft.Text, events.StatusQueued), nil
		})
		bus.OnCommand(on, func(_ context.Context, _ bus.Delivery, c events.EditPost) (any, error) {
			seen <- c
			return row(c.PostID, c.UserID, "edited", events.StatusQueued), nil
		})
		bus.OnCommand(on, func(_ context.Context, _ bus.Delivery, c events.CancelPost) (any, error) {
			seen <- c
			return row(c.PostID, c.UserID, "", events.StatusCancelled), nil
		})
		bus.OnCommand(on, func(_ context.Context, _ bus.Delivery, c events.DeletePost) (any, error) {
			seen <- c
			return row(c.ID, c.UserID, "", events.StatusDeleted), nil
		})
		bus.OnCommand(on, func(_ context.Context, _ bus.Delivery, c events.RetryPost) (any, error) {
			seen <- c
			return row(c.PostID, c.UserID, "", events.StatusQueued), nil
		})
		bus.OnCommand(on, func(_ context.Context, _ bus.Delivery, c events.ResolvePost) (any, error) {
			seen <- c
			return row(c.PostID, c.UserID, "", events.StatusQueued), nil
		})
	})
	return seen
}

// publisherRefusing refuses every post in the same way.
func publisherRefusing(t *testing.T, h *system, fault *events.Fault) {
	t.Helper()
	h.handle(t, events.PublisherCommands, func(on *bus.Handlers) {
		bus.OnCommand(on, func(context.Context, bus.Delivery, events.PublishPost) (any, error) { return nil, fault })
		bus.OnCommand(on, func(context.Context, bus.Delivery, events.SchedulePost) (any, error) { return nil, fault })
	})
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestCreatePost(t *testing.T) {
	t.Parallel()

	t.Run("answers 201 with the row and where it is", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		seen := publisherThat(t, h)
		r := h.do(t, http.MethodPost, "/api/threads/post", `{"text":"Hello","mediaUrl":null}`)
		var row map[string]any
		r.is(t, http.StatusCreated, &row)
		cmd, _ := (<-seen).(events.PublishPost)
		if cmd.UserID != ada || cmd.Draft.Text != "Hello" || !events.IsPostID(cmd.PostID) || cmd.Draft.Media != nil {
			t.Errorf("sent %+v", cmd)
		}
		if r.header.Get("Location") != "/api/threads/post/"+cmd.PostID || r.header.Get("ETag") != `"3"` {
			t.Errorf("headers %v", r.header)
		}
		for _, name := range []string{ // the original's row, name for name
			"id", "userId", "provider", "text", "scheduledAt", "status", "postedTweetId", "errorMessage", "createdAt", "updatedAt", "mediaUrl",
		} {
			if _, ok := row[name]; !ok {
				t.Errorf("no %s in %s", name, r.body)
			}
		}
		if row["scheduledAt"] != "2026-11-22T12:00:00Z" || row["$schema"] != nil {
			t.Errorf("%s", r.body)
		}
	})

	t.Run("understands media in the original's way and in its own", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		seen := publisherThat(t, h)
		const at = "https://cdn.example/a"
		for body, want := range map[string][]events.Media{
			`{"text":"","mediaUrl":"` + at + `.JPG"}`:                                    {{Type: events.Image, URL: at + ".JPG"}},
			`{"mediaUrl":"` + at + `.mp4?sig=1"}`:                                        {{Type: events.Video, URL: at + ".mp4?sig=1"}},
			`{"mediaUrl":"` + at + `.MOV"}`:                                              {{Type: events.Video, URL: at + ".MOV"}},
			`{"mediaUrl":"` + at + `"}`:                                                  {{Type: events.Image, URL: at}},
			`{"text":"x","mediaUrl":""}`:                                                 nil,
			`{"media":[{"type":"video","url":"` + at + `","altText":"a cat"}]}`:          {{Type: events.Video, URL: at, AltText: "a cat"}},
			`{"mediaUrl":"","media":[{"type":"image","url":"` + at + `"}],"text":"why"}`: {{Type: events.Image, URL: at}},
		} {
			h.do(t, http.MethodPost, "/api/threads/post", body).is(t, http.StatusCreated, nil)
			cmd, _ := (<-seen).(events.PublishPost)
			if diff := cmp.Diff(want, cmd.Draft.Media); diff != "" {
				t.Errorf("%s: %s", body, diff)
			}
		}
	})

	t.Run("refuses a body of another shape, names the field and repeats nothing", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		const secret = "hunter2"
		for _, c := range []struct {
			body, code, pointer string
			status              int
		}{
			{`{"text":5}`, "invalid", "/text", 422},
			{`{"text":"x","txet":"hunter2"}`, "invalid", "/txet", 422},
			{`{"text":"x","media":[{"type":"hunter2","url":"u"}]}`, "invalid", "/media/0/type", 422},
			{`{"text":"x","media":[{"type":"image"}]}`, "invalid", "/media/0/url", 422},
			{`{"text":"x","media":"hunter2"}`, "invalid", "/media", 422},
			{`{"text":"x","publishWithin":"hunter2"}`, "invalid", "/publishWithin", 422},
			{`{"mediaUrl":"hunter2","media":[{"type":"image","url":"u"}]}`, "invalid", "/mediaUrl", 422},
			{`{"text":"hunter2`, "unreadable", "", 400},
			{`{"text":"x"} {"text":"hunter2"}`, "unreadable", "", 400},
			{"{\"text\":\"hunter2\xff\"}", "unreadable", "", 400},
			{`{"text":"hunter2\u0000"}`, "unreadable", "", 400},
			{`["hunter2"]`, "invalid", "", 422},
		} {
			r := h.do(t, http.MethodPost, "/api/threads/post", c.body)
			r.problem(t, c.status, c.code, c.pointer)
			if strings.Contains(string(r.body), secret) {
				t.Errorf("%s comes back in %s", c.body, r.body)
			}
		}
		h.do(t, http.MethodPost, "/api/threads/post", "").problem(t, 400, "unreadable")
		h.do(t, http.MethodPost, "/api/threads/post", "text=x", "Content-Type", "text/plain").problem(t, 415, "unsupported_media_type")
		h.do(t, http.MethodPost, "/api/threads/post", `{"text":"`+strings.Repeat("x", 1<<20)+`"}`).problem(t, 413, "too_large")
	})

	t.Run("takes a backslash before u0000 for what it is", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		seen := publisherThat(t, h)
		h.do(t, http.MethodPost, "/api/threads/post", `{"text":"\\u0000"}`).is(t, http.StatusCreated, nil)
		if cmd, _ := (<-seen).(events.PublishPost); cmd.Draft.Text != `\u0000` {
			t.Errorf("%q", cmd.Draft.Text)
		}
	})

	t.Run("passes a refusal on, pointed at what the client sent", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		publisherRefusing(t, h, events.Faultf(events.Invalid, "Threads cannot fetch this.").At("/media/0/url", "media_url_invalid", "Use https."))
		p := h.do(t, http.MethodPost, "/api/threads/post", `{"mediaUrl":"ftp://x"}`).problem(t, 422, "invalid", "/mediaUrl")
		if p.Detail != "Threads cannot fetch this." || p.Errors[0].Code != "media_url_invalid" {
			t.Errorf("%+v", p)
		}
		h.do(t, http.MethodPost, "/api/threads/post", `{"media":[{"type":"image","url":"ftp://x"}]}`).problem(t, 422, "invalid", "/media/0/url")
	})

	t.Run("answers 202 with where to ask when it takes longer than the client waits", func(t *testing.T) {
		t.Parallel()
		h := setup(t, func(c *gateway.Config) { c.Wait = longest }) // and nobody to do it
		for prefer, applied := range map[string]string{"wait=0": "wait=0", "respond-async": "respond-async", "respond-async, wait=0": "wait=0"} {
			began := time.Now()
			r := h.do(t, http.MethodPost, "/api/threads/post", `{"text":"x"}`, "Prefer", prefer)
			var body struct{ CommandID, Status, PostID string }
			r.is(t, http.StatusAccepted, &body)
			if !events.IsCommandID(body.CommandID) || body.Status != "pending" || !events.IsPostID(body.PostID) ||
				r.header.Get("Location") != "/api/threads/commands/"+body.CommandID || r.header.Get("Retry-After") == "" {
				t.Errorf("%s %v", r.body, r.header)
			}
			if got := r.header.Get("Preference-Applied"); got != applied {
				t.Errorf("%s: the preference applied is %q", prefer, got)
			}
			if took := time.Since(began); took > soon {
				t.Errorf("%s: waited %s", prefer, took)
			}
		}
	})

	t.Run("carries the request's id into the command", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		seen := make(chan events.Meta, 1)
		h.handle(t, events.PublisherCommands, func(on *bus.Handlers) {
			bus.OnCommand(on, func(_ context.Context, d bus.Delivery, c events.PublishPost) (any, error) {
				seen <- d.Meta
				return events.Post{ID: c.PostID}, nil
			})
		})
		h.do(t, http.MethodPost, "/api/threads/post", `{"text":"x"}`, "X-Request-Id", "click-7").is(t, http.StatusCreated, nil)
		if m := <-seen; m.Correlation != "click-7" || m.Key != "" || !events.IsCommandID(m.ID) {
			t.Errorf("%+v", m)
		}
	})
}

func TestGetPost(t *testing.T) {
	t.Parallel()
	h := setup(t)
	answer(t, h, func(q asks.GetPost) (asks.PostDetail, error) {
		switch {
		case q.ID == "post_2":
			return asks.PostDetail{}, events.Faultf(events.NotFound, "There is no post with this id among yours.")
		case q.UserID != ada || q.ID != "17900000000000001":
			return asks.PostDetail{}, events.Faultf(events.Internal, "a database would stumble over this")
		}
		return asks.PostDetail{
			Post:     events.Post{ID: "post_1", Rev: 9, Status: events.StatusPosted},
			Attempts: []asks.Attempt{{Phase: "publish", OK: true}},
		}, nil
	})

	t.Run("shows the row with its attempts, by Threads' id too", func(t *testing.T) {
		t.Parallel()
		r := h.do(t, http.MethodGet, "/api/threads/post/17900000000000001", "")
		var post asks.PostDetail
		r.is(t, http.StatusOK, &post)
		if post.ID != "post_1" || len(post.Attempts) != 1 || !strings.HasPrefix(r.header.Get("ETag"), `"9-`) {
			t.Errorf("%s", r.body)
		}
	})

	t.Run("knows no difference between a foreign id, a missing one and nonsense", func(t *testing.T) {
		t.Parallel()
		for _, id := range []string{"post_2", "%00", "a.b", "a%20b", strings.Repeat("a", 200)} {
			p := h.do(t, http.MethodGet, "/api/threads/post/"+id, "").problem(t, http.StatusNotFound, "not_found")
			if p.Detail != "There is no post with this id among yours." {
				t.Errorf("%s: %s", id, p.Detail)
			}
		}
	})
}

func TestDeletePost(t *testing.T) {
	t.Parallel()
	h := setup(t)
	seen := publisherThat(t, h)
	var post events.Post
	h.do(t, http.MethodDelete, "/api/threads/post/17900000000000001", "").is(t, http.StatusOK, &post)
	if diff := cmp.Diff(events.Command(events.DeletePost{ID: "17900000000000001", UserID: ada}), <-seen); diff != "" {
		t.Error(diff)
	}
	if post.Status != events.StatusDeleted {
		t.Errorf("%+v", post)
	}
	h.do(t, http.MethodDelete, "/api/threads/post/a%00b", "").problem(t, http.StatusNotFound, "not_found")
}
