package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/omni-write/threads/internal/threads"
)

const (
	// headSize is what is fetched first: enough for an image's header, and for the index of a video that begins with it.
	headSize = 256 << 10
	// maxFetched bounds what one probe reads in parts, whatever the file's size, and MaxBytes what it reads in all: besides that, a
	// picture whose size its server does not tell is read to find it out.
	maxFetched = 10 << 20
	MaxBytes   = maxFetched + threads.MaxImageBytes + 1
	// maxOffset is farther into a file than any that Threads takes; it keeps sums of lengths from running over.
	maxOffset = 1 << 50
)

// errNotRead says that a part was not read because the server does not give parts, or because enough was read.
var errNotRead = errors.New("not read")

// source reads parts of a file at an address. What the server says of it is a stranger's word: lengths may be lies.
type source struct {
	ctx  context.Context //nolint:containedctx // of one probe, and gone with it
	http *http.Client
	url  string

	contentType string
	size        int64 // 0: not known
	ranged      bool  // whether parts may be asked for
	head        []byte
	whole       bool // whether head is all of it
	fetched     int64
	counted     int64 // bytes that were read only to find out how many there are
}

type meterKey struct{}

// Metered has a probe add to n how many bytes it read.
func Metered(ctx context.Context, n *int64) context.Context {
	return context.WithValue(ctx, meterKey{}, n)
}

// meter tells whoever wants to know how much was read.
func (s *source) meter() {
	if n, ok := s.ctx.Value(meterKey{}).(*int64); ok {
		*n += s.fetched + s.counted
	}
}

// open fetches the beginning. Where the server does not tell the size, up to count bytes are read to find it out.
func (s *source) open(count int64) error {
	resp, err := s.get(0, headSize)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	s.contentType, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch resp.StatusCode {
	case http.StatusPartialContent:
		from, total := contentRange(resp.Header.Get("Content-Range"))
		if from != 0 {
			return statusError(resp.StatusCode) // another part than was asked for
		}
		s.ranged, s.size = true, total
	case http.StatusOK:
		s.size = max(resp.ContentLength, 0)
	case http.StatusRequestedRangeNotSatisfiable: // the beginning of nothing
		s.whole = true
		return nil
	default:
		return statusError(resp.StatusCode)
	}
	s.head, err = io.ReadAll(io.LimitReader(resp.Body, headSize))
	s.fetched = int64(len(s.head))
	if err != nil {
		return err
	}
	if s.size == 0 && !s.ranged {
		s.count(resp.Body, count)
		return nil
	}
	s.whole = s.size > 0 && s.fetched >= s.size
	return nil
}

// count finds out a size that the server does not tell, as far as it matters: upTo means that or more.
func (s *source) count(rest io.Reader, upTo int64) {
	if s.fetched < headSize {
		s.size, s.whole = s.fetched, true
		return
	}
	if upTo <= s.fetched {
		return
	}
	n, err := io.Copy(io.Discard, io.LimitReader(rest, upTo-s.fetched))
	if s.counted = n; err == nil {
		s.size, s.whole = s.fetched+n, n == 0
	}
}

// contentRange reads "bytes 0-99/1234"; a total of "*", or one that is none, is 0: not known.
func contentRange(h string) (from, total int64) {
	span, of, _ := strings.Cut(strings.TrimPrefix(h, "bytes "), "/")
	first, _, _ := strings.Cut(span, "-")
	from, err := strconv.ParseInt(strings.TrimSpace(first), 10, 64)
	if err != nil {
		return -1, 0
	}
	total, err = strconv.ParseInt(strings.TrimSpace(of), 10, 64)
	if err != nil || total < 0 {
		return from, 0
	}
	return from, total
}

func (s *source) get(from, n int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, from+n-1))
	req.Header.Set("User-Agent", "omni-write-threads-probe/1")
	return s.http.Do(req)
}

// ReadAt reads from what was fetched first, and asks for what lies behind it.
func (s *source) ReadAt(p []byte, from int64) (n int, err error) {
	if from < 0 || from > maxOffset {
		return 0, errNotRead
	}
	if from < int64(len(s.head)) {
		n = copy(p, s.head[from:])
		if n == len(p) {
			return n, nil
		}
	}
	if s.whole {
		return n, io.EOF
	}
	more, err := s.part(p[n:], from+int64(n))
	return n + more, err
}

// part asks for a part; at the end of the file it is a short one, with io.EOF.
func (s *source) part(p []byte, from int64) (int, error) {
	end := error(nil)
	if s.size > 0 {
		if from >= s.size {
			return 0, io.EOF
		}
		if left := s.size - from; left < int64(len(p)) {
			p, end = p[:left], io.EOF
		}
	}
	if !s.ranged || s.fetched+int64(len(p)) > maxFetched {
		return 0, errNotRead
	}
	resp, err := s.get(from, int64(len(p)))
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if got, _ := contentRange(resp.Header.Get("Content-Range")); resp.StatusCode != http.StatusPartialContent || got != from {
		return 0, errNotRead
	}
	n, err := io.ReadFull(resp.Body, p)
	s.fetched += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return n, io.EOF // shorter than announced
	}
	if err != nil {
		return n, err
	}
	return n, end
}

// notRead says whether an error only means that a part is not known: the file ends, or the rest cannot be asked for.
func notRead(err error) bool {
	return errors.Is(err, errNotRead) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// sniff names what a file is by its first bytes: JPEG, PNG, MP4 and MOV are what Threads takes, other names are for people.
// "" is none that is known.
func sniff(head []byte) string {
	if len(head) >= 12 && string(head[4:8]) == "ftyp" {
		switch string(head[8:12]) {
		case "qt  ":
			return "MOV"
		case "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1":
			return "HEIC"
		case "avif", "avis":
			return "AVIF"
		}
		return "MP4"
	}
	if name, ok := formats[http.DetectContentType(head)]; ok {
		return name
	}
	if len(head) >= 4 && (string(head[:4]) == "II*\x00" || string(head[:4]) == "MM\x00*") {
		return "TIFF"
	}
	return ""
}

var formats = map[string]string{
	"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WebP", "image/bmp": "BMP", "video/webm": "WebM",
	"video/avi": "AVI", "application/pdf": "PDF", "text/html; charset=utf-8": "a web page", "text/xml; charset=utf-8": "XML",
}

// field is Threads' name of the parameter with the address.
func field(kind string) string {
	if kind == threads.Video {
		return "video_url"
	}
	return "image_url"
}
