package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/edge"
)

const (
	routeUninstall    = "/api/threads/uninstall"
	routeDataDeletion = "/api/threads/data-deletion"

	// callbackWithin is how long Meta is kept waiting.
	callbackWithin = 15 * time.Second
	// maxCallback is far more than a signed request has.
	maxCallback = 64 << 10
)

// callbackRoutes are what Meta calls, and the page that it shows the person. They need no bearer token: what Meta signed
// is Meta's, and the code of an erasure cannot be guessed.
func (s *Service) callbackRoutes(api huma.API) {
	huma.Register(api, open(http.MethodPost, routeUninstall, "uninstall", "Where Meta tells that a person removed the app").
		formOfMeta().op(), s.uninstall)
	huma.Register(api, open(http.MethodPost, routeDataDeletion, "deleteData",
		"Where Meta tells that a person wants their data deleted").
		formOfMeta().op(), s.deleteData)
	huma.Register(api, open(http.MethodGet, routeDataDeletion+"/{code}", "getDataDeletion",
		"How the deletion of a person's data goes").
		page().mayMiss().op(), s.getDataDeletion)
}

type callbackInput struct {
	RawBody []byte `contentType:"application/x-www-form-urlencoded"`
}

type uninstallOutput struct{ Body asks.Uninstalled }

// uninstall hands on what Meta sent, byte for byte. 200 means that the tokens are gone.
func (s *Service) uninstall(ctx context.Context, in *callbackInput) (*uninstallOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, callbackWithin)
	defer cancel()
	got, err := bus.Ask[asks.Uninstalled](ctx, s.bus, asks.ReceiveUninstall{Body: in.RawBody})
	if err != nil {
		return nil, ofCallback(ctx, err)
	}
	return &uninstallOutput{Body: got}, nil
}

// DeletionBegun is the answer that Meta wants: where the person can see how it goes, and the code of it.
type DeletionBegun struct {
	URL  string `json:"url"`
	Code string `json:"confirmation_code"`
}

type deleteDataOutput struct{ Body DeletionBegun }

// deleteData hands on what Meta sent. 200 means that the erasure is on disk, and goes on by itself.
func (s *Service) deleteData(ctx context.Context, in *callbackInput) (*deleteDataOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, callbackWithin)
	defer cancel()
	got, err := bus.Ask[asks.Erasure](ctx, s.bus, asks.ReceiveDataDeletion{Body: in.RawBody})
	if err != nil {
		return nil, ofCallback(ctx, err)
	}
	return &deleteDataOutput{Body: DeletionBegun{URL: s.deletionPage(got.Code), Code: got.Code}}, nil
}

func (s *Service) deletionPage(code string) string {
	return s.cfg.publicBase().JoinPath(routeDataDeletion, code).String()
}

// ofCallback is the problem of a callback that was refused: what is not Meta's is forbidden, and signing in would not help.
func ofCallback(ctx context.Context, err error) error {
	var f *events.Fault
	if !errors.As(err, &f) || f.Code != events.Unauthorized && f.Code != events.Invalid {
		return err
	}
	status, code, title := http.StatusForbidden, edge.CodeNotMeta, "This is not from Meta"
	if f.Code == events.Invalid {
		status, code, title = http.StatusBadRequest, edge.CodeUnreadable, "The body cannot be read"
	}
	p := edge.NewProblem(status, code, title, f.Message)
	p.RequestID = edge.InfoOf(ctx).RequestID
	for _, d := range f.Details {
		p.Errors = append(p.Errors, edge.Flaw{Pointer: d.Pointer, Detail: d.Message, Code: d.Code})
	}
	return p
}

type dataDeletionInput struct {
	Code   string `path:"code" doc:"The confirmation code."`
	Accept string `header:"Accept" hidden:"true"`
}

type dataDeletionOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

// getDataDeletion shows how an erasure goes: to a person as a page, to a program as JSON.
func (s *Service) getDataDeletion(ctx context.Context, in *dataDeletionInput) (*dataDeletionOutput, error) {
	var got asks.Erasure
	err := error(events.Faultf(events.NotFound, "There is no erasure with this code."))
	if events.IsErasureCode(in.Code) {
		got, err = bus.Ask[asks.Erasure](ctx, s.bus, asks.GetErasure{Code: in.Code})
	}
	if err != nil {
		return nil, err
	}
	if !accepts(in.Accept, "text/html") {
		body, err := json.Marshal(got)
		if err != nil {
			return nil, fmt.Errorf("encode an erasure: %w", err)
		}
		return &dataDeletionOutput{ContentType: "application/json", Body: body}, nil
	}
	var page bytes.Buffer
	if err := deletionPage.Execute(&page, got); err != nil {
		return nil, fmt.Errorf("write the page of an erasure: %w", err)
	}
	return &dataDeletionOutput{ContentType: "text/html; charset=utf-8", Body: page.Bytes()}, nil
}

// The page needs no script and no style: none would be let through.
var deletionPage = template.Must(template.New("deletion").Funcs(template.FuncMap{
	"day": func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04") + " UTC" },
}).Parse(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>Deletion of your data</title></head>
<body>
<h1>Deletion of your data</h1>
{{if .FinishedAt}}<p>Done. Everything that we knew of your Threads account was deleted by {{day .FinishedAt}}.</p>
{{else}}<p>Under way. Your account is disconnected and nothing is published for it any more. What was stored is being
deleted; this takes some minutes, and this page then says that it is done.</p>
{{end}}<p>Asked for: {{day .RequestedAt}}. Confirmation code: <code>{{.Code}}</code></p>
<p>Posts that are on Threads are not touched by this; you can delete them there.</p>
</body>
</html>
`))

// formOfMeta takes a form of Meta's, as it came.
func (o *operation) formOfMeta() *operation {
	o.DefaultStatus = http.StatusOK
	o.MaxBodyBytes = maxCallback + 1 // huma stops at the limit, not after it
	o.SkipValidateBody = true        // Meta's words are auth's to read
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
