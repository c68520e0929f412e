package cmd

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/omni-write/threads/cmd/lab/rig"
)

// newLab is the command by which bench and torture start their parts.
func newLab(p *program) *cobra.Command {
	var part rig.Part
	c := &cobra.Command{
		Use:         rig.Word + " PART",
		Annotations: map[string]string{untilStopped: "yes"},
		Short:       "A part of a bench or a torture run, which starts it",
		Long:        "A part of a bench or a torture run, which starts it. It ends with its standard input.",
		Example:     "  threads lab publisher < /dev/tty",
		Hidden:      true,
		Args:        cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			part.Name = args[0]
			return part.Run(c.Context(), p.getenv, os.Stdin, p.out)
		},
	}
	part.AddFlags(c.Flags())
	return c
}
