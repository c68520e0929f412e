package cmd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/omni-write/threads/cmd/ops"
)

func newReplay(p *program) *cobra.Command {
	var (
		r                   ops.Replay
		o                   ops.ReplayOptions
		since, until, facts string
	)
	c := &cobra.Command{
		Use:   "replay",
		Short: "Show the events on EVENTS again, or emit them again",
		Long: "Shows the events on EVENTS again, or emits them again on subjects of their own, where nothing of ours listens: a replay publishes\n" +
			"no post and changes no row." + whichDeployment,
		Example: `  threads replay --since 90m --fact published,failed
  threads replay --post post_01… --json
  threads replay --publish audit --rate 100`,
		Args: flagsOnly,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			now := time.Now()
			if r.Since, err = ops.ParseTime(since, now); err != nil {
				return usage(fmt.Errorf("--since: %w", err))
			}
			if r.Until, err = ops.ParseTime(until, now); err != nil {
				return usage(fmt.Errorf("--until: %w", err))
			}
			if facts != "" {
				r.Facts = strings.Split(facts, ",")
			}
			return p.operate(c.Context(), func(ctx context.Context, d *ops.Deployment) error { return d.Replay(ctx, r, o) })
		},
	}
	f := c.Flags()
	f.Uint64Var(&r.From, "from", 0, "first `sequence` (default: --since, or the start)")
	f.Uint64Var(&r.To, "to", 0, "last `sequence` (default: the end)")
	f.StringVar(&since, "since", "", "`time` or age of the first event: 2026-11-02T10:00:00Z, or 90m, 48h")
	f.StringVar(&until, "until", "", "`time` or age of the last event")
	f.StringVar(&facts, "fact", "", "only these `facts`, separated by commas: published,failed,connected (default: all)")
	f.StringVar(&r.Account, "account", "", "only events about this account `id`")
	f.StringVar(&r.Post, "post", "", "only events about this post `id`")
	f.BoolVar(&o.JSON, "json", false, "one line of JSON an event (default: a table)")
	f.StringVar(&o.Publish, "publish", "", "emit them again on threads.replay.<`id`>.>, marked; nothing of ours listens there")
	f.IntVar(&o.PerSecond, "rate", 0, "with --publish: at most so many a second (default: as fast as they go)")
	return c
}
