// Package console is the web pages of the gateway: for creators, and for whoever looks at a running system for the first
// time. It is a client of the public API and of nothing else: every page calls the API's own http.Handler in this process
// with the bearer token of whoever is signed in, so that what the console can do, any frontend can.
//
// Every page is whole in its first answer and its forms work without scripts. The scripts add what needs a browser: clocks
// that run, pages that follow the stream of events, counts as one types, drafts that outlive a reload.
package console

import (
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/page"
)

// Root is where the pages are, below the public address.
const Root = "/console"

// Options is what a console works with.
type Options struct {
	API  http.Handler // the API, as the world has it
	Base *url.URL     // the address under which browsers reach the gateway
	// Issuer is who signs people in, and ClientID our name there; an empty one turns the console off.
	Issuer, ClientID string
	Scopes           []string
	Audience         []string // whom the tokens must be for; some issuers must be told
	Facts            []string // the names of the events of the stream
	// DevTokens says that the issuer is the one of dev tokens in this process, which gives one to whoever asks: a person may copy theirs.
	DevTokens bool
	// Operator says whether the claims of a token are those of somebody who runs the system; nil: nobody is. It decides what is in
	// the menu; the API checks the token.
	Operator func(jwt.MapClaims) bool
	// Rate holds who asks for what needs no sign-in to a rate.
	Rate func(http.Handler) http.Handler
	// Waits says of a request that from now on it only waits for others, which count for themselves.
	Waits func(*http.Request)
	Log   *zap.Logger
	Now   func() time.Time
}

// Console is the pages.
type Console struct {
	Options

	pages  map[string]*template.Template
	assets map[string]asset
	signin *signin
}

//go:embed pages/*.html assets vendored
var files embed.FS

// New makes the pages ready. Its error is a mistake in them.
func New(o Options) (*Console, error) {
	c := &Console{Options: o, pages: map[string]*template.Template{}, signin: newSignin(o)}
	var err error
	if c.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	list, err := files.ReadDir("pages")
	if err != nil {
		return nil, err
	}
	for _, file := range list {
		name, _ := strings.CutSuffix(file.Name(), ".html")
		if name == "layout" {
			continue
		}
		t, err := template.New("layout.html").Funcs(c.funcs()).ParseFS(files, "pages/layout.html", "pages/"+file.Name())
		if err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		c.pages[name] = t
	}
	return c, nil
}

