package events

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A release freezes its messages and schemas: go test ./events -run TestReleased -freeze v1. They are never changed again.
var freeze = flag.String("freeze", "", "write the messages and schemas of this version under testdata/released/")

// What was released stays readable, and who reads by a released schema can read what we write today. Stored events and
// commands on their way outlive a release; so do the programs of other teams.
func TestReleased(t *testing.T) {
	t.Parallel()
	if *freeze != "" {
		freezeAs(t, *freeze)
	}
	versions, err := filepath.Glob("testdata/released/*")
	if err != nil || len(versions) == 0 {
		t.Fatal("nothing was released")
	}
	source := readSource(t)
	today := map[string]Message{}
	for _, msg := range All() {
		today[msg.Type()] = msg
	}
	for _, dir := range versions {
		files, err := filepath.Glob(filepath.Join(dir, "corpus", "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no messages", dir)
		}
		for _, file := range files {
			typ := strings.TrimSuffix(filepath.Base(file), ".json")
			t.Run(filepath.Base(dir)+" "+typ, func(t *testing.T) {
				t.Parallel()
				msg, still := today[typ]
				if !still {
					t.Fatalf("%s was released and is gone; a type that nobody sends any more stays readable", typ)
				}
				schema := source.schema(t, msg)
				body := readFile(t, file)
				if err := validate(t, schema, body); err != nil {
					t.Errorf("a message of then breaks the schema of today: %v", err)
				}
				decodesWhole(t, typ, body)
				then := readFile(t, filepath.Join(dir, "schemas", typ+".json"))
				for _, breach := range breaches(t, then, schema) {
					t.Errorf("%s: %s; a breaking change is a new type beside the old, %s", typ, breach, next(typ))
				}
				golden := readFile(t, filepath.Join("testdata", typ+".json"))
				if err := validate(t, then, golden); err != nil {
					t.Errorf("a message of today breaks the schema of then: %v", err)
				}
			})
		}
	}
}

// decodesWhole says that reading a message of then and writing it again loses nothing.
func decodesWhole(t *testing.T, typ string, body []byte) {
	t.Helper()
	msg, err := Decode(typ, body)
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(msg)
	if err != nil {
		t.Fatal(err)
	}
	var was, is map[string]any
	if err := json.Unmarshal(body, &was); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(again, &is); err != nil {
		t.Fatal(err)
	}
	for _, lost := range missing("", was, is) {
		t.Errorf("reading a message of then loses %s", lost)
	}
}

// missing are the paths at which is does not say what was says. It may say more.
func missing(path string, was, is any) (paths []string) {
	switch was := was.(type) {
	case map[string]any:
		object, ok := is.(map[string]any)
		if !ok {
			return []string{path}
		}
		for _, key := range slices.Sorted(maps.Keys(was)) {
			paths = append(paths, missing(path+"/"+key, was[key], object[key])...)
		}
		return paths
	case []any:
		list, ok := is.([]any)
		if !ok || len(list) != len(was) {
			return []string{path}
		}
		for i := range was {
			paths = append(paths, missing(fmt.Sprintf("%s/%d", path, i), was[i], list[i])...)
		}
		return paths
	}
	if !reflect.DeepEqual(was, is) {
		return []string{path}
	}
	return nil
}

// breaches are the ways in which a schema takes back what an earlier one promised.
func breaches(t *testing.T, then, now []byte) []string {
	t.Helper()
	var was, is map[string]any
	if err := json.Unmarshal(then, &was); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(now, &is); err != nil {
		t.Fatal(err)
	}
	return compare("", was, is)
}

func compare(path string, was, is map[string]any) (breaches []string) {
	at := path
	if at == "" {
		at = "the message"
	}
	if w, i := kindsOf(was), kindsOf(is); !slices.Equal(w, i) {
		return []string{fmt.Sprintf("%s was %s and is %s", at, strings.Join(w, " or "), strings.Join(i, " or "))}
	}
	was, is = solid(was), solid(is)
	if was["format"] != is["format"] {
		breaches = append(breaches, fmt.Sprintf("%s had the format %v and has %v", at, was["format"], is["format"]))
	}
	for _, value := range listOf(was["enum"]) {
		if !slices.Contains(listOf(is["enum"]), value) {
			breaches = append(breaches, fmt.Sprintf("%s can no longer be %v", at, value))
		}
	}
	if was["enum"] == nil && is["enum"] != nil {
		breaches = append(breaches, at+" has become a closed list")
	}
	required, before := listOf(is["required"]), listOf(was["required"])
	for _, name := range required {
		if !slices.Contains(before, name) {
			breaches = append(breaches, fmt.Sprintf("%s/%v has become required: older messages lack it", path, name))
		}
	}
	for _, name := range before {
		if !slices.Contains(required, name) {
			breaches = append(breaches, fmt.Sprintf("%s/%v is no longer always there", path, name))
		}
	}
	now := objectOf(is["properties"])
	properties := objectOf(was["properties"])
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if now[name] == nil {
			breaches = append(breaches, fmt.Sprintf("%s/%s is gone", path, name))
			continue
		}
		breaches = append(breaches, compare(path+"/"+name, objectOf(properties[name]), objectOf(now[name]))...)
	}
	if was["items"] != nil {
		breaches = append(breaches, compare(path+"/*", objectOf(was["items"]), objectOf(is["items"]))...)
	}
	return breaches
}

