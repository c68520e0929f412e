package console_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/standalone"
	"github.com/omni-write/threads/internal/pg/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// patience is how long anything that has to happen may take on a slow machine.
const patience = 3 * time.Minute

// system is the whole system in this process, with a simulated Threads.
type system struct {
	url, simulator string
	token          func(user string) (string, error)
}

// start starts it with these settings: name, value, name, value.
func start(t *testing.T, settings ...string) *system {
	t.Helper()
	dir := t.TempDir()
	env := map[string]string{
		"STATE_DIR": filepath.Join(dir, "state"), "DATABASE_URL": pgtest.URL(t), "LOG_LEVEL": "error",
		"PORT": "0", "ISSUER_PORT": "0", "SIMULATOR_PORT": "0", "NATS_PORT": "0", "ADMIN_PORT": "0",
	}
	for _, name := range []string{"PORT", "ISSUER_PORT", "SIMULATOR_PORT", "NATS_PORT", "ADMIN_PORT"} {
		delete(env, name) // the usual one, or any that is free
	}
	for i := 0; i+1 < len(settings); i += 2 {
		env[settings[i]] = settings[i+1]
	}
	ctx, stop := context.WithCancel(context.Background())
	sys, err := standalone.Start(ctx, func(name string) string { return env[name] }, zap.NewNop())
	if err != nil {
		stop()
		t.Fatal(err)
	}
	up, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- sys.Run(ctx, func(context.Context) error { close(up); return nil }) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && ctx.Err() == nil {
			t.Errorf("the system ended with %v", err)
		}
	})
	select {
	case <-up:
	case err := <-ended:
		ended <- nil
		t.Fatalf("the system ended with %v", err)
	}
	return &system{url: sys.Endpoints.GatewayURL, simulator: sys.Endpoints.SimulatorURL, token: sys.Endpoints.Token}
}

// browser is a browser of a person's.
type browser struct {
	*testing.T
	ctx  context.Context
	base string

	mu        sync.Mutex
	complains []string // what the console of the browser says
	allowed   []string // beginnings of what it may say
}

// browse opens a browser. Without one the test is skipped, unless CI says that there is one.
func browse(t *testing.T, base string, options ...chromedp.ExecAllocatorOption) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("NEED_CHROMIUM") != "" {
			t.Fatal("there is no chromium here, and NEED_CHROMIUM says that there must be one")
		}
		t.Skip("there is no chromium here (apt-get install chromium)")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1280, 860),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1"))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), append(opts, options...)...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	b := &browser{T: t, ctx: ctx, base: base}
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if kind := string(m.Type); kind == "debug" || kind == "info" || kind == "log" {
				continue
			}
			b.mu.Lock()
			b.complains = append(b.complains, m.Text)
			b.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
	each:
		for _, c := range b.complains {
			for _, a := range b.allowed {
				if strings.Contains(c, a) {
					continue each
				}
			}
			t.Errorf("the browser complains: %s", c)
		}
	})
	return b
}

// do does these one after the other.
func (b *browser) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	err := chromedp.Do(ctx, steps...)
	for err != nil && strings.Contains(err.Error(), "Could not find node with given id") { // a fresh page was put in place meanwhile
		err = chromedp.Do(ctx, steps...)
	}
	if err != nil {
		b.shot("failed-" + strings.ReplaceAll(what, " ", "-"))
		b.Fatalf("%s: %v, at %s:\n%s", what, err, b.at(), b.text("body"))
	}
}

func (b *browser) at() string {
	at, _ := chromedp.Run(b.ctx, chromedp.Location())
	return at
}

func (b *browser) text(sel string) string {
	text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.querySelector(`+quote(sel)+`)?.innerText ?? ""`))
	return text
}

// eval evaluates an expression of the page.
func eval[T any](b *browser, expression string) T {
	b.Helper()
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatalf("%s: %v", expression, err)
	}
	return value
}

func quote(s string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`", "$", "\\$").Replace(s) + "`"
}

// see waits until a page that is there as a whole shows a text somewhere in an element.
func (b *browser) see(sel, text string) {
	b.Helper()
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	js := `document.readyState !== "loading" && [...document.querySelectorAll(` + quote(sel) + `)].some((e) => e.innerText.includes(` + quote(text) + `))`
	for {
		seen, err := chromedp.Run(ctx, chromedp.Evaluate[bool](js)) // an error is a page that goes while it is asked
		switch {
		case err == nil && seen:
			return
		case ctx.Err() != nil:
			b.shot("failed-see")
			b.Fatalf("%q is not seen in %s: %v; at %s:\n%s", text, sel, err, b.at(), b.text("body"))
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// open opens a page of the console.
func (b *browser) open(path string) {
	b.Helper()
	b.do("open "+path, chromedp.Navigate(b.base+"/console"+path))
}

// click clicks and waits for what it leads to.
func (b *browser) click(sel, then string) {
	b.Helper()
	b.do("click "+sel, chromedp.Click(chromedp.CSS(sel)))
	b.do("see "+then, chromedp.WaitVisible(chromedp.CSS(then)))
}

// fill writes into a field as a person does.
func (b *browser) fill(sel, text string) {
	b.Helper()
	b.do("fill "+sel, chromedp.WaitVisible(chromedp.CSS(sel)))
	eval[bool](b, `(() => { const field = document.querySelector(`+quote(sel)+`); field.focus(); field.select(); return document.execCommand("insertText", false, `+quote(text)+`); })()`)
}

// set gives a field a value that cannot be typed everywhere in the same way: a day, a time.
func (b *browser) set(sel, value string) {
	b.Helper()
	b.do("set "+sel, chromedp.WaitVisible(chromedp.CSS(sel)), chromedp.SetValue(chromedp.CSS(sel), value))
}

// signIn signs in as the demo user, from the door.
func (b *browser) signIn() {
	b.Helper()
	b.open("/")
	b.click("main .button", "button[value=user_demo]")
	b.click("button[value=user_demo]", ".bar nav")
}

// connect connects an account, by Threads' page.
func (b *browser) connect() {
	b.Helper()
	b.open("/accounts")
	b.click("main .button.primary", "button[value=allow]")
	b.click("button[value=allow]", "section.account")
}

// shot takes a picture of the whole page, where somebody wants to look.
func (b *browser) shot(name string) {
	dir := os.Getenv("CONSOLE_SHOTS")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600)
	}
	if err != nil {
		b.Log(err)
	}
}

func (b *browser) dark(on bool) {
	value := "light"
	if on {
		value = "dark"
	}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}},
	}); err != nil {
		b.Fatal(err)
	}
}

func (b *browser) zone(name string) {
	if _, err := chromedp.Call(b.ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: name}); err != nil {
		b.Fatal(err)
	}
}

func (b *browser) width(w int64) {
	b.do("resize", chromedp.EmulateViewport(w, 800))
}

func (b *browser) signOutHere() {
	if _, err := chromedp.Call(b.ctx, network.DeleteCookies, network.DeleteCookiesParams{Name: "console_session", URL: b.base}); err != nil {
		b.Fatal(err)
	}
}
