package threads_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/omni-write/threads/internal/threads"
)

func ExampleCount() {
	fmt.Println(threads.Count("Hello"))
	fmt.Println(threads.Count("Hello 👋")) // the hand counts its four bytes
	fmt.Println(threads.Count("你好"))      // any other letter counts one
	// Output:
	// 5
	// 10
	// 2
}

func TestCount(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/text_vectors.json")
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
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			if got := threads.Count(v.Text); got != v.Count {
				t.Errorf("%q counts %d, want %d", v.Text, got, v.Count)
			}
		})
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text, attachment string
		want             int
	}{
		{"no link at all, e.g. this.", "", 0},
		{"www.instagram.com, www.threads.net", "", 2},
		{"www.instagram.com, www.threads.net", "www.facebook.com", 3},
		{"www.facebook.com, www.facebook.com", "www.facebook.com", 1},
		{"see https://example.org/a. And https://example.org/a!", "", 1},
		{"(https://example.org/a) https://EXAMPLE.org/a/", "", 1},
		{"https://example.org/a https://example.org/A", "", 2},
		{"https://en.wikipedia.org/wiki/Go_(game) https://en.wikipedia.org/wiki/Go_(game", "", 2},
		{"", "https://example.org", 1},
	} {
		if got := threads.Links(tc.text, tc.attachment); got != tc.want {
			t.Errorf("%q with %q: %d links, want %d", tc.text, tc.attachment, got, tc.want)
		}
	}
}

func TestCheckText(t *testing.T) {
	t.Parallel()
	var links strings.Builder
	for i := range 6 {
		fmt.Fprintf(&links, "https://example.org/%d ", i)
	}
	for name, tc := range map[string]struct {
		text string
		want string
	}{
		"500 letters":       {strings.Repeat("é", 500), ""},
		"501 letters":       {strings.Repeat("x", 501), threads.TextTooLong},
		"125 emoji":         {strings.Repeat("🚀", 125), ""},
		"126 emoji":         {strings.Repeat("🚀", 126), threads.TextTooLong},
		"five links":        {strings.Join(strings.Fields(links.String())[:5], " "), ""},
		"six links":         {links.String(), threads.TooManyLinks},
		"a NUL":             {"a\x00b", threads.TextInvalid},
		"what is not UTF-8": {"a\xffb", threads.TextInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := threads.CheckText(tc.text)
			if (tc.want == "" && len(got) > 0) || (tc.want != "" && (len(got) != 1 || got[0].Code != tc.want || got[0].Detail == "")) {
				t.Errorf("got %v, want %q", got, tc.want)
			}
		})
	}
}

func TestCheckMediaURL(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"https://cdn.example/a.jpg", "http://cdn.example:8080/a?b=c", "https://[2001:db8::1]/a"} {
		if p := threads.CheckMediaURL(good); p != nil {
			t.Errorf("%s: %v", good, p)
		}
	}
	for _, bad := range []string{
		"", "/a.jpg", "cdn.example/a.jpg", "ftp://cdn.example/a", "file:///etc/passwd", "https://", "https:///a", "https://:80/a",
		"https://user@cdn.example/a", "https://user:pass@cdn.example/a", "https:cdn.example", "javascript:alert(1)",
		"https://cdn.example/a b", "https://cdn.example/%zz", "https://cdn.example/" + strings.Repeat("a", 2048),
	} {
		if p := threads.CheckMediaURL(bad); p == nil || p.Code != threads.MediaURLInvalid {
			t.Errorf("%.60q: got %v, want a problem", bad, p)
		}
	}
}

func FuzzCount(f *testing.F) {
	f.Add("a👍🏽é\r\n🇫🇷\xff")
	f.Fuzz(func(t *testing.T, text string) {
		if n, runes := threads.Count(text), len([]rune(text)); n < runes || n > len(text) {
			t.Errorf("%q counts %d, not between its %d code points and %d bytes", text, n, runes, len(text))
		}
		if threads.Links(text, "") > len(text) {
			t.Errorf("%q has more links than bytes", text)
		}
		threads.CheckText(text)
	})
}
