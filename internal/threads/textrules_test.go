package threads_test

import (
	"fmt"
	"slices"
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

type textVector struct {
	Name, Text, Attachment string
	Count                  int
	Links                  *int
	Problems               *[]string
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, v := range vectors[textVector](t, "text_vectors.json") {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			if got := threads.Count(v.Text); got != v.Count {
				t.Errorf("%q counts %d, want %d", v.Text, got, v.Count)
			}
			if got := threads.Links(v.Text, v.Attachment); v.Links != nil && got != *v.Links {
				t.Errorf("%q with %q: %d links, want %d", v.Text, v.Attachment, got, *v.Links)
			}
			if v.Problems == nil {
				return
			}
			got := []string{}
			for _, p := range threads.CheckText(v.Text) {
				got = append(got, p.Code)
				if p.Field != "text" || p.Detail == "" {
					t.Errorf("%+v", p)
				}
			}
			if !slices.Equal(got, *v.Problems) {
				t.Errorf("problems are %v, want %v", got, *v.Problems)
			}
		})
	}
	// JSON has no way to write it.
	if p := threads.CheckText("a\xffb"); len(p) != 1 || p[0].Code != threads.TextInvalid {
		t.Errorf("what is not UTF-8: %v", p)
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
	f.Add("https://a\xff")
	f.Add(strings.Repeat("https://a,", 50_000)) // as much time as it has bytes, not the square of it
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
