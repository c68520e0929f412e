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
	"sync"
	"time"
)

//go:embed icon.svg
var icon []byte

// Icon is the picture in the tab of a browser.
var Icon = New("image/svg+xml", icon) //nolint:gochecknoglobals // as good as a constant

// Content is served as it is or compressed, and only to who does not have it yet.
type Content struct {
	contentType string
	made        func() (made, error)
}

// made is content as it is sent.
type made struct {
	plain, small []byte
	tag          string
}

// New serves content.
func New(contentType string, content []byte) *Content {
	return Later(contentType, func() ([]byte, error) { return content, nil })
}

// Later serves content that is made when somebody asks for it first: most processes are never asked.
func Later(contentType string, content func() ([]byte, error)) *Content {
	return &Content{contentType: contentType, made: sync.OnceValues(func() (made, error) {
		plain, err := content()
		if err != nil {
			return made{}, err
		}
		sum := sha256.Sum256(plain)
		return made{plain: plain, small: compressed(plain), tag: hex.EncodeToString(sum[:12])}, nil
	})}
}

// compressed is content in fewer bytes, nil where that is not worth it.
func compressed(content []byte) []byte {
	var small bytes.Buffer
	w, err := gzip.NewWriterLevel(&small, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil || small.Len() >= len(content)*9/10 {
		return nil
	}
	return small.Bytes()
}

func (c *Content) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	is, err := c.made()
	if err != nil { // a mistake of the program's, which its tests find
		http.Error(w, "This page could not be made.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", c.contentType)
	h.Set("Cache-Control", "no-cache") // kept, and asked about: a new release may have another
	body, tag := is.plain, is.tag
	if is.small != nil {
		h.Add("Vary", "Accept-Encoding")
		if takesGzip(r.Header.Values("Accept-Encoding")) {
			body, tag = is.small, tag+"-gzip" // other bytes, another tag
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
