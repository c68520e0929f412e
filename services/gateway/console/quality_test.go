package console_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/omni-write/threads/events"
)

// axe is the text of axe-core.
var axe = sync.OnceValues(func() (string, error) {
	packed, err := os.Open("testdata/axe.min.js.gz")
	if err != nil {
		return "", err
	}
	defer func() { _ = packed.Close() }()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(unpacked)
	return string(text), err
})

// accessible has axe-core look at the page as it is.
func (b *browser) accessible(state string) {
	b.Helper()
	text, err := axe()
	if err != nil {
		b.Fatal(err)
	}
	eval[bool](b, text+";true")
	found := eval[string](b, `axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.html.slice(0, 200) + " " + n.failureSummary).join("; ")).join("\n"))`)
	if found != "" {
		b.Errorf("%s at %s:\n%s", state, b.at(), found)
	}
}

// TestAccessibility has axe-core look at every page in every state, light, dark and narrow. It finds nothing.
func TestAccessibility(t *testing.T) {
	f := newFake(t)
	b := browse(t, f.server.URL)
	b.allowed = []string{"status of 404", "status of 401", "status of 422", "status of 412"}
	check := b.accessible
	b.open("/sign-in")
	check("the door")
	token, err := f.issuer.Token("ada", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	b.cookie("console_session", token)
	for _, at := range pages() {
		b.open(at)
		check("light")
	}
	for _, narrow := range []bool{false, true} {
		if narrow {
			b.width(360)
		}
		for _, dark := range []bool{true, false} {
			b.dark(dark)
			for _, at := range []string{"/", "/compose", "/posts?show=all", "/calendar", "/calendar?view=week", "/posts/post_published", "/posts/post_parked", "/posts/post_scheduled/move", "/accounts", "/settings", "/developers", "/developers/webhooks/new", "/developers/webhooks/whk_1", "/operations"} {
				b.open(at)
				check("narrow, or dark")
				if over := eval[int](b, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
					t.Errorf("%s is %d pixels too wide", at, over)
				}
			}
			if narrow {
				continue
			}
			b.open("/")
			b.shot("20-states-today")
			b.open("/posts/post_published")
			b.shot("20-states-published")
			b.open("/posts/post_parked")
			b.shot("20-states-parked")
			b.open("/accounts")
			b.shot("20-states-accounts")
			b.open("/operations")
			b.shot("20-states-operations")
			b.open("/developers/webhooks/whk_1")
			b.shot("20-states-webhook")
		}
	}
	b.width(1280)
	b.open("/compose")
	b.click(".send [value=send]", ".wrong")
	check("what is wrong")
	b.shot("21-wrong")
	// A conflict, with both versions.
	f.answer("POST /api/threads/post/validate", map[string]any{"valid": true})
	f.answer("PATCH /api/threads/post/schedule/post_scheduled", trouble(http.StatusPreconditionFailed, "conflict", "It has changed."))
	b.open("/posts/post_scheduled/edit")
	b.click(".send [value=send]", ".callout.warn h2")
	check("both versions")
	b.shot("22-conflict")
	b.open("/posts/post_scheduled/move")
	b.click("button.primary", ".callout.warn")
	check("a move that came late")
	b.open("/")
	b.do("keys", chromedp.KeyEvent("?"))
	b.see("#help", "Write a post")
	check("keys")
	b.do("close", chromedp.KeyEvent("\x1b"))
	f.answer("GET /api/threads/connections", []any{})
	b.open("/accounts")
	check("no account")
	b.open("/compose")
	check("no account")
	f.answer("GET /api/threads/posts?"+string(events.StatusQueued), map[string]any{"posts": []any{}})
	b.open("/posts")
	check("no posts")
	f.answer("GET /api/threads/events/recent", map[string]any{"events": []any{}})
	f.answer("GET /api/threads/webhooks", []any{})
	b.open("/developers")
	check("no events")
	f.answer("GET /api/threads/events/recent", trouble(http.StatusServiceUnavailable, "unavailable", "Not now."))
	b.open("/developers")
	check("no looking back")
	f.answer("GET /api/threads/operations", map[string]any{"consumers": []any{}})
	b.open("/operations")
	check("nothing has gone out")
	f.answer("GET /api/threads/webhooks/whk_1/deliveries", map[string]any{"deliveries": []any{}})
	b.open("/developers/webhooks/whk_1")
	check("nothing sent")
	b.click("#rotate summary", "#rotate button")
	check("before a new secret")
	b.click("#rotate button", ".code")
	check("a new secret")
	for _, at := range []string{"/calendar", "/calendar?view=week&show=parked", "/calendar?view=day", "/calendar?view=list&search=x"} {
		b.open(at)
		check("nothing planned, or found")
	}
	f.answer("GET /api/threads/posts?"+string(events.StatusQueued), fullDays)
	for _, width := range []int64{1280, 360} {
		b.width(width)
		for _, dark := range []bool{true, false} {
			b.dark(dark)
			for _, view := range []string{"month", "week"} {
				b.open("/calendar?view=" + view + "&at=" + time.Now().AddDate(0, 0, 7).Format(time.DateOnly))
				check("a calendar that is full")
				if over := eval[int](b, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
					t.Errorf("the %s is %d pixels too wide at %d", view, over, width)
				}
				b.shot(fmt.Sprintf("23-%s-%d-%t", view, width, dark))
			}
		}
	}
	b.signOutHere()
	b.open("/settings")
	b.see("h1", "Posts on Threads")
}

// TestPagesAreSmall counts the bytes of a first visit, as they go over the wire: no more than 60 KB for any page and 100 KB for a
// calendar that is full. All our own scripts together have no more than 15 KB, as they are written.
func TestPagesAreSmall(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.signedIn("ada")
	loaded := regexp.MustCompile(`(?:src|href)="(/console/assets/[^"]+)"`)
	scripts := map[string]int{}
	pages := []string{"/", "/compose", "/posts", "/posts/post_published", "/accounts", "/developers", "/developers/webhooks/whk_1", "/operations"}
	full := []string{"/calendar", "/calendar?view=week&at=" + time.Now().AddDate(0, 0, 7).Format(time.DateOnly), "/calendar?view=day"}
	for i, at := range slices.Concat(pages, full) {
		most := 60_000
		if i >= len(pages) {
			f.answer("GET /api/threads/posts?"+string(events.StatusQueued), fullDays)
			most = 100_000
		}
		p := c.get("/console" + at)
		total := len(p.body)
		seen := map[string]bool{}
		var load func(to string)
		load = func(to string) {
			if seen[to] {
				return
			}
			seen[to] = true
			a := c.get(to, "Accept-Encoding", "gzip")
			if a.status != http.StatusOK {
				t.Fatalf("%s: %d", to, a.status)
			}
			total += len(a.body)
			if path.Ext(to) != ".js" || strings.HasSuffix(to, ".min.js") {
				return
			}
			plain := c.get(to, "Accept-Encoding", "identity").body
			scripts[to] = len(plain)
			for _, m := range regexp.MustCompile(`from "\./([^"]+)"`).FindAllStringSubmatch(plain, -1) {
				load("/console/assets/" + m[1])
			}
		}
		for _, m := range loaded.FindAllStringSubmatch(p.body, -1) {
			load(m[1])
		}
		if total > most || len(seen) < 3 {
			t.Errorf("%s: %d bytes in %d files", at, total, len(seen))
		}
		t.Logf("%s: %d bytes, of which the page is %d", at, total, len(p.body))
	}
	own := 0
	for _, n := range scripts {
		own += n
	}
	if own > 15*1024 || len(scripts) < 4 {
		t.Errorf("%d bytes of own scripts: %v", own, scripts)
	}
}

// TestVendored holds what is not ours to what it was when it was looked at, and every such file to having a licence.
func TestVendored(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("vendored/README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| [^|]+ \\| [^|]+ \\| `([0-9a-f]{64})` \\|$").FindAllStringSubmatch(string(readme), -1) {
		rows[m[1]] = m[2]
	}
	list, err := os.ReadDir("vendored")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"../testdata/axe.min.js.gz"}
	for _, file := range list {
		if path.Ext(file.Name()) == ".js" {
			names = append(names, file.Name())
		}
	}
	for _, name := range names {
		content, err := os.ReadFile("vendored/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if path.Ext(name) == ".gz" {
			unpacked, err := gzip.NewReader(bytes.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			if content, err = io.ReadAll(unpacked); err != nil {
				t.Fatal(err)
			}
		}
		sum := sha256.Sum256(content)
		if rows[name] != hex.EncodeToString(sum[:]) {
			t.Errorf("vendored/README.md has no row of %s with the hash %x", name, sum)
		}
		delete(rows, name)
	}
	if len(rows) > 0 {
		t.Errorf("vendored/README.md has rows of nothing: %v", rows)
	}
}

// TestCountAgrees runs the vectors of the rules of texts on the script that counts as one types.
func TestCountAgrees(t *testing.T) {
	raw, err := os.ReadFile("../../../internal/threads/testdata/text_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name, Text string
		Count      int
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	f := newFake(t)
	b := browse(t, f.server.URL)
	b.open("/sign-in")
	texts := make([]string, len(vectors))
	for i, v := range vectors {
		texts[i] = v.Text
	}
	list, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	counts := eval[[]int](b, `import("/console/assets/count.js").then((m) => (`+string(list)+`).map(m.count))`)
	for i, v := range vectors {
		if counts[i] != v.Count {
			t.Errorf("%s: the script counts %d, Threads %d", v.Name, counts[i], v.Count)
		}
	}
	if len(vectors) < 10 {
		t.Errorf("%d vectors", len(vectors))
	}
	typed := make([]string, len(hiddenWords))
	for i, h := range hiddenWords {
		typed[i] = h.typed
	}
	if list, err = json.Marshal(typed); err != nil {
		t.Fatal(err)
	}
	for i, text := range eval[[]string](b, `import("/console/assets/count.js").then((m) => (`+string(list)+`).map(m.plain))`) {
		if len(text) != len(hiddenWords[i].text) {
			t.Errorf("%q: the script counts %q, and %q is sent", typed[i], text, hiddenWords[i].text)
		}
	}
}
