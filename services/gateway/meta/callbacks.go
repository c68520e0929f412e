// Package meta answers Meta: its callbacks and its webhooks.
package meta

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/edge"
)

const (
	RouteUninstall    = "/api/threads/uninstall"
	RouteDataDeletion = "/api/threads/data-deletion"

	// callbackWithin is how long Meta is kept waiting.
	callbackWithin = 15 * time.Second
	// MaxCallback is far more than a signed request has.
	MaxCallback = 64 << 10
)

// Handlers answer Meta: its callbacks here, its webhooks in webhook.go.
type Handlers struct {
	Bus    *bus.Bus
	Public *url.URL // where browsers reach this gateway
}

type callbackInput struct {
	RawBody []byte `contentType:"application/x-www-form-urlencoded"`
}

type uninstallOutput struct{ Body asks.Uninstalled }

// Uninstall hands on what Meta sent, byte for byte. 200 means that the tokens are gone.
func (h *Handlers) Uninstall(ctx context.Context, in *callbackInput) (*uninstallOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, callbackWithin)
	defer cancel()
	got, err := bus.Ask[asks.Uninstalled](ctx, h.Bus, asks.ReceiveUninstall{Body: in.RawBody})
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

// DeleteData hands on what Meta sent. 200 means that the erasure is on disk, and goes on by itself.
func (h *Handlers) DeleteData(ctx context.Context, in *callbackInput) (*deleteDataOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, callbackWithin)
	defer cancel()
	got, err := bus.Ask[asks.Erasure](ctx, h.Bus, asks.ReceiveDataDeletion{Body: in.RawBody})
	if err != nil {
		return nil, ofCallback(ctx, err)
	}
	return &deleteDataOutput{Body: DeletionBegun{URL: h.deletionPage(got.Code), Code: got.Code}}, nil
}

func (h *Handlers) deletionPage(code string) string {
	return h.Public.JoinPath(RouteDataDeletion, code).String()
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

// GetDataDeletion shows how an erasure goes: to a person as a page, to a program as JSON.
func (h *Handlers) GetDataDeletion(ctx context.Context, in *dataDeletionInput) (*dataDeletionOutput, error) {
	var got asks.Erasure
	err := error(events.Faultf(events.NotFound, "There is no erasure with this code."))
	if events.IsErasureCode(in.Code) {
		got, err = bus.Ask[asks.Erasure](ctx, h.Bus, asks.GetErasure{Code: in.Code})
	}
	if err != nil {
		return nil, err
	}
	if !edge.Accepts(in.Accept, "text/html") {
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
