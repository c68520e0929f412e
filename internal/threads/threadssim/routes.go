package threadssim

import (
	"net/http"
	"strings"

	"github.com/omni-write/threads/internal/threads"
)

// table is the whole surface on one screen. Every API route also answers under /v1.0.
func (s *Sim) table() *http.ServeMux {
	mux := http.NewServeMux()

	// The token calls, which check the app's secret themselves.
	s.open(mux, "GET /oauth/access_token", threads.OpExchange, exchange)
	s.open(mux, "POST /oauth/access_token", threads.OpExchange, exchange)
	s.open(mux, "GET /access_token", threads.OpExchangeLong, exchangeLong)
	s.open(mux, "GET /refresh_access_token", threads.OpRefresh, refresh)

	// The data calls. The scope is the one besides threads_basic; empty where the handler has to decide.
	s.api(mux, "GET /debug_token", threads.OpDebugToken, "", debugToken)
	s.api(mux, "POST /{user}/threads", threads.OpCreate, threads.ScopeContentPublish, create)
	s.api(mux, "POST /{user}/threads_publish", threads.OpPublish, threads.ScopeContentPublish, publish)
	s.api(mux, "GET /{user}/threads", threads.OpPosts, "", list(isPost))
	s.api(mux, "GET /{user}/replies", threads.OpReplies, threads.ScopeReadReplies, list(isReply))
	s.api(mux, "GET /{user}/ghost_posts", threads.OpGhostPosts, "", list(isGhost))
	s.api(mux, "GET /{user}/threads_publishing_limit", threads.OpLimits, "", limits)
	s.api(mux, "GET /{id}", "", "", object) // a profile, a container or a post
	s.api(mux, "DELETE /{id}", threads.OpDelete, "", remove)
	mux.HandleFunc("/", unknownPath)

	// For people.
	mux.HandleFunc("GET /oauth/authorize", s.authorizeWindow)
	mux.HandleFunc("POST /oauth/authorize", s.authorizeDecision)
	mux.HandleFunc("GET /{$}", s.indexPage)
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
	return mux
}

// ServeHTTP answers with or without the version segment; Threads has only the one version.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/v1.0"); ok && strings.HasPrefix(rest, "/") {
		stripped := *r
		u := *r.URL
		u.Path, u.RawPath = rest, ""
		stripped.URL = &u
		r = &stripped
	}
	s.routes.ServeHTTP(w, r)
}

func unknownPath(w http.ResponseWriter, r *http.Request) {
	write(w, refuse(http.StatusBadRequest, oauthException, 2500, 0, "Unknown path components: "+r.URL.Path))
}
