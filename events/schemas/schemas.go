// Package schemas holds a JSON Schema (draft 2020-12) for the body of every command and event, made from the Go types by
// go test ./events -update. Objects are open: a newer version may say more. docs/events.md has the rules of change.
package schemas

import (
	"embed"
	"strings"
)

//go:embed *.json
var files embed.FS

// Of is the schema of a message type, by its wire name: post.published.v1.
func Of(typ string) (schema []byte, ok bool) {
	schema, err := files.ReadFile(typ + ".json")
	return schema, err == nil
}

// Types are the wire names of all message types that have a schema.
func Types() (types []string) {
	list, err := files.ReadDir(".")
	if err != nil {
		return nil // it is in the program
	}
	for _, f := range list {
		types = append(types, strings.TrimSuffix(f.Name(), ".json"))
	}
	return types
}
