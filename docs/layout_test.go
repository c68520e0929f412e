package docs_test

import (
	"bytes"
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

const (
	mostLines   = 5_000 // of a package, without its tests
	mostMethods = 60    // of a type
)

// large are the packages that may be longer, and why.
var large = map[string]string{
	"internal/threads/threadssim": "the simulator is one Threads",
}

// starter is the package that starts this program again; again is how somebody else would. A test that runs single tests of
// its own binary is another matter.
const starter = "internal/subprocess"

var again = regexp.MustCompile(`\bos\.Executable\(|exec\.Command(Context)?\([^)]*os\.Args\[0\]\)`)

// What grows beyond what one can keep in mind is split before it does.
func TestLayout(t *testing.T) {
	lines, methods := map[string]int{}, map[string]int{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != ".." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		rel, err := filepath.Rel("..", filepath.Dir(path))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(rel)
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if pkg != starter && again.Match(text) && !strings.HasSuffix(path, "layout_test.go") {
			t.Errorf("%s starts this program again: that is what %s is for", path, starter)
		}
		if strings.HasSuffix(path, "_test.go") {
			return nil
		}
		lines[pkg] += bytes.Count(text, []byte("\n"))
		return countMethods(path, text, pkg, methods)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) < 40 || len(methods) < 200 {
		t.Fatalf("only %d packages and %d types: they were not found", len(lines), len(methods))
	}
	for pkg, n := range lines {
		switch {
		case n > mostLines && large[pkg] == "":
			t.Errorf("package %s has %d lines, and %d are the most: what could leave it?", pkg, n, mostLines)
		case n <= mostLines && large[pkg] != "":
			t.Errorf("package %s has %d lines: take it from the list", pkg, n)
		}
	}
	for name, n := range methods {
		if n > mostMethods {
			t.Errorf("%s has %d methods, and %d are the most: split it by what its methods work with", name, n, mostMethods)
		}
	}
}

// countMethods adds the methods that a file declares to those of their types.
func countMethods(path string, text []byte, pkg string, methods map[string]int) error {
	f, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Recv == nil {
			continue
		}
		of := fn.Recv.List[0].Type
		if star, ok := of.(*ast.StarExpr); ok {
			of = star.X
		}
		switch generic := of.(type) {
		case *ast.IndexExpr:
			of = generic.X
		case *ast.IndexListExpr:
			of = generic.X
		}
		if id, ok := of.(*ast.Ident); ok {
			methods[pkg+"."+id.Name]++
		}
	}
	return nil
}
