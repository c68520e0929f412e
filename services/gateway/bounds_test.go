package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/omni-write/threads/internal/asks"
)

// What is wrong is named up to a bound: each field error is a byte or six to write, and hundreds to answer.
func TestFieldErrorsUpToABound(t *testing.T) {
	t.Parallel()
	h := setup(t)
	const many = 20_000
	unknown := "{"
	for i := range many {
		unknown += fmt.Sprintf(`"a%d":0,`, i)
	}
	unknown += `"text":0}`
	const file, csv, lines = "/api/threads/post/import?preview=true", "text/csv", "application/x-ndjson"
	for name, c := range map[string]struct{ path, kind, body string }{
		"fields":                {"/api/threads/post", "application/json", unknown},
		"columns":               {file, csv, strings.Repeat("a,", many) + "text\nx\n"},
		"one column":            {file, csv, strings.Repeat("text,", many) + "text\nx\n"},
		"values without column": {file, csv, "text\n" + strings.Repeat("a,", many) + "\n"},
		"fields of a line":      {file, lines, unknown + "\n"},
	} {
		r := h.do(t, http.MethodPost, c.path, c.body, "Content-Type", c.kind)
		if n := strings.Count(string(r.body), `"pointer"`); n != 100 || len(r.body) > 100<<10 {
			t.Errorf("%s: %d with %d flaws, in %d bytes", name, r.status, n, len(r.body))
		}
	}
}

// Whatever a client may send has a bound: each text and each list, in bodies, queries, paths and headers.
func TestEveryFieldIsBounded(t *testing.T) {
	t.Parallel()
	h := setup(t)
	var doc struct {
		Paths      map[string]map[string]json.RawMessage
		Components struct{ Schemas map[string]map[string]any }
	}
	h.do(t, http.MethodGet, "/openapi.json", "", "Authorization", "").is(t, http.StatusOK, &doc)
	looked := 0
	seen := map[string]bool{}
	var look func(at string, s map[string]any)
	look = func(at string, s map[string]any) {
		if ref, ok := s["$ref"].(string); ok {
			name := ref[strings.LastIndex(ref, "/")+1:]
			if !seen[name] {
				seen[name] = true
				look(name, doc.Components.Schemas[name])
			}
			return
		}
		is := func(kind string) bool {
			kinds, _ := s["type"].([]any)
			return s["type"] == kind || slices.Contains(kinds, any(kind))
		}
		looked++
		if is("string") && s["enum"] == nil && s["format"] != "date-time" && s["maxLength"] == nil {
			t.Errorf("%s is a text of any length", at)
		}
		if items, ok := s["items"].(map[string]any); ok && is("array") {
			if s["maxItems"] == nil {
				t.Errorf("%s is a list of any length", at)
			}
			look(at+"[]", items)
		}
		properties, _ := s["properties"].(map[string]any)
		for name, property := range properties {
			look(at+"."+name, property.(map[string]any))
		}
	}
	for path, methods := range doc.Paths {
		for method, raw := range methods {
			var op struct {
				Parameters []struct {
					Name, In string
					Schema   map[string]any
				}
				RequestBody struct {
					Content map[string]struct{ Schema map[string]any }
				}
			}
			if json.Unmarshal(raw, &op) != nil {
				continue
			}
			for _, p := range op.Parameters {
				look(method+" "+path+" "+p.In+" "+p.Name, p.Schema)
			}
			for kind, content := range op.RequestBody.Content {
				look(method+" "+path+" "+kind, content.Schema)
			}
		}
	}
	if looked < 150 {
		t.Errorf("only %d fields were found", looked)
	}
}

// A value beyond its bound is told which that is, be the value none at all to the program.
func TestRefusalsNameTheBound(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for name, c := range map[string]struct{ method, path, body, pointer, code, says string }{
		"a page that is too long":    {"GET", "/api/threads/posts?limit=1001", "", "/limit", "out_of_range", "1000"},
		"a page of nothing":          {"GET", "/api/threads/posts?limit=0", "", "/limit", "out_of_range", "1"},
		"a list of nothing":          {"GET", "/api/threads/post/schedule?limit=0", "", "/limit", "out_of_range", "1"},
		"a list that is too long":    {"GET", "/api/threads/post/schedule?limit=1001", "", "/limit", "out_of_range", "1000"},
		"too many mentions":          {"GET", "/api/threads/mentions?limit=101", "", "/limit", "out_of_range", "100"},
		"no deliveries":              {"GET", "/api/threads/webhooks/wh_1/deliveries?limit=0", "", "/limit", "out_of_range", "1"},
		"too many figures":           {"GET", "/api/threads/insights?snapshots=1001", "", "/snapshots", "out_of_range", "1000"},
		"no figures":                 {"GET", "/api/threads/insights?snapshots=0", "", "/snapshots", "out_of_range", "1"},
		"too many countries":         {"POST", "/api/threads/post", `{"text":"a","countries":[` + strings.TrimSuffix(strings.Repeat(`"DE",`, 251), ",") + `]}`, "/countries", "too_many", "250"},
		"a GIF with a long name":     {"POST", "/api/threads/post", `{"text":"a","gif":{"provider":"GIPHY","id":"` + strings.Repeat("x", 129) + `"}}`, "/gif/id", "too_long", "128"},
		"an edit with a long name":   {"PATCH", "/api/threads/post/schedule/post_1", `{"gif":{"provider":"GIPHY","id":"` + strings.Repeat("x", 129) + `"}}`, "/gif/id", "too_long", "128"},
		"an account with a long id":  {"GET", "/api/threads/me?accountId=" + strings.Repeat("x", 129), "", "/accountId", "too_long", "128"},
		"a search for a long thing":  {"GET", "/api/threads/search?q=" + strings.Repeat("x", 501), "", "/q", "too_long", "500"},
		"a file's address, too long": {"POST", "/api/threads/post", `{"mediaUrl":"https://a.example/` + strings.Repeat("x", 2048) + `"}`, "/mediaUrl", "too_long", "2048"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := h.do(t, c.method, c.path, c.body).problem(t, http.StatusUnprocessableEntity, "invalid", c.pointer)
			if len(p.Errors) != 1 || p.Errors[0].Code != c.code || !strings.Contains(p.Errors[0].Detail, c.says) {
				t.Errorf("%+v", p.Errors)
			}
		})
	}
}

// The framework puts a default over an explicit false or 0: so a field has one only where that is refused.
func TestNoDefaultHidesAZero(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 20 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(source)) {
			if strings.Contains(line, ` default:"`) && !strings.Contains(line, ` minimum:"1"`) && !strings.HasSuffix(file, "_test.go") {
				t.Errorf("%s: %s", file, line)
			}
		}
	}
}

// An explicit false is not taken for nothing said.
func TestValidateWithoutMedia(t *testing.T) {
	t.Parallel()
	h := setup(t)
	asked := make(chan bool, 1)
	answer(t, h, func(q asks.ValidatePost) (asks.Validation, error) {
		asked <- q.Fetch
		return asks.Validation{}, nil
	})
	for query, want := range map[string]bool{"": true, "?media=true": true, "?media=false": false, "?media=0": false} {
		h.do(t, http.MethodPost, "/api/threads/post/validate"+query, `{"text":"a"}`).is(t, http.StatusOK, nil)
		if got := <-asked; got != want {
			t.Errorf("%q: fetched is %v", query, got)
		}
	}
}
