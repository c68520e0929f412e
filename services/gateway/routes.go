package gateway

import (
	"cmp"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/services/gateway/accounts"
	"github.com/omni-write/threads/services/gateway/apidoc"
	"github.com/omni-write/threads/services/gateway/bulk"
	"github.com/omni-write/threads/services/gateway/command"
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/engagement"
	"github.com/omni-write/threads/services/gateway/live"
	"github.com/omni-write/threads/services/gateway/meta"
	"github.com/omni-write/threads/services/gateway/operators"
	"github.com/omni-write/threads/services/gateway/posts"
	"github.com/omni-write/threads/services/gateway/webhooks"
)

// Routes that are also spelled elsewhere.
const (
	pathHealth   = "/healthz"
	routeHealth  = "GET " + pathHealth
	routeEvents  = "/api/threads/events"
	routeWebhook = "/api/threads/webhook"
)

// routes is the whole HTTP surface. Everything but the two steps of the OAuth flow needs a bearer token.
func (s *Service) routes() (*http.ServeMux, error) {
	mux := http.NewServeMux()
	mux.HandleFunc(routeHealth, health)
	front := "docs" // for whoever opens the address in a browser
	if s.cfg.ConsoleClientID != "" {
		front = "console/"
	}
	mux.Handle("GET /{$}", http.RedirectHandler(front, http.StatusFound))
	api := s.api(mux)
	h := s.handlers()
	post, connection, pending := schemaOf[events.Post](api), schemaOf[accounts.Connection](api), schemaOf[command.Pending](api)

	// Connecting an account.
	huma.Register(api, open(http.MethodGet, accounts.RouteStartOAuth, "startOAuth", "Begin to connect a Threads account").
		answers(302, nil).answers(200, schemaOf[accounts.Authorization](api)).mayMiss().op(), h.accounts.StartOAuth)
	huma.Register(api, open(http.MethodGet, "/api/auth/threads/callback", "finishOAuth", "Where Threads sends the browser back to").
		answers(302, nil).html("The page that asks whether to connect.").op(), h.accounts.FinishOAuth)
	huma.Register(api, authed(http.MethodPost, accounts.RouteFinishConnect, "finishConnect", "Connect the account that you came back with").op(), h.accounts.FinishConnect)
	huma.Register(api, open(http.MethodPost, accounts.RouteConfirmConnect, "confirmConnect", "Where the page that asks about a connection sends the answer").
		answers(303, nil).ofOurPage().op(), h.accounts.ConfirmConnect)
	huma.Register(api, authed(http.MethodPost, "/api/auth/ticket", "issueTicket", "Get a ticket that stands for you once, for 30 seconds").op(), h.accounts.IssueTicket)

	// Connected accounts.
	huma.Register(api, authed(http.MethodGet, "/api/threads/me", "getProfile", "The Threads profile behind an account").op(), h.accounts.GetProfile)
	huma.Register(api, authed(http.MethodGet, "/api/threads/connection", "getConnection", "Whether an account is connected, and how").op(), h.accounts.GetConnection)
	huma.Register(api, authed(http.MethodGet, "/api/threads/connections", "listConnections", "All connected accounts").op(), h.accounts.ListConnections)
	huma.Register(api, authed(http.MethodDelete, "/api/threads/connection", "disconnect", "Forget an account; cancel its queue, keep it, or erase everything").
		answers(200, connection).answers(202, pending).op(), h.accounts.Disconnect)
	huma.Register(api, authed(http.MethodPost, "/api/threads/refresh", "refreshToken", "Refresh an account's long-lived token now").
		answers(200, connection).answers(202, pending).op(), h.accounts.Refresh)

	// Posts.
	huma.Register(api, authed(http.MethodPost, "/api/threads/post", "createPost", "Post now").
		answers(201, post).answers(202, pending).needsScope().op(), h.posts.CreatePost)
	huma.Register(api, authed(http.MethodGet, posts.RoutePosts, "findPosts", "Your posts, of all states and kinds, page by page").op(), h.posts.FindPosts)
	huma.Register(api, authed(http.MethodGet, "/api/threads/post/{id}", "getPost", "One post, and what was tried for it").
		answers(200, schemaOf[asks.PostDetail](api)).answers(304, nil).op(), h.posts.GetPost)
	huma.Register(api, authed(http.MethodDelete, "/api/threads/post/{id}", "deletePost", "Delete a post on Threads").
		answers(200, post).answers(202, pending).needsScope().op(), h.posts.DeletePost)
	huma.Register(api, authed(http.MethodPost, "/api/threads/post/{id}/retry", "retryPost", "Try a failed post once more").
		answers(200, post).answers(202, pending).needsScope().op(), h.posts.RetryPost)
	huma.Register(api, authed(http.MethodPost, "/api/threads/post/{id}/resolve", "resolvePost", "Say what became of a parked post").
		answers(200, post).answers(202, pending).needsScope().op(), h.posts.ResolvePost)
	huma.Register(api, authed(http.MethodPost, "/api/threads/post/{id}/repost", "repost", "Share a post again, now or later").
		answers(201, post).answers(202, pending).needsScope().op(), h.posts.Repost)
	huma.Register(api, authed(http.MethodPost, posts.RouteValidate, "validatePost", "Hold a post against all rules, without storing it").op(), h.posts.ValidatePost)
	huma.Register(api, authed(http.MethodPost, bulk.RouteImport, "importPosts", "Schedule many posts from a file, or preview them").
		fileOfPosts().op(), h.bulk.ImportPosts)
	huma.Register(api, authed(http.MethodPost, posts.RouteSchedule, "schedulePost", "Post later").
		answers(201, post).answers(202, pending).needsScope().op(), h.posts.SchedulePost)
	huma.Register(api, authed(http.MethodGet, posts.RouteSchedule, "listPosts", "Your posts, the earliest scheduled first").op(), h.posts.ListPosts)
	huma.Register(api, authed(http.MethodPatch, posts.RouteSchedule+"/{id}", "editPost", "Change a scheduled post").
		answers(200, post).answers(202, pending).needsScope().op(), h.posts.EditPost)
	huma.Register(api, authed(http.MethodDelete, posts.RouteSchedule+"/{id}", "cancelPost", "Cancel a scheduled post").
		answers(200, post).answers(202, pending).op(), h.posts.CancelPost)

	// Webhooks of Meta.
	huma.Register(api, open(http.MethodGet, routeWebhook, "confirmWebhook", "Where Meta asks whether this address is ours").
		plainText().op(), h.meta.ConfirmWebhook)
	huma.Register(api, open(http.MethodPost, routeWebhook, "receiveWebhook", "Where Meta tells of replies, mentions, posts and deletions").
		signedByMeta(api).op(), h.meta.ReceiveWebhook)

	// Callbacks of Meta: a person removed the app, or asks for the deletion of what it knows. They need no bearer token: what
	// Meta signed is Meta's, and the code of an erasure cannot be guessed.
	huma.Register(api, open(http.MethodPost, meta.RouteUninstall, "uninstall", "Where Meta tells that a person removed the app").
		formOfMeta().op(), h.meta.Uninstall)
	huma.Register(api, open(http.MethodPost, meta.RouteDataDeletion, "deleteData",
		"Where Meta tells that a person wants their data deleted").
		formOfMeta().op(), h.meta.DeleteData)
	huma.Register(api, open(http.MethodGet, meta.RouteDataDeletion+"/{code}", "getDataDeletion",
		"How the deletion of a person's data goes").
		page().mayMiss().op(), h.meta.GetDataDeletion)

	// What Threads tells of an account.
	huma.Register(api, authed(http.MethodGet, "/api/threads/limits", "getLimits", "How much of its allowances an account has left, now or later").
		asksThreads().op(), h.engagement.GetLimits)
	huma.Register(api, authed(http.MethodGet, "/api/threads/insights", "getAccountInsights", "The figures of an account, now and before").
		asksThreads().op(), h.engagement.GetAccountInsights)
	huma.Register(api, authed(http.MethodGet, "/api/threads/post/{id}/insights", "getPostInsights", "The figures of a post, now and before").
		asksThreads().op(), h.engagement.GetPostInsights)
	huma.Register(api, authed(http.MethodPost, engagement.RouteHistoryImport, "importHistory", "Take over the posts that an account made elsewhere").
		answers(200, schemaOf[asks.HistoryImport](api)).answers(202, pending).asksThreads().op(), h.engagement.ImportHistory)
	huma.Register(api, authed(http.MethodGet, engagement.RouteHistoryImport, "getHistoryImport", "How far the import of an account's history is").op(), h.engagement.GetHistoryImport)

	// Conversations, and the posts of others.
	reply := schemaOf[asks.ReplyState](api)
	huma.Register(api, authed(http.MethodGet, "/api/threads/post/{id}/replies", "listReplies", "What was said below a post").
		asksThreads().op(), h.engagement.ListReplies)
	huma.Register(api, authed(http.MethodPost, "/api/threads/replies/{id}/hide", "hideReply", "Hide a reply, or show it again").
		answers(200, reply).answers(202, pending).asksThreads().op(), h.engagement.HideReply)
	huma.Register(api, authed(http.MethodPost, "/api/threads/replies/{id}/approve", "approveReply", "Let a reply be seen that waits for approval").
		answers(200, reply).answers(202, pending).asksThreads().op(), h.engagement.ApproveReply)
	huma.Register(api, authed(http.MethodGet, "/api/threads/mentions", "listMentions", "Public posts that name an account").
		asksThreads().op(), h.engagement.ListMentions)
	huma.Register(api, authed(http.MethodGet, "/api/threads/search", "searchPosts", "Find public posts").asksThreads().op(), h.engagement.Search)
	huma.Register(api, authed(http.MethodGet, "/api/threads/profiles/{username}", "lookUpProfile", "What anyone may see of a public profile").
		asksThreads().op(), h.engagement.LookUpProfile)
	huma.Register(api, authed(http.MethodGet, "/api/threads/profiles/{username}/posts", "listProfilePosts", "The posts of a public profile").
		asksThreads().op(), h.engagement.ListProfilePosts)
	huma.Register(api, authed(http.MethodGet, "/api/threads/locations", "findLocations", "Find places, for the location of a post").
		asksThreads().op(), h.engagement.FindLocations)

	// Webhooks of users.
	hook, sent := schemaOf[asks.Webhook](api), schemaOf[asks.WebhookDelivery](api)
	const oneWebhook = webhooks.RouteWebhooks + "/{id}"
	huma.Register(api, authed(http.MethodGet, webhooks.RouteWebhooks, "listWebhooks", "Your webhooks").op(), h.webhooks.ListWebhooks)
	huma.Register(api, authed(http.MethodPost, webhooks.RouteWebhooks, "createWebhook", "Have facts brought to an address of yours").
		answers(201, hook).op(), h.webhooks.CreateWebhook)
	huma.Register(api, authed(http.MethodGet, oneWebhook, "getWebhook", "One webhook").answers(200, hook).op(), h.webhooks.GetWebhook)
	huma.Register(api, authed(http.MethodPatch, oneWebhook, "editWebhook", "Change a webhook, pause it, make it active again").
		answers(200, hook).op(), h.webhooks.EditWebhook)
	huma.Register(api, authed(http.MethodDelete, oneWebhook, "deleteWebhook", "Take a webhook away").answers(200, hook).op(), h.webhooks.DeleteWebhook)
	huma.Register(api, authed(http.MethodPost, oneWebhook+"/rotate", "rotateWebhook", "Give a webhook a new secret; the old one signs beside it for a day").
		answers(200, hook).op(), h.webhooks.RotateWebhook)
	huma.Register(api, authed(http.MethodPost, oneWebhook+"/test", "testWebhook", "Send a webhook a test").answers(202, sent).op(), h.webhooks.TestWebhook)
	huma.Register(api, authed(http.MethodGet, oneWebhook+"/deliveries", "listDeliveries", "What was sent to a webhook, and what came of it").op(), h.webhooks.ListDeliveries)
	huma.Register(api, authed(http.MethodPost, oneWebhook+"/deliveries/{deliveryId}/resend", "resendDelivery", "Send something once more").
		answers(202, sent).op(), h.webhooks.ResendDelivery)

	// Live.
	huma.Register(api, authed(http.MethodGet, routeEvents, "streamEvents", "What happens to your posts and accounts, as it happens").
		streams(live.EventStreamDoc).op(), h.streams.StreamEvents)
	huma.Register(api, authed(http.MethodGet, routeEvents+"/recent", "recentEvents", "What happened to your posts and accounts lately").op(), h.streams.RecentEvents)

	// For those who run the system.
	huma.Register(api, authed(http.MethodGet, operators.RouteOperations, "getOperations", "How the whole system does, for those who run it").op(), h.operators.GetOperations)

	// Commands.
	huma.Register(api, authed(http.MethodGet, "/api/threads/commands/{id}", "getCommand", "How a command ended, after a 202").op(), h.commands.Get)
	s.edge.ApplyDefaults(api)
	if err := apidoc.Describe(api.OpenAPI(), cmp.Or(s.cfg.publicBase().Path, "/")); err != nil {
		return nil, err
	}
	return mux, apidoc.ServePage(mux, api.OpenAPI(), s.edge.LimitPages)
}

