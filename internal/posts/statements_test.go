package posts_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// elsewhere are the files outside this package that have statements on posts or post_attempts, and why.
var elsewhere = map[string]string{
	"cmd/lab/bench/api.go":                     "measures from outside",
	"cmd/lab/bench/load.go":                    "measures from outside",
	"cmd/lab/bench/restart.go":                 "fills the table",
	"cmd/lab/bench/verify.go":                  "measures from outside",
	"cmd/lab/torture/round.go":                 "breaks rows",
	"cmd/lab/torture/verify.go":                "judges from outside",
	"cmd/ops/explain.go":                       "shows what was tried, also of an older table",
	"internal/pg/pgtest/scans.go":              "pretends a million rows",
	"services/publisher/publishertest/look.go": "shows tests what is there",
}

var (
	inSQL  = regexp.MustCompile(`\b(FROM|UPDATE|INTO|JOIN|USING|TABLE)\s+(posts|post_attempts)\b`)
	tables = []string{"posts", "post_attempts"}
	rows   = regexp.MustCompile(`\bposts\.(Post|AttemptRow)\b`)
)

// Who writes posts? This package: every statement on its tables is here.
func TestStatementsAreHere(t *testing.T) {
	t.Parallel()
	const root = "../.."
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		name = filepath.ToSlash(name)
		if d.IsDir() {
			if name == "internal/posts" || name == "internal/pg/migrations" || name != "." && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		statements, err := statementsOf(path)
		for _, s := range statements {
			found[name] = true
			if elsewhere[name] == "" {
				t.Errorf("%s has a statement on posts: %s", name, s)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range elsewhere {
		if !found[name] {
			t.Errorf("%s has no statement on posts any more: take it from the list", name)
		}
	}
}

// statementsOf finds SQL on the tables in strings, and bun's models of their rows.
func statementsOf(path string) (found []string, err error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, 0)
	if err != nil {
		return nil, err
	}
	add := func(n ast.Node, what string) { found = append(found, fset.Position(n.Pos()).String()+" "+what) }
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil && inSQL.MatchString(text) {
				add(n, inSQL.FindString(text))
			}
		case *ast.CallExpr:
			called, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || len(n.Args) != 1 {
				return true
			}
			switch called.Sel.Name {
			case "Table", "TableExpr", "ModelTableExpr":
				if lit, ok := n.Args[0].(*ast.BasicLit); ok {
					if text, err := strconv.Unquote(lit.Value); err == nil && slices.Contains(tables, text) {
						add(n, text)
					}
				}
			case "Model":
				if rows.MatchString(typeOf(n.Args[0])) {
					add(n, "a model")
				}
			}
		}
		return true
	})
	return found, nil
}

// typeOf is what the source says about the type of an expression, as far as that is near.
func typeOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.UnaryExpr:
		return typeOf(e.X)
	case *ast.StarExpr:
		return typeOf(e.X)
	case *ast.ParenExpr:
		return typeOf(e.X)
	case *ast.ArrayType:
		return typeOf(e.Elt)
	case *ast.CompositeLit:
		return typeOf(e.Type)
	case *ast.IndexExpr:
		return typeOf(e.X)
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			return x.Name + "." + e.Sel.Name
		}
	case *ast.CallExpr: // new(T), make(T, n), (*T)(nil)
		if fn, ok := e.Fun.(*ast.Ident); ok && (fn.Name == "new" || fn.Name == "make") {
			return typeOf(e.Args[0])
		}
		return typeOf(e.Fun)
	case *ast.Ident:
		if e.Obj == nil {
			return e.Name
		}
		switch d := e.Obj.Decl.(type) {
		case *ast.ValueSpec:
			if d.Type != nil {
				return typeOf(d.Type)
			}
		case *ast.Field:
			return typeOf(d.Type)
		case *ast.AssignStmt:
			for i, left := range d.Lhs {
				if id, ok := left.(*ast.Ident); ok && id.Name == e.Name && i < len(d.Rhs) {
					return typeOf(d.Rhs[i])
				}
			}
		}
	}
	return ""
}
