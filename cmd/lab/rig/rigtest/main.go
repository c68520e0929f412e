// Package rigtest lets a test's own binary be what a rig starts.
package rigtest

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/spf13/pflag"

	"github.com/omni-write/threads/cmd/lab/rig"
	"github.com/omni-write/threads/internal/subprocess"
)

// Main runs the tests, or the part that a rig has started this binary as. more are commands beside the rig's own.
func Main(m *testing.M, more ...func(ctx context.Context, words []string) (mine bool, err error)) {
	if !subprocess.Is() {
		os.Exit(m.Run())
	}
	words := os.Args[1:]
	for _, run := range append(more, part) {
		mine, err := run(context.Background(), words)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if mine {
			os.Exit(0)
		}
	}
	fmt.Fprintf(os.Stderr, "no part is called %q\n", words)
	os.Exit(2)
}

func part(ctx context.Context, words []string) (bool, error) {
	if len(words) < 2 || words[0] != rig.Word {
		return false, nil
	}
	p := rig.Part{Name: words[1]}
	f := pflag.NewFlagSet(rig.Word, pflag.ContinueOnError)
	p.AddFlags(f)
	if err := f.Parse(words[2:]); err != nil {
		return true, err
	}
	return true, p.Run(ctx, os.Getenv, os.Stdin, os.Stdout)
}
