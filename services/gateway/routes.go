package gateway

import (
	"cmp"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/services/gateway/apidoc"
	"github.com/omni-write/threads/services/gateway/edge"
)

// Routes that are also spelled elsewhere.
const (
	routeStartOAuth = "/api/auth/threads"
	routeSchedule   = "/api/threads/post/schedule"
	pathHealth      = "/healthz"
	routeHealth     = "GET " + pathHealth
	routeEvents     = "/api/threads/events"
	routeWebhook    = "/api/threads/webhook"
)

// routes is the whole HTTP surface. Everything but the two steps of the OAuth flow needs a bearer token.
func (s *Service) routes() (*http.ServeMux, error) {
	mux := http.NewServeMux()
	mux.HandleFunc(routeHealth, health)
	api := s.api(mux)
	post, connection, pending := schemaOf[events.Post](api), schemaOf[Connection](api), schemaOf[Pending](api)

	// Connecting an account.
	huma.Register(api, open(http.MethodGet, routeStartOAuth, "startOAuth", "Begin to connect a Threads account").
		answers(302, nil).answers(200, schemaOf[Authorization](api)).mayMiss().op(), s.startOAuth)
	huma.Register(api, open(http.MethodGet, "/api/auth/threads/callback", "finishOAuth", "Where Threads sends the browser back to").
		answers(302, nil).html("The page that asks whether to connect.").op(), s.finishOAuth)
	s.connectRoutes(api)
	huma.Register(api, authed(http.MethodPost, "/api/auth/ticket", "issueTicket", "Get a ticket that stands for you once, for 30 seconds").op(), s.issueTicket)

	// Connected accounts.
	huma.Register(api, authed(http.MethodGet, "/api/threads/me", "getProfile", "The Threads profile behind an account").op(), s.getProfile)
	huma.Register(api, authed(http.MethodGet, "/api/threads/connection", "getConnection", "Whether an account is connected, and how").op(), s.getConnection)
	huma.Register(api, authed(http.MethodGet, "/api/threads/connections", "listConnections", "All connected accounts").op(), s.listConnections)
	huma.Register(api, authed(http.MethodDelete, "/api/threads/connection", "disconnect", "Forget an account; cancel its queue, keep it, or erase everything").
		answers(200, connection).answers(202, pending).op(), s.disconnect)
	huma.Register(api, authed(http.MethodPost, "/api/threads/refresh", "refreshToken", "Refresh an account's long-lived token now").
		answers(200, connection).answers(202, pending).op(), s.refresh)

	// Posts.
	huma.Register(api, authed(http.MethodPost, "/api/threads/post", "createPost", "Post now").
		answers(201, post).answers(202, pending).needsScope().op(), s.createPost)
	huma.Register(api, authed(http.MethodGet, routePosts, "findPosts", "Your posts, of all states and kinds, page by page").op(), s.findPosts)
	huma.Register(api, authed(http.MethodGet, "/api/threads/post/{id}", "getPost", "One post, and what was tried for it").
		answers(200, schemaOf[asks.PostDetail](api)).answers(304, nil).op(), s.getPost)
	huma.Register(api, authed(http.MethodDelete, "/api/threads/post/{id}", "deletePost", "Delete a post on Threads").
		answers(200, post).answers(202, pending).needsScope().op(), s.deletePost)
	huma.Register(api, authed(http.MethodPost, "/api/threads/post/{id}/retry", "retryPost", "Try a failed post once more").
		answers(200, post).answers(202, pending).needsScope().op(), s.retryPost)
	huma.Register(api, authed(http.MethodPost, "/api/threads/post/{id}/resolve", "resolvePost", "Say what became of a parked post").
		answers(200, post).answers(202, pending).needsScope().op(), s.resolvePost)
	huma.Register(api, authed(http.MethodPost, "/api/threads/post/{id}/repost", "repost", "Share a post again, now or later").
		answers(201, post).answers(202, pending).needsScope().op(), s.repost)
	huma.Register(api, authed(http.MethodPost, routeValidate, "validatePost", "Hold a post against all rules, without storing it").op(), s.validatePost)
	huma.Register(api, authed(http.MethodPost, routeImport, "importPosts", "Schedule many posts from a file, or preview them").
		fileOfPosts().op(), s.importPosts)
	huma.Register(api, authed(http.MethodPost, routeSchedule, "schedulePost", "Post later").
		answers(201, post).answers(202, pending).needsScope().op(), s.schedulePost)
	huma.Register(api, authed(http.MethodGet, routeSchedule, "listPosts", "Your posts, the earliest scheduled first").op(), s.listPosts)
	huma.Register(api, authed(http.MethodPatch, routeSchedule+"/{id}", "editPost", "Change a scheduled post").
		answers(200, post).answers(202, pending).needsScope().op(), s.editPost)
	huma.Register(api, authed(http.MethodDelete, routeSchedule+"/{id}", "cancelPost", "Cancel a scheduled post").
		answers(200, post).answers(202, pending).op(), s.cancelPost)

	// Webhooks of Meta.
	huma.Register(api, open(http.MethodGet, routeWebhook, "confirmWebhook", "Where Meta asks whether this address is ours").
		plainText().op(), s.confirmWebhook)
	huma.Register(api, open(http.MethodPost, routeWebhook, "receiveWebhook", "Where Meta tells of replies, mentions, posts and deletions").
		signedByMeta(api).op(), s.receiveWebhook)

	// Callbacks of Meta: a person removed the app, or asks for the deletion of what it knows.
	s.callbackRoutes(api)

	// What Threads tells of an account.
	huma.Register(api, authed(http.MethodGet, "/api/threads/limits", "getLimits", "How much of its allowances an account has left, now or later").
		asksThreads().op(), s.getLimits)
	huma.Register(api, authed(http.MethodGet, "/api/threads/insights", "getAccountInsights", "The figures of an account, now and before").
		asksThreads().op(), s.getAccountInsights)
	huma.Register(api, authed(http.MethodGet, "/api/threads/post/{id}/insights", "getPostInsights", "The figures of a post, now and before").
		asksThreads().op(), s.getPostInsights)
	huma.Register(api, authed(http.MethodPost, routeHistoryImport, "importHistory", "Take over the posts that an account made elsewhere").
		answers(200, schemaOf[asks.HistoryImport](api)).answers(202, pending).asksThreads().op(), s.importHistory)
	huma.Register(api, authed(http.MethodGet, routeHistoryImport, "getHistoryImport", "How far the import of an account's history is").op(), s.getHistoryImport)

	// Conversations, and the posts of others.
	reply := schemaOf[asks.ReplyState](api)
	huma.Register(api, authed(http.MethodGet, "/api/threads/post/{id}/replies", "listReplies", "What was said below a post").
		asksThreads().op(), s.listReplies)
	huma.Register(api, authed(http.MethodPost, "/api/threads/replies/{id}/hide", "hideReply", "Hide a reply, or show it again").
		answers(200, reply).answers(202, pending).asksThreads().op(), s.hideReply)
	huma.Register(api, authed(http.MethodPost, "/api/threads/replies/{id}/approve", "approveReply", "Let a reply be seen that waits for approval").
		answers(200, reply).answers(202, pending).asksThreads().op(), s.approveReply)
	huma.Register(api, authed(http.MethodGet, "/api/threads/mentions", "listMentions", "Public posts that name an account").
		asksThreads().op(), s.listMentions)
	huma.Register(api, authed(http.MethodGet, "/api/threads/search", "searchPosts", "Find public posts").asksThreads().op(), s.search)
	huma.Register(api, authed(http.MethodGet, "/api/threads/profiles/{username}", "lookUpProfile", "What anyone may see of a public profile").
		asksThreads().op(), s.lookUpProfile)
	huma.Register(api, authed(http.MethodGet, "/api/threads/profiles/{username}/posts", "listProfilePosts", "The posts of a public profile").
		asksThreads().op(), s.listProfilePosts)
	huma.Register(api, authed(http.MethodGet, "/api/threads/locations", "findLocations", "Find places, for the location of a post").
		asksThreads().op(), s.findLocations)

	// Webhooks of users.
	s.webhookRoutes(api)

	// Live.
	huma.Register(api, authed(http.MethodGet, routeEvents, "streamEvents", "What happens to your posts and accounts, as it happens").
		streams(eventStreamDoc).op(), s.streamEvents)

	// Commands.
	huma.Register(api, authed(http.MethodGet, "/api/threads/commands/{id}", "getCommand", "How a command ended, after a 202").op(), s.getCommand)
	s.edge.ApplyDefaults(api)
	if err := apidoc.Describe(api.OpenAPI(), cmp.Or(s.cfg.publicBase().Path, "/")); err != nil {
		return nil, err
	}
	return mux, apidoc.ServePage(mux, api.OpenAPI(), s.edge.LimitPages)
}

