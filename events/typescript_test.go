package events

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"

	"github.com/omni-write/threads/events/schemas"
)

// The types for TypeScript are those of the schemas. (The tools of npm would do it too; these tests must run without them.)
func TestTypeScript(t *testing.T) {
	t.Parallel()
	sameFile(t, "events.d.ts", []byte(typeScript(t)))
}

const typeScriptHead = `// The facts on the stream EVENTS, for TypeScript: types alone, nothing that runs. docs/events.md says how to read them.
// Made from events/schemas by: go test ./events -update
//
// A list of values may grow, and so may the types: (string & {}) is what is not known yet.

`

// typeScript writes an interface for every fact, and one for each object that several of them have.
func typeScript(t *testing.T) string {
	t.Helper()
	w := &typeWriter{names: map[string]string{}, taken: map[string]bool{}}
	facts, byType := &strings.Builder{}, &strings.Builder{}
	for _, msg := range All() {
		if _, ok := msg.(Event); !ok {
			continue
		}
		text, ok := schemas.Of(msg.Type())
		schema := new(jsonschema.Schema)
		if err := json.Unmarshal(text, schema); err != nil || !ok {
			t.Fatalf("the schema of %s: %v", msg.Type(), err)
		}
		name := reflect.TypeOf(msg).Name()
		w.taken[name] = true
		fmt.Fprintf(facts, "%sexport interface %s %s\n\n", comment(schema.Description, ""), name, w.object(schema, ""))
		fmt.Fprintf(byType, "  %q: %s;\n", msg.Type(), name)
	}
	return typeScriptHead + facts.String() + w.shared.String() +
		"/** Every fact by its type, which the header ce-type names. */\nexport interface Facts {\n" + byType.String() + "}\n\nexport type FactType = keyof Facts;\n"
}

// typeWriter names objects after the property that they are first met in.
type typeWriter struct {
	names  map[string]string // of an object's schema, as JSON
	taken  map[string]bool
	shared strings.Builder
}

func (w *typeWriter) object(s *jsonschema.Schema, indent string) string {
	if s.Properties == nil || s.Properties.Len() == 0 {
		if s.AdditionalProperties != nil && s.AdditionalProperties.Type != "" {
			return "Record<string, " + w.typ(s.AdditionalProperties, "value") + ">"
		}
		return "{ [field: string]: unknown }"
	}
	b := &strings.Builder{}
	b.WriteString("{\n")
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		optional := "?"
		if slices.Contains(s.Required, p.Key) {
			optional = ""
		}
		fmt.Fprintf(b, "%s%s  %s%s: %s;\n", comment(p.Value.Description, indent+"  "), indent, p.Key, optional, w.typ(p.Value, p.Key))
	}
	return b.String() + indent + "}"
}

// typ is the type of a property.
func (w *typeWriter) typ(s *jsonschema.Schema, property string) string {
	switch {
	case len(s.AnyOf) > 0:
		var all []string
		for _, one := range s.AnyOf {
			all = append(all, w.typ(one, property))
		}
		return strings.Join(all, " | ")
	case len(s.Enum) > 0:
		var all []string
		for _, one := range s.Enum {
			all = append(all, strconv.Quote(fmt.Sprint(one)))
		}
		return strings.Join(append(all, "(string & {})"), " | ")
	}
	switch s.Type {
	case "string", "boolean", "null":
		return s.Type
	case "integer", "number":
		return "number"
	case "array":
		item := w.typ(s.Items, strings.TrimSuffix(property, "s"))
		if strings.Contains(item, "|") {
			item = "(" + item + ")"
		}
		return item + "[]"
	case "object":
		return w.named(s, property)
	}
	return "unknown"
}

// named gives an object an interface of its own, one for all that are the same.
func (w *typeWriter) named(s *jsonschema.Schema, property string) string {
	if s.Properties == nil || s.Properties.Len() == 0 {
		return w.object(s, "")
	}
	alike := *s
	alike.Description = "" // it may be of the place
	key, err := json.Marshal(&alike)
	if err != nil {
		panic(err)
	}
	if w.names[string(key)] == "" {
		name := strings.ToUpper(property[:1]) + property[1:]
		for base, n := name, 2; w.taken[name]; n++ {
			name = base + strconv.Itoa(n)
		}
		w.taken[name], w.names[string(key)] = true, name
		body := w.object(s, "")
		fmt.Fprintf(&w.shared, "%sexport interface %s %s\n\n", comment(s.Description, ""), name, body)
	}
	return w.names[string(key)]
}

func comment(text, indent string) string {
	if text == "" {
		return ""
	}
	return indent + "/** " + strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "*/", "* /") + " */\n"
}
