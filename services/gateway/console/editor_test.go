package console_test

import (
	"encoding/json"
	"html"
	"math/rand/v2"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/threads"
)

// hiddenWords is how what is typed becomes a text with hidden stretches.
var hiddenWords = []struct {
	typed, text string
	hidden      [][2]int
}{
	{"No secret.", "No secret.", nil},
	{"It was ||the butler||.", "It was the butler.", [][2]int{{7, 10}}},
	{"||All of it||", "All of it", [][2]int{{0, 9}}},
	{"||One|| and ||two||", "One and two", [][2]int{{0, 3}, {8, 3}}},
	{"☕ é ||👩‍👩‍👧 né||", "☕ é 👩‍👩‍👧 né", [][2]int{{4, 8}}},
	{"||two\nlines||", "two\nlines", [][2]int{{0, 9}}},
	{"a || b", "a || b", nil},
	{"a ||b|| c || d", "a b c || d", [][2]int{{2, 1}}},
	{"a | b ||| c |||| d", "a | b ||| c |||| d", nil},
	{`a \|\| b \|\| c`, "a || b || c", nil},
	{`a \\||b|| \\\||| c||`, `a \b \| c`, [][2]int{{3, 1}, {7, 2}}},
	{`a \ b \\ c`, `a \ b \\ c`, nil},
	{`||a\|||`, "a|", [][2]int{{0, 2}}},
}

// field is what the page's field of a name holds.
func fieldOf(t *testing.T, body, after, until string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, after)
	if !ok {
		t.Fatalf("no %s in %s", after, body)
	}
	value, _, _ := strings.Cut(rest, until)
	return html.UnescapeString(value)
}

func textOf(t *testing.T, p page) string {
	t.Helper()
	_, area, _ := strings.Cut(p.body, `<textarea id="text"`)
	return fieldOf(t, area, ">\n", "</textarea>")
}

// TestHiddenWords: words between bars are sent as the API takes them, and shown again as they would be typed.
func TestHiddenWords(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.signedIn("ada")
	token := c.formToken()
	sent := func(at string, form url.Values) (text string, hidden [][2]int) {
		t.Helper()
		form.Set("form", token)
		c.send(http.MethodPost, at, form)
		body := f.body("POST /api/threads/post/validate")
		text, _ = body["text"].(string)
		list, _ := body["spoilers"].([]any)
		for _, one := range list {
			r, _ := one.(map[string]any)
			hidden = append(hidden, [2]int{int(r["offset"].(float64)), int(r["length"].(float64))})
		}
		return text, hidden
	}
	for _, h := range hiddenWords {
		if text, hidden := sent("/console/compose", url.Values{"do": {"check"}, "text": {h.typed}}); text != h.text || !reflect.DeepEqual(hidden, h.hidden) {
			t.Errorf("%q: %q %v", h.typed, text, hidden)
		}
	}
	again := func(text string, hidden [][2]int) {
		t.Helper()
		p := postIn(events.StateScheduled, events.StatusQueued)
		p.Text, p.Media, p.Spoilers = text, nil, nil
		for _, r := range hidden {
			p.Spoilers = append(p.Spoilers, events.TextRange{Offset: r[0], Length: r[1]})
		}
		body, _ := json.Marshal(p)
		f.answer("GET /api/threads/post/post_scheduled", json.RawMessage(body))
		typed := textOf(t, c.get("/console/posts/post_scheduled/edit"))
		if back, ranges := sent("/console/posts/post_scheduled/edit", url.Values{"do": {"check"}, "text": {typed}}); back != text || !reflect.DeepEqual(ranges, hidden) {
			t.Errorf("%q %v is shown as %q, and sent as %q %v", text, hidden, typed, back, ranges)
		}
	}
	for _, h := range hiddenWords {
		again(h.text, h.hidden)
	}
	// Whatever a text has, an edit that changes nothing changes nothing.
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		runes := make([]rune, 1+r.IntN(12))
		for i := range runes {
			runes[i] = []rune(`||||\\aé `)[r.IntN(9)]
		}
		runes[0] = 'x'
		var hidden [][2]int
		for at := r.IntN(3); at < len(runes) && r.IntN(4) > 0; {
			n := 1 + r.IntN(len(runes)-at)
			hidden = append(hidden, [2]int{at, n})
			at += n + 1 + r.IntN(3) // those that touch become one
		}
		again(string(runes), hidden)
	}
	// A later part cannot hide words: that is said, and nothing is sent.
	f.answer("POST /api/threads/post/validate", map[string]any{"valid": true})
	p := c.send(http.MethodPost, "/console/compose", url.Values{"form": {token}, "do": {"send"}, "text": {"One\n---\n||Two||"}})
	if p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "Part 2: Only the first part of a chain can hide words.") || len(f.called()) > 0 {
		t.Errorf("%d %v %s", p.status, f.called(), p.body)
	}
}

