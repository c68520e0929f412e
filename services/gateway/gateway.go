// Package gateway is the HTTP API, and a thin one: it finds out who is asking, validates what they send, sends a command
// or asks a question, and encodes what comes back. It has no database, no token of Threads and no rule about posts. Its
// routes are in routes.go; what every request goes through is in edge, live streams in live, the API's description in apidoc.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/accounts"
	"github.com/omni-write/threads/services/gateway/bulk"
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/live"
	"github.com/omni-write/threads/services/gateway/signin"
)

// Deps is what a gateway works with.
type Deps struct {
	Bus *bus.Bus
	Log *zap.Logger
	// Listener is where to listen; nil: Config's host and port.
	Listener net.Listener
	Now      func() time.Time // nil: time.Now
	// DevTokens says that AUTH_ISSUER is the issuer of dev tokens in this very process, which gives one to whoever asks.
	DevTokens bool
}

// Service is a gateway. Any number of them may run side by side.
type Service struct {
	cfg      Config
	bus      *bus.Bus
	log      *zap.Logger
	listener net.Listener
	now      func() time.Time

	devTokens bool
	operator  signin.OperatorClaim

	keys    *signin.Keys
	auth    *signin.Verifier
	live    *live.Streams
	edge    *edge.Edge
	handler http.Handler

	accounts *accounts.Handlers
}

// New makes a gateway. It does no I/O; its error is what is wrong with the configuration.
func New(cfg Config, d Deps) (*Service, error) {
	if err := errors.Join(cfg.Mistakes()...); err != nil {
		return nil, err
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	s := &Service{cfg: cfg, bus: d.Bus, log: d.Log, listener: d.Listener, now: d.Now, devTokens: d.DevTokens}
	s.keys = signin.NewKeys(cfg.AuthIssuer, cfg.AuthJWKSURL)
	operator, _ := signin.ReadOperatorClaim(cfg.AuthOperatorClaim) // Mistakes has looked at it
	s.operator = operator
	s.auth = signin.NewVerifier(signin.Options{
		Operator: operator,
		Issuer:   cfg.AuthIssuer, Audience: cfg.AuthAudience, AuthorizedParties: cfg.AuthAuthorizedParties, Log: d.Log, Now: d.Now,
	}, s.keys)
	s.accounts = accounts.New(accounts.Options{
		Bus: d.Bus, Commands: s.sender(), Verifier: s.auth,
		Public: cfg.publicBase(), SuccessURL: cfg.SuccessRedirectURI, FailureURL: cfg.FailureRedirectURI, CORSOrigins: cfg.CORSOrigins,
	})
	s.cfg.StreamsConfig, s.cfg.LimitsConfig = cfg.StreamsConfig.WithDefaults(), cfg.LimitsConfig.WithDefaults()
	s.edge = edge.New(edge.Options{
		Limits: s.cfg.LimitsConfig, CORSOrigins: cfg.CORSOrigins, CORSHeaders: cfg.CORSHeaders, HTTPS: cfg.publicBase().Scheme == "https", Log: d.Log, Now: d.Now,
		MaxBody: bulk.MaxImport + 1, Quiet: routeHealth, BrowserRoutes: accounts.RouteStartOAuth, API: "/api/", Exempt: exempt, User: signin.UserOf,
		BrowserEnd: func(err error) string { return s.accounts.Failed(err).Location },
	})
	s.live = live.New(s.cfg.StreamsConfig, d.Bus, d.Log, d.Now)
	routes, err := s.routes()
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	pages, err := s.servePages(routes)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	s.handler = pages.Returns(s.edge.Chain(routes))
	return s, nil
}

// exempt says of a request that it costs nothing.
func exempt(r *http.Request) bool { return r.URL.Path == pathHealth }

// Handler answers the requests, for a server of the caller's own.
func (s *Service) Handler() http.Handler { return s.handler }

const (
	// stopWithin is how long requests in hand may take once the gateway is told to stop. What a client still waits for
	// then is a command that is on disk already.
	stopWithin = 12 * time.Second
)

// Run serves until ctx ends, then takes no new requests and finishes those in hand.
func (s *Service) Run(ctx context.Context) error {
	l := s.listener
	if l == nil {
		var err error
		if l, err = new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.address()); err != nil {
			return fmt.Errorf("nothing can listen at HOST and PORT: %w", err)
		}
	}
	srv := &http.Server{
		Handler: s.handler, ErrorLog: zap.NewStdLog(s.log),
		// Bodies and answers have limits of their own: edge.
		ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: edge.MaxHeadersRead,
	}
	srv.RegisterOnShutdown(s.live.Close)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.keys.KeepFresh(ctx, s.log) })
	g.Go(func() error {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("gateway: serve: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		if err := srv.Shutdown(limit); err != nil {
			s.log.Warn("requests were cut short at the end", zap.Error(err))
			_ = srv.Close()
		}
		return nil
	})
	s.log.Info("gateway listens", zap.Stringer("address", l.Addr()))
	return g.Wait()
}

// Ready says why the gateway should not be relied on, or nil.
func (s *Service) Ready(ctx context.Context) error {
	if !s.keys.Loaded() {
		return errors.New("the issuer's keys could not be read yet, so nobody can sign in; check AUTH_ISSUER and AUTH_JWKS_URL")
	}
	return s.bus.Healthy(ctx)
}
