package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/omni-write/threads/events/schemas"
)

const module = "github.com/omni-write/threads/events"

// The schemas are those of the Go types, and the golden messages keep to them.
func TestSchemas(t *testing.T) {
	t.Parallel()
	source := readSource(t)
	var files []string
	for _, msg := range All() {
		files = append(files, msg.Type()+".json")
		want := source.schema(t, msg)
		sameFile(t, filepath.Join("schemas", msg.Type()+".json"), want)
		if got, ok := schemas.Of(msg.Type()); !*update && (!ok || !bytes.Equal(got, want)) {
			t.Errorf("%s: the program has another schema built in", msg.Type())
		}
		golden, err := os.ReadFile(filepath.Join("testdata", msg.Type()+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, want, golden); err != nil {
			t.Errorf("the golden %s breaks its schema: %v", msg.Type(), err)
		}
	}
	there, _ := filepath.Glob("schemas/*.json")
	for _, file := range there {
		if !slices.Contains(files, filepath.Base(file)) {
			t.Errorf("%s is of no message", file)
		}
	}
	t.Run("refuse what is wrong, and allow what is new", func(t *testing.T) {
		t.Parallel()
		schema := source.schema(t, PostPublished{})
		golden, err := os.ReadFile("testdata/post.published.v1.json")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			old, new string
			fine     bool
		}{
			{`"status": "POSTED"`, `"status": "SENT"`, false},
			{`"status": "POSTED",`, ``, false},
			{`"rev": 3`, `"rev": "3"`, false},
			{`"scheduledAt": "2026-11-02T09:00:00Z"`, `"scheduledAt": "tomorrow"`, false},
			{`"reason": null`, `"reason": {"code": "refused"}`, false},
			{`"rev": 3`, `"rev": 3, "aFieldOfTomorrow": 1`, true},
			{`"permalink": "`, `"permalink": null, "x": "`, true},
		} {
			body := bytes.Replace(golden, []byte(c.old), []byte(c.new), 1)
			if bytes.Equal(body, golden) {
				t.Fatalf("the golden message has no %s", c.old)
			}
			if err := validate(t, schema, body); (err == nil) != c.fine {
				t.Errorf("%s instead of %s: %v", c.new, c.old, err)
			}
		}
	})
}

// sameFile says whether a made file is current; -update writes it.
func sameFile(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	is, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(is, want) {
		t.Errorf("%s is not what the Go types say (%v); is the change meant? Then: go test ./events -update", file, err)
	}
}

// validate checks a body as anybody would who has only the schema.
func validate(t *testing.T, schema, body []byte) error {
	t.Helper()
	parsed, err := validator.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", parsed); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := validator.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return compiled.Validate(doc)
}

// sourceCode is what only the source of this package knows: comments, and the values of closed lists.
type sourceCode struct {
	reflector *jsonschema.Reflector
	values    map[string][]any  // of a type that has constants
	said      map[string]string // the comment of a constant, by its value, of the facts
}

func readSource(t testing.TB) *sourceCode {
	t.Helper()
	s := &sourceCode{values: map[string][]any{}, said: map[string]string{}}
	s.reflector = &jsonschema.Reflector{AllowAdditionalProperties: true, DoNotReference: true, ExpandedStruct: true, Anonymous: true,
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			if list := s.values[t.Name()]; t.PkgPath() == module && len(list) > 0 {
				return &jsonschema.Schema{Type: "string", Enum: list}
			}
			return nil
		}}
	if err := s.reflector.AddGoComments(module, ".", jsonschema.WithFullComment()); err != nil {
		t.Fatal(err)
	}
	for key, text := range s.reflector.CommentMap {
		s.reflector.CommentMap[key] = strings.Join(strings.Fields(text), " ")
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
				s.readConstants(g)
			}
		}
	}
	return s
}

func (s *sourceCode) readConstants(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		v, ok := spec.(*ast.ValueSpec)
		if !ok || v.Type == nil || len(v.Values) != 1 {
			continue
		}
		typ, isName := v.Type.(*ast.Ident)
		literal, isLiteral := v.Values[0].(*ast.BasicLit)
		if !isName || !isLiteral || literal.Kind != token.STRING {
			continue
		}
		value, err := strconv.Unquote(literal.Value)
		if err != nil {
			continue
		}
		s.values[typ.Name] = append(s.values[typ.Name], value)
		if typ.Name == "PostFact" {
			s.said[value] = strings.TrimSpace(v.Comment.Text())
		}
	}
}

// schema is the JSON Schema of a message.
func (s *sourceCode) schema(t testing.TB, msg Message) []byte {
	t.Helper()
	typ := reflect.TypeOf(msg)
	made := s.reflector.ReflectFromType(typ)
	made.ID, made.Title = jsonschema.ID(SchemaOf(msg.Type())), typ.Name()
	if ev, ok := msg.(PostEvent); ok {
		made.Description = fmt.Sprintf("A fact about a post: %s. It carries the whole post as it is after the fact.", s.said[string(ev.Fact())])
	}
	mend(made, typ)
	b, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// mend says what the wire does and the reflector does not know: a pointer that is always written may be null, and what is
// left out when zero is not required.
func mend(s *jsonschema.Schema, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Slice && s.Items != nil {
		mend(s.Items, t.Elem())
	}
	if t.Kind() != reflect.Struct || s.Properties == nil {
		return
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			mend(s, f.Type)
			continue
		}
		property, ok := s.Properties.Get(name)
		if !ok {
			continue
		}
		mend(property, f.Type)
		leftOut := strings.Contains(options, "omit")
		if leftOut {
			s.Required = slices.DeleteFunc(s.Required, func(r string) bool { return r == name })
		}
		if f.Type.Kind() == reflect.Pointer && !leftOut {
			said := property.Description
			property.Description = ""
			s.Properties.Set(name, &jsonschema.Schema{Description: said, AnyOf: []*jsonschema.Schema{property, {Type: "null"}}})
		}
	}
}

// The manual names every event.
func TestManual(t *testing.T) {
	t.Parallel()
	manual := readFile(t, "../docs/events.md")
	for _, msg := range All() {
		if _, fact := msg.(Event); fact && !bytes.Contains(manual, []byte("`"+msg.Type()+"`")) {
			t.Errorf("docs/events.md does not name %s", msg.Type())
		}
	}
}

// Every header is a name of CloudEvents: lower-case letters and digits after ce-.
func TestAttributeNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{HeaderSpecVersion, HeaderID, HeaderType, HeaderSource, HeaderTime, HeaderContentType, HeaderSubject,
		HeaderDataSchema, HeaderCorrelation, HeaderCausation} {
		rest, ok := strings.CutPrefix(name, "ce-")
		if !ok || strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			t.Errorf("%s is no attribute of CloudEvents", name)
		}
	}
}

// Other teams import this package; it brings nothing of ours along, and little else.
func TestStandsAlone(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	more, _ := filepath.Glob("consume/*.go")
	imports := map[string]bool{}
	for _, name := range append(files, more...) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			path, _ := strconv.Unquote(i.Path.Value)
			imports[path] = true
		}
	}
	for _, path := range slices.Sorted(maps.Keys(imports)) {
		first, _, _ := strings.Cut(path, "/")
		switch {
		case !strings.Contains(first, "."): // the standard library
		case path == module, strings.HasPrefix(path, "github.com/nats-io/nats.go"), path == "github.com/google/uuid":
		default:
			t.Errorf("events imports %s", path)
		}
	}
}
