package console_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	cdp "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// api calls the API as the demo user, beside the browser.
func (s *system) api(t *testing.T, method, path, body string, out any) {
	t.Helper()
	token, err := s.token("user_demo")
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, answer)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			t.Fatal(err)
		}
	}
}

type made struct {
	ID          string    `json:"id"`
	Rev         int       `json:"rev"`
	Text        string    `json:"text"`
	Status      string    `json:"status"`
	ScheduledAt time.Time `json:"scheduledAt"`
}

func (s *system) schedule(t *testing.T, text string, in time.Duration) (p made) {
	t.Helper()
	body, _ := json.Marshal(map[string]any{"text": text, "scheduledAt": time.Now().Add(in).UTC().Format(time.RFC3339)})
	s.api(t, http.MethodPost, "/api/threads/post/schedule", string(body), &p)
	return p
}

func (s *system) post(t *testing.T, id string) (p made) {
	t.Helper()
	s.api(t, http.MethodGet, "/api/threads/post/"+id, "", &p)
	return p
}

// TestPagesFollowWhatHappens: what happens elsewhere shows without a reload, and takes away nothing that is being typed.
func TestPagesFollowWhatHappens(t *testing.T) {
	s := start(t)
	b := browse(t, s.url)
	b.signIn()
	b.connect()
	b.open("/")
	b.see("#today", "Write your first post")
	eval[bool](b, `(window.mark = "the same page", true)`)
	p := s.schedule(t, "Scheduled by a program", 3*time.Hour)
	b.see(".upnext", "Scheduled by a program")
	s.api(t, http.MethodPost, "/api/threads/post", `{"text":"Said at once by a program"}`, nil)
	b.see("#out ~ .rows", "Said at once by a program")
	s.api(t, http.MethodDelete, "/api/threads/post/schedule/"+p.ID, "", nil)
	b.see("#today", "Nothing is scheduled.")
	if eval[string](b, "window.mark") != "the same page" {
		t.Error("the page was loaded anew")
	}
	// Signed out in another tab: the page says so, and leads back.
	b.signOutHere()
	eval[bool](b, `(dispatchEvent(new PageTransitionEvent("pagehide")), true)`)
	b.open("/")
	b.see("h1", "Posts on Threads")
	b.allowed = append(b.allowed, "status of 401")
}

