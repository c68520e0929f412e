// Package apidoc completes the description of the API, /openapi.json, and makes the page at /docs of it.
package apidoc

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"go.yaml.in/yaml/v4"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/services/gateway/edge"
)

// The API's description is made from the code: routes, parameters and bodies from routes.go and the types of the
// handlers. What code cannot say, the words and the examples, is in docs/operations.yaml, under the operation's id.

//go:embed docs/operations.yaml
var operationsYAML []byte

// manual is docs/operations.yaml.
type manual struct {
	About      string            `yaml:"about"`
	Tags       []tagWords        `yaml:"tags"`
	Fields     []fieldWords      `yaml:"fields"`
	Parameters map[string]any    `yaml:"parameters"` // an example for each name
	Shared     map[string]any    `yaml:"shared"`     // anchors of examples that several operations have
	Operations map[string]*words `yaml:"operations"`
}

type tagWords struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
}

// fieldWords are what is said of the fields of some schemas.
type fieldWords struct {
	Of   []string             `yaml:"of"`
	Says string               `yaml:"says"` // of the schemas themselves
	Are  map[string]fieldWord `yaml:"are"`
}

type fieldWord struct {
	Says   string         `yaml:"says"`
	Limits map[string]any `yaml:"limits"` // keywords of JSON Schema
	Items  map[string]any `yaml:"items"`  // the same, of the items of a list
}

func (f fieldWords) describe(schemas map[string]*huma.Schema) {
	for _, name := range f.Of {
		schema := schemas[name]
		if schema == nil {
			continue
		}
		schema.Description = cmp.Or(f.Says, schema.Description)
		for field, w := range f.Are {
			if property := schema.Properties[field]; property != nil {
				w.describe(property)
			}
		}
	}
}

// describe says the limits as extensions: the gateway itself does not hold anybody to them.
func (w fieldWord) describe(property *huma.Schema) {
	property.Description = cmp.Or(w.Says, property.Description)
	limits := maps.Clone(w.Limits)
	if choices, ok := limits["enum"].([]any); ok && property.Nullable {
		limits["enum"] = append(slices.Clone(choices), nil)
	}
	property.Extensions = limits
	if w.Items != nil && property.Items != nil {
		property.Items.Extensions = w.Items
	}
}

// words is what is said of an operation besides its types.
type words struct {
	Tag         string         `yaml:"tag"`
	Description string         `yaml:"description"`
	Request     any            `yaml:"request"`
	Answers     map[string]any `yaml:"answers"` // by status
}

func readManual() (*manual, error) {
	m := new(manual)
	dec := yaml.NewDecoder(bytes.NewReader(operationsYAML))
	dec.KnownFields(true)
	if err := dec.Decode(m); err != nil {
		return nil, fmt.Errorf("docs/operations.yaml: %w", err)
	}
	return m, nil
}

// Describe completes the description of a finished set of routes.
func Describe(doc *huma.OpenAPI, base string) error {
	m, err := readManual()
	if err != nil {
		return err
	}
	doc.Info.Description = m.About
	doc.Info.Contact = &huma.Contact{Name: "Omni Write"}
	doc.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	doc.Servers = []*huma.Server{{URL: base, Description: "This gateway."}}
	doc.Tags = nil
	for _, t := range m.Tags {
		doc.Tags = append(doc.Tags, &huma.Tag{Name: t.Name, Description: t.Description})
	}
	exactSchemas(doc.Components.Schemas.Map())
	for _, f := range m.Fields {
		f.describe(doc.Components.Schemas.Map())
	}
	bound(doc)
	problemResponses(doc)
	for _, op := range operations(doc) { // a test says what is missing; the gateway works without
		w := m.Operations[op.OperationID]
		if w == nil {
			w = new(words)
		}
		w.describe(op, m.Parameters)
	}
	return nil
}

// operations are those of a description, by path, in a stable order.
func operations(doc *huma.OpenAPI) func(yield func(string, *huma.Operation) bool) {
	return func(yield func(string, *huma.Operation) bool) {
		for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
			item := doc.Paths[path]
			for _, op := range []*huma.Operation{item.Get, item.Post, item.Patch, item.Delete} {
				if op != nil && !yield(path, op) {
					return
				}
			}
		}
	}
}

func (w *words) describe(op *huma.Operation, parameters map[string]any) {
	op.Tags, op.Description = []string{w.Tag}, w.Description
	if op.Security == nil {
		op.Security = []map[string][]string{} // said, not forgotten
	}
	for _, p := range op.Parameters {
		p.Example = parameters[p.Name]
		if own, ok := parameters[op.OperationID+"."+p.Name]; ok {
			p.Example = own
		}
	}
	if op.RequestBody != nil {
		delete(op.RequestBody.Content, "application/octet-stream") // huma's guess beside what a route says
		exemplify(op.RequestBody.Content, w.Request)
	}
	w.answers(op)
	for status, r := range op.Responses {
		exemplify(r.Content, w.Answers[status])
	}
}

