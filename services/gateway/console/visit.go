package console

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones by their names, wherever this runs

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"
)

// visit is a request of somebody who is signed in, as far as we can tell: the API is the one that checks the token.
type visit struct {
	*http.Request
	c *Console

	token string
	Who   string // how the person knows this sign-in
	sub   string
	// Operator says that the token is of somebody who runs the system, if the API takes it.
	Operator bool
	Zone     *time.Location
	Form     string // what a form of ours carries
	Now      time.Time
}

// look is what answers a request of somebody who is signed in.
type look func(w http.ResponseWriter, v *visit) error

const (
	cookieSession = "console_session"
	cookieForm    = "console_form"
	cookieZone    = "console_zone"
)

// cookieName is a cookie's exact name. Where there is https it has the prefix that keeps every other host, and whoever is on
// the way, from planting one.
func (c *Console) cookieName(name string) string {
	if c.Base.Scheme == "https" {
		return "__Host-" + name
	}
	return name
}

// cookie is the value of a cookie of ours. Two of a name leave open which is ours, and count as none.
func (c *Console) cookie(r *http.Request, name string) string {
	value, found := "", 0
	for _, k := range r.CookiesNamed(c.cookieName(name)) {
		value, found = k.Value, found+1
	}
	if found != 1 {
		return ""
	}
	return value
}

func (c *Console) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	k := &http.Cookie{ //nolint:gosec // Secure is set where there is https
		Name: c.cookieName(name), Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.Base.Scheme == "https",
	}
	switch {
	case value == "":
		k.MaxAge = -1
	case life > 0:
		k.MaxAge = int(life / time.Second)
	}
	http.SetCookie(w, k)
}

// visitOf reads who comes.
func (c *Console) visitOf(r *http.Request) *visit {
	v := &visit{Request: r, c: c, token: c.cookie(r, cookieSession), Zone: time.UTC, Now: c.Now()}
	if k, err := r.Cookie(cookieZone); err == nil {
		if name, err := url.QueryUnescape(k.Value); err == nil {
			v.Zone = zoneNamed(name)
		}
	}
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(v.token, claims); err == nil {
		v.sub, _ = claims.GetSubject()
		email, _ := claims["email"].(string)
		v.Who = cmp.Or(email, v.sub)
		if ends, _ := claims.GetExpirationTime(); ends != nil && !ends.After(v.Now) {
			v.token = ""
		}
		v.Operator = v.token != "" && c.Operator != nil && c.Operator(claims)
	}
	return v
}

func zoneNamed(name string) *time.Location {
	if name == "" || name == "Local" {
		return time.UTC
	}
	if zone, err := time.LoadLocation(name); err == nil {
		return zone
	}
	return time.UTC
}

// form is the secret of this browser's forms. It outlives a sign-in, so that a form that was filled in before is still good.
func (c *Console) form(w http.ResponseWriter, r *http.Request) string {
	if secret := c.cookie(r, cookieForm); secret != "" {
		return secret
	}
	secret := rand.Text()
	c.setCookie(w, cookieForm, secret, 0)
	return secret
}

// formToken is what a form of one person's carries in one browser. Another person's form is not sent in this one's name.
func formToken(secret, sub string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("form\x00" + sub))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// looking answers with a page.
func (c *Console) looking(do look) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := c.visitOf(r)
		v.Form = formToken(c.form(w, r), v.sub)
		c.Waits(r)
		if v.token == "" {
			c.toSignIn(w, r)
			return
		}
		c.finish(w, v, do(w, v))
	})
}

// maxForm is more than a chain of twenty long parts has.
const maxForm = 256 << 10

// acting does what a form asks for.
func (c *Console) acting(do look) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			c.show(w, r, http.StatusRequestEntityTooLarge, "message", &view{Title: "That is too much", Data: message{
				Words: "What you sent is larger than a post can be. Please make it shorter.", Link: c.at("/compose"), Label: "Back to the editor",
			}})
			return
		}
		v := c.visitOf(r)
		v.Form = formToken(c.form(w, r), v.sub)
		c.Waits(r)
		switch {
		case v.token == "":
			c.keep(w, v, "You were signed out", "Nothing is lost. Sign in again in another tab, come back here, and send it.")
		case !hmac.Equal([]byte(r.PostForm.Get("form")), []byte(v.Form)):
			c.keep(w, v, "Is this still you?", "This form was opened under another sign-in, or too long ago. Send it once more, as "+v.Who+", if that is what you want.")
		default:
			c.finish(w, v, do(w, v))
		}
	})
}

