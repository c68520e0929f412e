package gateway_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

func TestReplies(t *testing.T) {
	t.Parallel()
	w := newEnv(t)
	root := w.post(`{"text":"what do you think?","replyApprovals":false}`)
	var ids []string
	for _, text := range []string{"one", "two", "three"} {
		ids = append(ids, w.say("friend", text, 0, "reply_to_id", *root.PostedTweetID))
	}
	nested := w.say("stranger", "below two", 0, "reply_to_id", ids[1])

	t.Run("are listed page by page", func(t *testing.T) {
		path := "/api/threads/post/" + root.ID + "/replies?limit=2&order=oldest"
		var got []string
		for path != "" {
			r := w.do(t, http.MethodGet, path, "")
			var page asks.ThreadsPage
			r.is(t, http.StatusOK, &page)
			got = append(got, texts(page)...)
			path, _, _ = strings.Cut(strings.TrimPrefix(r.header.Get("Link"), "<"), ">")
			if (path == "") != (page.Next == "") {
				t.Errorf("Link %q, next %q", r.header.Get("Link"), page.Next)
			}
		}
		if !slices.Equal(got, []string{"one", "two", "three"}) {
			t.Errorf("%v", got)
		}
		if got := texts(w.page("/api/threads/post/" + *root.PostedTweetID + "/replies?view=conversation&order=oldest")); !slices.Equal(got, []string{"one", "two", "three", "below two"}) {
			t.Errorf("the conversation: %v", got)
		}
	})

	t.Run("are answered with a post like any other", func(t *testing.T) {
		p := w.post(`{"text":"thank you","replyTo":"` + ids[0] + `"}`)
		below := w.page("/api/threads/post/" + ids[0] + "/replies")
		if len(below.Items) != 1 || below.Items[0].PostID != p.ID || !below.Items[0].Mine || below.Items[0].ReplyTo != ids[0] {
			t.Errorf("%+v", below)
		}
	})

	t.Run("are hidden and shown again, once under a key", func(t *testing.T) {
		status := func() string {
			for _, m := range w.page("/api/threads/post/" + root.ID + "/replies").Items {
				if m.MediaID == ids[1] {
					return m.HideStatus
				}
			}
			return "gone"
		}
		calls := func() (n int) {
			for _, c := range w.sim.Calls() {
				if c.Op == threads.OpHideReply {
					n++
				}
			}
			return n
		}
		for range 2 {
			var state asks.ReplyState
			w.do(t, http.MethodPost, "/api/threads/replies/"+ids[1]+"/hide", `{"hide":true}`, "Idempotency-Key", "hide-two").is(t, http.StatusOK, &state)
			if state.Hidden == nil || !*state.Hidden || state.MediaID != ids[1] || state.AccountID != w.ada.ID || state.Approved != nil {
				t.Errorf("%+v", state)
			}
		}
		if got := status(); got != "HIDDEN" || calls() != 1 {
			t.Errorf("%s after %d calls", got, calls())
		}
		w.do(t, http.MethodPost, "/api/threads/replies/"+ids[1]+"/hide", `{"hide":false}`, "Idempotency-Key", "hide-two").problem(t, 422, "key_reused")
		w.do(t, http.MethodPost, "/api/threads/replies/"+ids[1]+"/hide", `{"hide":false}`).is(t, http.StatusOK, nil)
		if got := status(); got == "HIDDEN" {
			t.Error("it is still hidden")
		}
	})

	t.Run("are moderated when Threads is back", func(t *testing.T) {
		w.inject(threadssim.Fault{Op: threads.OpHideReply, Kind: threadssim.Edge5xx})
		var state asks.ReplyState
		w.do(t, http.MethodPost, "/api/threads/replies/"+ids[2]+"/hide", `{"hide":true}`).is(t, http.StatusOK, &state)
		if state.Hidden == nil || !*state.Hidden {
			t.Errorf("%+v", state)
		}
	})

	t.Run("of others are not ours to moderate", func(t *testing.T) {
		theirs := w.say("stranger", "my own", 0)
		w.do(t, http.MethodPost, "/api/threads/replies/"+w.say("friend", "indeed", 0, "reply_to_id", theirs)+"/hide", `{"hide":true}`).problem(t, 404, "not_found")
		w.do(t, http.MethodPost, "/api/threads/replies/999/hide", `{"hide":true}`).problem(t, 404, "not_found")
		w.do(t, http.MethodPost, "/api/threads/replies/"+root.ID+"/hide", `{"hide":true}`).problem(t, 404, "not_found")
		w.do(t, http.MethodPost, "/api/threads/replies/"+nested+"/hide", `{"hide":true}`).problem(t, 422, "refused")
		w.do(t, http.MethodPost, "/api/threads/replies/"+ids[0]+"/hide", `{}`).problem(t, 422, "invalid", "/hide")
		w.do(t, http.MethodPost, "/api/threads/replies/"+ids[0]+"/approve", `{"approve":true}`).problem(t, 422, "refused")
	})

	t.Run("wait for approval where the post says so", func(t *testing.T) {
		strict := w.post(`{"text":"mind your words","replyApprovals":true}`)
		first := w.say("friend", "minded", 0, "reply_to_id", *strict.PostedTweetID)
		second := w.say("friend", "unminded", 0, "reply_to_id", *strict.PostedTweetID)
		list := "/api/threads/post/" + strict.ID + "/replies"
		if got := w.page(list + "?pending=true&order=oldest"); !slices.Equal(texts(got), []string{"minded", "unminded"}) || got.Items[0].ApprovalStatus != "pending" {
			t.Errorf("%+v", got)
		}
		var state asks.ReplyState
		w.do(t, http.MethodPost, "/api/threads/replies/"+first+"/approve", `{"approve":true}`).is(t, http.StatusOK, &state)
		if state.Approved == nil || !*state.Approved {
			t.Errorf("%+v", state)
		}
		w.do(t, http.MethodPost, "/api/threads/replies/"+second+"/approve", `{"approve":false}`).is(t, http.StatusOK, nil)
		if got := texts(w.page(list)); !slices.Equal(got, []string{"minded"}) {
			t.Errorf("%v", got)
		}
		if got := texts(w.page(list + "?pending=true&status=ignored")); !slices.Equal(got, []string{"unminded"}) {
			t.Errorf("%v", got)
		}
	})

	for query, at := range map[string]string{
		"limit=101": "/limit", "view=tree": "/view", "status=pending": "/status", "pending=true&view=conversation": "/view",
		"after=" + url.QueryEscape("a b"): "/after", "after=nonsense": "/after", "order=random": "/order",
	} {
		w.do(t, http.MethodGet, "/api/threads/post/"+root.ID+"/replies?"+query, "").problem(t, 422, "invalid", at)
	}
	w.do(t, http.MethodGet, "/api/threads/post/"+ids[0]+"/replies?view=conversation", "").problem(t, 422, "invalid", "/view")
}

