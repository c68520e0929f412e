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

	// The token calls, which check the app's secret themselves.
	s.open(mux, "GET /oauth/access_token", threads.OpExchange, accessToken)
	s.open(mux, "POST /oauth/access_token", threads.OpExchange, accessToken)
	s.open(mux, "GET /access_token", threads.OpExchangeLong, exchangeLong)
	s.open(mux, "GET /refresh_access_token", threads.OpRefresh, refresh)

	s.open(mux, "GET /debug_token", threads.OpDebugToken, debugToken) // also for the app's own token

	// The data calls. The scope is the one besides threads_basic; empty where the handler has to decide.
	s.api(mux, "POST /{user}/threads", threads.OpCreate, threads.ScopeContentPublish, create)
	s.api(mux, "POST /{user}/threads_publish", threads.OpPublish, threads.ScopeContentPublish, publish)
	s.api(mux, "GET /{user}/threads", threads.OpPosts, "", own(isPost))
	s.handle(mux, "GET /{id}/replies", threads.OpReplies, byPath, repliesEdge) // of a person or to a post
	s.api(mux, "GET /{user}/ghost_posts", threads.OpGhostPosts, "", own(isGhost))
	s.api(mux, "GET /{user}/mentions", threads.OpMentions, threads.ScopeManageMentions, mentions)
	s.api(mux, "GET /{user}/threads_insights", threads.OpAccountInsights, threads.ScopeManageInsights, accountInsights)
	s.api(mux, "GET /{id}/insights", threads.OpMediaInsights, "", mediaInsights)
	s.api(mux, "GET /{id}/conversation", threads.OpConversation, "", conversation)
	s.api(mux, "GET /{id}/pending_replies", threads.OpPendingReplies, "", pendingReplies)
	s.api(mux, "POST /{id}/manage_reply", threads.OpHideReply, "", manageReply)
	s.api(mux, "POST /{id}/manage_pending_reply", threads.OpApproveReply, "", managePendingReply)
	s.api(mux, "POST /{id}/repost", threads.OpRepost, "", repost)
	s.api(mux, "GET /keyword_search", threads.OpSearch, threads.ScopeKeywordSearch, search)
	s.api(mux, "GET /profile_lookup", threads.OpProfileLookup, threads.ScopeProfileDiscovery, profileLookup)
	s.api(mux, "GET /profile_posts", threads.OpProfilePosts, threads.ScopeProfileDiscovery, profilePosts)
	s.api(mux, "GET /location_search", threads.OpLocationSearch, threads.ScopeLocationTagging, locationSearch)
	s.open(mux, "GET /oembed", opOEmbed, oembed)
	s.api(mux, "GET /{user}/threads_publishing_limit", threads.OpLimits, "", limits)
	s.api(mux, "GET /{id}", "", "", object) // a profile, a container, a post or a place
	s.api(mux, "DELETE /{id}", threads.OpDelete, "", remove)
	mux.HandleFunc("/", unknownPath)

	// For people.
	mux.HandleFunc("GET /oauth/authorize", s.authorizeWindow)
	mux.HandleFunc("POST /oauth/authorize", s.authorizeDecision)
	mux.HandleFunc("GET /{$}", s.indexPage)
	mux.Handle("GET /favicon.ico", icon.Icon)
	mux.HandleFunc("GET /{handle}/post/{code}", s.postPage)

	// For tests and the curious; no part of Threads.
	mux.HandleFunc("POST /_sim/token", s.controlToken)
	mux.HandleFunc("POST /_sim/revoke", s.controlRevoke)
	mux.HandleFunc("GET /_sim/posts", s.controlPosts)
	mux.HandleFunc("GET /_sim/containers", s.controlContainers)
	mux.HandleFunc("GET /_sim/calls", s.controlCalls)
	mux.HandleFunc("GET /_sim/faults", s.controlFaults)
	mux.HandleFunc("POST /_sim/faults", s.controlInject)
	mux.HandleFunc("DELETE /_sim/faults", s.controlClear)
	mux.HandleFunc("GET /_sim/knobs", s.controlKnobs)
	mux.HandleFunc("PATCH /_sim/knobs", s.controlSetKnobs)
	mux.HandleFunc("DELETE /_sim/knobs", s.controlResetKnobs)
	mux.HandleFunc("GET /_sim/knobs/{username}", s.controlUserKnobs)
	mux.HandleFunc("PATCH /_sim/knobs/{username}", s.controlSetUserKnobs)
	mux.HandleFunc("DELETE /_sim/knobs/{username}", s.controlResetUserKnobs)
	mux.HandleFunc("POST /_sim/seed", s.controlSeed)
	mux.HandleFunc("GET /_sim/clock", s.controlClock)
	mux.HandleFunc("POST /_sim/clock", s.controlSetClock)
	mux.HandleFunc("GET /_sim/tokens", s.controlTokens)
	mux.HandleFunc("GET /_sim/users", s.controlUsers)
	mux.HandleFunc("GET /_sim/invariants", s.controlInvariants)
	mux.HandleFunc("POST /_sim/reset", s.controlReset)
	mux.HandleFunc("GET /_sim/people", s.controlPeople)
	mux.HandleFunc("POST /_sim/people", s.controlAddPerson)
	mux.HandleFunc("POST /_sim/people/{username}/posts", s.controlSay)
	mux.HandleFunc("GET /_sim/webhooks", s.controlHooks)
	mux.HandleFunc("POST /_sim/webhooks", s.controlSubscribe)
	mux.HandleFunc("DELETE /_sim/webhooks/{id}", s.controlUnsubscribe)
	mux.HandleFunc("GET /_sim/webhooks/deliveries", s.controlDeliveries)
	mux.HandleFunc("GET /_sim/callbacks", s.controlCallbacks)
	mux.HandleFunc("POST /_sim/callbacks", s.controlSetCallbacks)
	mux.HandleFunc("POST /_sim/users/{username}/uninstall", s.controlCallback(CallbackUninstall))
	mux.HandleFunc("POST /_sim/users/{username}/data-deletion", s.controlCallback(CallbackDataDeletion))
	mux.HandleFunc("GET /_sim/pictures/{of}", s.drawPicture)
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
	s.home(s.routes).ServeHTTP(w, r)
}

func unknownPath(w http.ResponseWriter, r *http.Request) {
	write(w, refuse(http.StatusBadRequest, oauthException, 2500, 0, "Unknown path components: "+r.URL.Path))
}
