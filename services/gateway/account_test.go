package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	w := newEnv(t)
	at := func(when time.Duration) (l asks.Limits) {
		t.Helper()
		path := "/api/threads/limits"
		if when != 0 {
			path += "?at=" + url.QueryEscape(time.Now().Add(when).Format(time.RFC3339))
		}
		w.do(t, http.MethodGet, path, "").is(t, http.StatusOK, &l)
		return l
	}
	l := at(0)
	if l.Posts != (asks.Allowance{Total: 250, Remaining: 250}) || l.Replies.Total != 1000 || l.Deletes.Total != 100 || l.LocationSearches.Total != 500 ||
		l.KeywordSearches.Remaining != 2200 || l.ProfileLookups.Remaining != 1000 || l.ReadAt == nil || l.AccountID != w.ada.ID {
		t.Errorf("of a new account: %+v", l)
	}

	live := w.post(`{"text":"now"}`)
	for body, in := range map[string]time.Duration{
		`"text":"in an hour"`: time.Hour,
		`"parts":[{"text":"one"},{"text":"two"},{"text":"three"}]`: 2 * time.Hour,
		`"text":"a reply","replyTo":"` + *live.PostedTweetID + `"`: 3 * time.Hour,
		`"text":"another day"`:                                              30 * time.Hour,
		`"text":"again","repostOf":""`:                                      31 * time.Hour,
		`"text":"in a chain's shadow","replyTo":"` + live.ID + `"`:          32 * time.Hour,
		`"parts":[{"text":"r1"},{"text":"r2"}],"replyTo":"` + live.ID + `"`: 33 * time.Hour,
	} {
		w.do(t, http.MethodPost, "/api/threads/post/schedule", `{`+body+`,"scheduledAt":"`+time.Now().Add(in).Format(time.RFC3339)+`"}`).
			is(t, http.StatusCreated, nil)
	}
	// Another app of the same person posts, too: Threads counts it, and we only learn how many there are.
	token, err := w.vault.Open(w.ada.ID, w.ada.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	container, err := w.api.CreateContainer(t.Context(), token, threads.Container{MediaType: threads.Text, Text: "from elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	waiting.Until(t, "the post from elsewhere", func() bool {
		_, err := w.api.Publish(t.Context(), token, container, nil)
		if err != nil && threads.ClassOf(err) != threads.NotReady {
			t.Fatal(err)
		}
		return err == nil
	})
	for when, want := range map[time.Duration][4]int{ // posts used, scheduled; replies used, scheduled
		0:                             {2, 0, 0, 0},
		90 * time.Minute:              {2, 1, 0, 0},
		4 * time.Hour:                 {2, 2, 0, 3},
		25*time.Hour + 30*time.Minute: {0, 1, 0, 3}, // what is used now has come back, and what was due in an hour
		36 * time.Hour:                {0, 2, 0, 3},
		80 * time.Hour:                {0, 0, 0, 0},
	} {
		l := at(when)
		got := [4]int{l.Posts.Used, l.Posts.Scheduled, l.Replies.Used, l.Replies.Scheduled}
		if got != want || l.Posts.Remaining != 250-want[0]-want[1] || l.Replies.Remaining != 1000-want[2]-want[3] {
			t.Errorf("in %s: %v, want %v: %+v", when, got, want, l)
		}
	}

	w.inject(threadssim.Fault{Op: threads.OpLimits, Kind: threadssim.Edge5xx})
	if l := at(0); l.ReadAt != nil || l.Problem == nil || l.Problem.Code != events.Unavailable || l.Posts.Used != 1 || l.Posts.Remaining != 249 {
		t.Errorf("without Threads: %+v", l)
	}
	w.do(t, http.MethodGet, "/api/threads/limits?at=2026-01-01T00:00:00Z", "").problem(t, 422, "invalid", "/at")
	w.do(t, http.MethodGet, "/api/threads/limits?at=2027-01-01T00:00:00", "").problem(t, 422, "invalid", "/at")
	w.do(t, http.MethodGet, "/api/threads/limits?accountId=acct_other", "").problem(t, 404, "not_found")
}

