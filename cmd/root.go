package cmd

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/ops"
	"github.com/omni-write/threads/cmd/ops/keys"
	"github.com/omni-write/threads/cmd/standalone"
	"github.com/omni-write/threads/cmd/standalone/walkthrough"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/process"
)

// program is what every command is given.
type program struct {
	getenv func(string) string
	out    io.Writer
	errOut io.Writer
}

// starting says what a system that starts does next.
func (p *program) starting(what string) { _, _ = fmt.Fprintln(p.out, "… "+what) }

// The groups of commands in the program's help.
const (
	groupRun     = "run"
	groupPrepare = "prepare"
	groupOperate = "operate"
	groupLab     = "lab"
)

func newRoot(p *program) *cobra.Command {
	root := &cobra.Command{
		Use:         "threads",
		Annotations: map[string]string{untilStopped: "yes"},
		Short:       "Puts posts on Meta Threads at their second, exactly once",
		Long: `Puts people's posts on Meta Threads at the second they asked for, exactly once, and tells everyone what happened.

Without a command everything runs in one process: an embedded NATS, a private Postgres, a simulated Threads, the four services.

Settings come from the environment: docs/settings.md has every one, .env.example those that must be set.

Exit codes: 0 when it was done, or ran until it was stopped; 1 when it failed or was cut off; 2 when the command line cannot be understood.`,
		Example: `  threads                       everything in one process, until Ctrl-C
  threads demo --exit           a walkthrough with real parts, which ends by itself
  threads explain post_01…      what happened to one post`,
		Version:       version(),
		SilenceErrors: true, SilenceUsage: true,
		Args: knownCommand,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return crash.Arm(p.getenv)
		},
		RunE: func(c *cobra.Command, _ []string) error {
			return p.logged(c.Context(), "", "", func(ctx context.Context, _ boot.Common, log *zap.Logger) error {
				system, err := standalone.Start(ctx, p.getenv, log, p.starting)
				if err != nil {
					return err
				}
				return system.Run(ctx, func(context.Context) error { return walkthrough.Welcome(p.out, system.Endpoints) })
			})
		},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Run:"}, &cobra.Group{ID: groupPrepare, Title: "Set up:"},
		&cobra.Group{ID: groupOperate, Title: "Operate:"}, &cobra.Group{ID: groupLab, Title: "Measure and break:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupRun, newDemo(p))
	add(groupRun, newServices(p)...)
	add(groupRun, newSimulator(p), newIssuer(p), newHealthcheck(p))
	add(groupPrepare, newMigrate(p), newSecrets(p), newKeys(func() (keys.Command, error) { return ops.Keyset(p.getenv, p.out) }), newImportOriginal(p))
	add(groupOperate, newDoctor(p), newExplain(p), newReplay(p), newRebuild(p), newReconcile(p), newPause(p), newResume(p), newDead(p))
	add(groupLab, newBench(p), newTorture(p), newLab(p))
	for _, c := range root.Commands() {
		checkArgs(c)
	}
	return root
}

// checkArgs makes wrong arguments of a command, and of those below it, errors of usage.
func checkArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error { return usage(check(c, args)) }
	}
	for _, sub := range c.Commands() {
		checkArgs(sub)
	}
}

// knownCommand refuses a command that there is not, and says which was likely meant.
func knownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	c.SuggestionsMinimumDistance = 2
	hint := "`threads --help` lists what there is"
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return usage(fmt.Errorf("there is no command %q; %s", args[0], hint))
}

// flagsOnly refuses arguments of a command that takes none.
func flagsOnly(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes flags only, not %q", c.Name(), args[0])
	}
	return nil
}

// logged runs something with the settings of every process, a log and traces. word is the command's name in traces; level is
// the log's where LOG_LEVEL says none.
func (p *program) logged(ctx context.Context, word, level string, run func(context.Context, boot.Common, *zap.Logger) error) error {
	common, err := process.Env[boot.Common](p.getenv)
	if err != nil {
		return err
	}
	if level == "" || p.getenv("LOG_LEVEL") != "" {
		level = common.LogLevel
	}
	log, err := process.Logger(level, common.LogFormat)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	flush, err := common.Traces(ctx, word, log)
	if err != nil {
		return err
	}
	defer flush()
	return run(ctx, common, log)
}