// exemplify puts the example into each kind of a body; it may be one for all, or one by kind.
func exemplify(content map[string]*huma.MediaType, example any) {
	byKind, _ := example.(map[string]any)
	for kind, body := range content {
		body.Example = example
		if own, ok := byKind[kind]; ok {
			body.Example = own
		}
	}
}

// answers points the problems of an operation at the shared ones, and names the headers of a 202 and of a redirect.
func (w *words) answers(op *huma.Operation) {
	for status, r := range op.Responses {
		if code, _ := strconv.Atoi(status); code >= http.StatusBadRequest {
			delete(op.Responses, status)
		} else if code == http.StatusNotModified {
			r.Description = "What you have is still so."
		} else if code == http.StatusFound || code == http.StatusSeeOther {
			r.Description, r.Content = "The browser goes on to Location.", nil
		} else if code == http.StatusAccepted && r.Headers == nil && op.DefaultStatus != code {
			r.Description = "Accepted, and on disk; the outcome will be at Location."
			r.Headers = map[string]*huma.Param{
				"Location":    {Description: "Where to ask for the outcome.", Schema: &huma.Schema{Type: huma.TypeString}},
				"Retry-After": {Description: "When to ask again, in seconds.", Schema: &huma.Schema{Type: huma.TypeString}},
			}
		}
	}
	for status, r := range op.Responses {
		exactHeaders(op, status, r)
		r.Headers = withRates(r.Headers)
	}
	for _, status := range problemsOf(op) {
		op.Responses[strconv.Itoa(status)] = &huma.Response{Ref: "#/components/responses/" + problemName(status)}
	}
}

// headerWords say what the headers of answers are.
var headerWords = map[string]string{
	"ETag":        "The version of what is answered, for If-Match or If-None-Match.",
	"Link":        "The next page, where there is one: <…>; rel=\"next\".",
	"Location":    "Where it is.",
	"Retry-After": "When to ask again, in seconds.",
	"Set-Cookie":  "Ties the OAuth flow to this browser.",
}

// exactHeaders leaves an answer the headers that it has: the type answer serves every outcome of a command.
func exactHeaders(op *huma.Operation, status string, r *huma.Response) {
	if status == "200" {
		delete(r.Headers, "Location")
	}
	if body := r.Content["application/json"]; op.Responses["202"] != nil && status != "202" && body != nil && body.Schema != nil {
		delete(r.Headers, "Retry-After")
		if body.Schema.Ref != "#/components/schemas/Post" {
			delete(r.Headers, "ETag")
		}
	}
	delete(r.Headers, "Content-Type") // OpenAPI has content for that
	for name, h := range r.Headers {
		if h.Description == "" {
			h.Description = headerWords[name]
		}
	}
}

// withRates adds the headers that tell what is left of a minute's requests.
func withRates(headers map[string]*huma.Param) map[string]*huma.Param {
	if headers == nil {
		headers = map[string]*huma.Param{}
	}
	for _, name := range []string{"RateLimit", "RateLimit-Policy"} {
		headers[name] = &huma.Param{Ref: "#/components/headers/" + name}
	}
	return headers
}

// problemsOf are the statuses of an operation's problems: what its route says, and what follows from its shape.
func problemsOf(op *huma.Operation) []int {
	list := append([]int{http.StatusInternalServerError, http.StatusTooManyRequests}, op.Errors...)
	if op.RequestBody != nil {
		list = append(list, http.StatusBadRequest, http.StatusRequestEntityTooLarge)
		if op.RequestBody.Content["application/json"] != nil && !op.SkipValidateBody {
			list = append(list, http.StatusUnsupportedMediaType)
		}
	}
	if slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.Name == "If-Match" }) {
		list = append(list, http.StatusPreconditionFailed)
	}
	bare := op.Method == http.MethodGet && len(op.Parameters) == 0
	list = slices.DeleteFunc(list, func(status int) bool {
		switch status {
		case http.StatusConflict: // who only reads from us meets no state that forbids it, unless it is of an account and none is connected
			return op.Method == http.MethodGet && !slices.Contains(op.Errors, http.StatusForbidden) && op.OperationID != "getProfile" &&
				!slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.Name == "accountId" })
		case http.StatusNotFound: // what is only for operators is not there for others
			return bare && op.OperationID != "getOperations"
		case http.StatusUnprocessableEntity: // whoever is signed in is told of a parameter that is not known
			return bare && len(op.Security) == 0
		}
		return false
	})
	slices.Sort(list)
	return slices.Compact(list)
}

func problemName(status int) string {
	return strings.ReplaceAll(http.StatusText(status), " ", "")
}

// edgeProblems are the problems that no service has, by status.
var edgeProblems = map[int][]events.Code{
	http.StatusBadRequest:            {edge.CodeUnreadable},
	http.StatusForbidden:             {edge.CodeNotMeta},
	http.StatusConflict:              {edge.CodeNoAccount},
	http.StatusPreconditionFailed:    {events.Conflict},
	http.StatusRequestEntityTooLarge: {edge.CodeTooLarge},
	http.StatusRequestURITooLong:     {edge.CodeAddressTooLong},
	http.StatusUnsupportedMediaType:  {edge.CodeMediaType},
	http.StatusNotAcceptable:         {edge.CodeNotAcceptable},
	http.StatusRequestTimeout:        {edge.CodeTimeout},
}