func TestInsights(t *testing.T) {
	t.Parallel()
	w := newEnv(t)
	p := w.post(`{"text":"count me https://example.com","linkAttachment":"https://example.com"}`)

	t.Run("of the account, in every shape", func(t *testing.T) {
		var i asks.Insights
		since := url.QueryEscape(time.Now().Add(-72 * time.Hour).Format(time.RFC3339))
		w.do(t, http.MethodGet, "/api/threads/insights?metrics=views,likes,followers_count&since="+since, "").is(t, http.StatusOK, &i)
		if len(i.Metrics) != 3 || len(i.Metrics[0].Days) < 3 || i.Metrics[1].Total == nil || *i.Metrics[2].Total < 100 || len(i.Snapshots) != 0 {
			t.Errorf("%+v", i)
		}
		w.do(t, http.MethodGet, "/api/threads/insights?breakdown=country", "").is(t, http.StatusOK, &i)
		if len(i.Metrics) != 1 || len(i.Metrics[0].Breakdown) != 5 {
			t.Errorf("%+v", i)
		}
		w.do(t, http.MethodGet, "/api/threads/insights", "").is(t, http.StatusOK, &i)
		if len(i.Metrics) != len(threads.AccountMetrics) || len(i.Snapshots) != 1 || i.Snapshots[0].Values["followers_count"] < 100 || i.MediaID != "" {
			t.Errorf("%+v", i)
		}
	})

	t.Run("of a post, by either id, with how it was before", func(t *testing.T) {
		_, err := w.db.ExecContext(t.Context(), `INSERT INTO insight_snapshots (account_id, media_id, hour, at, metrics) VALUES (?, ?, ?, ?, '{"views": 1}')`,
			w.ada.ID, *p.PostedTweetID, time.Now().Add(-24*time.Hour).Truncate(time.Hour), time.Now().Add(-24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{p.ID, *p.PostedTweetID} {
			var i asks.Insights
			w.do(t, http.MethodGet, "/api/threads/post/"+id+"/insights", "").is(t, http.StatusOK, &i)
			if len(i.Metrics) != len(threads.MediaMetrics) || i.PostID != p.ID || i.MediaID != *p.PostedTweetID || i.Metrics[0].Total == nil {
				t.Errorf("%+v", i)
			}
			// Asked for twice within the hour, and kept once.
			if len(i.Snapshots) < 2 || len(i.Snapshots) > 3 || i.Snapshots[0].Values["views"] != 1 || !i.Snapshots[0].At.Before(i.Snapshots[1].At) {
				t.Errorf("snapshots %+v", i.Snapshots)
			}
			if last := i.Snapshots[len(i.Snapshots)-1]; last.At.Sub(i.ReadAt).Abs() > time.Millisecond {
				t.Errorf("the latest kept is of %s, read at %s", last.At, i.ReadAt)
			}
			w.do(t, http.MethodGet, "/api/threads/post/"+id+"/insights?snapshots=1&metrics=likes", "").is(t, http.StatusOK, &i)
			if len(i.Metrics) != 1 || len(i.Snapshots) != 1 {
				t.Errorf("%+v", i)
			}
		}
	})

	t.Run("refuses what makes no sense, and names it", func(t *testing.T) {
		for query, at := range map[string]string{
			"since=2024-01-01T00:00:00Z": "/since", "until=2030-01-01T00:00:00Z": "/until", "since=yesterday": "/since",
			"metrics=" + url.QueryEscape("views;drop"): "/metrics", "breakdown=shoe_size": "/breakdown",
			"metrics=follower_demographics": "/breakdown", "snapshots=9999": "/snapshots",
		} {
			w.do(t, http.MethodGet, "/api/threads/insights?"+query, "").problem(t, 422, "invalid", at)
		}
		w.do(t, http.MethodGet, "/api/threads/insights?metrics=shoe_size", "").problem(t, 422, "refused")
	})

	t.Run("are not told of what is not live, not there, or not yours", func(t *testing.T) {
		var later events.Post
		w.do(t, http.MethodPost, "/api/threads/post/schedule", `{"text":"later","scheduledAt":"`+time.Now().Add(time.Hour).Format(time.RFC3339)+`"}`).
			is(t, http.StatusCreated, &later)
		w.do(t, http.MethodGet, "/api/threads/post/"+later.ID+"/insights", "").problem(t, 409, "conflict")
		w.do(t, http.MethodGet, "/api/threads/post/"+events.NewPostID()+"/insights", "").problem(t, 404, "not_found")
		w.do(t, http.MethodGet, "/api/threads/post/12345/insights", "").problem(t, 404, "not_found")
		w.do(t, http.MethodGet, "/api/threads/post/"+w.say("friend", "mine", time.Hour)+"/insights", "").problem(t, 404, "not_found")
	})
}

// Every route keeps to its user, names the scope that is missing, and stays calm when Threads does not.
func TestAccountRoutesRefuse(t *testing.T) {
	t.Parallel()
	w := newEnv(t)
	p := w.post(`{"text":"ada's"}`)
	reply := w.say("friend", "well said", 0, "reply_to_id", *p.PostedTweetID)

	routes := []struct{ method, path, body, scope, op string }{
		{http.MethodGet, "/api/threads/insights", "", threads.ScopeManageInsights, threads.OpAccountInsights},
		{http.MethodGet, "/api/threads/post/" + *p.PostedTweetID + "/insights", "", threads.ScopeManageInsights, threads.OpMediaInsights},
		{http.MethodGet, "/api/threads/post/" + *p.PostedTweetID + "/replies", "", threads.ScopeReadReplies, threads.OpRepliesTo},
		{http.MethodGet, "/api/threads/post/" + *p.PostedTweetID + "/replies?view=conversation", "", threads.ScopeReadReplies, threads.OpConversation},
		{http.MethodGet, "/api/threads/post/" + *p.PostedTweetID + "/replies?pending=true", "", threads.ScopeReadReplies, threads.OpPendingReplies},
		{http.MethodGet, "/api/threads/mentions", "", threads.ScopeManageMentions, threads.OpMentions},
		{http.MethodGet, "/api/threads/search?q=hello", "", threads.ScopeKeywordSearch, threads.OpSearch},
		{http.MethodGet, "/api/threads/profiles/friend", "", threads.ScopeProfileDiscovery, threads.OpProfileLookup},
		{http.MethodGet, "/api/threads/profiles/friend/posts", "", threads.ScopeProfileDiscovery, threads.OpProfilePosts},
		{http.MethodGet, "/api/threads/locations?q=park", "", threads.ScopeLocationTagging, threads.OpLocationSearch},
		{http.MethodPost, "/api/threads/replies/" + reply + "/hide", `{"hide":true}`, threads.ScopeManageReplies, threads.OpHideReply},
		{http.MethodPost, "/api/threads/replies/" + reply + "/approve", `{"approve":true}`, threads.ScopeManageReplies, threads.OpApproveReply},
		{http.MethodPost, "/api/threads/history/import", `{"replies":true}`, threads.ScopeReadReplies, ""},
	}

	with := func(path, accountID string) string {
		if strings.Contains(path, "?") {
			return path + "&accountId=" + accountID
		}
		return path + "?accountId=" + accountID
	}
	bobs := w.connect(bob, "bob.reads", everything...)
	few := w.connect(ada, "ada.second", threads.ScopeBasic, threads.ScopeContentPublish)
	for _, r := range routes {
		if strings.HasSuffix(r.path, "/import") {
			w.do(t, r.method, r.path, `{"accountId":"`+bobs.ID+`"}`).problem(t, 404, "not_found")
			got := w.do(t, r.method, r.path, `{"replies":true,"accountId":"`+few.ID+`"}`).problem(t, 403, "missing_scope")
			if !strings.Contains(got.Detail, r.scope) {
				t.Errorf("%s: %s", r.path, got.Detail)
			}
			continue
		}
		// Somebody else's account is no account.
		w.do(t, r.method, with(r.path, bobs.ID), r.body).problem(t, 404, "not_found")
		got := w.do(t, r.method, with(r.path, few.ID), r.body).problem(t, 403, "missing_scope")
		if !strings.Contains(got.Detail, r.scope) {
			t.Errorf("%s: %s", r.path, got.Detail)
		}
		w.inject(threadssim.Fault{Op: r.op, Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 4})
		if r := w.do(t, r.method, with(r.path, w.ada.ID), r.body); r.problem(t, 429, "rate_limited").Status == 429 && r.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		if r.method != http.MethodGet {
			continue
		}
		w.inject(threadssim.Fault{Op: r.op, Kind: threadssim.Edge5xx})
		if r := w.do(t, r.method, with(r.path, w.ada.ID), r.body); r.problem(t, 503, "unavailable").Status == 503 && r.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	// Our own id says which account it is.
	w.do(t, http.MethodGet, "/api/threads/post/"+p.ID+"/insights", "").is(t, http.StatusOK, nil)
	w.do(t, http.MethodGet, with("/api/threads/post/"+p.ID+"/insights", few.ID), "").problem(t, 404, "not_found")

	// Another user's post is no post, and what is said below it is not ours to moderate.
	o, err := w.bus.Do(t.Context(), events.PublishPost{PostID: events.NewPostID(), UserID: bob, Draft: events.Draft{Text: "bob's"}, PublishAt: time.Now()},
		bus.CommandOptions{ID: events.NewCommandID()}, waiting.Limit)
	if err != nil || o.Fault != nil {
		t.Fatal(err, o.Fault)
	}
	var theirs events.Post
	if err := json.Unmarshal(o.Result, &theirs); err != nil {
		t.Fatal(err)
	}
	below := w.say("friend", "hello bob", 0, "reply_to_id", *theirs.PostedTweetID)
	for _, path := range []string{"/insights", "/replies", "/replies?pending=true"} {
		w.do(t, http.MethodGet, "/api/threads/post/"+theirs.ID+path, "").problem(t, 404, "not_found")
	}
	for _, path := range []string{"/insights", "/replies?pending=true"} {
		w.do(t, http.MethodGet, with("/api/threads/post/"+*theirs.PostedTweetID+path, w.ada.ID), "").problem(t, 404, "not_found")
	}
	w.do(t, http.MethodPost, with("/api/threads/replies/"+below+"/hide", w.ada.ID), `{"hide":true}`).problem(t, 404, "not_found")
	w.do(t, http.MethodPost, with("/api/threads/replies/"+theirs.ID+"/hide", w.ada.ID), `{"hide":true}`).problem(t, 404, "not_found")

	// With two accounts, one has to be named.
	w.do(t, http.MethodGet, "/api/threads/mentions", "").problem(t, 422, "invalid", "/accountId")

	// A dead token is noted, and said.
	if err := w.sim.Revoke("ada.writes", 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w.do(t, http.MethodGet, with("/api/threads/insights", w.ada.ID), "").problem(t, 409, "reauth_required")
	}
	a, err := accounts.Get(t.Context(), w.db, w.ada.ID)
	if err != nil || a.Status != events.ConnectionReconnectRequired {
		t.Errorf("the account is %s, %v", a.Status, err)
	}
	for _, r := range routes[1:12] {
		w.do(t, r.method, with(r.path, w.ada.ID), r.body).problem(t, 409, "reauth_required")
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	w := newEnv(t)
	var h asks.HistoryImport
	w.do(t, http.MethodGet, "/api/threads/history/import", "").is(t, http.StatusOK, &h)
	if h.Status != "none" {
		t.Errorf("%+v", h)
	}
	old := w.say("ada.writes", "before we met", time.Hour)
	w.say("ada.writes", "long before", 48*time.Hour)
	since := time.Now().Add(-24 * time.Hour).Format(time.RFC3339)
	w.do(t, http.MethodPost, "/api/threads/history/import", `{"since":"`+since+`"}`).is(t, http.StatusOK, &h)
	if h.Status != "done" || h.Imported != 1 {
		t.Errorf("%+v", h)
	}
	// Asked without waiting: where the 202 leads, the outcome is.
	r := w.do(t, http.MethodPost, "/api/threads/history/import", "", "Prefer", "respond-async")
	r.is(t, http.StatusAccepted, nil)
	for h.Imported != 1 || h.Known != 1 {
		w.do(t, http.MethodGet, "/api/threads/history/import", "").is(t, http.StatusOK, &h)
		if h.Status == "failed" {
			t.Fatalf("%+v", h)
		}
	}
	w.do(t, http.MethodGet, r.header.Get("Location"), "").is(t, http.StatusOK, nil)

	var p asks.PostDetail
	w.do(t, http.MethodGet, "/api/threads/post/"+old, "").is(t, http.StatusOK, &p)
	if p.Kind != events.KindImported || p.Status != events.StatusPosted || p.Text != "before we met" || p.AccountID != w.ada.ID {
		t.Errorf("%+v", p)
	}
	w.do(t, http.MethodPost, "/api/threads/history/import", `{"since":"2020-01-01T00:00:00Z"}`).problem(t, 422, "invalid", "/since")
}

// Figures are kept without anybody asking, of those who allow it.
func TestKeepsFigures(t *testing.T) {
	t.Parallel()
	w := newEnv(t, func(c *publisher.Config) {
		c.Engagement.InsightsEvery, c.Engagement.InsightsSpacing = 300*time.Millisecond, time.Millisecond
	})
	few := w.connect(ada, "ada.second", threads.ScopeBasic, threads.ScopeContentPublish)
	var p events.Post
	w.do(t, http.MethodPost, "/api/threads/post", `{"text":"watch me","accountId":"`+w.ada.ID+`"}`).is(t, http.StatusCreated, &p)
	var kept []string
	waiting.Until(t, "the figures of the account and of the post", func() bool {
		kept = nil
		if err := w.db.NewSelect().Table("insight_snapshots").Column("media_id").Where("account_id = ?", w.ada.ID).Order("media_id").Scan(t.Context(), &kept); err != nil {
			t.Fatal(err)
		}
		return len(kept) > 1
	})
	if !slices.Contains(kept, "") || !slices.Contains(kept, *p.PostedTweetID) {
		t.Errorf("kept %v", kept)
	}
	if n, err := w.db.NewSelect().Table("insight_rounds").Where("account_id = ?", few.ID).Count(t.Context()); err != nil || n != 0 {
		t.Errorf("%d rounds without the scope, %v", n, err)
	}
}
