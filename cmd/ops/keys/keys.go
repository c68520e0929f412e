// Package keys is the command of those who change the keys that seal tokens, without a moment in which one cannot be opened:
// add (everyone learns to open with the new key), promote (everyone seals with it), wait until tokenkeeper has sealed the
// rest anew, retire (the old key goes).
package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/vault"
)

// settle is how long after a key was taken out the rows are counted once more: longer than a running service takes to see that
// the file has changed.
const settle = 3 * time.Second

// Command is what it works with.
type Command struct {
	File vault.KeysetFile
	// Count says how many rows are sealed with which key; nil where no database is known.
	Count func(context.Context) (map[uint32]int, error)
	Out   io.Writer
	// Wait passes a time; nil is the true clock.
	Wait func(context.Context, time.Duration) error
}

func (c Command) say(format string, args ...any) error {
	_, err := fmt.Fprintf(c.Out, format+"\n", args...)
	return err
}

// New makes the file with a first key, never over another.
func (c Command) New() error {
	id, err := vault.NewKeysetFile(c.File.Path)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already and stays as it is; `keys add` puts a new key into it", c.File.Path)
	}
	if err != nil {
		return err
	}
	return c.say("Made %s (mode 0600) with key %d.\n"+
		"Next: give the file to auth, publisher and tokenkeeper as TOKEN_KEYSET_FILE, and keep a copy in a safe place: "+
		"without it every account must be connected again.", c.File.Path, id)
}

// Add puts a second key into the file: it opens, and does not seal yet.
func (c Command) Add() error {
	id, err := c.File.Add()
	if err != nil {
		return err
	}
	return c.say("Added key %d. It opens, and does not seal yet.\n"+
		"Next: see that every auth, publisher and tokenkeeper has it. On this very file they take it with the next token that they open, and log "+
		"\"took the keyset file anew\"; a copy of it, or a keyset in TOKEN_KEYSET, must be brought to them, and they restarted. Then: keys promote %d", id, id)
}

// Promote lets a key seal from now on.
func (c Command) Promote(id uint32) error {
	if err := c.File.Promote(id); err != nil {
		return err
	}
	return c.say("Key %d seals from now on.\n"+
		"Next: bring this to every service as before. Tokenkeeper seals the rest anew within minutes; `keys status` shows how much is left. "+
		"When nothing is: keys retire the old one.", id)
}

// Retire takes a key out when nothing is sealed with it any more; with force also where no database is known to count in.
func (c Command) Retire(ctx context.Context, id uint32, force bool) error {
	if c.Count == nil {
		if !force {
			return errors.New("DATABASE_URL is not set, so nobody can say whether something is still sealed with this key; " +
				"set it, or retire with --force if you know")
		}
		if _, err := c.File.Retire(id); err != nil {
			return err
		}
		return c.retired(id)
	}
	if err := c.unused(ctx, id); err != nil {
		return err
	}
	back, err := c.File.Retire(id)
	if err != nil {
		return err
	}
	// A service that had not heard of the promotion may have sealed with it since: then it is not too late yet.
	wait := c.Wait
	if wait == nil {
		wait = pass
	}
	err = wait(ctx, settle)
	if err == nil {
		err = c.unused(ctx, id)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("the key is put back: %w", err), back())
	}
	return c.retired(id)
}

func (c Command) retired(id uint32) error {
	return c.say("Retired key %d.\nNext: bring this to every service as before. Old backups of the database need it still: keep it where you keep them.", id)
}

func (c Command) unused(ctx context.Context, id uint32) error {
	counts, err := c.Count(ctx)
	if err != nil {
		return err
	}
	if n := counts[id]; n > 0 {
		return fmt.Errorf("%d secrets are still sealed with key %d; tokenkeeper seals them anew after another key was promoted, and `keys status` shows how far it is", n, id)
	}
	return nil
}

// row is a key as it is shown. Sealed is nil where no database was asked.
type row struct {
	vault.Key
	Known  bool `json:"known"` // in the keyset
	Sealed *int `json:"sealed,omitempty"`
}

// Status is List that insists on a database.
func (c Command) Status(ctx context.Context, asJSON bool) error {
	if _, err := c.File.Keys(); err != nil {
		return err
	}
	if c.Count == nil {
		return errors.New("DATABASE_URL is required: status counts what is sealed with which key")
	}
	return c.List(ctx, asJSON)
}

// List shows the keys, and what is sealed with each where a database is known.
func (c Command) List(ctx context.Context, asJSON bool) error {
	list, err := c.File.Keys()
	if err != nil {
		return err
	}
	rows := make([]row, 0, len(list))
	left := 0
	var counts map[uint32]int
	if c.Count != nil {
		if counts, err = c.Count(ctx); err != nil {
			return err
		}
	}
	add := func(k vault.Key, known bool) {
		r := row{Key: k, Known: known}
		if counts != nil {
			n := counts[k.ID]
			r.Sealed = &n
			if !k.Primary {
				left += n
			}
		}
		rows = append(rows, r)
	}
	for _, k := range list {
		add(k, true)
	}
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		if !slices.ContainsFunc(list, func(k vault.Key) bool { return k.ID == id }) {
			add(vault.Key{ID: id}, false)
		}
	}
	if asJSON {
		enc := json.NewEncoder(c.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(map[string]any{"keys": rows, "left": left})
	}
	return c.print(rows, left)
}

func (c Command) print(rows []row, left int) error {
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "KEY\tROLE\tSEALED WITH IT")
	counted := false
	for _, r := range rows {
		role := "opens"
		switch {
		case !r.Known:
			role = "MISSING in the keyset"
		case r.Primary:
			role = "seals and opens"
		case !r.Enabled:
			role = "disabled"
		}
		n := "?"
		if r.Sealed != nil {
			n, counted = strconv.Itoa(*r.Sealed), true
		}
		_, _ = fmt.Fprintf(w, "%d\t%s\t%s\n", r.ID, role, n)
	}
	if err := w.Flush(); err != nil || !counted {
		return err
	}
	return c.say("%d left to be sealed anew with the key that seals.", left)
}

func pass(ctx context.Context, d time.Duration) error {
	if !clock.Sleep(ctx, d) {
		return ctx.Err()
	}
	return nil
}