func health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintln(w, `{"ok":true}`)
}

func (s *Service) api(mux *http.ServeMux) huma.API {
	edge.InstallProblems()
	cfg := huma.DefaultConfig("Omni Write · Threads", "1.0.0")
	cfg.CreateHooks = nil                                       // they would add a $schema to every body and a Link to every answer
	cfg.DocsPath, cfg.SchemasPath, cfg.OpenAPIPath = "", "", "" // apidoc serves what there is
	cfg.Formats = map[string]huma.Format{"application/json": edge.StrictJSON, "json": edge.StrictJSON}
	cfg.Transformers = []huma.Transformer{edge.FinishProblem}
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "A token of the configured issuer."},
		"ticket": {Type: "apiKey", In: "query", Name: "ticket", Description: "A ticket of POST /api/auth/ticket, good once."},
	}
	api := humago.New(mux, cfg)
	api.UseMiddleware(s.requireUser(api), s.edge.LimitRate(api), s.edge.ValidateRequest(api), s.edge.Admit(api))
	return api
}

// operation describes a route to huma.
type operation huma.Operation

// open is an operation for everybody.
func open(method, path, id, summary string) *operation {
	return &operation{
		Method: method, Path: path, OperationID: id, Summary: summary, Responses: map[string]*huma.Response{},
		Errors: []int{http.StatusUnauthorized, http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}
}

// mayMiss documents that what is named may not be there.
func (o *operation) mayMiss() *operation {
	o.Errors = append(o.Errors, http.StatusNotFound)
	return o
}

// needsScope documents that the account may not have allowed what is asked for.
func (o *operation) needsScope() *operation {
	o.Errors = append(o.Errors, http.StatusForbidden)
	return o
}

// authed is an operation for those who are signed in.
func authed(method, path, id, summary string) *operation {
	o := open(method, path, id, summary)
	o.Security = signedIn
	o.Errors = append(o.Errors, http.StatusNotFound, http.StatusConflict)
	return o
}

// answers documents an answer. The first that is named is the usual one.
func (o *operation) answers(status int, body *huma.Schema) *operation {
	if o.DefaultStatus == 0 {
		o.DefaultStatus = status
	}
	r := &huma.Response{Description: http.StatusText(status)}
	if body != nil {
		r.Content = map[string]*huma.MediaType{"application/json": {Schema: body}}
	}
	o.Responses[fmt.Sprint(status)] = r
	return o
}

// html documents an answer that is a page.
func (o *operation) html(description string) *operation {
	o.Responses[fmt.Sprint(http.StatusOK)] = &huma.Response{
		Description: description,
		Content:     map[string]*huma.MediaType{"text/html": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}
	return o
}

func (o *operation) op() huma.Operation { return huma.Operation(*o) }

func schemaOf[T any](api huma.API) *huma.Schema {
	return api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")
}
