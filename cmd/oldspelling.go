package cmd

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// currentSpelling turns -flag, as flags were spelled up to release 1, into --flag, and names those it turned. To be taken out
// with the next release.
func currentSpelling(root *cobra.Command, args []string) (current, old []string) {
	flags := flagsOf(root, args)
	current = make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(current, args[i:]...), old
		}
		name, _, valued := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		flag := flags[name]
		if !strings.HasPrefix(arg, "-") || len(name) < 2 || flag == nil {
			current = append(current, arg)
			continue
		}
		if !strings.HasPrefix(arg, "--") {
			arg = "-" + arg
			old = append(old, name)
		}
		current = append(current, arg)
		if flag.NoOptDefVal == "" && !valued && i+1 < len(args) { // what follows is its value, whatever it looks like
			i++
			current = append(current, args[i])
		}
	}
	return current, old
}

// flagsOf are the flags of the command that the arguments name, and of those below it.
func flagsOf(root *cobra.Command, args []string) map[string]*pflag.Flag {
	flags := map[string]*pflag.Flag{}
	var gather func(c *cobra.Command)
	gather = func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) { flags[f.Name] = f })
		for _, sub := range c.Commands() {
			gather(sub)
		}
	}
	if len(args) > 0 {
		for _, c := range root.Commands() {
			if c.Name() == args[0] {
				gather(c)
			}
		}
	}
	return flags
}
