package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// world is a gateway, a publisher behind it, and a simulated Threads behind that.
type world struct {
	*house
	t     *testing.T
	db    *bun.DB
	sim   *threadssim.Sim
	api   *threads.Client
	vault *accounts.Vault
	ada   accounts.Account
}

const bob = "user_bob"

// everything is every scope that anything here needs.
var everything = []string{
	threads.ScopeBasic, threads.ScopeContentPublish, threads.ScopeReadReplies, threads.ScopeManageReplies, threads.ScopeManageInsights,
	threads.ScopeDelete, threads.ScopeKeywordSearch, threads.ScopeManageMentions, threads.ScopeLocationTagging, threads.ScopeProfileDiscovery,
}

func newWorld(t *testing.T, changes ...func(*publisher.Config)) *world {
	t.Helper()
	w := &world{house: setup(t), t: t, db: pgtest.New(t)}
	var err error
	w.sim, err = threadssim.New(threadssim.Options{Processing: threadssim.Processing{Text: 20 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.sim)
	t.Cleanup(server.Close)
	keyset, err := accounts.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	if w.vault, err = accounts.OpenVault(keyset); err != nil {
		t.Fatal(err)
	}
	w.ada = w.connect(ada, "ada.writes", everything...)

	cfg, err := publisher.ConfigFromEnv(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	cfg.APIURL, cfg.ReadsKept, cfg.BreakerAfter, cfg.HistorySettle = server.URL, 0, 1000, 0
	for _, change := range changes {
		change(&cfg)
	}
	w.api = threads.New(cfg.Threads())
	p := publisher.New(cfg, publisher.Deps{Bus: w.bus, DB: w.db, Threads: w.api, Vault: w.vault, Log: bustest.Log(t)})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

// connect gives a user a connected account.
func (w *world) connect(user, name string, scopes ...string) (a accounts.Account) {
	w.t.Helper()
	grant, err := w.sim.Token(name, scopes...)
	if err != nil {
		w.t.Fatal(err)
	}
	err = pg.InTx(w.t.Context(), w.db, func(ctx context.Context, tx bun.Tx) (err error) {
		a, err = accounts.Connect(ctx, tx, w.vault, accounts.Grant{
			UserID: user, ProviderUserID: grant.UserID, Username: name, Scopes: scopes, Token: grant.AccessToken, ExpiresAt: time.Now().Add(grant.ExpiresIn),
		}, time.Now())
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// say lets a person post at Threads, some time ago.
func (w *world) say(username, text string, ago time.Duration, params ...string) string {
	w.t.Helper()
	if _, err := w.sim.AddPerson(threadssim.Person{Username: username}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.sim.SetClock(time.Now().Add(-ago)); err != nil {
		w.t.Fatal(err)
	}
	form := url.Values{"text": {text}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	id, _, err := w.sim.Say(username, form)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.sim.ResetClock(); err != nil {
		w.t.Fatal(err)
	}
	return id
}

// post publishes a post through the API.
func (w *world) post(body string) (p events.Post) {
	w.t.Helper()
	w.do(w.t, http.MethodPost, "/api/threads/post", body).is(w.t, http.StatusCreated, &p)
	return p
}

func (w *world) inject(f threadssim.Fault) {
	w.t.Helper()
	if err := w.sim.Inject(f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) page(path string) (p events.ThreadsPage) {
	w.t.Helper()
	w.do(w.t, http.MethodGet, path, "").is(w.t, http.StatusOK, &p)
	return p
}

func texts(p events.ThreadsPage) (list []string) {
	for _, m := range p.Items {
		list = append(list, m.Text)
	}
	return list
}

func TestLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := func(when time.Duration) (l events.Limits) {
		t.Helper()
		path := "/api/threads/limits"
		if when != 0 {
			path += "?at=" + url.QueryEscape(time.Now().Add(when).Format(time.RFC3339))
		}
		w.do(t, http.MethodGet, path, "").is(t, http.StatusOK, &l)
		return l
	}
	l := at(0)
	if l.Posts != (events.Allowance{Total: 250, Remaining: 250}) || l.Replies.Total != 1000 || l.Deletes.Total != 100 || l.LocationSearches.Total != 500 ||
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
	if _, err := w.api.PublishText(t.Context(), token, threads.Container{MediaType: threads.Text, Text: "from elsewhere"}, nil); err != nil {
		t.Fatal(err)
	}
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
	w := newWorld(t)
	p := w.post(`{"text":"count me https://example.com","linkAttachment":"https://example.com"}`)

	t.Run("of the account, in every shape", func(t *testing.T) {
		var i events.Insights
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
			var i events.Insights
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
	w := newWorld(t)
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
		bus.CommandOptions{ID: events.NewCommandID()}, 10*time.Second)
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

func TestReplies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
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
			var page events.ThreadsPage
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
			var state events.ReplyState
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
		var state events.ReplyState
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
		var state events.ReplyState
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
	w := newWorld(t)
	w.say("friend", "otters again", 2*time.Hour)
	w.say("friend", "hello @ada.writes, have you read about otters?", time.Hour)
	used := func() (l events.Limits) {
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

	var profile events.PublicProfile
	w.do(t, http.MethodGet, "/api/threads/profiles/@friend", "").is(t, http.StatusOK, &profile)
	if profile.Username != "friend" || profile.Followers < 100 {
		t.Errorf("%+v", profile)
	}
	if got := w.page("/api/threads/profiles/friend/posts?limit=1"); len(got.Items) != 1 || got.Next == "" {
		t.Errorf("%+v", got)
	}
	w.do(t, http.MethodGet, "/api/threads/profiles/nobody.here", "").problem(t, 404, "not_found")
	w.do(t, http.MethodGet, "/api/threads/profiles/no%20name", "").problem(t, 422, "invalid", "/username")

	var places events.LocationList
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

func TestHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var h events.HistoryImport
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

	var p events.PostDetail
	w.do(t, http.MethodGet, "/api/threads/post/"+old, "").is(t, http.StatusOK, &p)
	if p.Kind != events.KindImported || p.Status != events.StatusPosted || p.Text != "before we met" || p.AccountID != w.ada.ID {
		t.Errorf("%+v", p)
	}
	w.do(t, http.MethodPost, "/api/threads/history/import", `{"since":"2020-01-01T00:00:00Z"}`).problem(t, 422, "invalid", "/since")
}

// Figures are kept without anybody asking, of those who allow it.
func TestKeepsFigures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *publisher.Config) {
		c.InsightsEvery, c.InsightsSpacing = 300*time.Millisecond, time.Millisecond
	})
	few := w.connect(ada, "ada.second", threads.ScopeBasic, threads.ScopeContentPublish)
	var p events.Post
	w.do(t, http.MethodPost, "/api/threads/post", `{"text":"watch me","accountId":"`+w.ada.ID+`"}`).is(t, http.StatusCreated, &p)
	var kept []string
	for deadline := time.Now().Add(10 * time.Second); len(kept) < 2 && time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		kept = nil
		if err := w.db.NewSelect().Table("insight_snapshots").Column("media_id").Where("account_id = ?", w.ada.ID).Order("media_id").Scan(t.Context(), &kept); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Contains(kept, "") || !slices.Contains(kept, *p.PostedTweetID) {
		t.Errorf("kept %v", kept)
	}
	if n, err := w.db.NewSelect().Table("insight_rounds").Where("account_id = ?", few.ID).Count(t.Context()); err != nil || n != 0 {
		t.Errorf("%d rounds without the scope, %v", n, err)
	}
}
