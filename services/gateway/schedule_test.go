package gateway_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
)

const schedule = "/api/threads/post/schedule"

func TestSchedulePost(t *testing.T) {
	t.Parallel()

	t.Run("answers 201 with the row; the time is what was meant, in UTC", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		seen := publisherThat(t, h)
		for _, at := range []string{"2026-11-22T12:00:00Z", "2026-11-22T13:00:00.000+01:00", "2026-11-22T12:00:00-00:00"} {
			r := h.do(t, http.MethodPost, schedule, `{"text":"Later","scheduledAt":"`+at+`","accountId":"acct_1","publishWithin":600}`)
			r.is(t, http.StatusCreated, nil)
			cmd, _ := (<-seen).(events.SchedulePost)
			want := events.SchedulePost{
				PostID: cmd.PostID, UserID: ada, PublishAt: noon,
				Draft: events.Draft{Text: "Later", AccountID: "acct_1", PublishWithin: 600},
			}
			if diff := cmp.Diff(want, cmd); diff != "" {
				t.Errorf("%s: %s", at, diff)
			}
			if r.header.Get("Location") != "/api/threads/post/"+cmd.PostID {
				t.Errorf("Location %q", r.header.Get("Location"))
			}
		}
	})

	t.Run("refuses a time that could mean several moments, or none", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		for at, code := range map[string]string{
			`"2025-11-02T10:00:00"`: "time_without_offset", `"2025-11-02T10:00:00.123"`: "time_without_offset",
			`"2025-11-02 10:00"`: "time_without_offset", `"2025-11-02"`: "time_without_offset", `"2025-11-02T10:00"`: "time_without_offset",
			`"tomorrow"`: "time_invalid", `""`: "time_invalid", `"2025-13-02T10:00:00Z"`: "time_invalid",
			`1762077600`: "not_a_string", `null`: "not_a_string",
		} {
			p := h.do(t, http.MethodPost, schedule, `{"text":"x","scheduledAt":`+at+`}`).problem(t, 422, "invalid", "/scheduledAt")
			if len(p.Errors) != 1 || p.Errors[0].Code != code {
				t.Errorf("%s: %+v", at, p.Errors)
			}
			if code == "time_without_offset" && !strings.Contains(p.Detail, "+02:00") {
				t.Errorf("does not say how to mend it: %s", p.Detail)
			}
		}
		p := h.do(t, http.MethodPost, schedule, `{"text":"x"}`).problem(t, 422, "invalid", "/scheduledAt")
		if p.Errors[0].Code != "missing" {
			t.Errorf("%+v", p.Errors)
		}
	})

	t.Run("names every flaw at once", func(t *testing.T) {
		t.Parallel()
		setup(t).do(t, http.MethodPost, schedule, `{"text":1,"scheduledAt":"noon","colour":"red"}`).
			problem(t, 422, "invalid", "/text", "/scheduledAt", "/colour")
	})
}

func TestListPosts(t *testing.T) {
	t.Parallel()
	h := setup(t)
	answer(t, h, func(q asks.ListPosts) (asks.PostList, error) {
		switch {
		case q.Limit > 1000:
			return asks.PostList{}, events.Faultf(events.Invalid, "limit is from 1 to 1000.").At("/limit", "out_of_range", "limit is from 1 to 1000.")
		case reflect.DeepEqual(q, asks.ListPosts{UserID: ada}):
			return asks.PostList{}, nil
		case reflect.DeepEqual(q, asks.ListPosts{UserID: ada, AccountID: "acct_1", Status: events.StatusQueued, Limit: 2, After: "abc"}):
			return asks.PostList{Posts: []events.Post{{ID: "post_1"}, {ID: "post_2"}}, Next: "d&f"}, nil
		}
		return asks.PostList{}, events.Faultf(events.Internal, "unexpected question")
	})

	t.Run("is a bare list, empty and not null when there is nothing", func(t *testing.T) {
		t.Parallel()
		r := h.do(t, http.MethodGet, schedule, "")
		r.is(t, http.StatusOK, nil)
		if compact(t, r.body) != "[]" || r.header.Get("Link") != "" {
			t.Errorf("%s %v", r.body, r.header)
		}
	})

	t.Run("passes the filters on and says where the next page is", func(t *testing.T) {
		t.Parallel()
		r := h.do(t, http.MethodGet, schedule+"?status=QUEUED&accountId=acct_1&limit=2&after=abc", "")
		var posts []events.Post
		r.is(t, http.StatusOK, &posts)
		want := `</api/threads/post/schedule?accountId=acct_1&after=d%26f&limit=2&status=QUEUED>; rel="next"`
		if len(posts) != 2 || r.header.Get("Link") != want {
			t.Errorf("%s Link: %s", r.body, r.header.Get("Link"))
		}
	})

	t.Run("names the filter that is wrong", func(t *testing.T) {
		t.Parallel()
		h.do(t, http.MethodGet, schedule+"?status=DONE", "").problem(t, 422, "invalid", "/status")
		h.do(t, http.MethodGet, schedule+"?limit=many", "").problem(t, 422, "invalid", "/limit")
		h.do(t, http.MethodGet, schedule+"?limit=5000", "").problem(t, 422, "invalid", "/limit")
	})
}

