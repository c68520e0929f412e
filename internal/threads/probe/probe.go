// Package probe looks at media before Threads does: whether an address can be fetched at all, and whether what is there is
// a picture or video that Threads takes. The addresses come from users, so it goes to public addresses only.
package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"code.dny.dev/ssrf"

	"github.com/omni-write/threads/internal/threads"
)

// Config bounds a probe. Zero values have a sensible meaning.
type Config struct {
	// Allow are networks that may be reached although they are not public: for simulated and local media only.
	Allow []netip.Prefix
	// Ports besides 80 and 443, for the same purpose.
	Ports []uint16
	// Timeout of one probe, redirects and all. Default 10 s.
	Timeout time.Duration
}

// maxRedirects is how many addresses one may lead to; each is judged like the first.
const maxRedirects = 3

// Prober probes media. It is safe for concurrent use.
type Prober struct {
	http    *http.Client
	timeout time.Duration
}

// New makes a prober.
func New(c Config) *Prober {
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	options := []ssrf.Option{ssrf.WithPorts(append([]uint16{80, 443}, c.Ports...)...)}
	var v4, v6 []netip.Prefix
	for _, p := range c.Allow {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	options = append(options, ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	// Judged where the connection is made: a name that answers with another address the second time gains nothing.
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: ssrf.New(options...).Safe}
	transport := &http.Transport{
		// No proxy from the environment: it would dial for us, past the guard.
		DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10, DisableCompression: true, MaxIdleConnsPerHost: 1, IdleConnTimeout: 10 * time.Second,
	}
	return &Prober{timeout: c.Timeout, http: &http.Client{
		Transport: transport,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errors.New("too many redirects")
			}
			if p := threads.CheckMediaURL(r.URL.String()); p != nil {
				return errors.New("redirected to what is no media address")
			}
			return nil
		},
	}}
}

// Probe looks at one image or video. What is wrong with it is a list of problems, which is what its author reads; facts are
// what was found out, however little. There is no error: whatever goes wrong is the media's problem.
func (p *Prober) Probe(ctx context.Context, kind, address string) (facts threads.MediaFacts, found []threads.Problem) {
	facts.Kind = kind
	field := "image_url"
	if kind == threads.Video {
		field = "video_url"
	}
	if wrong := threads.CheckMediaURL(address); wrong != nil {
		return facts, []threads.Problem{{Field: field, Code: wrong.Code, Detail: wrong.Detail}}
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	unreachable := func(why string) []threads.Problem {
		return []threads.Problem{{Field: field, Code: threads.MediaUnreachable, Detail: why}}
	}
	src := &source{ctx: ctx, http: p.http, url: address}
	if err := src.open(); err != nil {
		return facts, unreachable(sentence(err))
	}
	facts.Bytes = src.size
	var err error
	if kind == threads.Video {
		err = readVideo(src, &facts)
	} else {
		err = readImage(src, &facts)
	}
	var broken *unreadable
	switch {
	case errors.As(err, &broken):
		found = append(found, threads.Problem{Field: field, Code: threads.MediaTypeWrong, Detail: broken.sentence})
	case err != nil:
		return facts, unreachable(sentence(err))
	}
	if facts.Duration > 0 && facts.Bytes > 0 {
		facts.BitRate = int64(float64(facts.Bytes*8) / facts.Duration.Seconds())
	}
	return facts, append(found, threads.CheckMedia(facts)...)
}

// unreadable is a file that is there and is not what it should be.
type unreadable struct{ sentence string }

func (u *unreadable) Error() string { return u.sentence }

// sentence says why media could not be fetched, without the words of the network: they would tell a stranger what is to be
// found in ours.
func sentence(err error) string {
	var status statusError
	var timeout net.Error
	switch {
	case errors.As(err, &status):
		return fmt.Sprintf("The media address answers with HTTP status %d; Threads could not fetch it either.", int(status))
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedPort), errors.Is(err, ssrf.ErrProhibitedNetwork):
		return "The media address is not public; Threads could not fetch it."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "The media address does not answer in time; Threads might give up as well."
	}
	return "The media address cannot be reached; please check it."
}

type statusError int

func (s statusError) Error() string { return "status " + strconv.Itoa(int(s)) }

// maxFetched bounds what one probe reads, whatever the file's size.
const maxFetched = 8 << 20

// source reads parts of a file at an address.
type source struct {
	ctx  context.Context //nolint:containedctx // of one probe, and gone with it
	http *http.Client
	url  string

	size    int64 // 0: not known
	ranged  bool  // whether parts may be asked for
	head    []byte
	fetched int64
}

// headSize is what is fetched first: enough for an image's header, and for the index of a video that begins with it.
const headSize = 256 << 10

func (s *source) open() error {
	resp, err := s.get(0, headSize)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusPartialContent:
		s.ranged = true
		if _, total, found := strings.Cut(resp.Header.Get("Content-Range"), "/"); found {
			s.size, _ = strconv.ParseInt(total, 10, 64)
		}
	case http.StatusOK:
		s.size = max(resp.ContentLength, 0)
	default:
		return statusError(resp.StatusCode)
	}
	s.head, err = io.ReadAll(io.LimitReader(resp.Body, headSize))
	s.fetched += int64(len(s.head))
	if err != nil {
		return err
	}
	if s.size == 0 && len(s.head) < headSize {
		s.size = int64(len(s.head))
	}
	return nil
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

// errNotRead says that a part was not read because the server does not give parts, or because enough was read.
var errNotRead = errors.New("not read")

// ReadAt reads from what was fetched first, or asks for the part.
func (s *source) ReadAt(p []byte, from int64) (int, error) {
	if from < 0 {
		return 0, errNotRead
	}
	if from+int64(len(p)) <= int64(len(s.head)) {
		return copy(p, s.head[from:]), nil
	}
	if s.size > 0 && from >= s.size {
		return 0, io.EOF
	}
	if !s.ranged || s.fetched+int64(len(p)) > maxFetched {
		return 0, errNotRead
	}
	resp, err := s.get(from, int64(len(p)))
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusPartialContent {
		return 0, errNotRead
	}
	n, err := io.ReadFull(resp.Body, p)
	s.fetched += int64(n)
	return n, err
}
