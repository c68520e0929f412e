package gateway

import (
	"net/http"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/services/gateway/console"
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/weburl"
)

// servePages adds the console to the routes. It gets the API as the world has it, and nothing else of the gateway.
func (s *Service) servePages(mux *http.ServeMux) (*console.Console, error) {
	pages, err := console.New(console.Options{
		API:  http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }),
		Base: s.cfg.publicBase(), Issuer: s.cfg.AuthIssuer, ClientID: s.cfg.ConsoleClientID, Scopes: weburl.Trimmed(s.cfg.ConsoleScopes), Audience: weburl.Trimmed(s.cfg.AuthAudience),
		Facts: events.FactNames(), DevTokens: s.devTokens, Operator: s.operator.In, Rate: s.edge.LimitPages, Waits: func(r *http.Request) { edge.Leave(r.Context()) }, Log: s.log, Now: s.now,
	})
	if err != nil {
		return nil, err
	}
	pages.Register(mux)
	return pages, nil
}