// kindsOf are the JSON types that a schema allows.
func kindsOf(s map[string]any) (kinds []string) {
	for _, one := range listOf(s["anyOf"]) {
		kinds = append(kinds, kindsOf(objectOf(one))...)
	}
	if kind, ok := s["type"].(string); ok {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

// solid is the schema itself, or that of what may also be null.
func solid(s map[string]any) map[string]any {
	for _, one := range listOf(s["anyOf"]) {
		if o := objectOf(one); o["type"] != "null" {
			return o
		}
	}
	return s
}

func listOf(v any) []any            { l, _ := v.([]any); return l }
func objectOf(v any) map[string]any { o, _ := v.(map[string]any); return o }

func next(typ string) string {
	name, version, _ := strings.Cut(typ, ".v")
	return name + ".v" + string(version[0]+1)
}

// The comparison itself sees what it must see.
func TestBreaches(t *testing.T) {
	t.Parallel()
	const was = `{"type":"object","required":["a"],"properties":{"a":{"type":"string"},"b":{"type":"string","enum":["x","y"]},
		"c":{"anyOf":[{"type":"object","properties":{"d":{"type":"integer"}}},{"type":"null"}]},"e":{"type":"array","items":{"type":"string"}}}}`
	for name, c := range map[string]struct{ old, new, says string }{
		"nothing":             {"", "", ""},
		"a new property":      {`"b":{`, `"new":{"type":"string"},"b":{`, ""},
		"a new value":         {`"y"]`, `"y","z"]`, ""},
		"a property gone":     {`"a":{"type":"string"},`, ``, "/a is gone"},
		"another type":        {`"a":{"type":"string"}`, `"a":{"type":"integer"}`, "/a was string and is integer"},
		"never null":          {`{"anyOf":[{"type":"object","properties":{"d":{"type":"integer"}}},{"type":"null"}]}`, `{"type":"object","properties":{"d":{"type":"integer"}}}`, "/c was null or object"},
		"deeper":              {`"d":{"type":"integer"}`, `"d":{"type":"number"}`, "/c/d was integer"},
		"in a list":           {`"items":{"type":"string"}`, `"items":{"type":"number"}`, "/e/* was string"},
		"newly required":      {`"required":["a"]`, `"required":["a","b"]`, "/b has become required"},
		"no longer there":     {`"required":["a"]`, `"required":[]`, "/a is no longer always there"},
		"a value gone":        {`["x","y"]`, `["x"]`, "can no longer be y"},
		"a list that closes":  {`"a":{"type":"string"}`, `"a":{"type":"string","enum":["x"]}`, "has become a closed list"},
		"a format that comes": {`"a":{"type":"string"}`, `"a":{"type":"string","format":"date-time"}`, "had the format"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := was
			if c.old != "" {
				is = strings.Replace(was, c.old, c.new, 1)
				if is == was {
					t.Fatal("nothing was changed")
				}
			}
			found := breaches(t, []byte(was), []byte(is))
			if (len(found) > 0) != (c.says != "") || c.says != "" && !strings.Contains(strings.Join(found, "\n"), c.says) {
				t.Errorf("it sees %q, want %q", found, c.says)
			}
		})
	}
}

func freezeAs(t *testing.T, version string) {
	t.Helper()
	for _, part := range []struct{ from, to string }{{"testdata", "corpus"}, {"schemas", "schemas"}} {
		dir := filepath.Join("testdata", "released", version, part.to)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, msg := range All() {
			body := readFile(t, filepath.Join(part.from, msg.Type()+".json"))
			if err := os.WriteFile(filepath.Join(dir, msg.Type()+".json"), body, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
