package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
)

// Law 9 as a matrix over every place in the API where an id can be: another user's id answers exactly like one that does
// not exist, in status, body and time. The places are found in the API's own description, so a new one that is not
// covered here makes the test fail.

// idLike is a name that holds ids, in a query or a body. Every word in a path is taken for one.
var idLike = regexp.MustCompile(`(?i)(^id|[a-z]ids?)$`)

// references are names of ids that do not look like one.
var references = []string{"replyTo", "quotePostId", "repostOf"}

// notOurs are places that hold no id of ours, with the reason.
var notOurs = map[string]string{
	"username":         "a public profile, the same for everyone",
	"code":             "of an erasure: whoever has the code may know",
	"lastEventId":      "a place on the stream; what is sent from there is the reader's own only (services/gateway/live_test.go)",
	"mediaId":          "of a parked post of one's own, where its id has judged already",
	"gif.id":           "of a public picture",
	"hub.verify_token": "Meta's",
}

// everyScope lets nothing be refused for want of a scope: what is refused here is refused for the id.
var everyScope = []string{threads.ScopeBasic, threads.ScopeContentPublish, threads.ScopeReadReplies, threads.ScopeManageReplies,
	threads.ScopeManageInsights, threads.ScopeDelete, threads.ScopeManageMentions, threads.ScopeKeywordSearch,
	threads.ScopeLocationTagging, threads.ScopeProfileDiscovery}

// kindOf says which kinds of ids a place takes. An empty answer fails the test.
func kindOf(path, name string) []string {
	switch {
	case name == "accountId":
		return []string{"account"}
	case name == "deliveryId":
		return []string{"delivery"}
	case slices.Contains(references, name):
		return []string{"post"} // a media id may be anybody's: people reply to each other
	case name != "id":
		return nil
	case strings.HasPrefix(path, "/api/threads/commands/"):
		return []string{"command"}
	case strings.HasPrefix(path, "/api/threads/webhooks/"):
		return []string{"webhook"}
	case strings.HasPrefix(path, "/api/threads/replies/"):
		return []string{"media"}
	case strings.HasSuffix(path, "/repost") || strings.HasSuffix(path, "/replies"):
		return []string{"post"} // people repost each other, and whose conversation may be read is Threads' to say
	case strings.HasPrefix(path, "/api/threads/post/"):
		return []string{"post", "media"}
	}
	return nil
}

// bodies are what a request needs beside ids to be a good one. A route with a body that is not here makes the test fail.
var bodies = map[string]map[string]any{
	"importHistory": {}, "refreshToken": {}, "retryPost": {}, "editPost": {"text": "taken"}, "repost": {},
	"createPost": {"text": "taken"}, "validatePost": {"text": "taken", "scheduledAt": "2099-01-01T00:00:00Z"}, "schedulePost": {"text": "taken", "scheduledAt": "2099-01-01T00:00:00Z"},
	"resolvePost": {"published": false}, "approveReply": {"approve": true}, "hideReply": {"hide": true},
	"createWebhook": {"url": "https://hooks.example/taken"}, "editWebhook": {"description": "taken"},
}

// queries are the same for queries.
var queries = map[string]string{"findLocations": "q=cafe", "searchPosts": "q=cats"}

// answersOtherwise are the routes that do not say 404 to an id that is not there, and what they say instead, to everyone.
var answersOtherwise = map[string]int{
	"listPosts": http.StatusOK, "findPosts": http.StatusOK, // an empty page
	"startOAuth":   http.StatusOK,                  // a ticket; who follows it with a foreign account is turned away (services/auth)
	"validatePost": http.StatusOK,                  // it lists what is wrong
	"repost":       http.StatusUnprocessableEntity, // it is a post that refers to another
}

type operation struct {
	id, method, path string
	open             bool // needs no bearer token
	slots            []slot
}

// slot is a place for an id.
type slot struct{ in, name string }

// describedOperations reads the API's description.
func describedOperations(t *testing.T, h *system) (all []operation) {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Security    []any  `json:"security"`
			Parameters  []struct{ Name, In string }
			RequestBody struct {
				Content map[string]struct{ Schema schema }
			} `json:"requestBody"`
		}
		Components struct{ Schemas map[string]schema }
	}
	if status := h.call(http.MethodGet, h.url("PORT")+"/openapi.json", nil, &doc); status != http.StatusOK {
		t.Fatalf("the description answers %d", status)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			o := operation{id: op.OperationID, method: strings.ToUpper(method), path: path, open: len(op.Security) == 0}
			for _, p := range op.Parameters {
				if p.In == "path" || p.In == "query" && (idLike.MatchString(p.Name) || slices.Contains(references, p.Name)) {
					o.slots = append(o.slots, slot{p.In, p.Name})
				}
			}
			for _, content := range op.RequestBody.Content {
				for _, name := range content.Schema.names(doc.Components.Schemas, "", 0) {
					last := name[strings.LastIndex(name, ".")+1:]
					if idLike.MatchString(last) || slices.Contains(references, name) {
						o.slots = append(o.slots, slot{"body", name})
					}
				}
			}
			o.slots = slices.DeleteFunc(o.slots, func(s slot) bool { return notOurs[s.name] != "" })
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return all
}

