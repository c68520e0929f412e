package edge

import (
	"html/template"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// refuse turns a request away before it is worked on. Where a person looks at the answer it is none for machines: their browser
// ends at the frontend, which can explain, or sees a page.
func (e *Edge) refuse(api huma.API, ctx huma.Context, err error) {
	p := FromError(err)
	accept := ctx.Header("Accept")
	person := ctx.Header("Authorization") == "" && (ctx.Method() == http.MethodGet || e.forBrowsers(ctx))
	switch {
	case person && e.forBrowsers(ctx) && (names(accept, "text/html") || !names(accept, "application/json")):
		p.headers(ctx.SetHeader)
		ctx.SetHeader("Location", e.BrowserEnd(err))
		ctx.SetStatus(http.StatusFound)
	case person && names(accept, "text/html"):
		p.headers(ctx.SetHeader)
		ctx.SetHeader("Content-Type", "text/html; charset=utf-8")
		ctx.SetStatus(p.Status)
		_ = problemPage.Execute(ctx.BodyWriter(), p) // the client is gone: nobody to tell
	default:
		_ = huma.WriteErr(api, ctx, http.StatusInternalServerError, "", err)
	}
}

// forBrowsers says whether a person's browser comes there.
func (e *Edge) forBrowsers(ctx huma.Context) bool {
	return strings.HasPrefix(ctx.Operation().Path, e.BrowserRoutes)
}

// names says that an Accept header names a media type itself.
func names(accept, mediaType string) bool {
	return strings.Contains(strings.ToLower(accept), mediaType)
}

// The page needs no script and no style: none would be let through.
var problemPage = template.Must(template.New("problem").Parse(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>{{.Title}}</title></head>
<body>
<h1>{{.Title}}</h1>
<p>{{.Detail}}</p>
</body>
</html>
`))