// TestMoveByKeys: a post is found, moved and moved back with the keyboard alone.
func TestMoveByKeys(t *testing.T) {
	s := start(t)
	b := browse(t, s.url)
	b.zone("America/New_York")
	b.signIn()
	b.connect()
	p := s.schedule(t, "To be moved", 30*time.Hour)
	b.open("/")
	b.see("footer", "America/New_York")
	b.ready()
	b.do("g p", chromedp.KeyEvent("g"), chromedp.KeyEvent("p"))
	b.see("#posts", "To be moved")
	b.ready()
	b.do("j m", chromedp.KeyEvent("j"), chromedp.KeyEvent("m"))
	b.see("h1", "Move the post")
	// The time is on the person's clocks, not on the machine's.
	there, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	if shown := eval[string](b, `document.querySelector("#time").value.slice(0, 5)`); shown != p.ScheduledAt.In(there).Format("15:04") {
		t.Errorf("shown %s, meant %s", shown, p.ScheduledAt.In(there))
	}
	day := p.ScheduledAt.In(there).AddDate(0, 0, 3)
	b.set("#date", day.Format(time.DateOnly))
	b.set("#time", "06:30")
	b.do("focus", chromedp.Focus(chromedp.CSS("#zone")))
	b.do("send", chromedp.KeyEvent("\r"))
	b.see(".notice", "Moved to")
	want := time.Date(day.Year(), day.Month(), day.Day(), 6, 30, 0, 0, there)
	if now := s.post(t, p.ID); !now.ScheduledAt.Equal(want) {
		t.Errorf("it is for %s, not %s", now.ScheduledAt, want)
	}
	b.click(".notice button", ".notice")
	b.see(".notice", "Moved.")
	if now := s.post(t, p.ID); !now.ScheduledAt.Equal(p.ScheduledAt) {
		t.Errorf("undone, it is for %s, not %s", now.ScheduledAt, p.ScheduledAt)
	}
	// Ctrl+Enter sends; n writes; the keys can be turned off.
	b.ready()
	b.do("n", chromedp.KeyEvent("n"))
	b.see("h1", "Write a post")
	b.ready()
	b.fill("#text", "Sent by keys")
	b.do("ctrl enter", chromedp.KeyEvent("\r", chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	b.see(".notice", "Scheduled.")
	b.ready()
	b.do("help", chromedp.KeyEvent("?"))
	b.see("#help", "Keys are on")
	b.do("off", chromedp.Click(chromedp.CSS("[data-keys-on]")), chromedp.Click(chromedp.CSS("#help form button")))
	b.do("n", chromedp.KeyEvent("n"))
	if at := b.at(); !strings.Contains(at, "/posts/") {
		t.Errorf("the keys are off, and n led to %s", at)
	}
}

// TestTypedBeforeTheScripts: on a slow line a person types while the scripts are still on their way.
func TestTypedBeforeTheScripts(t *testing.T) {
	f := newFake(t)
	b := browse(t, f.server.URL)
	token, err := f.issuer.Token("ada", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	b.cookie("console_session", token)
	_, err = chromedp.Call(b.ctx, cdp.AddScriptToEvaluateOnNewDocument, cdp.AddScriptToEvaluateOnNewDocumentParams{Source: `
		new MutationObserver((_, observer) => {
			const text = document.querySelector("#text");
			if (!text) return;
			observer.disconnect();
			text.value = "Typed early";
		}).observe(document, { childList: true, subtree: true })`})
	if err != nil {
		t.Fatal(err)
	}
	b.open("/compose")
	b.see("#thread", "Typed early")
	if kept := eval[bool](b, `Object.keys(localStorage).some((k) => k.startsWith("draft") && localStorage[k].includes("Typed+early"))`); !kept {
		t.Error("the draft is not kept")
	}
}

// TestADraftIsNotLost: what is typed is there after a reload, until it was sent.
func TestADraftIsNotLost(t *testing.T) {
	s := start(t)
	b := browse(t, s.url)
	b.allowed = []string{"status of 422"}
	b.signIn()
	b.connect()
	b.open("/compose")
	b.ready()
	b.fill("#text", "Half a thought")
	b.fill("#url-0", "https://cdn.example.com/1.jpg")
	b.do("one more", chromedp.Click(chromedp.CSS("[value=add]")))
	b.fill("#url-1", "https://cdn.example.com/2.jpg")
	eval[bool](b, `new Promise((done) => { const look = () => Object.keys(localStorage).some((k) => k.startsWith("draft") && localStorage[k].includes("Half+a+thought") && localStorage[k].includes("2.jpg")) ? done(true) : setTimeout(look, 20); look(); })`)
	b.do("reload", chromedp.Reload())
	b.do("restored", chromedp.WaitVisible(chromedp.CSS("#restored")))
	if text := eval[string](b, `document.querySelector("#text").value`); text != "Half a thought" {
		t.Errorf("restored: %q", text)
	}
	if second := eval[string](b, `document.querySelector("#url-1").value`); second != "https://cdn.example.com/2.jpg" {
		t.Errorf("the second picture is %q", second)
	}
	for range 2 { // and it goes away again
		b.do("drop", chromedp.Click(chromedp.CSS("[value=drop-0]")))
		eval[bool](b, `new Promise((done) => { const look = () => document.querySelector("#editor").inert ? setTimeout(look, 20) : done(true); look(); })`)
	}
	b.click(".send [value=send]", "#post")
	b.open("/compose")
	if text := eval[string](b, `document.querySelector("#text").value`); text != "" {
		t.Errorf("after it was sent: %q", text)
	}
	b.ready()
	// A long text is split where its sentences end.
	b.fill("#text", strings.Repeat("This is a sentence of some length, which ends here. ", 12))
	b.see("#counts .over", "of 500")
	b.do("split", chromedp.Click(chromedp.CSS("[value=split]")))
	b.see("#thread", "Later")
	if n := eval[[]int](b, `[document.querySelectorAll("#counts span").length, document.querySelectorAll("#counts .over").length]`); n[0] != 2 || n[1] != 0 {
		t.Errorf("%d parts, of which %d are too long", n[0], n[1])
	}
	// The order of the parts changes with a button.
	b.fill("#text", "One\n---\nTwo")
	b.see("#thread", "Two")
	b.do("later", chromedp.Click(chromedp.CSS(`[aria-label="Later part 1"]`)))
	b.see("#thread article:first-child", "Two")
	if text := eval[string](b, `document.querySelector("#text").value`); text != "Two\n---\nOne" {
		t.Errorf("%q", text)
	}
	// The clocks go back on the first Sunday of November in New York: half past one comes twice.
	b.fill("#text", "At night")
	b.set("#date", "2027-11-07")
	b.set("#time", "01:30")
	b.fill("#zone", "America/New_York")
	b.click(".send [value=send]", "[name=fold]")
	b.see(".callout.warn", "comes twice")
	b.do("second", chromedp.Click(chromedp.CSS("[name=fold][value='1']")))
	b.click(".send [value=send]", ".callout.warn")
	b.see(".callout.warn", "the second time")
	b.see("#preview", "Goes out Sunday 7 November 2027 at 01:30, America/New_York")
	b.click(".send [value=send]", "#post")
	b.see("#post", "The clocks go back that night")
}

// TestConflict: two people change one post; who is slower sees both, and decides.
func TestConflict(t *testing.T) {
	s := start(t)
	b := browse(t, s.url)
	b.allowed = []string{"status of 412"}
	b.signIn()
	b.connect()
	p := s.schedule(t, "As it was", 5*time.Hour)
	b.open("/posts/" + p.ID + "/edit")
	b.fill("#text", "Mine")
	s.api(t, http.MethodPatch, "/api/threads/post/schedule/"+p.ID, `{"text":"Theirs"}`, nil)
	b.click(".send [value=send]", "[role=alert] h2")
	b.see("[role=alert]", "Theirs")
	if text := eval[string](b, `document.querySelector("#text").value`); text != "Mine" {
		t.Errorf("mine is %q", text)
	}
	if now := s.post(t, p.ID); now.Text != "Theirs" {
		t.Errorf("it is %q", now.Text)
	}
	b.click(".send [value=send]", "#post")
	if now := s.post(t, p.ID); now.Text != "Mine" {
		t.Errorf("it is %q", now.Text)
	}
}

// ready waits until the scripts of a page have begun to listen.
func (b *browser) ready() {
	b.Helper()
	b.do("scripts", chromedp.WaitVisible(chromedp.CSS("[data-help]")))
}
