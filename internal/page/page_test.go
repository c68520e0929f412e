package page_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/omni-write/threads/internal/page"
)

func TestContent(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("the same again ", 1000)
	c := page.New("text/plain; charset=utf-8", []byte(text))
	get := func(header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%v varies by %q", header, w.Header().Get("Vary"))
		}
		return w
	}
	tags := map[string]string{}
	for accepted, small := range map[string]bool{
		"": false, "gzip": true, "br, gzip;q=0.5": true, "*": true, "identity": false, "gzip;q=0": false, "gzip; q=0.0, *": false, "deflate": false,
	} {
		w := get("Accept-Encoding", accepted)
		var body io.Reader = w.Body
		if (w.Header().Get("Content-Encoding") == "gzip") != small {
			t.Errorf("%q: %v", accepted, w.Header())
		}
		if small {
			if w.Body.Len() > len(text)/10 {
				t.Errorf("%q: %d bytes", accepted, w.Body.Len())
			}
			var err error
			if body, err = gzip.NewReader(w.Body); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := io.ReadAll(body); err != nil || string(got) != text {
			t.Errorf("%q: %v, %d bytes", accepted, err, len(got))
		}
		tags[w.Header().Get("Content-Encoding")] = w.Header().Get("ETag")
	}
	if tags[""] == "" || tags["gzip"] == "" || tags[""] == tags["gzip"] {
		t.Errorf("tags: %v", tags)
	}
	for tag, encoding := range map[string]string{tags[""]: "", `"x", ` + tags["gzip"]: "gzip", "W/" + tags[""]: "", "*": "gzip"} {
		if w := get("Accept-Encoding", encoding, "If-None-Match", tag); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
			t.Errorf("%s: %d", tag, w.Code)
		}
	}
	if w := get("If-None-Match", `"another"`); w.Code != http.StatusOK {
		t.Errorf("another tag: %d", w.Code)
	}
	// What does not get smaller is sent as it is.
	tiny := page.New("text/plain", []byte("x"))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	if tiny.ServeHTTP(w, r); w.Header().Get("Content-Encoding") != "" || w.Body.String() != "x" {
		t.Errorf("tiny: %v", w.Header())
	}
}
