package cmd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/standalone/issuer"
	"github.com/omni-write/threads/internal/process"
)

// issuerFlags are what the issuer is told.
type issuerFlags struct{ addr, url, dir, keysFile string }

func newIssuer(p *program) *cobra.Command {
	s := &issuerFlags{}
	c := &cobra.Command{
		Use:         "issuer",
		Annotations: map[string]string{untilStopped: "yes"},
		Short:       "An issuer of tokens for trying things out",
		Long: `An issuer of bearer tokens in the place of an identity provider of your own: whoever asks gets a token for any user they name, so it
is for trying things out, on a machine of your own. The gateway checks its tokens like any other's.

The tokens are at /token?sub=NAME, and a page to ask on is at /. Give the gateway AUTH_ISSUER with the address that --url says; where
it runs on another machine or in another container, also AUTH_JWKS_URL=file:///… with the file that --keys-file writes.`,
		Example: `  threads issuer
  curl 'http://localhost:9098/token?sub=ada'
  threads issuer --addr :9098 --dir /data --keys-file /keys/jwks.json`,
		Args: flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.logged(c.Context(), "issuer", "", func(ctx context.Context, _ boot.Common, log *zap.Logger) error {
				return runIssuer(ctx, p, s, log)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&s.addr, "addr", "127.0.0.1:9098", "where to listen, `host:port`")
	f.StringVar(&s.url, "url", "http://localhost:9098", "the `iss` of the tokens, which is where people and the gateway reach the issuer")
	f.StringVar(&s.dir, "dir", "", "`directory` that keeps the key, so that tokens outlive a restart (default: a key of this process)")
	f.StringVar(&s.keysFile, "keys-file", "", "`file` to write the public key to, for a gateway that reads it there")
	return c
}

func runIssuer(ctx context.Context, p *program, s *issuerFlags, log *zap.Logger) error {
	var i *issuer.Issuer
	var err error
	if s.dir == "" {
		i, err = issuer.New(s.url)
	} else {
		i, err = issuer.Load(s.dir, s.url)
	}
	if err != nil {
		return err
	}
	if s.keysFile != "" {
		if err := i.WriteKeys(s.keysFile); err != nil {
			return err
		}
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("--addr %s: %w", s.addr, err)
	}
	server := &http.Server{Handler: i.Handler(), ReadHeaderTimeout: 5 * time.Second}
	return process.Run(ctx, log, process.Admin(p.getenv("ADMIN_ADDR")), process.Part{Name: "issuer", Run: func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer stop()
		log.Info("the issuer is up: whoever reaches it gets a token for any user", zap.String("url", s.url), zap.Stringer("addr", l.Addr()))
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}})
}