// A message carries some hundred posts, and the original's list knows of no pages: it is put together from them.
func TestListPostsIsWhole(t *testing.T) {
	t.Parallel()
	h := setup(t)
	const all, page = 25, 10
	answer(t, h, func(q asks.ListPosts) (asks.PostList, error) {
		from, _ := strconv.Atoi(q.After)
		list := asks.PostList{}
		for i := from; i < all && i < from+page && (q.Limit == 0 || i < from+q.Limit); i++ {
			list.Posts = append(list.Posts, events.Post{ID: fmt.Sprint("post_", i)})
		}
		if to := from + len(list.Posts); to < all {
			list.Next = strconv.Itoa(to)
		}
		return list, nil
	})
	for query, want := range map[string]struct {
		from, to int
		link     string
	}{
		"":                 {0, 25, ""},
		"?limit=12":        {0, 12, `</api/threads/post/schedule?after=12&limit=12>; rel="next"`},
		"?limit=8&after=3": {3, 11, `</api/threads/post/schedule?after=11&limit=8>; rel="next"`},
	} {
		r := h.do(t, http.MethodGet, schedule+query, "")
		var posts []events.Post
		r.is(t, http.StatusOK, &posts)
		if len(posts) != want.to-want.from || posts[0].ID != fmt.Sprint("post_", want.from) || r.header.Get("Link") != want.link {
			t.Errorf("%q lists %d posts from %s, Link: %s", query, len(posts), posts[0].ID, r.header.Get("Link"))
		}
	}
}

func TestEditPost(t *testing.T) {
	t.Parallel()
	h := setup(t)
	seen := publisherThat(t, h)
	one := []events.Media{{Type: events.Image, URL: "https://x/a.png"}}
	none := []events.Media{}

	for name, c := range map[string]struct {
		body    string
		ifMatch string
		want    events.EditPost
	}{
		"leaves alone what is left out":            {`{"text":"new"}`, "", events.EditPost{Text: new("new")}},
		"changes the time":                         {`{"scheduledAt":"2026-11-22T14:00:00+02:00"}`, "", events.EditPost{PublishAt: new(noon)}},
		"changes the media, the original's way":    {`{"mediaUrl":"https://x/a.png"}`, "", events.EditPost{Media: &one}},
		"changes the media":                        {`{"media":[{"type":"image","url":"https://x/a.png"}]}`, "", events.EditPost{Media: &one}},
		"takes the media away with null":           {`{"mediaUrl":null}`, "", events.EditPost{Media: &none}},
		"takes the media away with an empty list":  {`{"media":[]}`, "", events.EditPost{Media: &none}},
		"takes the media away with null as a list": {`{"media":null}`, "", events.EditPost{Media: &none}},
		"takes the text away":                      {`{"text":null}`, "", events.EditPost{Text: new("")}},
		"is bound to a rev":                        {`{"text":"new"}`, `"3"`, events.EditPost{Text: new("new"), IfRev: 3}},
		"is bound to none by a star":               {`{"text":"new"}`, `*`, events.EditPost{Text: new("new")}},
	} {
		t.Run(name, func(t *testing.T) { // one after the other: they share what is seen
			r := h.do(t, http.MethodPatch, schedule+"/post_1", c.body, "If-Match", c.ifMatch)
			r.is(t, http.StatusOK, nil)
			c.want.PostID, c.want.UserID = "post_1", ada
			if diff := cmp.Diff(events.Command(c.want), <-seen, cmp.Comparer(time.Time.Equal)); diff != "" {
				t.Error(diff)
			}
			if r.header.Get("ETag") != `"3"` {
				t.Errorf("ETag %q", r.header.Get("ETag"))
			}
		})
	}

	t.Run("refuses what it cannot mean", func(t *testing.T) {
		h.do(t, http.MethodPatch, schedule+"/post_1", `{"scheduledAt":null}`).problem(t, 422, "invalid", "/scheduledAt")
		h.do(t, http.MethodPatch, schedule+"/post_1", `{"scheduledAt":"2026-11-22T14:00:00"}`).problem(t, 422, "invalid", "/scheduledAt")
		h.do(t, http.MethodPatch, schedule+"/post_1", `{"text":5}`).problem(t, 422, "invalid", "/text")
		h.do(t, http.MethodPatch, schedule+"/post_1", `{"media":[{"type":"gif","url":"u"}]}`).problem(t, 422, "invalid", "/media/0/type")
		h.do(t, http.MethodPatch, schedule+"/post_1", `{"mediaUrl":"u","media":[{"type":"image","url":"u"}]}`).problem(t, 422, "invalid", "/mediaUrl")
		for _, tag := range []string{"3", `W/3`, `"x"`, `"0"`, `"3",4`} {
			h.do(t, http.MethodPatch, schedule+"/post_1", `{"text":"x"}`, "If-Match", tag).problem(t, 422, "invalid", "/If-Match")
		}
		h.do(t, http.MethodPatch, schedule+"/%00", `{"text":"x"}`).problem(t, 404, "not_found")
	})
}

func TestCancelPost(t *testing.T) {
	t.Parallel()
	h := setup(t)
	seen := publisherThat(t, h)
	var post events.Post
	h.do(t, http.MethodDelete, schedule+"/post_1", "", "If-Match", `"7"`).is(t, http.StatusOK, &post)
	if diff := cmp.Diff(events.Command(events.CancelPost{PostID: "post_1", UserID: ada, IfRev: 7}), <-seen); diff != "" {
		t.Error(diff)
	}
	if post.Status != events.StatusCancelled {
		t.Errorf("%+v", post)
	}
	h.do(t, http.MethodDelete, schedule+"/post_1", "", "If-Match", "7").problem(t, 422, "invalid", "/If-Match")
}
