package cmd

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/omni-write/threads/cmd/ops/keys"
)

// newKeys is the command that changes the keyset which open reads the settings of.
func newKeys(open func() (keys.Command, error)) *cobra.Command {
	var force, asJSON bool
	// word is one of its commands. with is what it does.
	word := func(use, short string, ids int, with func(ctx context.Context, k keys.Command, id uint32) error) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Example: "  TOKEN_KEYSET_FILE=keyset.json threads keys " + use,
			Args: func(_ *cobra.Command, args []string) error {
				_, err := keyID(args, ids)
				return err
			},
			RunE: func(c *cobra.Command, args []string) error {
				id, err := keyID(args, ids)
				if err != nil {
					return err
				}
				k, err := open()
				if err != nil {
					return err
				}
				return with(c.Context(), k, id)
			},
		}
	}
	c := &cobra.Command{
		Use:   "keys",
		Short: "Make, list and change the keys that seal tokens",
		Long: `Makes, lists and changes the keys that seal tokens, in TOKEN_KEYSET_FILE, without a moment in which a token cannot be opened. The order:
add, promote, wait until status says that nothing is left, retire. docs/security.md has it step by step.`,
		Example: `  TOKEN_KEYSET_FILE=keyset.json threads keys new
  DATABASE_URL=… TOKEN_KEYSET_FILE=keyset.json threads keys status --json`,
		Args: func(*cobra.Command, []string) error { return errKeysWord },
		RunE: func(*cobra.Command, []string) error { return errKeysWord },
	}
	retire := word("retire ID", "Take a key out that nothing is sealed with any more", 1, func(ctx context.Context, k keys.Command, id uint32) error {
		return k.Retire(ctx, id, force)
	})
	retire.Flags().BoolVar(&force, "force", false, "retire without DATABASE_URL: nobody counts what is still sealed with the key")
	list := word("list", "Show the keys, and how much is sealed with each where DATABASE_URL is set", 0,
		func(ctx context.Context, k keys.Command, _ uint32) error { return k.List(ctx, asJSON) })
	status := word("status", "Show how much is sealed with each key, and how much is left to be sealed anew", 0,
		func(ctx context.Context, k keys.Command, _ uint32) error { return k.Status(ctx, asJSON) })
	for _, shown := range []*cobra.Command{list, status} {
		shown.Flags().BoolVar(&asJSON, "json", false, "JSON (default: a table)")
	}
	c.AddCommand(
		word("new", "Make the file with a first key, never over another file", 0,
			func(_ context.Context, k keys.Command, _ uint32) error { return k.New() }),
		word("add", "Put a second key into the file: it opens, and does not seal yet", 0,
			func(_ context.Context, k keys.Command, _ uint32) error { return k.Add() }),
		word("promote ID", "Let a key seal from now on", 1,
			func(_ context.Context, k keys.Command, id uint32) error { return k.Promote(id) }),
		retire, list, status,
	)
	return c
}

var errKeysWord = usage(fmt.Errorf("keys takes new, add, promote ID, retire ID, list or status"))

// keyID reads the id of a key, of commands that take one.
func keyID(args []string, ids int) (uint32, error) {
	if len(args) != ids {
		return 0, errKeysWord
	}
	if ids == 0 {
		return 0, nil
	}
	id, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no key's id; `threads keys list` shows them", args[0])
	}
	return uint32(id), nil
}
