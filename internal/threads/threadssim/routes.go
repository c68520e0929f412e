package threadssim

import (
	"net/http"
	"strings"

	icon "github.com/omni-write/threads/internal/page"
	"github.com/omni-write/threads/internal/threads"
)

// table is the whole surface on one screen. Every API route also answers under /v1.0.
func (s *Sim) table() *http.ServeMux {
	mux := http.NewServeMux()
	api, side := s.api, control{s}

	// The token calls, which check the app's secret themselves.
	api.open(mux, "GET /oauth/access_token", threads.OpExchange, accessToken)
	api.open(mux, "POST /oauth/access_token", threads.OpExchange, accessToken)
	api.open(mux, "GET /access_token", threads.OpExchangeLong, exchangeLong)
	api.open(mux, "GET /refresh_access_token", threads.OpRefresh, refresh)

	api.open(mux, "GET /debug_token", threads.OpDebugToken, debugToken) // also for the app's own token

	// The data calls. The scope is the one besides threads_basic; empty where the handler has to decide.
	api.withToken(mux, "POST /{user}/threads", threads.OpCreate, threads.ScopeContentPublish, create)
	api.withToken(mux, "POST /{user}/threads_publish", threads.OpPublish, threads.ScopeContentPublish, publish)
	api.withToken(mux, "GET /{user}/threads", threads.OpPosts, "", own(isPost))
	api.handle(mux, "GET /{id}/replies", threads.OpReplies, byPath, repliesEdge) // of a person or to a post
	api.withToken(mux, "GET /{user}/ghost_posts", threads.OpGhostPosts, "", own(isGhost))
	api.withToken(mux, "GET /{user}/mentions", threads.OpMentions, threads.ScopeManageMentions, mentions)
	api.withToken(mux, "GET /{user}/threads_insights", threads.OpAccountInsights, threads.ScopeManageInsights, accountInsights)
	api.withToken(mux, "GET /{id}/insights", threads.OpMediaInsights, "", mediaInsights)
	api.withToken(mux, "GET /{id}/conversation", threads.OpConversation, "", conversation)
	api.withToken(mux, "GET /{id}/pending_replies", threads.OpPendingReplies, "", pendingReplies)
	api.withToken(mux, "POST /{id}/manage_reply", threads.OpHideReply, "", manageReply)
	api.withToken(mux, "POST /{id}/manage_pending_reply", threads.OpApproveReply, "", managePendingReply)
	api.withToken(mux, "POST /{id}/repost", threads.OpRepost, "", repost)
	api.withToken(mux, "GET /keyword_search", threads.OpSearch, threads.ScopeKeywordSearch, search)
	api.withToken(mux, "GET /profile_lookup", threads.OpProfileLookup, threads.ScopeProfileDiscovery, profileLookup)
	api.withToken(mux, "GET /profile_posts", threads.OpProfilePosts, threads.ScopeProfileDiscovery, profilePosts)
	api.withToken(mux, "GET /location_search", threads.OpLocationSearch, threads.ScopeLocationTagging, locationSearch)
	api.open(mux, "GET /oembed", opOEmbed, oembed)
	api.withToken(mux, "GET /{user}/threads_publishing_limit", threads.OpLimits, "", limits)
	api.withToken(mux, "GET /{id}", "", "", object) // a profile, a container, a post or a place
	api.withToken(mux, "DELETE /{id}", threads.OpDelete, "", remove)
	mux.HandleFunc("/", unknownPath)

	// For people.
	mux.HandleFunc("GET /oauth/authorize", s.window.show)
	mux.HandleFunc("POST /oauth/authorize", s.window.decide)
	mux.HandleFunc("GET /{$}", s.pages.index)
	mux.Handle("GET /favicon.ico", icon.Icon)
	mux.HandleFunc("GET /{handle}/post/{code}", s.pages.post)

	// For tests and the curious; no part of Threads.
	mux.HandleFunc("POST /_sim/token", side.token)
	mux.HandleFunc("POST /_sim/revoke", side.revoke)
	mux.HandleFunc("GET /_sim/posts", side.posts)
	mux.HandleFunc("GET /_sim/containers", side.containers)
	mux.HandleFunc("GET /_sim/calls", side.calls)
	mux.HandleFunc("GET /_sim/faults", side.faults)
	mux.HandleFunc("POST /_sim/faults", side.inject)
	mux.HandleFunc("DELETE /_sim/faults", side.clear)
	mux.HandleFunc("GET /_sim/knobs", side.knobs)
	mux.HandleFunc("PATCH /_sim/knobs", side.setKnobs)
	mux.HandleFunc("DELETE /_sim/knobs", side.resetKnobs)
	mux.HandleFunc("GET /_sim/knobs/{username}", side.userKnobs)
	mux.HandleFunc("PATCH /_sim/knobs/{username}", side.setUserKnobs)
	mux.HandleFunc("DELETE /_sim/knobs/{username}", side.resetUserKnobs)
	mux.HandleFunc("POST /_sim/seed", side.seed)
	mux.HandleFunc("GET /_sim/clock", side.clock)
	mux.HandleFunc("POST /_sim/clock", side.setClock)
	mux.HandleFunc("GET /_sim/tokens", side.tokens)
	mux.HandleFunc("GET /_sim/users", side.users)
	mux.HandleFunc("GET /_sim/invariants", side.invariants)
	mux.HandleFunc("POST /_sim/reset", side.reset)
	mux.HandleFunc("GET /_sim/people", side.people)
	mux.HandleFunc("POST /_sim/people", side.addPerson)
	mux.HandleFunc("POST /_sim/people/{username}/posts", side.say)
	mux.HandleFunc("GET /_sim/webhooks", side.hooks)
	mux.HandleFunc("POST /_sim/webhooks", side.subscribe)
	mux.HandleFunc("DELETE /_sim/webhooks/{id}", side.unsubscribe)
	mux.HandleFunc("GET /_sim/webhooks/deliveries", side.deliveries)
	mux.HandleFunc("GET /_sim/callbacks", side.callbacks)
	mux.HandleFunc("POST /_sim/callbacks", side.setCallbacks)
	mux.HandleFunc("POST /_sim/users/{username}/uninstall", side.callback(CallbackUninstall))
	mux.HandleFunc("POST /_sim/users/{username}/data-deletion", side.callback(CallbackDataDeletion))
	mux.HandleFunc("GET /_sim/pictures/{of}", s.pages.picture)
	return mux
}

// ServeHTTP answers with or without the version segment, of which there is only one, and with or without a slash at the
// end. The page for people is at the bare root alone: the root of the version is the API's, and there is nothing there.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	rest, versioned := strings.CutPrefix(path, "/v1.0")
	versioned = versioned && (rest == "" || rest[0] == '/')
	if versioned {
		path = rest
	}
	path = "/" + strings.Trim(path, "/")
	if versioned && path == "/" {
		unknownPath(w, r)
		return
	}
	if path != r.URL.Path {
		stripped := *r
		u := *r.URL
		u.Path, u.RawPath = path, ""
		stripped.URL = &u
		r = &stripped
	}
	s.routes.ServeHTTP(w, r)
}

func unknownPath(w http.ResponseWriter, r *http.Request) {
	write(w, refuse(http.StatusBadRequest, oauthException, 2500, 0, "Unknown path components: "+r.URL.Path))
}
