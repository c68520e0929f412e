package bulk

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/posts"
)

// readLines reads a file of JSON objects, one a line.
func readLines(text []byte) (rows []row) {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if len(rows) > maxRows {
			return rows // too many already
		}
		r := row{line: number}
		r.post, r.err = readPost(line)
		rows = append(rows, r)
	}
	return rows
}

// scheduledDraft is the schema of a row's post: that of schedulePost.
var (
	importSchemas  = huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	scheduledDraft = importSchemas.SchemaFromRef(importSchemas.Schema(reflect.TypeFor[posts.ScheduledDraft](), true, "").Ref)
)

// readPost reads a post as the body of schedulePost is read: by its schema, and refused for what that body may not have.
func readPost(line []byte) (post posts.ScheduledDraft, err error) {
	var tree any
	if err := edge.ReadStrictly(line, &tree); err != nil {
		return post, fieldErrorsFault(edge.FieldErrors([]error{&huma.ErrorDetail{Message: err.Error(), Location: "body"}}))
	}
	var found huma.ValidateResult
	huma.Validate(importSchemas, scheduledDraft, huma.NewPathBuffer([]byte("body"), len("body")), huma.ModeWriteToServer, tree, &found)
	if len(found.Errors) > 0 {
		return post, fieldErrorsFault(edge.FieldErrors(found.Errors))
	}
	if err := json.Unmarshal(line, &post); err != nil { // a number beyond what its field holds
		return post, fieldErrorsFault([]edge.Flaw{{Detail: "This line is not a post as JSON writes it.", Code: "not_json"}})
	}
	return post, nil
}

// fieldErrorsFault is the fault of a row.
func fieldErrorsFault(errs []edge.Flaw) error {
	f := events.Faultf(events.Invalid, "%s", errs[0].Detail)
	for _, fieldError := range errs {
		switch fieldError.Code {
		case "not_json":
			fieldError.Detail = "This line is not a post as JSON writes it: an object, all on one line."
		case "not_a_string", "not_a_number", "not_a_boolean", "not_a_list", "not_an_object":
			fieldError.Code = "wrong_type"
		case "unknown_field":
			name := strings.TrimPrefix(fieldError.Pointer, "/")
			if near := edge.Nearest(name, fieldNames()); near != "" {
				fieldError.Detail = "This field is not known here; " + near + " is."
			}
		}
		f = f.At(fieldError.Pointer, fieldError.Code, fieldError.Detail)
	}
	return f
}

func fieldNames() (names []string) {
	for name := range scheduledDraft.Properties {
		names = append(names, name)
	}
	return names
}
