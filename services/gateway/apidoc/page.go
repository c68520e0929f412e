package apidoc

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	pathpkg "path"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/page"
	"github.com/omni-write/threads/services/gateway/edge"
)

// The page at /docs is the API's description for people. It is made once, from the description itself, and needs nothing
// from anywhere else: no foreign script, style, font or picture, and the browser is told so.

//go:embed docs/page.html docs/page.css docs/page.js
var docsFiles embed.FS

const (
	routeDocs = "GET /docs"
	docsCSP   = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// ServePage registers the page, and the description itself. limited holds whoever asks to a rate.
func ServePage(mux *http.ServeMux, doc *huma.OpenAPI, limited func(http.Handler) http.Handler) error {
	serve := func(content *page.Content) http.HandlerFunc {
		is := limited(content)
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", docsCSP)
			is.ServeHTTP(w, r)
		}
	}
	var one sync.Mutex // the description is written by one at a time
	for path, description := range map[string]func() ([]byte, error){
		"/openapi.json": doc.MarshalJSON, "/openapi-3.0.json": doc.Downgrade, "/openapi.yaml": doc.YAML, "/openapi-3.0.yaml": doc.DowngradeYAML,
	} {
		mux.Handle("GET "+path, limited(page.Later("application/openapi+"+strings.TrimPrefix(pathpkg.Ext(path), "."), func() ([]byte, error) {
			one.Lock()
			defer one.Unlock()
			return description()
		})))
	}
	mux.Handle("GET /favicon.ico", limited(page.Icon))
	mux.HandleFunc(routeDocs+"/icon.svg", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", docsCSP)
		limited(page.Icon).ServeHTTP(w, r)
	})
	mux.HandleFunc(routeDocs, serve(page.Later("text/html; charset=utf-8", func() ([]byte, error) { return renderDocs(doc) })))
	for name, contentType := range map[string]string{
		"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8",
	} {
		content, err := docsFiles.ReadFile("docs/" + name)
		if err != nil {
			return err
		}
		mux.HandleFunc(routeDocs+"/"+name, serve(page.New(contentType, content)))
	}
	mux.HandleFunc(routeDocs+"/events.d.ts", serve(page.New("text/plain; charset=utf-8", events.TypeScript())))
	mux.HandleFunc(routeDocs+"/asyncapi.yaml", serve(page.New("text/plain; charset=utf-8", events.AsyncAPI())))
	return nil
}

type docsPage struct {
	Title, Version, About string
	Groups                []docsGroup
	Schemas               []docsSchema
	Problems              []docsAnswer
}

type docsGroup struct {
	Name, Description string
	Operations        []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, Description, Curl string
	SignedIn                                     bool
	Parameters                                   []docsField
	Bodies                                       []docsBody
	Answers, Problems                            []docsAnswer
}

type docsField struct {
	Name, Where, Description string
	Type                     docsType
	Required                 bool
}

// docsType is a type in words, with the schema that it leads to.
type docsType struct{ Before, Ref, After string }

type docsBody struct {
	Kind, Example string
	Type          docsType
}

type docsAnswer struct {
	Status, Name, Description string
	Codes                     []any
	Headers                   []docsField
	Bodies                    []docsBody
}

type docsSchema struct {
	Name, Description string
	Fields            []docsField
}

func renderDocs(doc *huma.OpenAPI) ([]byte, error) {
	all := docsPage{Title: doc.Info.Title, Version: doc.Info.Version, About: doc.Info.Description}
	for _, tag := range doc.Tags {
		group := docsGroup{Name: tag.Name, Description: tag.Description}
		for path, op := range operations(doc) {
			if slices.Contains(op.Tags, tag.Name) {
				group.Operations = append(group.Operations, docsOf(doc, path, op))
			}
		}
		all.Groups = append(all.Groups, group)
	}
	schemas := doc.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		all.Schemas = append(all.Schemas, docsSchema{Name: name, Description: schemas[name].Description, Fields: fieldsOf(schemas[name])})
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Components.Responses)) {
		all.Problems = append(all.Problems, answerOf(doc, "", name, doc.Components.Responses[name]))
	}
	slices.SortFunc(all.Problems, func(a, b docsAnswer) int { return strings.Compare(a.Status, b.Status) })
	t, err := template.New("page.html").Funcs(template.FuncMap{"prose": prose, "line": line}).ParseFS(docsFiles, "docs/page.html")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, all)
	return out.Bytes(), err
}

func docsOf(doc *huma.OpenAPI, path string, op *huma.Operation) docsOperation {
	d := docsOperation{
		ID: op.OperationID, Method: op.Method, Path: path, Summary: op.Summary, Description: op.Description,
		SignedIn: len(op.Security) > 0, Curl: curlOf(path, op),
	}
	for _, p := range op.Parameters {
		d.Parameters = append(d.Parameters, docsField{
			Name: p.Name, Where: p.In, Description: p.Description, Required: p.Required, Type: typeOf(p.Schema),
		})
	}
	if op.RequestBody != nil {
		d.Bodies = bodiesOf(op.RequestBody.Content)
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		if name, shared := strings.CutPrefix(r.Ref, "#/components/responses/"); shared {
			d.Problems = append(d.Problems, answerOf(doc, status, name, doc.Components.Responses[name]))
			continue
		}
		d.Answers = append(d.Answers, answerOf(doc, status, "", r))
	}
	return d
}

