package accounts

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/signin"
	"github.com/omni-write/threads/services/gateway/weburl"
)

// A flow ends with the person it began with. These are its two ends: a frontend sends the code with a bearer token, or the
// person answers on a page of ours, in the browser in which a page of our frontend began.

const (
	RouteFinishConnect  = "/api/threads/connect/finish"
	RouteConfirmConnect = RouteStartOAuth + "/confirm"
)

type finishConnectInput struct{ Body FinishConnect }

// FinishConnect ends the connecting of an account.
type FinishConnect struct {
	Code string `json:"code" minLength:"1" maxLength:"128" doc:"The connectCode with which the browser came back. Good once, for ten minutes, for who began."`
}

type finishConnectOutput struct{ Body Connection }

// FinishConnect connects the account to whoever began, which must be whoever asks.
func (h *Handlers) FinishConnect(ctx context.Context, in *finishConnectInput) (*finishConnectOutput, error) {
	row, err := bus.Ask[events.Connection](ctx, h.Bus, asks.ConfirmOAuth{Code: in.Body.Code, UserID: signin.UserOf(ctx)})
	if err != nil {
		return nil, err
	}
	return &finishConnectOutput{Body: connectionOf(&row)}, nil
}

// startedHere says whether a page of ours or of our frontends sends the browser to the start of a flow. The start of any other
// page is refused: it may be an attempt to have a person connect their account to somebody else. An address that was typed
// in, or opened by a program, has no page behind it and says nothing; such a flow ends with a bearer token.
func (h *Handlers) startedHere(fetchSite, referer string) (bool, error) {
	if u, err := url.Parse(referer); err == nil && u.Host != "" {
		if h.frontends[weburl.Origin(u)] {
			return true, nil
		}
		fetchSite = "cross-site" // also where the browser does not say so
	}
	if fetchSite == "cross-site" {
		const sentence = "This connection was begun by a page that is not ours; please begin it in the app itself."
		return false, events.Faultf(events.Refused, sentence).At("/Referer", "cross_site_start", sentence)
	}
	return false, nil
}

// frontendOrigins are the origins whose pages may begin a flow: those that may call the API, and those where a flow ends.
func frontendOrigins(o Options) map[string]bool {
	origins := map[string]bool{weburl.Origin(o.Public): true}
	for _, address := range append(weburl.Trimmed(o.CORSOrigins), o.SuccessURL, o.FailureURL) {
		if u, err := url.Parse(address); err == nil {
			origins[weburl.Origin(u)] = true
		}
	}
	return origins
}

// askToConnect is the page that asks. The state cookie stays: with the code in the page it is what confirms.
func askToConnect(returned asks.OAuthReturned) (*redirect, error) {
	var page bytes.Buffer
	if err := connectPage.Execute(&page, returned); err != nil {
		return nil, fmt.Errorf("write the page of a connection: %w", err)
	}
	return &redirect{Status: http.StatusOK, ContentType: "text/html; charset=utf-8", Body: page.Bytes()}, nil
}

// The page needs no script and no style: none would be let through.
var connectPage = template.Must(template.New("connect").Parse(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>Connect @{{.Username}}?</title></head>
<body>
<h1>Connect @{{.Username}} to your account as {{.SignedInAs}}?</h1>
<p>Whoever is signed in as <strong>{{.SignedInAs}}</strong>{{if ne .SignedInAs .UserID}} (<code>{{.UserID}}</code>){{end}}
can then post to Threads as <strong>@{{.Username}}</strong>, and read and delete what is there.</p>
<p>If that is not you, or if you did not begin this yourself, press Cancel: then nothing is connected.</p>
<form method="post" action="confirm">
<input type="hidden" name="code" value="{{.Code}}">
<button type="submit" name="decision" value="connect">Connect</button>
<button type="submit" name="decision" value="cancel">Cancel</button>
</form>
</body>
</html>
`))

type confirmConnectInput struct {
	FetchSite string `header:"Sec-Fetch-Site" hidden:"true"`
	Origin    string `header:"Origin" hidden:"true"`
	RawBody   []byte `contentType:"application/x-www-form-urlencoded"`

	cookies []*http.Cookie
}

// Resolve keeps the cookies.
func (in *confirmConnectInput) Resolve(ctx huma.Context) []error {
	in.cookies = huma.ReadCookies(ctx)
	return nil
}

// ConfirmConnect takes the answer of the page. Whatever happens, it ends at the frontend.
func (h *Handlers) ConfirmConnect(ctx context.Context, in *confirmConnectInput) (*redirect, error) {
	out, err := h.confirm(ctx, in)
	if err != nil {
		out = h.Failed(err)
	}
	out.Status = http.StatusSeeOther // the browser posted, and goes on with GET
	return out, nil
}

func (h *Handlers) confirm(ctx context.Context, in *confirmConnectInput) (*redirect, error) {
	form, err := url.ParseQuery(string(in.RawBody))
	if err != nil || len(form["code"]) != 1 || len(form["decision"]) != 1 || !h.ownPage(in) {
		const sentence = "This answer is not from our page; please begin again."
		return nil, events.Faultf(events.Invalid, sentence).At("/code", "connect_code_invalid", sentence)
	}
	question := asks.ConfirmOAuth{
		Code: form.Get("code"), Cookie: h.stateFrom(in.cookies), Decline: form.Get("decision") != "connect",
	}
	connected, err := bus.Ask[events.Connection](ctx, h.Bus, question)
	if err != nil {
		return nil, err
	}
	if question.Decline {
		const sentence = "You chose not to connect this account."
		return nil, events.Faultf(events.Refused, sentence).At("/decision", "not_confirmed", sentence)
	}
	edge.InfoOf(ctx).User = connected.UserID
	return &redirect{
		SetCookie: h.stateCookie("", -1), Body: noBody,
		Location: withQuery(h.SuccessURL, func(q url.Values) { q.Set("account", connected.ID) }),
	}, nil
}

// ownPage says whether it was our own page that posted. Browsers of some years ago say only the origin, and none at all
// ("null") where the page lets no referrer out, as ours does not; then the code in the form and the cookie must do.
func (h *Handlers) ownPage(in *confirmConnectInput) bool {
	if in.FetchSite != "" && in.FetchSite != "same-origin" {
		return false
	}
	return in.Origin == "" || in.Origin == "null" || in.Origin == weburl.Origin(h.Public)
}

// MaxAnswer is far more than the form of our page has.
const MaxAnswer = 8 << 10
