// Package cmd is the program's commands, one file for each: what may be said, what it means, help and completion. What the
// commands do is in the packages below this one and in the services.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	_ "time/tzdata" // containers have no zone files

	"github.com/spf13/cobra"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/progress"
)

// The exit codes. The help of the program documents them.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// Main runs what the command line says and returns the exit code.
func Main() int {
	ctx, stop := process.Signals(context.Background())
	defer stop()
	boot.LimitMemory(ctx, os.Getenv)
	err := Run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, context.Canceled) {
		_, _ = fmt.Fprintln(os.Stderr, "threads: "+err.Error())
	}
	return ExitCode(err)
}

// untilStopped marks the commands that run until they are stopped: for them that is no failure.
const untilStopped = "until-stopped"

func runsUntilStopped(c *cobra.Command) bool {
	if exit := c.Flags().Lookup("exit"); exit != nil && exit.Changed {
		return exit.Value.String() == "false"
	}
	return c.Annotations[untilStopped] != ""
}

// ExitCode is how the program ends with an error, or with none. A stop that was asked for is no failure.
func ExitCode(err error) int {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return exitDone
	case errors.As(err, new(usageError)):
		return exitUsage
	}
	return exitFailed
}

// Run runs one command. What it is asked for goes to out, remarks and progress go to errOut.
func Run(ctx context.Context, args []string, getenv func(string) string, out, errOut io.Writer) error {
	root := newRoot(&program{getenv: getenv, out: out, errOut: errOut})
	args, old := currentSpelling(root, args)
	for _, o := range old {
		_, _ = fmt.Fprintf(errOut, "threads: -%s is spelled --%[1]s now; the old spelling works until the next release\n", o)
	}
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	ran, err := root.ExecuteContextC(progress.To(ctx, errOut))
	if errors.Is(err, context.Canceled) && !runsUntilStopped(ran) {
		return fmt.Errorf("%s was cut off before it was done", ran.CommandPath()) // not Canceled: what was asked for did not happen
	}
	if errors.As(err, new(usageError)) {
		return fmt.Errorf("%w\nSee: %s --help", err, ran.CommandPath())
	}
	return err
}

// usageError says that the command line cannot be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usage marks an error as one of the command line; nil stays nil.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}