type schema struct {
	Ref        string `json:"$ref"`
	Properties map[string]schema
	Items      *schema
}

// names are the properties of a body, those inside others with a dot.
func (s schema) names(all map[string]schema, prefix string, depth int) (names []string) {
	if s.Ref != "" {
		s = all[s.Ref[strings.LastIndex(s.Ref, "/")+1:]]
	}
	if s.Items != nil {
		return s.Items.names(all, prefix, depth+1)
	}
	if depth > 6 {
		return nil
	}
	for name, p := range s.Properties {
		names = append(names, prefix+name)
		names = append(names, p.names(all, prefix+name+".", depth+1)...)
	}
	slices.Sort(names)
	return names
}

// answer is what a client can see of an answer, and how long it took.
type answer struct {
	status int
	head   string
	body   string
	took   time.Duration
}

// like says that two answers cannot be told apart.
func (a answer) like(b answer) bool {
	return a.status == b.status && a.head == b.head && a.body == b.body
}

// everNew is what differs from answer to answer, whatever is asked.
var everNew = regexp.MustCompile(`"requestId":"[^"]*"|ticket=[\w-]+|\d{4}-\d\d-\d\dT[\d:]+\.\d+Z`)

// tenant makes requests as one user.
type tenant struct {
	h     *system
	token string
}

// ask makes the request of an operation with ids in its places.
func (c tenant) ask(o operation, ids map[slot]string) answer {
	c.h.t.Helper()
	path, query := strings.ReplaceAll(o.path, "{username}", "somebody"), queries[o.id]
	body := maps.Clone(bodies[o.id])
	for _, s := range slices.SortedFunc(maps.Keys(ids), func(a, b slot) int { return strings.Compare(a.name, b.name) }) {
		switch s.in {
		case "path":
			path = strings.ReplaceAll(path, "{"+s.name+"}", url.PathEscape(ids[s]))
		case "query":
			query += "&" + s.name + "=" + url.QueryEscape(ids[s])
		case "body":
			body[s.name] = ids[s]
		}
	}
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			c.h.t.Fatal(err)
		}
		payload = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(c.h.t.Context(), waiting.Limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, o.method, c.h.url("PORT")+path+"?"+strings.TrimPrefix(query, "&"), payload)
	if err != nil {
		c.h.t.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	req.Header.Set("Accept", "application/json, text/event-stream")
	if payload != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	began := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.h.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	a := answer{status: resp.StatusCode, head: resp.Header.Get("Content-Type") + resp.Header.Get("ETag") + resp.Header.Get("Retry-After") + resp.Header.Get("Location")}
	if !strings.HasPrefix(a.head, "text/event-stream") { // that one would not end
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			c.h.t.Fatal(err)
		}
		a.body = everNew.ReplaceAllString(string(b), "NEW")
	}
	a.took = time.Since(began)
	for _, id := range ids {
		if id != "" {
			a.body, a.head = strings.ReplaceAll(a.body, id, "ID"), strings.ReplaceAll(a.head, id, "ID")
		}
	}
	return a
}

func median(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}

// signIn is the token of a user.
func (h *system) signIn(user string) string {
	h.t.Helper()
	var token struct {
		AccessToken string `json:"access_token"`
	}
	h.call(http.MethodGet, h.url("ISSUER_PORT")+"/token?sub="+user, nil, &token)
	return token.AccessToken
}

