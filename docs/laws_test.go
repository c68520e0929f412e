package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	lawHeading = regexp.MustCompile(`(?m)^## (\d+)\. `)
	namedTest  = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`")
)

// A law whose test was renamed or dropped is guarded by nobody.
func TestLaws(t *testing.T) {
	page := read(t, "laws.md")
	starts := lawHeading.FindAllStringSubmatchIndex(page, -1)
	if len(starts) != 10 {
		t.Fatalf("docs/laws.md has %d laws", len(starts))
	}
	for i, start := range starts {
		if number := page[start[2]:start[3]]; number != fmt.Sprint(i+1) {
			t.Errorf("law %d has the number %s", i+1, number)
		}
		end := len(page)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		if named := namedTest.FindAllString(page[start[0]:end], -1); len(named) < 3 {
			t.Errorf("law %d names %d tests only", i+1, len(named))
		}
	}
	// No test may depend on the machine's speed, so half of the fourth law is a measurement.
	if _, fourth, _ := strings.Cut(page, "\n## 4. "); !strings.Contains(fourth[:strings.Index(fourth, "\n## ")], "part `lateness`") ||
		!strings.Contains(read(t, "benchmarks.md"), "\n| lateness at ") {
		t.Error("law 4 does not say where lateness is measured")
	}
}

// Every test that a page names exists.
func TestNamedTests(t *testing.T) {
	there := map[string]bool{}
	files := token.NewFileSet()
	walk(t, func(path string) {
		if !strings.HasSuffix(path, "_test.go") {
			return
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				there[f.Name.Name] = true
			}
		}
	})
	named := 0
	for path, text := range pages(t) {
		for _, m := range namedTest.FindAllStringSubmatch(text, -1) {
			if named++; !there[m[1]] {
				t.Errorf("%s names %s, which is no test", path, m[1])
			}
		}
	}
	if named < 150 {
		t.Errorf("only %d tests are named: the pages were not found", named)
	}
	// A promise without a test is none.
	if n := len(namedTest.FindAllString(read(t, "security.md"), -1)); n < 30 {
		t.Errorf("docs/security.md names %d tests only", n)
	}
}

// walk calls fn with every file of the repository.
func walk(t *testing.T, fn func(path string)) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != ".." && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case !d.IsDir():
			fn(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pages are all documents of the repository, by their path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	walk(t, func(path string) {
		if strings.HasSuffix(path, ".md") {
			found[path] = read(t, path)
		}
	})
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
