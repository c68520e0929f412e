package gateway_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// breaks lists what a client that was written against the description before would trip over after.
func breaks(before, after spec) []string {
	c := &comparison{before: before, after: after, seen: map[string]bool{}}
	now := map[string]spec{}
	operationsOf(after, func(route, _ string, op spec) { now[route] = op })
	operationsOf(before, func(route, _ string, op spec) {
		if now[route] == nil {
			c.say("%s is gone", route)
			return
		}
		c.operation(route, op, now[route])
	})
	return c.found
}

type comparison struct {
	before, after spec
	seen          map[string]bool
	found         []string
}

func (c *comparison) say(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

func (c *comparison) operation(route string, was, is spec) {
	if len(each(was["security"])) == 0 && len(each(is["security"])) > 0 {
		c.say("%s: one must sign in now", route)
	}
	type key struct{ in, name any }
	parameters := func(op spec) map[key]spec {
		m := map[key]spec{}
		for _, p := range each(op["parameters"]) {
			m[key{at(p, "in"), at(p, "name")}] = object(p)
		}
		return m
	}
	old, now := parameters(was), parameters(is)
	for k, p := range old {
		if now[k] == nil {
			c.say("%s: the parameter %v is gone", route, k.name)
			continue
		}
		c.schema(fmt.Sprintf("%s parameter %v", route, k.name), p["schema"], now[k]["schema"], sent)
	}
	for k, p := range now {
		if p["required"] == true && (old[k] == nil || old[k]["required"] != true) {
			c.say("%s: the parameter %v must be sent now", route, k.name)
		}
	}
	if at(is, "requestBody", "required") == true && at(was, "requestBody", "required") != true {
		c.say("%s: a body must be sent now", route)
	}
	c.content(route+" body", at(was, "requestBody"), at(is, "requestBody"), sent)
	for status, r := range object(was["responses"]) {
		now, ok := object(is["responses"])[status]
		switch {
		case !ok && status < "400": // a problem that cannot be any more is no loss
			c.say("%s: the answer %s is gone", route, status)
		case ok:
			was, is := c.resolve(c.before, r), c.resolve(c.after, now)
			for header := range object(at(was, "headers")) {
				if at(is, "headers", header) == nil {
					c.say("%s %s: the header %s is gone", route, status, header)
				}
			}
			c.content(route+" "+status, was, is, received)
		}
	}
}

// direction says who writes what a schema describes: what a client sends may be taken more widely, what it receives may not.
type direction bool

const sent, received direction = true, false

func (c *comparison) content(where string, was, is any, d direction) {
	for kind, body := range object(at(was, "content")) {
		now := at(is, "content", kind)
		if now == nil {
			c.say("%s: %s is gone", where, kind)
			continue
		}
		c.schema(where, at(body, "schema"), at(now, "schema"), d)
	}
}

func (c *comparison) resolve(doc spec, v any) any {
	ref, _ := at(v, "$ref").(string)
	if path, ok := strings.CutPrefix(ref, "#/"); ok {
		return at(doc, strings.Split(path, "/")...)
	}
	return v
}

func (c *comparison) schema(where string, was, is any, d direction) {
	pair := fmt.Sprint(at(was, "$ref"), at(is, "$ref"), d)
	if at(was, "$ref") != nil && c.seen[pair] {
		return
	}
	c.seen[pair] = true
	if name, ok := at(was, "$ref").(string); ok {
		where += " " + name[strings.LastIndex(name, "/")+1:]
	}
	was, is = c.resolve(c.before, was), c.resolve(c.after, is)
	if was == nil {
		return
	}
	if !c.sameType(at(was, "type"), at(is, "type"), d) || at(was, "format") != at(is, "format") {
		c.say("%s: another type, %v in the place of %v", where, at(is, "type"), at(was, "type"))
	}
	c.words(where, was, is, d)
	for name, field := range object(at(was, "properties")) {
		now := at(is, "properties", name)
		if now == nil {
			c.say("%s: the field %s is gone", where, name)
			continue
		}
		c.schema(where+" "+name, field, now, d)
	}
	switch old, now := each(at(was, "required")), each(at(is, "required")); d {
	case sent:
		for _, name := range now {
			if !slices.Contains(old, name) {
				c.say("%s: the field %v must be sent now", where, name)
			}
		}
	case received:
		for _, name := range old {
			if !slices.Contains(now, name) {
				c.say("%s: the field %v may be missing now", where, name)
			}
		}
	}
	c.schema(where+" items", at(was, "items"), at(is, "items"), d)
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		old, now := each(at(was, key)), each(at(is, key))
		if len(now) < len(old) {
			c.say("%s: %s has lost some", where, key)
			continue
		}
		for i := range old {
			c.schema(fmt.Sprintf("%s %s %d", where, key, i), old[i], now[i], d)
		}
	}
}

// words compares enumerations. A list that is new for what is sent takes less than everything.
func (c *comparison) words(where string, was, is any, d direction) {
	old, now := each(at(was, "enum")), each(at(is, "enum"))
	if d == sent && old == nil && now != nil {
		c.say("%s: only %v is taken now", where, now)
	}
	for _, word := range old {
		if now != nil && !slices.Contains(now, word) {
			c.say("%s: %v is gone", where, word)
		}
	}
}

// sameType compares types. What is sent may also be of more types, and what is received of fewer.
func (c *comparison) sameType(was, is any, d direction) bool {
	old, now := types(was), types(is)
	if reflect.DeepEqual(old, now) {
		return true
	}
	narrow, wide := old, now
	if d == received {
		narrow, wide = now, old
	}
	for _, t := range narrow {
		if !slices.Contains(wide, t) {
			return false
		}
	}
	return len(narrow) > 0
}

func types(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var list []string
		b, _ := json.Marshal(v) // it came from JSON
		_ = json.Unmarshal(b, &list)
		slices.Sort(list)
		return list
	}
	return nil
}