// connectAs gives a user an account of another person at Threads than the one who presses Allow in the simulator.
func (h *system) connectAs(user, person string) accounts.Account {
	h.t.Helper()
	ctx := h.t.Context()
	var grant struct {
		AccessToken string `json:"access_token"`
		UserID      string `json:"user_id"`
	}
	h.call(http.MethodPost, h.url("SIMULATOR_PORT")+"/_sim/token", map[string]any{"username": person, "scopes": everyScope}, &grant)
	db, err := pg.Open(ctx, pg.Config{URL: h.setting("DATABASE_URL")}, zap.NewNop())
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	vault, err := vault.OpenFile(h.keyset(), zap.NewNop())
	if err != nil {
		h.t.Fatal(err)
	}
	var a accounts.Account
	err = pg.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) (err error) {
		a, err = accounts.Connect(ctx, tx, vault, accounts.Grant{UserID: user, ProviderUserID: grant.UserID, Username: person,
			Scopes: everyScope, Token: threads.Token(grant.AccessToken), ExpiresAt: time.Now().Add(50 * 24 * time.Hour)}, time.Now())
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

// missing makes the id of a thing that is not.
func missing(kind string) string {
	switch kind {
	case "account":
		return events.NewAccountID()
	case "command":
		return events.NewCommandID()
	case "webhook":
		return events.NewWebhookID()
	case "delivery":
		return "del_" + strings.TrimPrefix(events.NewPostID(), "post_")
	case "media":
		return fmt.Sprintf("1899%013d", time.Now().UnixNano()%1e13)
	}
	return events.NewPostID()
}

// things are the ids of what a user has, by their kinds.
type things map[string][]string

// belongings makes a user own one thing of each kind.
func belongings(h *system, user string, account accounts.Account) (c tenant, all things) {
	h.t.Helper()
	c = tenant{h: h, token: h.signIn(user)}
	h.token = c.token
	live := h.schedule("live of "+user, 0)
	later := h.schedule("later of "+user, time.Hour)
	h.posted(live)
	var detail asks.PostDetail
	h.call(http.MethodGet, h.url("PORT")+"/api/threads/post/"+live.ID, nil, &detail)
	var hook asks.Webhook
	if status := h.call(http.MethodPost, h.url("PORT")+"/api/threads/webhooks", map[string]any{"url": "https://hooks.example/" + user}, &hook); status != http.StatusCreated {
		h.t.Fatalf("making a webhook answered %d", status)
	}
	var delivery asks.WebhookDelivery
	h.call(http.MethodPost, h.url("PORT")+"/api/threads/webhooks/"+hook.ID+"/test", nil, &delivery)
	body := strings.NewReader(`{"text": "later still", "scheduledAt": "2099-01-01T00:00:00Z"}`)
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.url("PORT")+"/api/threads/post/schedule", body)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", "respond-async")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	_ = resp.Body.Close()
	command := resp.Header.Get("Location")
	all = things{
		"account": {account.ID}, "post": {later.ID, live.ID}, "media": {*detail.PostedTweetID}, "webhook": {hook.ID},
		"delivery": {delivery.ID}, "command": {command[strings.LastIndex(command, "/")+1:]},
	}
	for kind, ids := range all {
		if slices.Contains(ids, "") {
			h.t.Fatalf("%s has no %s: %+v", user, kind, all)
		}
	}
	return c, all
}

// belongs is what the owner sees of all that they have.
func (c tenant) belongs(t *testing.T) string {
	t.Helper()
	var seen strings.Builder
	for _, path := range []string{"/api/threads/posts", "/api/threads/connections", "/api/threads/webhooks"} {
		a := c.ask(operation{method: http.MethodGet, path: path}, nil)
		if a.status != http.StatusOK {
			t.Fatalf("%s answers %d: %s", path, a.status, a.body)
		}
		seen.WriteString(a.body)
	}
	return seen.String()
}

func TestTenancy(t *testing.T) {
	t.Parallel()
	h := newSystem(t)
	h.start()
	owner, theirs := belongings(h, "user_1", h.connectAs("user_1", "owner.of.it"))
	stranger, mine := belongings(h, "user_2", h.connectAs("user_2", "stranger"))
	before := owner.belongs(t)
	all := describedOperations(t, h)
	cells, slowest := 0, ""
	var slow float64
	for _, o := range all {
		for _, s := range o.slots {
			kinds := kindOf(o.path, s.name)
			if s.in == "body" && bodies[o.id] == nil {
				t.Errorf("%s %s (%s) is new: say in bodies what makes a good request", o.method, o.path, o.id)
				continue
			}
			if len(kinds) == 0 {
				t.Errorf("%s %s has a new place for an id, %s %q: say in kindOf whose", o.method, o.path, s.in, s.name)
			}
			for _, kind := range kinds {
				for _, id := range theirs[kind] {
					cells++
					if ratio := o.cell(t, stranger, s, kind, id, mine); ratio > slow {
						slow, slowest = ratio, o.method+" "+o.path+" "+s.name
					}
				}
			}
		}
		if !o.open {
			nobody := tenant{h: h}.ask(o, o.good(mine))
			if nobody.status != http.StatusUnauthorized {
				t.Errorf("%s %s answers %d without a token: %s", o.method, o.path, nobody.status, nobody.body)
			}
		}
	}
	t.Logf("%d places for ids on %d routes; the most different median is %.2f times the other (%s)", cells, len(all), slow, slowest)
	if cells < 50 {
		t.Errorf("only %d places were found", cells)
	}
	tenancyOfAsks(t, h, theirs, mine)
	anotherAccount(t, stranger, all, mine, h.connectAs("user_2", "second.self").ID)
	if after := owner.belongs(t); after != before {
		t.Errorf("the stranger changed something. Before:\n%s\nafter:\n%s", before, after)
	}
}

