package gateway_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "rewrite openapi.json")

// spec is a description as JSON has it.
type spec = map[string]any

func served(t *testing.T) []byte {
	t.Helper()
	var pretty bytes.Buffer
	r := setup(t).do(t, http.MethodGet, "/openapi.json", "", "Authorization", "")
	r.is(t, http.StatusOK, nil)
	if err := json.Indent(&pretty, r.body, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	return pretty.Bytes()
}

func parsed(t *testing.T, text []byte) spec {
	t.Helper()
	var doc spec
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func readSpec(t *testing.T, file string) spec {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, text)
}

// at walks down an object; a missing step is nil.
func at(v any, path ...string) any {
	for _, step := range path {
		m, _ := v.(map[string]any)
		v = m[step]
	}
	return v
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func each(v any) []any {
	l, _ := v.([]any)
	return l
}

// operationsOf calls fn with "GET /path" and the operation, in order.
func operationsOf(doc spec, fn func(route, pointer string, op spec)) {
	paths := object(doc["paths"])
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		for _, method := range slices.Sorted(maps.Keys(object(paths[path]))) {
			pointer := "/paths/" + strings.ReplaceAll(strings.ReplaceAll(path, "~", "~0"), "/", "~1") + "/" + method
			fn(strings.ToUpper(method)+" "+path, pointer, object(at(paths[path], method)))
		}
	}
}

func TestDescriptionIsCommitted(t *testing.T) {
	t.Parallel()
	now := served(t)
	if *update {
		if err := os.WriteFile("openapi.json", now, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(now, committed) {
		t.Error("openapi.json is not what the gateway serves; go test ./services/gateway -update rewrites it")
	}
}

func TestDescriptionIsWhole(t *testing.T) {
	t.Parallel()
	doc := parsed(t, served(t))
	tags := map[string]bool{}
	for _, tag := range each(doc["tags"]) {
		tags[at(tag, "name").(string)] = true
	}
	for _, server := range each(doc["servers"]) {
		if url, _ := at(server, "url").(string); !strings.HasPrefix(url, "/") {
			t.Errorf("the server %q is not relative", url)
		}
	}
	operationsOf(doc, func(route, _ string, op spec) {
		for _, field := range []string{"summary", "description", "operationId"} {
			if text, _ := op[field].(string); text == "" {
				t.Errorf("%s has no %s", route, field)
			}
		}
		if list := each(op["tags"]); len(list) != 1 || !tags[list[0].(string)] {
			t.Errorf("%s has the tags %v", route, list)
		}
		if op["security"] == nil {
			t.Errorf("%s does not say whether one must sign in", route)
		}
		for status, r := range object(op["responses"]) {
			if ref, _ := at(r, "$ref").(string); (status >= "400") != strings.HasPrefix(ref, "#/components/responses/") {
				t.Errorf("%s, %s: a problem is one of the shared ones, an answer is none: %v", route, status, r)
			}
		}
		if at(op, "responses", "202", "content") != nil && !strings.HasPrefix(op["operationId"].(string), "resend") && op["operationId"] != "testWebhook" {
			for _, header := range []string{"Location", "Retry-After"} {
				if at(op, "responses", "202", "headers", header) == nil {
					t.Errorf("%s: 202 without %s", route, header)
				}
			}
		}
	})
	for name, r := range object(at(doc, "components", "responses")) {
		body := at(r, "content", "application/problem+json")
		parts := each(at(body, "schema", "allOf"))
		if len(parts) != 2 || len(each(at(parts[1], "properties", "code", "enum"))) == 0 {
			t.Errorf("%s does not say its codes", name)
			continue
		}
		if !slices.Contains(each(at(parts[1], "properties", "code", "enum")), at(body, "example", "code")) {
			t.Errorf("%s has an example of another code", name)
		}
	}
}

// Every operation has an example of what it takes and of each of its answers, and each fits its schema, to the last field.
func TestDescriptionExamples(t *testing.T) {
	t.Parallel()
	doc := parsed(t, served(t))
	for _, schema := range object(at(doc, "components", "schemas")) { // answers are open for new fields; examples are not
		if s := object(schema); s["properties"] != nil && s["additionalProperties"] == nil {
			s["additionalProperties"] = false
		}
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("https://api.example/openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	tried := 0
	try := func(where, pointer string, holder any) {
		example, has := object(holder)["example"] // where the words are missing in docs/operations.yaml, it is
		if !has {
			t.Errorf("%s has no example", where)
			return
		}
		schema, err := compiler.Compile("https://api.example/openapi.json#" + pointer + "/schema")
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		tried++
		if err := schema.Validate(example); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
	content := func(where, pointer string, holder any) {
		for kind, body := range object(at(holder, "content")) {
			try(where+" "+kind, pointer+"/content/"+strings.ReplaceAll(kind, "/", "~1"), body)
		}
	}
	operationsOf(doc, func(route, pointer string, op spec) {
		for i, p := range each(op["parameters"]) {
			try(route+" parameter "+fmt.Sprint(at(p, "name")), fmt.Sprintf("%s/parameters/%d", pointer, i), p)
		}
		content(route+" body", pointer+"/requestBody", op["requestBody"])
		for status, r := range object(op["responses"]) {
			content(route+" "+status, pointer+"/responses/"+status, r)
		}
	})
	for name, r := range object(at(doc, "components", "responses")) {
		content(name, "/components/responses/"+name, r)
	}
	if tried < 200 {
		t.Errorf("only %d examples were tried", tried)
	}
}

// What was released stays: whoever wrote a client against it need not change it.
func TestDescriptionBreaksNothing(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir("testdata/released")
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no released description: %v", err)
	}
	now := parsed(t, served(t))
	for _, file := range files {
		for _, broken := range breaks(readSpec(t, "testdata/released/"+file.Name()), now) {
			t.Errorf("%s: %s", file.Name(), broken)
		}
	}
}

// The comparison sees each kind of break, and takes additions.
func TestBreaksAreSeen(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	schedule := []string{"paths", "/api/threads/post/schedule", "post"}
	post := []string{"components", "schemas", "Post"}
	for name, change := range map[string]struct {
		do   func(doc spec)
		want string
	}{
		"an operation taken away": {func(d spec) { delete(object(at(d, schedule[:2]...)), "post") }, "POST /api/threads/post/schedule is gone"},
		"a parameter taken away": {func(d spec) {
			op := object(at(d, "paths", "/api/threads/posts", "get"))
			op["parameters"] = each(op["parameters"])[1:]
		}, "parameter .* is gone"},
		"a parameter that became required": {func(d spec) {
			object(each(at(d, "paths", "/api/threads/posts", "get", "parameters"))[0])["required"] = true
		}, "must be sent"},
		"a field taken away":         {func(d spec) { delete(object(at(d, append(post, "properties")...)), "permalink") }, "permalink is gone"},
		"a field that may be absent": {func(d spec) { object(at(d, post...))["required"] = []any{"id"} }, "may be missing"},
		"a word taken away": {func(d spec) {
			status := object(at(d, append(post, "properties", "status")...))
			status["enum"] = each(status["enum"])[1:]
		}, "QUEUED is gone"},
		"another type":   {func(d spec) { object(at(d, append(post, "properties", "rev")...))["type"] = "string" }, "another type"},
		"null in answer": {func(d spec) { object(at(d, append(post, "properties", "rev")...))["type"] = []any{"integer", "null"} }, "another type"},
		"a new required field of a request": {func(d spec) {
			s := object(at(d, "components", "schemas", "ScheduledDraft"))
			s["required"] = append(each(s["required"]), "text")
		}, "must be sent"},
		"a field of a request taken away": {func(d spec) {
			delete(object(at(d, "components", "schemas", "ScheduledDraft", "properties")), "topicTag")
		}, "topicTag is gone"},
		"an answer taken away": {func(d spec) { delete(object(at(d, append(schedule, "responses")...)), "202") }, "202 is gone"},
		"a header taken away": {func(d spec) {
			delete(object(at(d, append(schedule, "responses", "201", "headers")...)), "ETag")
		}, "ETag is gone"},
		"a sign-in that is new": {func(d spec) {
			object(at(d, "paths", "/api/threads/webhook", "get"))["security"] = []any{map[string]any{"bearer": []any{}}}
		}, "sign in"},
		"": {func(d spec) { // additions
			object(at(d, append(post, "properties")...))["new"] = map[string]any{"type": "string"}
			status := object(at(d, append(post, "properties", "status")...))
			status["enum"] = append(each(status["enum"]), "NEW")
			object(at(d, "components", "schemas", "ScheduledDraft", "properties"))["new"] = map[string]any{"type": "string"}
			object(d["paths"])["/new"] = map[string]any{"get": map[string]any{}}
		}, ""},
	} {
		after := parsed(t, text)
		change.do(after)
		found := strings.Join(breaks(parsed(t, text), after), "\n")
		if change.want == "" && found != "" || change.want != "" && !regexp.MustCompile(change.want).MatchString(found) {
			t.Errorf("%s: %q", name, found)
		}
	}
}