// problemResponses adds the problems to the components: one response for each status, with the codes that it comes with.
func problemResponses(doc *huma.OpenAPI) {
	codes := maps.Clone(edgeProblems)
	for code, row := range edge.Table {
		codes[row.Status] = append(slices.Clone(codes[row.Status]), code)
	}
	doc.Components.Headers = map[string]*huma.Header{
		"RateLimit": {
			Description: "What is left of a minute's requests, r, and the seconds until all are there again, t: \"reads\";r=299;t=1.",
			Schema:      &huma.Schema{Type: huma.TypeString},
		},
		"RateLimit-Policy": {
			Description: "How many requests, q, there are in how many seconds, w: \"reads\";q=300;w=60.",
			Schema:      &huma.Schema{Type: huma.TypeString},
		},
	}
	doc.Components.Responses = map[string]*huma.Response{}
	for status, list := range codes {
		slices.Sort(list)
		example := edge.NewProblem(status, list[0], titleOf(status, list[0]), sentences[status])
		example.RequestID = "0199a1c2-7d3e-7a44-9a53-0c8f1b1f2a10"
		if status == http.StatusUnprocessableEntity {
			example.Errors = []edge.Flaw{{Pointer: "/scheduledAt", Code: "time_without_offset", Detail: example.Detail}}
		}
		choices := make([]any, len(list))
		for i, code := range list {
			choices[i] = string(code)
		}
		r := &huma.Response{
			Description: titleOf(status, list[0]) + ".",
			Headers: map[string]*huma.Param{
				"X-Request-Id": {Description: "Names this request in our logs.", Schema: &huma.Schema{Type: huma.TypeString}},
			},
			Content: map[string]*huma.MediaType{"application/problem+json": {
				Schema: &huma.Schema{AllOf: []*huma.Schema{
					{Ref: "#/components/schemas/Problem"},
					{
						Type: huma.TypeObject, Required: []string{"code"},
						Properties: map[string]*huma.Schema{"code": {Type: huma.TypeString, Enum: choices}},
					},
				}},
				Example: example,
			}},
		}
		switch status {
		case http.StatusUnauthorized:
			r.Headers["WWW-Authenticate"] = &huma.Param{Description: "Bearer.", Schema: &huma.Schema{Type: huma.TypeString}}
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			r.Headers["Retry-After"] = &huma.Param{Description: "When to try again, in seconds.", Schema: &huma.Schema{Type: huma.TypeString}}
		}
		if status == http.StatusTooManyRequests {
			r.Headers = withRates(r.Headers)
		}
		if status == http.StatusServiceUnavailable {
			r.Headers["Location"] = &huma.Param{
				Description: "With outcome_unknown: where to ask how it ended; do not repeat the request before.",
				Schema:      &huma.Schema{Type: huma.TypeString},
			}
		}
		doc.Components.Responses[problemName(status)] = r
	}
}

// sentences are examples of a problem's detail.
var sentences = map[int]string{
	http.StatusBadRequest:            "The body is missing or is not well-formed JSON.",
	http.StatusUnauthorized:          "Send a bearer token in the Authorization header.",
	http.StatusForbidden:             "The account did not allow threads_manage_insights; connect it again and allow it.",
	http.StatusNotFound:              "There is no post with this id among yours.",
	http.StatusConflict:              "The post is being published; it can no longer be changed.",
	http.StatusPreconditionFailed:    "The post has changed since you read it; read it again.",
	http.StatusRequestEntityTooLarge: "The body of this request may have up to 256 KiB.",
	http.StatusRequestURITooLong:     "An address may have up to 8 KiB, with its query.",
	http.StatusNotAcceptable:         "The answer to this request is application/json; allow that in Accept, or leave Accept out.",
	http.StatusRequestTimeout:        "The body did not arrive in time; please send it again.",
	http.StatusUnsupportedMediaType:  "Send the body as application/json.",
	http.StatusUnprocessableEntity:   "This time does not say in which zone it is; add Z for UTC or an offset such as +02:00.",
	http.StatusTooManyRequests:       "Threads allows no more searches today.",
	http.StatusInternalServerError:   edge.InternalSentence,
	http.StatusServiceUnavailable:    "It is not known yet whether this happened; ask at the Location, do not repeat it.",
}

func titleOf(status int, code events.Code) string {
	if row, ok := edge.Table[code]; ok && row.Status == status {
		return row.Title
	}
	switch status {
	case http.StatusRequestEntityTooLarge:
		return "The request is too large"
	case http.StatusRequestURITooLong:
		return "The address is too long"
	case http.StatusUnsupportedMediaType:
		return "This content type is not taken here"
	case http.StatusNotAcceptable:
		return "There is no answer of that kind"
	case http.StatusRequestTimeout:
		return "The request took too long"
	}
	return "The body cannot be read"
}
