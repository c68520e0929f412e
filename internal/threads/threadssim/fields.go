package threadssim

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// field is one name of a selection, with what its braces ask of it: "id,children{id,media_url}".
type field struct {
	name string
	sub  []field
}

// known tells the fields of an object: whether one exists, and what can be asked of it in braces, nil for plain values.
type known func(name string) (inner known, ok bool)

// names are the fields of an object whose values are all plain.
func names(list ...string) known {
	return func(name string) (known, bool) { return nil, slices.Contains(list, name) }
}

const maxFieldDepth = 4

var errSyntax = errors.New("syntax error")

// parseFields reads a selection.
func parseFields(raw string) ([]field, error) {
	all, rest, err := parseLevel(raw, 0)
	if err == nil && rest != "" {
		err = errSyntax // a brace too many
	}
	return all, err
}

// parseLevel reads up to the brace that closes the level and returns what follows it.
func parseLevel(raw string, depth int) (all []field, rest string, err error) {
	if depth > maxFieldDepth {
		return nil, "", errSyntax
	}
	for {
		end := strings.IndexAny(raw, ",{}")
		if end < 0 {
			end = len(raw)
		}
		f := field{name: strings.TrimSpace(raw[:end])}
		raw = raw[end:]
		if strings.HasPrefix(raw, "{") {
			if f.name == "" {
				return nil, "", errSyntax
			}
			if f.sub, raw, err = parseLevel(raw[1:], depth+1); err != nil {
				return nil, "", err
			}
			if !strings.HasPrefix(raw, "}") || len(f.sub) == 0 {
				return nil, "", errSyntax
			}
			raw = raw[1:]
		}
		if f.name != "" {
			all = append(all, f)
		}
		if !strings.HasPrefix(raw, ",") {
			return all, raw, nil
		}
		raw = raw[1:]
	}
}

// selection is what the call asks for, or the refusal of a field that does not exist.
func (c *call) selection(fields known, def ...string) ([]field, answer, bool) {
	raw := c.params.Get("fields")
	if strings.TrimSpace(raw) == "" {
		raw = strings.Join(def, ",")
	}
	asked, err := parseFields(raw)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, oauthException, 2500, 0, "Syntax error in the parameter fields"), false
	}
	if a, ok := checkFields(asked, fields); !ok {
		return nil, a, false
	}
	return asked, answer{}, true
}

func checkFields(asked []field, fields known) (answer, bool) {
	for _, f := range asked {
		inner, ok := fields(f.name)
		switch {
		case !ok:
			return refuse(http.StatusInternalServerError, thAPIException, 100, 0,
				"Tried accessing nonexisting field ("+f.name+")"), false
		case f.name == "location" && len(f.sub) == 0:
			// Observers found that it must come with braces.
			return refuse(http.StatusInternalServerError, oauthException, 1, 0, "An unknown error occurred"), false
		case inner == nil && len(f.sub) > 0:
			return refuse(http.StatusBadRequest, oauthException, 100, 0, "Subfields are not supported by "+f.name), false
		}
		if len(f.sub) > 0 {
			if a, ok := checkFields(f.sub, inner); !ok {
				return a, false
			}
		}
	}
	return answer{}, true
}

// fields returns the names asked for without what is in braces.
func (c *call) fields(def ...string) []string {
	asked, err := parseFields(c.params.Get("fields"))
	if err != nil || len(asked) == 0 {
		return def
	}
	list := make([]string, len(asked))
	for i, f := range asked {
		list[i] = f.name
	}
	return list
}

// pick answers the fields asked for, of an object with plain values. A field without a value is left out, a field that
// does not exist fails the call.
func (c *call) pick(values map[string]any, fields []string, def ...string) answer {
	asked, a, ok := c.selection(names(fields...), def...)
	if !ok {
		return a
	}
	return success(choose(values, asked))
}

// choose keeps the values asked for. The id comes with every object, asked for or not.
func choose(values map[string]any, asked []field) map[string]any {
	body := map[string]any{}
	for _, f := range asked {
		if v, ok := values[f.name]; ok && v != nil && v != "" {
			body[f.name] = v
		}
	}
	if v, ok := values["id"]; ok {
		body["id"] = v
	}
	return body
}
