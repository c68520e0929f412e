package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/cmd/ops/keys"
	"github.com/omni-write/threads/internal/vault"
)

// desk is an operator with a keyset file, and a database that says what it is told to.
type desk struct {
	*testing.T
	command keys.Command
	out     bytes.Buffer
	counts  map[uint32]int
	waited  func() // what happens while the command waits
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	t.Parallel()
	d := &desk{T: t, counts: map[uint32]int{}}
	d.command = keys.Command{
		File: vault.KeysetFile{Path: filepath.Join(t.TempDir(), "keyset.json")}, Out: &d.out,
		Count: func(context.Context) (map[uint32]int, error) { return d.counts, nil },
		Wait: func(context.Context, time.Duration) error {
			if d.waited != nil {
				d.waited()
			}
			return nil
		},
	}
	return d
}

// do runs the command as the program does.
func (d *desk) do(words []string) error {
	c := newKeys(func() (keys.Command, error) { return d.command, nil })
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(words)
	return c.ExecuteContext(d.Context())
}

func (d *desk) run(words ...string) string {
	d.Helper()
	d.out.Reset()
	if err := d.do(words); err != nil {
		d.Fatalf("keys %s: %v", strings.Join(words, " "), err)
	}
	return d.out.String()
}

// refused is the sentence with which a command is refused. The file is as it was before.
func (d *desk) refused(words ...string) string {
	d.Helper()
	was, _ := os.ReadFile(d.command.File.Path)
	err := d.do(words)
	if err == nil {
		d.Fatalf("keys %s was done", strings.Join(words, " "))
	}
	d.same(was)
	return err.Error()
}

func (d *desk) same(was []byte) {
	d.Helper()
	is, _ := os.ReadFile(d.command.File.Path)
	if !bytes.Equal(is, was) {
		d.Error("the keyset changed")
	}
}

func (d *desk) ids() (ids []string) {
	d.Helper()
	list, err := d.command.File.Keys()
	if err != nil {
		d.Fatal(err)
	}
	for _, k := range list {
		ids = append(ids, strconv.FormatUint(uint64(k.ID), 10))
	}
	return ids
}

func (d *desk) hold(id string, n int) {
	d.Helper()
	key, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		d.Fatal(err)
	}
	d.counts[uint32(key)] = n
}

func TestKeysRotation(t *testing.T) {
	d := newDesk(t)
	if said := d.refused("list"); !strings.Contains(said, "keys new") {
		t.Error(said)
	}
	if said := d.run("new"); !strings.Contains(said, d.command.File.Path) || !strings.Contains(said, "Next:") {
		t.Error(said)
	}
	if said := d.refused("new"); !strings.Contains(said, "keys add") {
		t.Error(said)
	}
	first := d.ids()[0]
	d.hold(first, 3)
	d.run("add")
	second := d.ids()[1]
	if said := d.refused("retire", first); !strings.Contains(said, "3 secrets") {
		t.Errorf("the primary: %s", said)
	}
	if said := d.run("promote", second); !strings.Contains(said, "keys status") {
		t.Error(said)
	}
	if said := d.run("status"); !strings.Contains(said, "3 left") {
		t.Error(said)
	}
	if said := d.refused("retire", first); !strings.Contains(said, "3 secrets") {
		t.Error(said)
	}
	d.hold(first, 0)
	d.hold(second, 3)
	if said := d.run("retire", first); !strings.Contains(said, "Retired") || len(d.ids()) != 1 {
		t.Errorf("%s; %v", said, d.ids())
	}
	if said := d.refused("retire", second); !strings.Contains(said, "3 secrets") {
		t.Error(said)
	}
}

func TestKeysRetire(t *testing.T) {
	t.Run("puts the key back when something was sealed with it after all", func(t *testing.T) {
		d := newDesk(t)
		d.run("new")
		d.run("add")
		first, second := d.ids()[0], d.ids()[1]
		d.run("promote", second)
		d.waited = func() { d.hold(first, 1) }
		if said := d.refused("retire", first); !strings.Contains(said, "put back") {
			t.Error(said)
		}
	})

	t.Run("also when nobody can say, because the database went away", func(t *testing.T) {
		d := newDesk(t)
		d.run("new")
		d.run("add")
		first, second := d.ids()[0], d.ids()[1]
		d.run("promote", second)
		asked := 0
		d.command.Count = func(context.Context) (map[uint32]int, error) {
			if asked++; asked > 1 {
				return nil, errors.New("no database")
			}
			return nil, nil
		}
		d.refused("retire", first)
	})

	t.Run("without a database only by force, and never the primary", func(t *testing.T) {
		d := newDesk(t)
		d.run("new")
		d.run("add")
		d.command.Count = nil
		first, second := d.ids()[0], d.ids()[1]
		if said := d.refused("retire", second); !strings.Contains(said, "--force") {
			t.Error(said)
		}
		d.refused("retire", "--force", first)
		d.run("retire", "--force", second)
		if got := d.ids(); len(got) != 1 || got[0] != first {
			t.Errorf("left: %v", got)
		}
		d.refused("status")
	})
}

func TestKeysList(t *testing.T) {
	d := newDesk(t)
	d.run("new")
	d.counts[7] = 2 // a key that the keyset lacks
	if said := d.run("list"); !strings.Contains(said, "MISSING") {
		t.Error(said)
	}
	var listed struct {
		Keys []struct {
			ID      uint32
			Primary bool
			Known   bool
			Sealed  int
		}
		Left int
	}
	if err := json.Unmarshal([]byte(d.run("list", "--json")), &listed); err != nil {
		t.Fatal(err)
	}
	if len(listed.Keys) != 2 || !listed.Keys[0].Primary || listed.Keys[1].Known || listed.Left != 2 {
		t.Errorf("%+v", listed)
	}
	content, err := os.ReadFile(d.command.File.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"list"}, {"list", "--json"}, {"status"}, {"add"}} {
		if said := d.run(words...); strings.Contains(string(content), "value") && strings.Contains(said, "value") {
			t.Errorf("keys %v shows the keys: %s", words, said)
		}
	}
}

func TestKeysMistakes(t *testing.T) {
	d := newDesk(t)
	d.run("new")
	for _, words := range [][]string{{}, {"wash"}, {"promote"}, {"promote", "x"}, {"promote", "12"}, {"new", "two"}, {"retire", "4294967296"}} {
		d.refused(words...)
	}
	err := Run(t.Context(), []string{"keys", "list"}, func(string) string { return "" }, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "TOKEN_KEYSET_FILE") {
		t.Error(err)
	}
}