// good is an id of one's own in every place of a path.
func (o operation) good(mine things) map[slot]string {
	ids := map[slot]string{}
	for _, s := range o.slots {
		if kinds := kindOf(o.path, s.name); s.in == "path" && len(kinds) > 0 {
			ids[s] = mine[kinds[0]][0]
		}
	}
	return ids
}

// tries is how often each request of a cell is made, in turns with the other; tellTries is how often where the times differ,
// before they are believed: a busy machine is no leak. Only a machine with nothing else to do can tell, so times are judged
// where judgeTimes is set.
const (
	tries      = 5
	tellTries  = 25
	judgeTimes = "TENANCY_TIMES"
)

// cell asks with somebody else's id in one place, and with one that does not exist, and compares. It returns by how much
// their medians differ.
func (o operation) cell(t *testing.T, c tenant, s slot, kind, id string, mine things) float64 {
	t.Helper()
	with := func(id string) answer {
		ids := o.good(mine)
		ids[s] = id
		return c.ask(o, ids)
	}
	where := fmt.Sprintf("%s %s with somebody else's %s as %s %s", o.method, o.path, kind, s.in, s.name)
	var foreign, none []time.Duration
	n := tries
	for i := 0; i < n || os.Getenv(judgeTimes) != "" && i < tellTries && tells(foreign, none); i++ {
		gone := missing(kind)
		a, b := with(id), with(gone)
		if !a.like(b) {
			t.Errorf("%s answers %d %q %s\nan id that is not: %d %q %s", where, a.status, a.head, a.body, b.status, b.head, b.body)
			return 0
		}
		allowed := a.status == http.StatusNotFound ||
			answersOtherwise[o.id] == a.status ||
			slices.Contains(references, s.name) && a.status == http.StatusUnprocessableEntity
		if !allowed {
			t.Errorf("%s answers %d: %s", where, a.status, a.body)
			return 0
		}
		foreign, none = append(foreign, a.took), append(none, b.took)
		if a.took > 300*time.Millisecond {
			n = 2
		}
	}
	for _, garbage := range []string{"%00", "../../x", strings.Repeat("a", 300), "'; DROP TABLE posts; --"} {
		if g := with(garbage); g.status != http.StatusNotFound && g.status != http.StatusUnprocessableEntity && g.status != answersOtherwise[o.id] {
			t.Errorf("%s answers %d to garbage: %s", where, g.status, g.body)
		}
	}
	x, y := median(foreign), median(none)
	if os.Getenv(judgeTimes) != "" && tells(foreign, none) {
		t.Errorf("%s takes %s, an id that is not %s", where, x, y)
	}
	return float64(max(x, y)) / float64(min(x, y))
}

// tells is whether the time that it takes tells whether a thing exists.
func tells(foreign, none []time.Duration) bool {
	x, y := median(foreign), median(none)
	return max(x, y) > 4*min(x, y) && max(x, y)-min(x, y) > 20*time.Millisecond
}

// anotherAccount asks for a thing of one's own under another account of one's own: there it is not.
func anotherAccount(t *testing.T, c tenant, all []operation, mine things, second string) {
	t.Helper()
	asked := 0
	for _, o := range all {
		var id, account *slot
		for i, s := range o.slots {
			switch {
			case s.name == "accountId":
				account = &o.slots[i]
			case s.in == "path" && s.name == "id" && o.id != "repost": // that is for any account to do
				id = &o.slots[i]
			}
		}
		if id == nil || account == nil || !slices.Contains(kindOf(o.path, id.name), "post") {
			continue
		}
		asked++
		for _, post := range mine["post"] {
			there := c.ask(o, map[slot]string{*id: post, *account: second})
			gone := c.ask(o, map[slot]string{*id: missing("post"), *account: second})
			if !there.like(gone) || there.status != http.StatusNotFound {
				t.Errorf("%s %s of a post of another account answers %d %s\nof none %d %s", o.method, o.path, there.status, there.body, gone.status, gone.body)
			}
		}
	}
	if asked == 0 {
		t.Error("no route names both a post and an account")
	}
}
