// Package page serves what stays the same while the program runs: pages, their parts, descriptions.
package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed icon.svg
var icon []byte

// Icon is the picture in the tab of a browser.
var Icon = New("image/svg+xml", icon) //nolint:gochecknoglobals // as good as a constant

// Content is served as it is or compressed, and only to who does not have it yet.
type Content struct {
	contentType  string
	plain, small []byte
	tag          string
}

// New makes content. It is compressed once, here, where that makes it smaller.
func New(contentType string, content []byte) *Content {
	sum := sha256.Sum256(content)
	c := &Content{contentType: contentType, plain: content, tag: hex.EncodeToString(sum[:12])}
	var small bytes.Buffer
	w, err := gzip.NewWriterLevel(&small, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil && small.Len() < len(content)*9/10 {
		c.small = small.Bytes()
	}
	return c
}

func (c *Content) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", c.contentType)
	h.Set("Cache-Control", "no-cache") // kept, and asked about: a new release may have another
	body, tag := c.plain, c.tag
	if c.small != nil {
		h.Add("Vary", "Accept-Encoding")
		if takesGzip(r.Header.Values("Accept-Encoding")) {
			body, tag = c.small, tag+"-gzip" // other bytes, another tag
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", strconv.Quote(tag))
	r.Header.Del("Range") // it is small, and a part of it is of no use to anybody
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// takesGzip reads Accept-Encoding: a weight of 0 means no.
func takesGzip(accepted []string) bool {
	for part := range strings.SplitSeq(strings.Join(accepted, ","), ",") {
		name, parameter, _ := strings.Cut(part, ";")
		if name = strings.TrimSpace(strings.ToLower(name)); name != "gzip" && name != "*" {
			continue
		}
		weight, given := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(parameter), " ", ""), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		if !given || err == nil && q > 0 {
			return true
		}
		return false
	}
	return false
}
