package probe

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/omni-write/threads/internal/threads"
)

// photo is a JPEG with so much written ahead of its size, in the segments that cameras and editors use.
func photo(t *testing.T, w, h, ahead int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, w, h)), nil); err != nil {
		t.Fatal(err)
	}
	whole := slices.Clone(b.Bytes()[:2])
	for ; ahead > 0; ahead -= 60_000 {
		whole = append(whole, 0xFF, 0xE1)
		whole = binary.BigEndian.AppendUint16(whole, 60_002)
		whole = append(whole, make([]byte, 60_000)...)
	}
	return append(whole, b.Bytes()[2:]...)
}

// plain serves bytes without parts, and without their number when chunked.
func plain(content []byte, chunked bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if chunked {
			w.(http.Flusher).Flush()
		}
		_, _ = w.Write(content)
	}
}

func TestWhatAFileIs(t *testing.T) {
	t.Parallel()
	heic := append(box("ftyp", []byte("heic"), u32(0)), make([]byte, 100)...)
	webp := append([]byte("RIFF\x10\x00\x00\x00WEBPVP8 "), make([]byte, 100)...)
	for name, c := range map[string]struct {
		kind    string
		handler http.HandlerFunc
		code    string
		says    string
	}{
		"a photo as phones take it":     {threads.Image, file(heic), threads.MediaTypeWrong, "HEIC"},
		"a photo as a video":            {threads.Video, file(heic), threads.MediaTypeWrong, "HEIC"},
		"WebP":                          {threads.Image, file(webp), threads.MediaTypeWrong, "WebP"},
		"a video as an image":           {threads.Image, file(video(videoOf{})), threads.MediaTypeWrong, "MP4"},
		"an image as a video":           {threads.Video, file(picture(t, 10, 10)), threads.MediaTypeWrong, "PNG"},
		"a page":                        {threads.Video, file([]byte("<!DOCTYPE html><title>Sign in</title>")), threads.MediaTypeWrong, "a web page"},
		"nothing":                       {threads.Image, file(nil), threads.MediaTypeWrong, "empty"},
		"half a picture":                {threads.Image, file(picture(t, 400, 300)[:20]), threads.MediaTypeWrong, "damaged"},
		"a few letters":                 {threads.Video, file([]byte("hi")), threads.MediaTypeWrong, "neither"},
		"an upload that broke off":      {threads.Video, file(video(videoOf{moovLast: true})[:60]), threads.MediaTypeWrong, "cut off"},
		"an index that broke off":       {threads.Video, file(video(videoOf{})[:300]), threads.MediaTypeWrong, "cut off"},
		"large, of unknown size":        {threads.Image, plain(append(picture(t, 40, 30), make([]byte, 9<<20)...), true), threads.MediaTooLarge, "8.1 MB"},
		"index last, no parts":          {threads.Video, plain(video(videoOf{moovLast: true, padding: 1 << 20}), true), threads.MediaNotStreamable, "index"},
		"index last, within the first":  {threads.Video, plain(video(videoOf{moovLast: true}), false), threads.MediaNotStreamable, "index"},
		"forbidden":                     {threads.Image, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, threads.MediaUnreachable, "403"},
		"too thin, its size far behind": {threads.Image, file(photo(t, 2000, 100, 600_000)), threads.MediaRatio, "2000 by 100"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, c.handler)
			_, found := probed(t, local(t, server), c.kind, server.URL)
			if !slices.Equal(codes(found), []string{c.code}) || !strings.Contains(found[0].Detail, c.says) {
				t.Errorf("found %v", found)
			}
		})
	}
}

// What cannot be found out is no problem.
func TestNotKnown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind    string
		handler http.HandlerFunc
		want    threads.MediaFacts
	}{
		"a photo whose size is far behind, no parts": {threads.Image, plain(photo(t, 2000, 100, 600_000), true), threads.MediaFacts{Format: "JPEG"}},
		"a small picture of unknown size":            {threads.Image, plain(picture(t, 40, 30), true), threads.MediaFacts{Format: "PNG", Width: 40, Height: 30}},
		"an index behind much else, no parts": {threads.Video, plain(append(append(box("ftyp", []byte("isom")), box("free", make([]byte, 1<<20))...), video(videoOf{})[12:]...), true),
			threads.MediaFacts{Format: "MP4"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, c.handler)
			facts, found := probed(t, local(t, server), c.kind, server.URL)
			if len(found) > 0 {
				t.Errorf("found %v", found)
			}
			if facts.Format != c.want.Format || facts.Width != c.want.Width || facts.Height != c.want.Height {
				t.Errorf("facts are %+v", facts)
			}
		})
	}
}

// Whatever a file holds: properties that a file can have, and no panic. bytes stands for the server's file, given in parts.
func FuzzProbe(f *testing.F) {
	f.Add(video(videoOf{}), true)
	f.Add(video(videoOf{moovLast: true, turned: true, audio: "Opus"}), false)
	f.Add([]byte("\x00\x00\x00\x01moov\xff\xff\xff\xff\xff\xff\xff\xff"), true)
	f.Add([]byte("\x00\x00\x00\x08ftyp\x00\x00\x00\x10moov\x00\x00\x00\x00trak"), true)
	f.Add([]byte("\xff\xd8\xff\xe1\xff\xff"), false)
	f.Add([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"), true)
	f.Fuzz(func(t *testing.T, content []byte, parts bool) {
		p := newProber(Config{}, nil)
		p.http.Transport = inMemory{content, parts}
		for _, kind := range []string{threads.Image, threads.Video} {
			facts, found, err := p.Probe(t.Context(), kind, "https://media.example/m")
			if err != nil {
				t.Fatal(err)
			}
			if facts.Width < 0 || facts.Height < 0 || facts.Duration < 0 || facts.FrameRate < 0 || facts.BitRate < 0 || facts.AudioChannels < 0 || facts.SampleRate < 0 {
				t.Errorf("absurd facts: %+v", facts)
			}
			for _, problem := range found {
				if problem.Code == threads.MediaUnreachable || problem.Detail == "" {
					t.Errorf("the file was there: %+v", problem)
				}
			}
		}
	})
}

// inMemory is a server of one file, without a network.
type inMemory struct {
	content []byte
	parts   bool
}

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if m.parts {
		file(m.content)(w, r)
	} else {
		_, _ = w.Write(m.content)
	}
	return w.Result(), nil
}
