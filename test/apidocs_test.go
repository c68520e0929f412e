package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	apiPage      = "docs/api.md"
	expectedMark = "# → "
)

// snippets are the blocks of a language in a page.
func snippets(t *testing.T, page, language string) (found []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		found = append(found, m[1])
	}
	return found
}

// TestAPITour runs docs/api.md against the program, block by block in one shell. What is printed up to a line of
// expectations must have each of them.
func TestAPITour(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("bash")
	if err == nil {
		_, err = exec.LookPath("curl")
	}
	if err != nil {
		t.Skip("bash or curl is not installed; the tour of docs/api.md is not tried")
	}
	h := newSystem(t)
	h.start()
	at := strings.NewReplacer(
		"http://localhost:3000", h.url("PORT"), "http://127.0.0.1:9098", h.url("ISSUER_PORT"), "http://127.0.0.1:9099", h.url("SIMULATOR_PORT"))

	var steps, pieces, expected []string
	step := ""
	for _, block := range snippets(t, apiPage, "sh") {
		if len(expected) > 0 && !strings.Contains(block, expectedMark) {
			t.Fatalf("this block does not say what it answers:\n%s", block)
		}
		for line := range strings.Lines(block) {
			want, is := strings.CutPrefix(line, expectedMark)
			if !is {
				step += line
				continue
			}
			pieces = append(pieces, at.Replace(step))
			steps, expected, step = append(steps, step), append(expected, strings.TrimSpace(want)), ""
		}
	}
	if len(steps) < 30 {
		t.Fatalf("the page has only %d steps", len(steps))
	}
	printed := outputsOf(t, shell, append(pieces, at.Replace(step)))
	for i, want := range expected {
		for fragment := range strings.SplitSeq(want, " · ") {
			if !strings.Contains(printed[i], fragment) {
				t.Errorf("%s\nwants %s, printed\n%s", steps[i], fragment, printed[i])
			}
		}
	}
}

// outputsOf runs pieces of a script one after the other in one shell, and returns what each printed.
func outputsOf(t *testing.T, shell string, pieces []string) []string {
	t.Helper()
	const end = "\n=== end of piece %d ===\n"
	var script strings.Builder
	for i, piece := range pieces {
		fmt.Fprintf(&script, "%s\nprintf '%s'\n", piece, fmt.Sprintf(end, i))
	}
	run := exec.CommandContext(t.Context(), shell, "-c", script.String())
	var out bytes.Buffer
	run.Stdout, run.Stderr, run.WaitDelay = &out, &out, time.Second
	if err := run.Run(); err != nil {
		t.Errorf("the shell: %v", err)
	}
	outputs, rest := make([]string, len(pieces)), out.String()
	for i, piece := range pieces {
		printed, after, ok := strings.Cut(rest, fmt.Sprintf(end, i))
		if !ok {
			t.Fatalf("it ended before\n%s\n%s", piece, rest)
		}
		outputs[i], rest = printed, after
	}
	return outputs
}

// TestTypeScriptClient makes the client with the command of docs/api.md from a running gateway, compiles the page's
// example with the strictest settings, and runs it.
func TestTypeScriptClient(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"node", "npm", "npx"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed; the TypeScript client is not tried", tool)
		}
	}
	dir := t.TempDir()
	tool := func(words ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
		cmd.Dir, cmd.WaitDelay = dir, time.Second
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("package.json", `{"private":true,"type":"module"}`)
	if out, err := tool("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=20000",
		"openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5.9.3"); err != nil {
		t.Skipf("npm cannot install the tools here, so the TypeScript client is not tried: %v\n%s", err, out)
	}
	h := newSystem(t)
	h.start()
	h.connect()

	page, err := os.ReadFile(apiPage)
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^npx openapi-typescript@.*$`).FindString(string(page))
	if command == "" {
		t.Fatal("docs/api.md does not say how the client is made")
	}
	words := strings.Fields(strings.ReplaceAll(command, "http://localhost:3000", h.url("PORT")))
	if out, err := tool(words...); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	examples := snippets(t, apiPage, "ts")
	if len(examples) != 1 {
		t.Fatalf("docs/api.md has %d examples in TypeScript", len(examples))
	}
	write("tour.ts", examples[0])
	// What the compiler must refuse: a required field that is misspelt, a path, and a status that there is not.
	wrong := map[string][2]string{
		"field.ts": {`scheduledAt: "`, `scheduledat: "`}, "path.ts": {`"/api/threads/posts"`, `"/api/threads/post"`},
		"word.ts": {`["QUEUED"]`, `["WAITING"]`},
	}
	for file, change := range wrong {
		write(file, strings.Replace(examples[0], change[0], change[1], 1))
	}
	compile := func(more ...string) (string, error) {
		return tool(append([]string{"npx", "tsc", "--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--target", "es2022",
			"--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2022,dom,dom.iterable"}, more...)...)
	}
	if out, err := compile("--noEmit", "tour.ts"); err != nil {
		t.Fatalf("tsc: %v\n%s", err, out)
	}
	out, _ := compile("--noEmit", "field.ts", "path.ts", "word.ts")
	for file := range wrong {
		if !strings.Contains(out, file+"(") {
			t.Errorf("%s was compiled: %s", file, out)
		}
	}
	if out, err := compile("--outDir", ".", "tour.ts"); err != nil {
		t.Fatalf("tsc: %v\n%s", err, out)
	}
	write("run.js", `import { tour } from "./tour.js"; console.log(JSON.stringify(await tour(process.argv[2], process.argv[3])));`)
	printed, err := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "run.js"), h.url("PORT"), h.token).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		t.Fatalf("%v\n%s", err, failed.Stderr)
	}
	var seen []string
	if err := json.Unmarshal(printed, &seen); err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	if got := strings.Join(seen, " "); got != "QUEUED 2027-06-08T07:00:00Z 1 200 conflict CANCELLED" {
		t.Errorf("it saw %s", got)
	}
}
