package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// simulatorFlags are what a simulator is asked for beside the options of its package.
type simulatorFlags struct {
	threadssim.Options

	addr, secretFile, knobs, redirects, callbackHosts, hosts, mediaNetworks string
	quick                                                                   bool

	webhookURL, verifyTokenFile string
}

func newSimulator(p *program) *cobra.Command {
	s := &simulatorFlags{}
	c := &cobra.Command{
		Use:         "simulator",
		Annotations: map[string]string{untilStopped: "yes"},
		Short:       "A simulated Threads alone",
		Long:        "A simulated Threads alone: every route, as slow and as unreliable as the real one. docs/simulator.md has all of it.",
		Example: `  threads simulator --addr 127.0.0.1:9099 --auto-approve
  threads simulator --quick --knobs '{"publish_latency":{"max":"2s"}}'`,
		Args: flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			opts, err := s.options()
			if err != nil {
				return err
			}
			return p.logged(c.Context(), "simulator", "", func(ctx context.Context, _ boot.Common, log *zap.Logger) error {
				return s.run(ctx, p, opts, log)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&s.addr, "addr", "127.0.0.1:9099", "where to listen, `host:port`")
	f.StringVar(&s.AppID, "app-id", threadssim.DefaultAppID, "the app's `id`")
	f.StringVar(&s.AppSecret, "app-secret", threadssim.DefaultAppSecret, "the app's `secret`")
	f.StringVar(&s.secretFile, "app-secret-file", "", "`file` with the app's secret")
	f.BoolVar(&s.AutoApprove, "auto-approve", false, "answer the authorize page at once, without a person")
	f.StringVar(&s.Journal, "journal", "", "`file` for what must survive a restart (default: memory only)")
	f.BoolVar(&s.quick, "quick", false, "nothing takes long and nothing is left to chance (default: as slow and unreliable as Threads)")
	f.StringVar(&s.knobs, "knobs", "", "`JSON` of knobs to start with, on top of the profile; docs/simulator.md lists them")
	f.Uint64Var(&s.Seed, "seed", 1, "`number` that chance begins with: the same seed and calls give the same outcome")
	f.StringVar(&s.redirects, "redirect-uris", "", "registered redirect `URIs`, separated by commas (default: any)")
	f.StringVar(&s.AppName, "app-name", "", "the app's `name` on the page that asks for consent (default Omni Write)")
	f.StringVar(&s.UninstallURL, "uninstall-url", "", "`URL` that is told when a person removes the app")
	f.StringVar(&s.DataDeletionURL, "data-deletion-url", "", "`URL` that is told when a person wants their data deleted")
	f.StringVar(&s.webhookURL, "webhook-url", "", "`URL` to subscribe to every webhook, once it answers")
	f.StringVar(&s.verifyTokenFile, "webhook-verify-token-file", "", "`file` with the token that the webhook's URL is verified with")
	f.StringVar(&s.callbackHosts, "callback-hosts", "", "`hosts` besides this machine that webhooks and callbacks may go to, separated by commas")
	f.StringVar(&s.hosts, "hosts", "", "`names` besides localhost by which the simulator's own side (/_sim) is called, separated by commas")
	f.StringVar(&s.mediaNetworks, "media-networks", "", "`networks` besides the public internet that media are fetched from, e.g. 127.0.0.0/8, separated by commas")
	f.StringVar(&s.PublicURL, "public-url", "",
		"`address` at which browsers reach the simulator: permalinks and pictures begin with it (default: the host that a call came to)")
	f.StringVar(&s.PermalinkBase, "permalink-base", "",
		"`address` that permalinks begin with in its place, e.g. https://www.threads.com")
	return c
}

// options are the simulator's, with what the flags say of knobs, files and lists.
func (s *simulatorFlags) options() (threadssim.Options, error) {
	opts := s.Options
	if s.secretFile != "" {
		content, err := os.ReadFile(s.secretFile)
		if err != nil {
			return opts, fmt.Errorf("--app-secret-file: %w", err)
		}
		opts.AppSecret = strings.TrimSpace(string(content))
	}
	knobs := threadssim.Realistic()
	if s.quick {
		knobs = threadssim.Quick()
		knobs.ProcessingTime.Text = threadssim.Span{} // many clients publish a text as soon as its container is made
	}
	if s.knobs != "" {
		if err := knobs.Read([]byte(s.knobs)); err != nil {
			return opts, usage(fmt.Errorf("--knobs: %w", err))
		}
	}
	opts.Knobs = &knobs
	if s.callbackHosts != "" {
		opts.CallbackHosts = strings.Split(s.callbackHosts, ",")
	}
	if s.webhookURL != "" {
		u, err := url.Parse(s.webhookURL)
		if err != nil || u.Host == "" {
			return opts, usage(fmt.Errorf("--webhook-url %q is not an address", s.webhookURL))
		}
		if s.verifyTokenFile == "" {
			return opts, usage(errors.New("--webhook-url needs --webhook-verify-token-file: the address is verified with that token"))
		}
		opts.CallbackHosts = append(opts.CallbackHosts, u.Hostname()) // who starts it vouches for it
	}
	if s.hosts != "" {
		opts.Hosts = strings.Split(s.hosts, ",")
	}
	for network := range strings.SplitSeq(s.mediaNetworks, ",") {
		if network == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			return opts, usage(fmt.Errorf("--media-networks: %w", err))
		}
		opts.MediaNetworks = append(opts.MediaNetworks, prefix)
	}
	if s.redirects != "" {
		opts.RedirectURIs = strings.Split(s.redirects, ",")
	}
	return opts, nil
}

// subscribe is the part that subscribes the address of the flags to the webhooks.
func (s *simulatorFlags) subscribe(sim *threadssim.Sim, log *zap.Logger) (process.Part, error) {
	token, err := os.ReadFile(s.verifyTokenFile)
	if err != nil {
		return process.Part{}, fmt.Errorf("--webhook-verify-token-file: %w", err)
	}
	return process.Part{Name: "webhooks", Run: func(ctx context.Context) error {
		said := false
		sim.SubscribeApp(ctx, cmp.Or(s.PublicURL, "http://"+s.addr), s.webhookURL, strings.TrimSpace(string(token)), func(err error) {
			if !said {
				log.Info("the webhook's address does not answer yet; it is asked until it does", zap.String("url", s.webhookURL), zap.Error(err))
			}
			said = true
		})
		return nil
	}}, nil
}

func (s *simulatorFlags) run(ctx context.Context, p *program, opts threadssim.Options, log *zap.Logger) error {
	sim, err := threadssim.New(opts)
	if err != nil {
		return err
	}
	defer func() { _ = sim.Close() }()
	server := &http.Server{Addr: s.addr, Handler: sim, ReadHeaderTimeout: 5 * time.Second}
	// Only where it is asked for: beside a service on the same machine the usual address is taken.
	parts := []process.Part{process.Admin(p.getenv("ADMIN_ADDR"))}
	if s.webhookURL != "" {
		part, err := s.subscribe(sim, log)
		if err != nil {
			return err
		}
		parts = append(parts, part)
	}
	return process.Run(ctx, log, append(parts, process.Part{Name: "simulator", Run: func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer stop()
		log.Info("simulated Threads is up", zap.String("url", "http://"+s.addr), zap.String("app_id", opts.AppID))
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("--addr %s: %w", s.addr, err)
		}
		return nil
	}})...)
}