func answerOf(doc *huma.OpenAPI, status, name string, r *huma.Response) docsAnswer {
	a := docsAnswer{Status: status, Name: name, Description: r.Description, Bodies: bodiesOf(r.Content)}
	for _, header := range slices.Sorted(maps.Keys(r.Headers)) {
		h := r.Headers[header]
		if name, shared := strings.CutPrefix(h.Ref, "#/components/headers/"); shared {
			h = doc.Components.Headers[name]
		}
		a.Headers = append(a.Headers, docsField{Name: header, Description: h.Description, Type: typeOf(h.Schema)})
	}
	if body := r.Content["application/problem+json"]; body != nil {
		a.Codes = body.Schema.AllOf[1].Properties["code"].Enum
		if p, ok := body.Example.(*edge.Problem); ok {
			a.Status = fmt.Sprint(p.Status)
		}
	}
	return a
}

func bodiesOf(content map[string]*huma.MediaType) []docsBody {
	var list []docsBody
	for _, kind := range slices.Sorted(maps.Keys(content)) {
		list = append(list, docsBody{Kind: kind, Type: typeOf(content[kind].Schema), Example: written(content[kind].Example, "  ")})
	}
	return list
}

func fieldsOf(s *huma.Schema) []docsField {
	var list []docsField
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		list = append(list, docsField{Name: name, Description: p.Description, Required: slices.Contains(s.Required, name), Type: typeOf(p)})
	}
	return list
}

// typeOf says in words what a schema takes.
func typeOf(s *huma.Schema) docsType {
	switch {
	case s == nil:
		return docsType{}
	case s.Ref != "":
		return docsType{Ref: strings.TrimPrefix(s.Ref, "#/components/schemas/")}
	case len(s.AllOf) > 0:
		return typeOf(s.AllOf[0])
	case len(s.AnyOf) > 0:
		t := typeOf(s.AnyOf[0])
		for _, other := range s.AnyOf[1:] {
			o := typeOf(other)
			t.After += " or " + o.Before + o.Ref + o.After
		}
		return t
	case len(choicesOf(s)) > 0:
		choices := choicesOf(s)
		words := make([]string, len(choices))
		for i, w := range choices {
			words[i] = fmt.Sprint(w)
		}
		return docsType{Before: strings.Join(words, " | ")}
	case s.Items != nil:
		t := typeOf(s.Items)
		t.Before = "list of " + t.Before
		return t
	}
	t := docsType{Before: s.Type}
	if s.Format == "date-time" {
		t.Before = "time"
	}
	if s.Nullable {
		t.After = " or null"
	}
	return t
}

// choicesOf are the words that a value may be, whoever holds it to them.
func choicesOf(s *huma.Schema) []any {
	if choices, ok := s.Extensions["enum"].([]any); ok {
		return slices.DeleteFunc(slices.Clone(choices), func(w any) bool { return w == nil })
	}
	return s.Enum
}

// curlOf is the operation as a line for a shell.
func curlOf(path string, op *huma.Operation) string {
	var b strings.Builder
	query := url.Values{}
	for _, p := range op.Parameters {
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(fmt.Sprint(p.Example)))
		case p.In == "query" && p.Required:
			query.Set(p.Name, fmt.Sprint(p.Example))
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	fmt.Fprintf(&b, "curl -X %s \"$API%s\"", op.Method, path)
	if len(op.Security) > 0 {
		b.WriteString(" \\\n  -H \"Authorization: Bearer $TOKEN\"")
	}
	if op.RequestBody != nil {
		for _, kind := range slices.Sorted(maps.Keys(op.RequestBody.Content)) {
			body := strings.TrimSpace(written(op.RequestBody.Content[kind].Example, ""))
			fmt.Fprintf(&b, " \\\n  -H 'Content-Type: %s' \\\n  --data-binary '%s'", kind, strings.ReplaceAll(body, "'", `'\''`))
			break
		}
	}
	return b.String()
}

// written is an example as it is on the wire: text as it is, the rest as JSON.
func written(example any, indent string) string {
	if text, ok := example.(string); ok {
		return text
	}
	if example == nil {
		return ""
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(example); err != nil {
		return fmt.Sprint(err) // only of what is no JSON; a test encodes them all
	}
	return b.String()
}

// prose is a text of paragraphs as HTML. It knows `code` and **words of weight** and nothing else; all else is escaped.
func prose(text string) template.HTML {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		b.WriteString("<p>" + string(line(paragraph)) + "</p>")
	}
	return template.HTML(b.String()) //nolint:gosec // line escapes
}

// line is a text within a paragraph as HTML.
func line(text string) template.HTML {
	var b strings.Builder
	for i, piece := range strings.Split(text, "`") {
		if i%2 == 1 {
			b.WriteString("<code>" + template.HTMLEscapeString(piece) + "</code>")
			continue
		}
		for j, words := range strings.Split(template.HTMLEscapeString(piece), "**") {
			if j%2 == 1 {
				words = "<strong>" + words + "</strong>"
			}
			b.WriteString(words)
		}
	}
	return template.HTML(b.String()) //nolint:gosec // every piece is escaped
}
