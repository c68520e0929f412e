package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/internal/process"
)

// newServices are the commands that run one service each.
func newServices(p *program) []*cobra.Command {
	short := map[string]string{
		"gateway":     "The HTTP API",
		"auth":        "OAuth and connected accounts",
		"publisher":   "Posts, from scheduling to their outcome; any number of them",
		"tokenkeeper": "Keeps tokens alive and sealed with the newest key",
	}
	var commands []*cobra.Command
	for _, name := range []string{"gateway", "auth", "publisher", "tokenkeeper"} {
		settings := "NATS_URL, DATABASE_URL and TOKEN_KEYSET_FILE"
		if name == "gateway" {
			settings = "NATS_URL"
		}
		commands = append(commands, &cobra.Command{
			Use:         name,
			Annotations: map[string]string{untilStopped: "yes"},
			Short:       short[name],
			Long: short[name] + ".\n\nOne service in a process of its own, against " + settings + ", until Ctrl-C or SIGTERM; then it finishes what it\n" +
				"has in hand. Run `threads migrate` first. /livez, /readyz and /metrics are at ADMIN_ADDR.",
			Example: "  NATS_URL=nats://nats:4222 threads " + name,
			Args:    flagsOnly,
			RunE: func(c *cobra.Command, _ []string) error {
				return p.logged(c.Context(), name, "", func(ctx context.Context, common boot.Common, log *zap.Logger) error {
					s, err := boot.Builders()[name](ctx, p.getenv, log)
					if err != nil {
						return fmt.Errorf("%s: %w", name, err)
					}
					return process.Run(ctx, log, s.Part, process.Admin(common.AdminAddr, s.Ready))
				})
			},
		})
	}
	return commands
}