// kept is a form that could not be taken, to be sent again.
type kept struct {
	Words, Action, SignIn string
	Fields                []field
}

type field struct{ Name, Value string }

// keep shows a form that could not be taken, whole, so that nothing of it is lost.
func (c *Console) keep(w http.ResponseWriter, v *visit, title, words string) {
	k := kept{Words: words, Action: c.asAsked(v.Request)}
	if v.token == "" {
		k.SignIn = c.at("/sign-in")
	}
	for name, values := range v.PostForm {
		for _, value := range values {
			if name != "form" {
				k.Fields = append(k.Fields, field{name, value})
			}
		}
	}
	c.show(w, v.Request, http.StatusUnauthorized, "kept", &view{Title: title, V: v, Data: k})
}

// finish ends a visit whose handler failed.
func (c *Console) finish(w http.ResponseWriter, v *visit, err error) {
	var p *problem
	switch {
	case err == nil:
	case errors.As(err, &p) && p.Status == http.StatusUnauthorized:
		c.setCookie(w, cookieSession, "", 0)
		v.token = ""
		if v.Method == http.MethodPost {
			c.keep(w, v, "You were signed out", "Nothing is lost. Sign in again in another tab, come back here, and send it.")
			return
		}
		c.toSignIn(w, v.Request)
	case errors.As(err, &p):
		if p.retryAfter != "" {
			w.Header().Set("Retry-After", p.retryAfter)
		}
		m := message{Words: strings.TrimSpace(p.Detail + " " + v.again(p)), Link: c.at("/"), Label: "Go to Today", ID: p.RequestID}
		if v.Method == http.MethodGet && p.Status != http.StatusNotFound {
			m.Link, m.Label = c.asAsked(v.Request), "Try again"
			if p.Status == http.StatusServiceUnavailable {
				m.Words += " This page tries again by itself."
				w.Header().Set("Refresh", cmp.Or(p.retryAfter, "5"))
			}
		}
		for _, f := range p.Errors {
			if f.Detail != p.Detail {
				m.More = append(m.More, f.Detail)
			}
		}
		c.show(w, v.Request, p.Status, "message", &view{Title: p.Title, V: v, Data: m})
	default:
		c.Log.Error("a page of the console could not be made", zap.Error(err))
		c.show(w, v.Request, http.StatusInternalServerError, "message", &view{Title: "Something went wrong on our side", V: v, Data: message{
			Words: "It was noted. Please try again in a moment.", Link: c.at("/"), Label: "Go to Today",
		}})
	}
}

// again says from when on something may be tried again, where the API does.
func (v *visit) again(p *problem) string {
	seconds, err := strconv.Atoi(p.retryAfter)
	if err != nil || seconds < 0 || seconds > maxWait || p.Status != http.StatusTooManyRequests && p.Status != http.StatusServiceUnavailable {
		return ""
	}
	at := v.Now.Add(time.Duration(seconds) * time.Second)
	if seconds < 3600 {
		return "You can try again at " + at.In(v.Zone).Format("15:04:05") + "."
	}
	return "You can try again " + v.For(at) + "."
}

// maxWait is the longest wait, in seconds, of which we say when it ends.
const maxWait = 7 * 24 * 3600

// message is a page of one sentence.
type message struct {
	Words, Link, Label, ID string
	More                   []string
}

// view is what a page is made of.
type view struct {
	Title   string
	Section string // of the menu
	V       *visit
	Notice  string // what was just done
	Undo    *undo
	Scripts []string
	Pace    int // the milliseconds between two looks at what has changed, where a look is dear
	Data    any

	Facts string
}

// undo takes back what was just done.
type undo struct {
	Action string
	Fields []field
}

// show writes a page.
func (c *Console) show(w http.ResponseWriter, _ *http.Request, status int, name string, p *view) {
	p.Facts = strings.Join(c.Facts, " ")
	if p.V != nil && p.V.token == "" {
		p.Section = ""
	}
	var out bytes.Buffer
	if err := c.pages[name].Execute(&out, p); err != nil {
		c.Log.Error("a page of the console could not be written", zap.String("page", name), zap.Error(err))
		http.Error(w, "This page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // the browser is gone: nobody to tell
}

// done sends the browser on after a form was taken, so that a reload sends nothing twice.
func (c *Console) done(w http.ResponseWriter, v *visit, to string) error {
	http.Redirect(w, v.Request, c.at(to), http.StatusSeeOther) //nolint:gosec // a path below ours
	return nil
}