func TestSearch(t *testing.T) {
	t.Parallel()
	w := newEnv(t)
	w.say("friend", "otters again", 2*time.Hour)
	w.say("friend", "hello @ada.writes, have you read about otters?", time.Hour)
	used := func() (l asks.Limits) {
		w.do(t, http.MethodGet, "/api/threads/limits", "").is(t, http.StatusOK, &l)
		return l
	}

	if got := texts(w.page("/api/threads/mentions")); len(got) != 1 || !strings.HasPrefix(got[0], "hello @ada") {
		t.Errorf("mentions %v", got)
	}
	if got := texts(w.page("/api/threads/search?q=otters&order=recent")); len(got) != 2 || got[1] != "otters again" {
		t.Errorf("found %v", got)
	}
	if got := w.page("/api/threads/search?q=nothing-like-this"); len(got.Items) != 0 {
		t.Errorf("found %v", got)
	}
	if n := used().KeywordSearches; n.Used != 1 || n.Remaining != 2199 {
		t.Errorf("a search that finds something counts, one that does not is free: %+v", n)
	}
	// All places taken: Threads is not even asked.
	if _, err := w.db.ExecContext(t.Context(), `INSERT INTO search_uses (account_id, quota, at)
		SELECT ?, 'keyword_searches', now() - interval '23 hours' FROM generate_series(1, 2199)`, w.ada.ID); err != nil {
		t.Fatal(err)
	}
	r := w.do(t, http.MethodGet, "/api/threads/search?q=otters", "")
	r.problem(t, 429, "rate_limited")
	if after := r.header.Get("Retry-After"); len(after) != 4 { // most of an hour, in seconds
		t.Errorf("Retry-After %q", after)
	}
	if n := used().KeywordSearches; n.Remaining != 0 || n.FreeAt == nil {
		t.Errorf("%+v", n)
	}

	var profile asks.PublicProfile
	w.do(t, http.MethodGet, "/api/threads/profiles/@friend", "").is(t, http.StatusOK, &profile)
	if profile.Username != "friend" || profile.Followers < 100 {
		t.Errorf("%+v", profile)
	}
	if got := w.page("/api/threads/profiles/friend/posts?limit=1"); len(got.Items) != 1 || got.Next == "" {
		t.Errorf("%+v", got)
	}
	w.do(t, http.MethodGet, "/api/threads/profiles/nobody.here", "").problem(t, 404, "not_found")
	w.do(t, http.MethodGet, "/api/threads/profiles/no%20name", "").problem(t, 422, "invalid", "/username")

	var places asks.LocationList
	w.do(t, http.MethodGet, "/api/threads/locations?q=bryant", "").is(t, http.StatusOK, &places)
	if len(places.Items) != 1 || places.Items[0].Name != "Bryant Park" {
		t.Fatalf("%+v", places)
	}
	p := w.post(`{"text":"meet me here","location":"` + places.Items[0].ID + `"}`)
	if p.Location != places.Items[0].ID {
		t.Errorf("%+v", p)
	}
	w.do(t, http.MethodGet, "/api/threads/locations?latitude=0&longitude=0", "").is(t, http.StatusOK, &places)
	if len(places.Items) != 0 {
		t.Errorf("in the middle of the sea: %+v", places)
	}
	for query, at := range map[string]string{"": "/q", "latitude=1": "/latitude", "latitude=91&longitude=0": "/latitude", "latitude=north&longitude=1": "/latitude"} {
		w.do(t, http.MethodGet, "/api/threads/locations?"+query, "").problem(t, 422, "invalid", at)
	}
	w.do(t, http.MethodGet, "/api/threads/search", "").problem(t, 422, "invalid", "/q")
	w.do(t, http.MethodGet, "/api/threads/search?q=x&author=no+name", "").problem(t, 422, "invalid", "/author")
}