// handlers are those of the routes, by concern.
type handlers struct {
	accounts   *accounts.Handlers
	posts      *posts.Handlers
	bulk       *bulk.Handlers
	meta       *meta.Handlers
	engagement *engagement.Handlers
	webhooks   *webhooks.Handlers
	streams    *live.Handlers
	operators  *operators.Handlers
	commands   *command.Sender
}

func (s *Service) handlers() handlers {
	commands := s.sender()
	return handlers{
		accounts:   s.accounts,
		posts:      &posts.Handlers{Bus: s.bus, Commands: commands, Edge: s.edge, Now: s.now},
		bulk:       &bulk.Handlers{Bus: s.bus, Commands: commands, Edge: s.edge},
		meta:       &meta.Handlers{Bus: s.bus, Public: s.cfg.publicBase()},
		engagement: &engagement.Handlers{Bus: s.bus, Commands: commands, Edge: s.edge},
		webhooks:   &webhooks.Handlers{Bus: s.bus},
		streams:    &live.Handlers{Bus: s.bus, Streams: s.live},
		operators:  &operators.Handlers{Bus: s.bus},
		commands:   commands,
	}
}

func (s *Service) sender() *command.Sender {
	return &command.Sender{Bus: s.bus, Usual: s.cfg.Wait, Now: s.now}
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
	api.UseMiddleware(s.auth.RequireUser(api, s.edge), s.edge.LimitRate(api), s.edge.ValidateRequest(api), s.edge.Admit(api))
	return api
}