// TestLongTextIsSplit: at the ends of sentences where there are any, and so that Threads takes every part.
func TestLongTextIsSplit(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.signedIn("ada")
	token := c.formToken()
	split := func(text string, more ...string) ([]string, page) {
		t.Helper()
		form := url.Values{"form": {token}, "do": {"split"}, "text": {text}}
		for i := 0; i+1 < len(more); i += 2 {
			form.Add(more[i], more[i+1])
		}
		p := c.send(http.MethodPost, "/console/compose", form)
		parts := strings.Split(textOf(t, p), "\n---\n")
		for _, part := range parts {
			if n := threads.Count(part); n > threads.MaxText || n == 0 {
				t.Errorf("a part counts %d: %q", n, part)
			}
		}
		return parts, p
	}
	long := strings.Repeat("This is a sentence of some length, which ends here. ", 30)
	parts, _ := split(long)
	for _, part := range parts {
		if len(part) > 500 || !strings.HasSuffix(part, ".") {
			t.Errorf("%d: %s", len(part), part)
		}
	}
	if strings.Join(parts, " ") != strings.TrimSpace(long) {
		t.Error("words are lost")
	}
	for _, text := range []string{
		strings.Repeat("words without an end ", 60), strings.Repeat("x", 1300), strings.Repeat("👩‍👩‍👧‍👦", 50), strings.Repeat("ℹ️ 1️⃣ 🇩🇪 ‼️ ", 60), strings.Repeat("どこまでも。", 300), strings.Repeat("3.14 ", 300), strings.Repeat("né ", 500),
	} {
		parts, _ := split(text)
		bare := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if len(parts) < 2 || bare(strings.Join(parts, "")) != bare(text) {
			t.Errorf("%.20q became %q", text, parts)
		}
		if slices.ContainsFunc(parts, func(part string) bool { return strings.HasSuffix(part, "3.") }) {
			t.Error("a number was cut in two")
		}
	}
	// What is in the part after a split one stays with it.
	_, p := split(long+"\n---\nThe end", "media_url", "https://cdn.example.com/end.jpg", "media_part", "2")
	if !strings.Contains(p.body, `inputmode="numeric" value="5"`) {
		t.Errorf("the picture is not in the last part: %s", p.body)
	}
}

// TestPartsChangePlaces: with a button, also without scripts, and their pictures go with them.
func TestPartsChangePlaces(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.signedIn("ada")
	form := url.Values{"form": {c.formToken()}, "text": {"One\n---\nTwo\n---\nThree"}, "media_url": {"https://cdn.example.com/1.jpg"}, "media_part": {"1"}}
	for _, step := range []struct{ do, text, part string }{
		{"later-0", "Two\n---\nOne\n---\nThree", "2"}, {"earlier-1", "One\n---\nTwo\n---\nThree", "1"}, {"earlier-0", "One\n---\nTwo\n---\nThree", "1"},
		{"later-2", "One\n---\nTwo\n---\nThree", "1"}, {"later-x", "One\n---\nTwo\n---\nThree", "1"}, {"part", "One\n---\nTwo\n---\nThree\n---\n", "1"},
	} {
		form.Set("do", step.do)
		p := c.send(http.MethodPost, "/console/compose", form)
		if text := textOf(t, p); text != step.text || !strings.Contains(p.body, `inputmode="numeric" value="`+step.part+`"`) {
			t.Errorf("%s: %q", step.do, text)
		}
		form.Set("text", textOf(t, p))
		form.Set("media_part", step.part)
	}
	if calls := f.called(); len(calls) > 0 {
		t.Errorf("%v", calls)
	}
}

// TestPlaces: one is found by its name and chosen, or named by its id.
func TestPlaces(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.answer("POST /api/threads/post/validate", map[string]any{"valid": true})
	f.answer("GET /api/threads/locations?accountId=acct_1&q=mill", map[string]any{"items": []any{map[string]any{"id": "77", "name": "Old mill", "city": "Ulm", "country": "Germany"}}})
	f.answer("GET /api/threads/locations?accountId=acct_1&q=nowhere", map[string]any{"items": []any{}})
	f.answer("GET /api/threads/locations?accountId=acct_1&q=refused", trouble(http.StatusForbidden, "missing_scope", "Connect again and allow places."))
	c := f.signedIn("ada")
	form := url.Values{"form": {c.formToken()}, "account": {account}, "text": {"Here"}, "do": {"places"}}
	for query, said := range map[string]string{
		"mill": `value="77 Old mill, Ulm, Germany"`, "nowhere": "Threads knows no place of this name.", "refused": "Connect again and allow places.", "": "Write a name to look for.", "123456": "The place with the id 123456",
	} {
		form.Set("place", query)
		if p := c.send(http.MethodPost, "/console/compose", form); p.status != http.StatusOK || !strings.Contains(p.body, said) {
			t.Errorf("%q: %d %s", query, p.status, p.body)
		}
	}
	form.Set("location", "77 Old mill, Ulm, Germany")
	form.Set("do", "check")
	p := c.send(http.MethodPost, "/console/compose", form)
	if sent := f.body("POST /api/threads/post/validate")["location"]; sent != "77" || !strings.Contains(p.body, "Old mill, Ulm, Germany") {
		t.Errorf("%v %s", sent, p.body)
	}
}

// TestOnlySendSends: a form whose button is not known, or that has none, is checked and not sent.
func TestOnlySendSends(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.answer("POST /api/threads/post/validate", map[string]any{"valid": true})
	f.answer("POST /api/threads/post/schedule", map[string]any{"id": "post_scheduled"})
	c := f.signedIn("ada")
	form := url.Values{"form": {c.formToken()}, "text": {"Here"}}
	for _, do := range []string{"", "x", "Send", "check"} {
		form.Set("do", do)
		if p := c.send(http.MethodPost, "/console/compose", form); p.status != http.StatusOK || len(f.called()) > 0 {
			t.Errorf("%q: %d %v", do, p.status, f.called())
		}
	}
	form.Set("do", "send")
	if p := c.send(http.MethodPost, "/console/compose", form); p.status != http.StatusSeeOther || len(f.called()) != 1 {
		t.Errorf("%d %v", p.status, f.called())
	}
}
