package gateway

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/services/gateway/accounts"
	"github.com/omni-write/threads/services/gateway/bulk"
	"github.com/omni-write/threads/services/gateway/meta"
	"github.com/omni-write/threads/services/gateway/signin"
)

// operation describes a route to huma.
type operation huma.Operation

// open is an operation for everybody.
func open(method, path, id, summary string) *operation {
	return &operation{
		Method: method, Path: path, OperationID: id, Summary: summary, Responses: map[string]*huma.Response{},
		Errors: []int{http.StatusUnauthorized, http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}
}

// authed is an operation for those who are signed in.
func authed(method, path, id, summary string) *operation {
	o := open(method, path, id, summary)
	o.Security = signin.Required
	o.Errors = append(o.Errors, http.StatusNotFound, http.StatusConflict)
	return o
}

func (o *operation) op() huma.Operation { return huma.Operation(*o) }

func schemaOf[T any](api huma.API) *huma.Schema {
	return api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")
}

// formOfMeta takes a form of Meta's, as it came.
func (o *operation) formOfMeta() *operation {
	o.DefaultStatus = http.StatusOK
	o.MaxBodyBytes = meta.MaxCallback + 1 // huma stops at the limit, not after it
	o.SkipValidateBody = true             // Meta's words are auth's to read
	o.Errors = append(o.Errors, http.StatusBadRequest, http.StatusForbidden, http.StatusRequestEntityTooLarge)
	return o
}

// page documents an answer that is a page for people, and JSON for programs.
func (o *operation) page() *operation {
	o.DefaultStatus = http.StatusOK
	o.Responses[fmt.Sprint(http.StatusOK)] = &huma.Response{
		Description: "How it goes.",
		Content: map[string]*huma.MediaType{
			"text/html":        {Schema: &huma.Schema{Type: huma.TypeString}},
			"application/json": {Schema: &huma.Schema{Type: huma.TypeObject}},
		},
	}
	return o
}

// ofOurPage takes the form of our page.
func (o *operation) ofOurPage() *operation {
	o.MaxBodyBytes = accounts.MaxAnswer + 1 // huma stops at the limit, not after it
	o.SkipValidateBody = true
	return o
}

// fileOfPosts documents the body of an import.
func (o *operation) fileOfPosts() *operation {
	o.MaxBodyBytes = bulk.MaxImport
	o.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		bulk.TypeCSV:   {Schema: &huma.Schema{Type: huma.TypeString, Description: "A header line, then a post a line, as spreadsheets write it: commas, semicolons or tabs between the values, in UTF-8 or UTF-16. Columns: " + bulk.ColumnNames() + "."}},
		bulk.TypeTSV:   {Schema: &huma.Schema{Type: huma.TypeString, Description: "The same with tabs."}},
		bulk.TypeLines: {Schema: &huma.Schema{Type: huma.TypeString, Description: "A JSON object a line, each as the body of schedulePost."}},
	}}
	o.Errors = append(o.Errors, http.StatusUnsupportedMediaType, http.StatusRequestEntityTooLarge)
	return o
}

// streams documents an answer of text/event-stream, which may also be asked for with a ticket.
func (o *operation) streams(doc string) *operation {
	o.Security = signin.RequiredOrTicket
	o.DefaultStatus = http.StatusOK
	o.Errors = append(o.Errors, http.StatusTooManyRequests)
	o.Responses["200"] = &huma.Response{
		Description: doc,
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}
	return o
}

// plainText documents an answer of bare text.
func (o *operation) plainText() *operation {
	o.DefaultStatus = http.StatusOK
	o.Responses["200"] = &huma.Response{
		Description: "The challenge.",
		Content:     map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}
	return o
}

// signedByMeta takes a body that is signed, and may be larger than others. One without a signature is not even read.
func (o *operation) signedByMeta(api huma.API) *operation {
	o.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
		if !strings.HasPrefix(ctx.Header("X-Hub-Signature-256"), "sha256=") {
			_ = huma.WriteErr(api, ctx, http.StatusInternalServerError, "", events.Faultf(events.Unauthorized, "The signature is not Meta's."))
			return
		}
		next(ctx)
	}}
	o.DefaultStatus = http.StatusOK
	o.MaxBodyBytes = meta.MaxWebhook + 1 // huma stops at the limit, not after it
	o.SkipValidateBody = true            // Meta's words are auth's to read
	return o
}

// asksThreads documents how such a route may fail besides the usual.
func (o *operation) asksThreads() *operation {
	o.Errors = append(o.Errors, http.StatusTooManyRequests)
	return o.needsScope()
}

// mayMiss documents that what is named may not be there.
func (o *operation) mayMiss() *operation {
	o.Errors = append(o.Errors, http.StatusNotFound)
	return o
}

// needsScope documents that the account may not have allowed what is asked for.
func (o *operation) needsScope() *operation {
	o.Errors = append(o.Errors, http.StatusForbidden)
	return o
}

// answers documents an answer. The first that is named is the usual one.
func (o *operation) answers(status int, body *huma.Schema) *operation {
	if o.DefaultStatus == 0 {
		o.DefaultStatus = status
	}
	r := &huma.Response{Description: http.StatusText(status)}
	if body != nil {
		r.Content = map[string]*huma.MediaType{"application/json": {Schema: body}}
	}
	o.Responses[fmt.Sprint(status)] = r
	return o
}

// html documents an answer that is a page.
func (o *operation) html(description string) *operation {
	o.Responses[fmt.Sprint(http.StatusOK)] = &huma.Response{
		Description: description,
		Content:     map[string]*huma.MediaType{"text/html": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}
	return o
}