// Register adds the pages to the gateway's routes.
func (c *Console) Register(mux *http.ServeMux) {
	handle := func(pattern string, h http.Handler) { mux.Handle(pattern, c.guard(h)) }
	if c.ClientID == "" {
		handle("GET "+Root+"/{$}", c.Rate(http.HandlerFunc(c.off)))
		handle("GET "+Root+"/assets/{name}", c.Rate(http.HandlerFunc(c.asset)))
		return
	}
	handle("GET "+Root+"/assets/{name}", c.Rate(http.HandlerFunc(c.asset)))
	handle("GET "+Root+"/sign-in", c.Rate(http.HandlerFunc(c.signInPage)))
	handle("GET "+Root+"/sign-in/start", c.Rate(http.HandlerFunc(c.startSignIn)))
	handle("GET "+Root+"/callback", c.Rate(http.HandlerFunc(c.finishSignIn)))
	handle("POST "+Root+"/sign-out", c.Rate(http.HandlerFunc(c.signOut)))
	handle("GET "+Root+"/signed-out", c.Rate(http.HandlerFunc(c.signedOut)))
	handle("GET "+Root+"/live", http.HandlerFunc(c.live))

	dev := developerPages{c}
	looks := map[string]look{
		"/{$}":                 c.today,
		"/compose":             c.composePage,
		"/calendar":            c.calendar,
		"/posts":               c.list,
		"/posts/{id}":          c.post,
		"/posts/{id}/edit":     c.editPage,
		"/posts/{id}/move":     c.movePage,
		"/accounts":            c.accounts,
		"/accounts/connect":    c.connect,
		"/accounts/returned":   c.returned,
		"/accounts/{id}/leave": c.leavePage,
		"/settings":            c.settings,

		"/operations":               operatorPages{c}.operations,
		"/developers":               dev.developers,
		"/developers/events/{id}":   dev.event,
		"/developers/webhooks/new":  dev.newWebhookPage,
		"/developers/webhooks/{id}": dev.webhook,
	}
	for at, do := range looks {
		handle("GET "+Root+at, c.looking(do))
	}
	acts := map[string]look{
		"/compose":                    c.compose,
		"/posts/{id}/edit":            c.edit,
		"/posts/{id}/move":            c.move,
		"/posts/{id}/cancel":          c.cancel,
		"/posts/{id}/retry":           c.retry,
		"/posts/{id}/resolve":         c.resolve,
		"/posts/{id}/repost":          c.repost,
		"/posts/{id}/delete":          c.remove,
		"/posts/{id}/reply":           c.reply,
		"/posts/{id}/replies/{reply}": c.moderate,
		"/accounts/{id}/refresh":      c.refresh,
		"/accounts/{id}/leave":        c.leave,
		"/settings":                   c.saveSettings,

		"/developers/webhooks":                                   dev.createWebhook,
		"/developers/webhooks/{id}/status":                       dev.switchWebhook,
		"/developers/webhooks/{id}/test":                         dev.testWebhook,
		"/developers/webhooks/{id}/rotate":                       dev.rotateWebhook,
		"/developers/webhooks/{id}/delete":                       dev.deleteWebhook,
		"/developers/webhooks/{id}/deliveries/{delivery}/resend": dev.resendDelivery,
	}
	if c.DevTokens {
		acts["/developers/token"] = dev.showToken
	}
	for at, do := range acts {
		handle("POST "+Root+at, c.acting(do))
	}
}

// policy lets a page load what this server has, and nothing from anywhere else. No script and no style is in a page itself.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types console"

// guard is what holds for every page: who may show it, and that only pages of ours act.
func (c *Console) guard(next http.Handler) http.Handler {
	own := http.NewCrossOriginProtection()
	own.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.show(w, r, http.StatusForbidden, "message", &view{Title: "That came from another page", Data: message{
			Words: "A page that is not ours asked for something in your name. Nothing was done.", Link: c.at("/"), Label: "Open the console",
		}})
	}))
	safe := own.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "same-origin") // with none, browsers do not even say to ourselves where a form came from
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("X-Frame-Options", "DENY")
		safe.ServeHTTP(w, r)
	})
}

// at is the address of a page as browsers see it.
func (c *Console) at(to string) string { return c.Base.Path + Root + to }

// asAsked is the address of this very request as browsers see it: what is before us may have taken the public path away.
func (c *Console) asAsked(r *http.Request) string { return c.Base.Path + r.URL.RequestURI() }

// off says that there is no console here.
func (c *Console) off(w http.ResponseWriter, r *http.Request) {
	c.show(w, r, http.StatusOK, "off", &view{Title: "The console is off"})
}

// asset is a file that pages load.
type asset struct{ content *page.Content }

func loadAssets() (map[string]asset, error) {
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
	all := map[string]asset{}
	for _, dir := range []string{"assets", "vendored"} {
		list, err := files.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, file := range list {
			contentType, served := types[path.Ext(file.Name())]
			if !served {
				continue
			}
			content, err := files.ReadFile(dir + "/" + file.Name())
			if err != nil {
				return nil, err
			}
			all[file.Name()] = asset{page.New(contentType, content)}
		}
	}
	all["icon.svg"] = asset{page.Icon}
	return all, nil
}

func (c *Console) asset(w http.ResponseWriter, r *http.Request) {
	a, ok := c.assets[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	a.content.ServeHTTP(w, r)
}
