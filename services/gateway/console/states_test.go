package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/omni-write/threads/events"
)

// TestStates puts pages into every state that is designed, and looks at each: what it says, that axe-core finds nothing, and that
// nothing that was typed is lost.
func TestStates(t *testing.T) {
	f := newFake(t)
	b := browse(t, f.server.URL)
	b.allowed = []string{"status of 4", "status of 503", "net::ERR"}
	token, err := f.issuer.Token("ada", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	b.cookie("console_session", token)
	state := func(name string) {
		t.Helper()
		b.accessible(name)
		b.shot("30-" + strings.ReplaceAll(name, " ", "-"))
	}
	const queued = "GET /api/threads/posts?" + string(events.StatusQueued)
	full := map[string]any{"posts": []any{postIn(events.StateScheduled, events.StatusQueued)}}

	// Too much at once: what, and until when.
	f.answer(queued, later("40", trouble(http.StatusTooManyRequests, "rate_limited", "Too many requests.")))
	b.open("/posts")
	b.see(".door", "Too many requests. You can try again at ")
	state("too many requests")

	// The gateway restarts: the page comes by itself.
	f.answer(queued, later("600", trouble(http.StatusServiceUnavailable, "unavailable", "We are restarting.")))
	b.open("/posts")
	b.see(".door", "This page tries again by itself.")
	state("restarting")
	f.answer(queued, later("1", trouble(http.StatusServiceUnavailable, "unavailable", "We are restarting.")))
	b.open("/posts")
	b.see(".door", "This page tries again by itself.")
	f.answer(queued, full)
	b.see("#posts", "Doors open at ten")

	// The stream is lost, and comes back; the page says of when it is.
	b.ready()
	f.stream(false)
	b.see("#lost", "The connection is lost. What you see is of ")
	state("stream lost")
	f.stream(true)
	b.do("back", chromedp.WaitNotVisible(chromedp.CSS("#lost")))

	// Signed out in another tab.
	b.signOutHere()
	f.stream(false)
	b.see("#lost", "You are signed out.")
	state("signed out in another tab")
	f.stream(true)
	if at := eval[string](b, `document.querySelector("#lost a").getAttribute("href")`); at != "/console/sign-in?return=%2Fconsole%2Fposts" {
		t.Errorf("the way back is %s", at)
	}
	b.open("/compose")
	b.see("h1", "Posts on Threads")
	b.cookie("console_session", token)

	// The editor: nothing is lost by a sign-out, an answer that does not come, a limit.
	b.open("/compose")
	b.ready()
	b.fill("#text", "Typed for an hour")
	f.answer("POST /api/threads/post/validate", map[string]any{"valid": true})
	b.signOutHere()
	b.do("send", chromedp.Click(chromedp.CSS(".send [value=send]")))
	b.see("#lost", "You are signed out.")
	state("signed out while writing")
	b.cookie("console_session", token)
	f.silence(true)
	b.do("send", chromedp.Click(chromedp.CSS(".send [value=send]")))
	b.see("#lost", "The gateway does not answer. What you wrote is kept")
	state("no answer")
	f.silence(false)
	f.answer("POST /api/threads/post/schedule", later("90", trouble(http.StatusTooManyRequests, "rate_limited", "Too many posts.")))
	b.do("send", chromedp.Click(chromedp.CSS(".send [value=send]")))
	b.see(".callout.bad", "You can try again at ")
	state("a limit while writing")
	if text := eval[string](b, `document.querySelector("#text").value`); text != "Typed for an hour" {
		t.Errorf("what was typed is %q", text)
	}
	b.do("reload", chromedp.Reload())
	b.do("restored", chromedp.WaitVisible(chromedp.CSS("#restored")))
	state("a draft is back")

	// Loading: a search that takes its time.
	release := make(chan struct{})
	f.answer("GET /api/threads/locations", func() any {
		<-release
		return map[string]any{"items": []any{map[string]any{"id": "77", "name": "The old mill"}}}
	})
	eval[bool](b, `document.querySelector("#options").open = true`)
	b.fill("#place", "mill")
	b.do("find", chromedp.Click(chromedp.CSS("[value=places]")))
	b.see("#lost", "One moment…")
	state("loading")
	close(release)
	b.see(".places", "The old mill")
	b.do("said", chromedp.WaitNotVisible(chromedp.CSS("#lost")))
	b.do("choose", chromedp.Click(chromedp.CSS(".places label")))
	b.see("#thread", "The old mill")
	b.fill("#text", "It was ||the butler||")
	b.see("#thread .hid", "the butler")
	b.see("#counts", "17 of 500")
	state("hidden words and a place")

	// It went out meanwhile, and somebody else changed it: both versions.
	b.open("/posts/post_scheduled/edit")
	f.answer("PATCH /api/threads/post/schedule/post_scheduled", trouble(http.StatusConflict, "conflict", "It is being published."))
	b.click(".send [value=send]", ".callout.bad a")
	b.see(".callout.bad", "See how it is now")
	state("too late")
	f.answer("PATCH /api/threads/post/schedule/post_scheduled", trouble(http.StatusPreconditionFailed, "conflict", "It has changed."))
	b.fill("#topic", "another")
	b.click(".send [value=send]", ".versions")
	b.see(".versions", "another")
	state("both versions")
	b.width(360)
	if over := eval[int](b, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
		t.Errorf("both versions are %d pixels too wide", over)
	}
	b.dark(true)
	state("both versions dark and narrow")
	b.width(1280)
	b.dark(false)
	f.answer("DELETE /api/threads/post/schedule/post_scheduled", trouble(http.StatusConflict, "conflict", "It is being published."))
	b.open("/posts/post_scheduled")
	b.click("form[action$=cancel] button", ".door")
	b.see(".door", "See how it is now")
	state("too late to cancel")

	// An account that must be connected again; nothing yet; the first run.
	b.open("/")
	b.see(".concern", "must be connected again")
	state("reconnect")
	for _, status := range []events.Status{events.StatusQueued, events.StatusPosted, events.StatusFailed} {
		f.answer("GET /api/threads/posts?"+string(status), map[string]any{"posts": []any{}})
	}
	b.open("/posts")
	b.see(".empty", "Nothing is scheduled.")
	state("empty")
	b.open("/")
	b.see(".hello", "Write your first post")
	state("first post")
	f.answer("GET /api/threads/connections", []any{})
	b.open("/")
	b.see(".hello", "Connect your Threads account")
	state("first run")
}

// tab presses Tab until an element has the focus.
func (b *browser) tab(to string) {
	b.Helper()
	for range 100 {
		if eval[bool](b, `document.activeElement?.matches(`+quote(to)+`) ?? false`) {
			return
		}
		b.do("tab", chromedp.KeyEvent("\t"))
	}
	b.Fatalf("Tab does not lead to %s", to)
}

// press goes to an element and presses a key on it.
func (b *browser) press(at, key, then string) {
	b.Helper()
	b.tab(at)
	b.do("press "+at, chromedp.KeyEvent(key))
	b.do("see "+then, chromedp.WaitVisible(chromedp.CSS(then)))
}

// TestFirstMinuteByKeyboard: from the door to a scheduled post without a mouse, on clocks that are not the machine's and that change.
func TestFirstMinuteByKeyboard(t *testing.T) {
	s := start(t)
	b := browse(t, s.url)
	b.zone("Europe/Berlin")
	b.open("/")
	b.press("main .button", "\r", "button[value=user_demo]")
	b.press("button[value=user_demo]", "\r", ".bar nav")
	b.press(".hello .button", "\r", "button[value=allow]")
	b.press("button[value=allow]", "\r", "section.account")
	b.ready()
	b.press("[data-key=n]", "\r", "#text")
	b.ready()
	b.tab("#text")
	b.do("type", chromedp.KeyEvent("The clocks know ||at half past two||"))
	b.see("#thread .hid", "at half past two")
	b.set("#date", "2027-03-28") // how a day is typed depends on the browser's language
	b.set("#time", "02:30")
	b.press(".send [value=send]", "\r", ".when .callout.warn")
	b.see(".when .callout.warn", "does not come")
	b.accessible("the clocks change")
	b.press(".send [value=send]", "\r", "#post")
	b.see("#post", "Sun 28 Mar 2027, 03:30")
	b.see("#post .hid", "at half past two")
	var found struct {
		Posts []struct {
			made
			Spoilers []events.TextRange `json:"spoilers"`
		} `json:"posts"`
	}
	s.api(t, http.MethodGet, "/api/threads/posts", "", &found)
	if p := found.Posts[0]; p.Text != "The clocks know at half past two" || len(p.Spoilers) != 1 || p.Spoilers[0] != (events.TextRange{Offset: 16, Length: 16}) || !p.ScheduledAt.Equal(time.Date(2027, 3, 28, 1, 30, 0, 0, time.UTC)) {
		t.Errorf("%+v", p)
	}
}

// TestReconnect: Threads ends the connection. A post waits and says why, and Today leads to where the account is connected again.
func TestReconnect(t *testing.T) {
	s := start(t)
	b := browse(t, s.url)
	b.allowed = []string{"status of 409"}
	b.signIn()
	b.connect()
	var connection struct {
		Username string `json:"username"`
	}
	s.api(t, http.MethodGet, "/api/threads/connection", "", &connection)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.simulator+"/_sim/revoke", strings.NewReader(`{"username":"`+connection.Username+`","subcode":460}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("the simulator answers %d", resp.StatusCode)
	}
	b.open("/compose")
	b.ready()
	b.fill("#text", "To be said at once")
	b.do("now", chromedp.Click(chromedp.CSS("[name=when][value=now]")))
	b.do("send", chromedp.Click(chromedp.CSS(".send [value=send]")))
	b.do("an answer", chromedp.WaitVisible(chromedp.CSS(".callout.bad, #post")))
	b.accessible("the connection is over")
	b.shot("31-connection-over")
	b.open("/")
	b.see(".concern", "must be connected again")
	b.press(".concern .button", "\r", "button[value=allow]")
	b.press("button[value=allow]", "\r", "section.account")
	b.see(".notice", "Connected.")
	b.open("/")
	if eval[bool](b, `!!document.querySelector(".concern")`) && strings.Contains(b.text(".concern"), "connected again") {
		t.Errorf("it still asks to connect again: %s", b.text(".concern"))
	}
}

// TestWithoutScripts writes, lists and cancels in a browser that runs no scripts.
func TestWithoutScripts(t *testing.T) {
	s := start(t)
	b := browse(t, s.url)
	b.allowed = []string{"status of 422"}
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	b.signIn()
	b.connect()
	b.open("/compose")
	if eval[bool](b, `!document.querySelector("[data-help]").hidden`) {
		t.Fatal("scripts run")
	}
	b.do("nothing", chromedp.Click(chromedp.CSS(".send [value=check]")))
	b.see("#wrong-text", "")
	b.fill("#text", "It was ||the butler||")
	b.do("part", chromedp.Click(chromedp.CSS("[value=part]")))
	b.see("#thread .hid", "the butler")
	b.fill("#text", "At the mill\n---\nIt was ||the butler||")
	b.do("check", chromedp.Click(chromedp.CSS(".send [value=check]")))
	b.see("#wrong-text", "Part 2: Only the first part")
	b.do("later", chromedp.Click(chromedp.CSS("[value=later-0]")))
	b.see("#thread article:first-child", "the butler")
	b.do("check", chromedp.Click(chromedp.CSS(".send [value=check]")))
	b.see(".callout.good", "Nothing is wrong with it.")
	b.do("send", chromedp.Click(chromedp.CSS(".send [value=send]")))
	b.see(".notice", "Scheduled.")
	b.open("/posts")
	b.see("#posts", "It was the butler")
	b.do("post", chromedp.Click(chromedp.CSS(".row-main")))
	b.see("#post", "At the mill")
	b.do("cancel", chromedp.Click(chromedp.CSS("form[action$=cancel] button")))
	b.see(".notice", "Cancelled.")
	b.open("/posts?show=cancelled")
	b.see("#posts", "It was the butler")
}
