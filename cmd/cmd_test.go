package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func nothing(string) string { return "" }

// each gives every command to check, with the words that name it.
func each(check func(c *cobra.Command, words []string)) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		check(c, strings.Fields(c.CommandPath())[1:])
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(newRoot(&program{getenv: nothing, out: io.Discard, errOut: io.Discard}))
}

// Who asks what a command does changes nothing.
func TestHelp(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	each(func(c *cobra.Command, words []string) {
		for _, flag := range []string{"-h", "--help"} {
			var out bytes.Buffer
			if err := Run(t.Context(), append(slices.Clone(words), flag), nothing, &out, io.Discard); err != nil {
				t.Errorf("%v %s: %v", words, flag, err)
			}
			if !strings.Contains(out.String(), "Usage:\n  threads") {
				t.Errorf("%v %s says %s", words, flag, out.String())
			}
		}
		if c.Short == "" || c.Example == "" {
			t.Errorf("%v has no example in its help, or no summary", words)
		}
	})
	if made, err := os.ReadDir(dir); err != nil || len(made) > 0 {
		t.Errorf("it made %v (%v)", made, err)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, try := range []struct {
		words string
		code  int
		says  string
	}{
		{"publsher", exitUsage, `no command "publsher"; did you mean publisher?`},
		{"xyzzy", exitUsage, "threads --help"},
		{"migrate now", exitUsage, "takes flags only"},
		{"bench extra", exitUsage, "takes flags only"},
		{"torture now", exitUsage, "takes flags only"},
		{"bench --posts 0", exitUsage, "at least 1"},
		{"demo --quit", exitUsage, "unknown flag: --quit"},
		{"bench target --simulator --front http://x", exitUsage, "two different targets"},
		{"explain", exitUsage, "the id of one post"},
		{"reconcile --limit 0", exitUsage, "--limit is from 1"},
		{"reconcile --since soon", exitUsage, "neither a time"},
		{"replay --until soon", exitUsage, "neither a time"},
		{"replay all", exitUsage, "takes flags only"},
		{"doctor now", exitUsage, "takes flags only"},
		{"rebuild now", exitUsage, "takes flags only"},
		{"pause", exitUsage, "pause takes the id of one account"},
		{"resume a b", exitUsage, "resume takes the id of one account"},
		{"dead bury 1", exitUsage, "dead takes list, show SEQ, requeue SEQ, or drop SEQ"},
		{"dead show x", exitUsage, "is no sequence"},
		{"dead list 1", exitUsage, "dead takes list"},
		{"keys wash", exitUsage, "keys takes new"},
		{"import-original --overdue lose", exitUsage, "--overdue is hold, publish or fail"},
		{"import-original --batch 0", exitUsage, "--batch is from 1"},
		{"import-original me", exitUsage, "takes flags only"},
		{"secrets a b", exitUsage, "at most 1"},
		{"keys list", exitFailed, "TOKEN_KEYSET_FILE is required"},
		{"publisher", exitFailed, "publisher: "},
		{"--version", exitDone, ""},
		{"torture --only list", exitDone, ""},
	} {
		err := Run(t.Context(), strings.Fields(try.words), nothing, io.Discard, io.Discard)
		if ExitCode(err) != try.code || err != nil && !strings.Contains(err.Error(), try.says) {
			t.Errorf("%s ends with %d: %v", try.words, ExitCode(err), err)
		}
	}
	if code := ExitCode(errors.Join(t.Context().Err())); code != exitDone {
		t.Errorf("done is %d", code)
	}
}

// What is cut off before it is done has failed; what runs until it is stopped has not.
func TestCutOff(t *testing.T) {
	t.Parallel()
	ctx, cut := context.WithCancel(t.Context())
	cut()
	dir := t.TempDir()
	env := func(name string) string { return map[string]string{"STATE_DIR": dir, "LOG_LEVEL": "error"}[name] }
	for words, code := range map[string]int{
		"": exitDone, "demo": exitDone, "demo --exit=false": exitDone, "publisher": exitFailed, // which lacks its settings
		"demo --exit": exitFailed, "bench --quick": exitFailed, "torture": exitFailed, "rebuild": exitFailed, "replay": exitFailed,
	} {
		err := Run(ctx, strings.Fields(words), env, io.Discard, io.Discard)
		if ExitCode(err) != code {
			t.Errorf("%q ends with %d: %v", words, ExitCode(err), err)
		}
	}
}

func TestOldSpelling(t *testing.T) {
	t.Parallel()
	root := newRoot(&program{getenv: nothing, out: io.Discard, errOut: io.Discard})
	for _, try := range []struct{ args, current, old string }{
		{"demo -exit", "demo --exit", "exit"},
		{"demo --exit", "demo --exit", ""},
		{"simulator -addr 127.0.0.1:1 -quick -app-id=4", "simulator --addr 127.0.0.1:1 --quick --app-id=4", "addr quick app-id"},
		{"torture -minutes 5 -seed 1", "torture --minutes 5 --seed 1", "minutes seed"},
		{"bench -only burst -json -", "bench --only burst --json -", "only json"},
		{"bench target -addr x", "bench target --addr x", "addr"},
		{"reconcile -mend acct", "reconcile --mend acct", "mend"},
		{"dead -json show 3", "dead --json show 3", "json"},
		{"keys retire -force 3", "keys retire --force 3", "force"},
		{"pause -reason -json acct", "pause --reason -json acct", "reason"}, // the reason is "-json"
		{"explain -h", "explain -h", ""},
		{"explain -- -json", "explain -- -json", ""},
		{"explain -jsno x", "explain -jsno x", ""},
		{"publsher -json", "publsher -json", ""},
	} {
		current, old := currentSpelling(root, strings.Fields(try.args))
		if strings.Join(current, " ") != try.current || strings.Join(old, " ") != try.old {
			t.Errorf("%s: %v, of old %v", try.args, current, old)
		}
	}
	var errOut bytes.Buffer
	if err := Run(t.Context(), []string{"torture", "-only", "list"}, nothing, io.Discard, &errOut); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(strings.TrimSpace(errOut.String()), "\n"); len(lines) != 1 || !strings.Contains(lines[0], "-only is spelled --only now") {
		t.Errorf("it says %q", errOut.String())
	}
}

// The example of each command is valid: its flags are there.
func TestExamples(t *testing.T) {
	t.Parallel()
	typed := regexp.MustCompile(`(?:^|\s)threads (\S.*)`) // without a word it is everything in one process
	each(func(c *cobra.Command, _ []string) {
		for line := range strings.Lines(c.Example) {
			if m := typed.FindStringSubmatch(line); m != nil {
				if err := understood(m[1]); err != nil {
					t.Errorf("%s: %v", strings.TrimSpace(line), err)
				}
			}
		}
	})
}

// understood reports whether there is a command of this name with these flags.
func understood(words string) error {
	c, _, err := newRoot(&program{getenv: nothing, out: io.Discard, errOut: io.Discard}).Find(strings.Fields(words))
	if err != nil {
		return err
	}
	if first, _, _ := strings.Cut(words, " "); !c.HasParent() && first != "help" && !strings.HasPrefix(first, "-") {
		return fmt.Errorf("there is no command %s", first)
	}
	for _, word := range strings.Fields(words) {
		flag, _, _ := strings.Cut(word, "=")
		if name, is := strings.CutPrefix(flag, "--"); is && c.Flags().Lookup(name) == nil && c.InheritedFlags().Lookup(name) == nil {
			return fmt.Errorf("%s has no %s", c.CommandPath(), flag)
		}
	}
	return nil
}

// What the documents tell people to type is understood: commands that are written out, and those of the tools by themselves.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	tools := `explain|reconcile|replay|rebuild|dead|pause|resume|doctor`
	typed := []*regexp.Regexp{
		regexp.MustCompile("(?m)(?:go run \\.|^ *threads|`/threads|run --rm ops|run --rm migrate +#) +([a-z][^`#|&;)\n]*)"),
		regexp.MustCompile("`((?:" + tools + ")(?: [^`]*)?)`"),
	}
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range append(pages, "../README.md", "../CONTRIBUTING.md", "../SECURITY.md", "../compose.yaml", "../.env.example") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, pattern := range typed {
			for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
				found++
				if err := understood(m[1]); err != nil {
					t.Errorf("%s: %q: %v", page, m[0], err)
				}
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d commands: the pages were not found", found)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]string{
		"__complete publ":                    "publisher",
		"__complete bench --only re":         "restart",
		"__complete torture --only clock-p":  "clock-publishers",
		"__complete dead re":                 "requeue",
		"__complete import-original --overd": "--overdue",
		"completion bash":                    "__start_threads",
		"completion zsh":                     "#compdef threads",
		"completion fish":                    "complete -c threads",
		"completion powershell":              "Register-ArgumentCompleter",
	} {
		var out bytes.Buffer
		if err := Run(t.Context(), strings.Fields(words), nothing, &out, io.Discard); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %v, %.300s", words, err, out.String())
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	built := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0758f6d"}, {Key: "vcs.time", Value: "2026-11-30T01:02:03Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	if is, want := versionOf(built, "other", "other"), "threads v1.2.3\ncommit  0758f6d, with changes\ndate    2026-11-30T01:02:03Z\ngo      go1.26.8"; is != want {
		t.Errorf("it says %q", is)
	}
	if is := versionOf(&debug.BuildInfo{}, "", ""); !strings.Contains(is, "unknown") {
		t.Errorf("it says %q", is)
	}
	image := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "(devel)"}}
	if is, want := versionOf(image, "0758f6d", "2026-11-30"), "threads (devel)\ncommit  0758f6d\ndate    2026-11-30\ngo      go1.26.8"; is != want {
		t.Errorf("it says %q", is)
	}
}
