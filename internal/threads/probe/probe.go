// Package probe looks at media before Threads does: whether an address can be fetched at all, and whether what is there is
// a picture or video that Threads takes. The addresses come from users, so it goes to public addresses only.
package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"code.dny.dev/ssrf"

	"github.com/omni-write/threads/internal/threads"
)

// Config bounds a probe. Zero values have a sensible meaning.
type Config struct {
	// Allow are networks that may be reached although they are not public: for simulated and local media only. None by
	// default.
	Allow []netip.Prefix
	// Ports of those networks besides 80 and 443.
	Ports []uint16
	// AnyPort of those networks may be reached.
	AnyPort bool
	// Timeout of one probe, redirects and all. Default 10 s.
	Timeout time.Duration
}

// maxRedirects is how many addresses one may lead to; each is judged like the first.
const maxRedirects = 3

// dialTimeout bounds each step of getting through to a server.
const dialTimeout = 5 * time.Second

// Prober probes media. It is safe for concurrent use.
type Prober struct {
	http    *http.Client
	timeout time.Duration
}

// Client fetches from where a probe may: by its guard, without a proxy, a few redirects deep.
func Client(c Config) *http.Client {
	p := New(c)
	p.http.Timeout = p.timeout
	return p.http
}

// New makes a prober.
func New(c Config) *Prober { return newProber(c, nil) }

// newProber looks names up with resolver; nil is the system's.
func newProber(c Config, resolver *net.Resolver) *Prober {
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	transport := &http.Transport{
		// No proxy from the environment: it would dial for us, past the guard.
		DialContext: newGuard(c).dialer(resolver).DialContext, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: dialTimeout,
		MaxResponseHeaderBytes: 64 << 10, DisableCompression: true, MaxIdleConnsPerHost: 1, IdleConnTimeout: 10 * time.Second,
	}
	return &Prober{timeout: c.Timeout, http: &http.Client{Transport: transport, CheckRedirect: redirected}}
}

// redirected judges an address that another one leads to.
func redirected(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	if p := threads.CheckMediaURL(r.URL.String()); p != nil {
		return errors.New("redirected to what is no media address")
	}
	r.Header.Del("Referer") // the address before may be a signed one, which is a secret
	return nil
}

// Probe looks at one image or video. What is wrong with it is a list of problems, which is what its author reads; the facts are
// what was found out, however little. An error says nothing about the media: the caller gave up, or asked for what is
// neither image nor video.
func (p *Prober) Probe(ctx context.Context, kind, address string) (facts threads.MediaFacts, found []threads.Problem, err error) {
	facts.Kind = kind
	if kind != threads.Image && kind != threads.Video {
		return facts, nil, fmt.Errorf("probe media: %.40q is neither image nor video", kind)
	}
	problem := func(code, detail string) []threads.Problem {
		return []threads.Problem{{Field: field(kind), Code: code, Detail: detail}}
	}
	if wrong := threads.CheckMediaURL(address); wrong != nil {
		return facts, problem(wrong.Code, wrong.Detail), nil
	}
	whole, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	from := &source{ctx: whole, http: p.http, url: address}
	defer from.meter()
	err = look(from, &facts)
	if gaveUp := ctx.Err(); err != nil && gaveUp != nil {
		return facts, nil, fmt.Errorf("probe media: %w", gaveUp)
	}
	var broken *unreadable
	switch {
	case errors.As(err, &broken):
		return facts, append(problem(threads.MediaTypeWrong, broken.sentence), threads.CheckMedia(withoutFormat(facts))...), nil
	case err != nil:
		return facts, problem(threads.MediaUnreachable, sentence(err)), nil
	}
	return facts, threads.CheckMedia(facts), nil
}

// look finds out what is at the address.
func look(s *source, f *threads.MediaFacts) error {
	count := int64(0)
	if f.Kind == threads.Image {
		count = threads.MaxImageBytes + 1
	}
	if err := s.open(count); err != nil {
		return err
	}
	f.Bytes, f.ContentType = s.size, s.contentType
	if len(s.head) == 0 {
		return &unreadable{"There is an empty file at the media address."}
	}
	f.Format = sniff(s.head)
	if f.Kind == threads.Image {
		return readImage(s, f)
	}
	if err := readVideo(s, f); err != nil {
		return err
	}
	// A size that no file has is a lie, and no rate.
	if took := f.Duration.Seconds(); took > 0 && f.Bytes < maxOffset {
		f.BitRate = int64(float64(f.Bytes) * 8 / took)
	}
	return nil
}

// unreadable is a file that is there and is not what it should be.
type unreadable struct{ sentence string }

func (u *unreadable) Error() string { return u.sentence }

// otherThan is the verdict on a file of another format than is taken; what it is not says which are.
func otherThan(format, not string) error {
	if format == "" {
		return &unreadable{"What is at the media address is " + not + "."}
	}
	return &unreadable{"What is at the media address is " + format + ", " + not + "."}
}

// withoutFormat leaves out what was said already.
func withoutFormat(f threads.MediaFacts) threads.MediaFacts {
	f.Format = ""
	return f
}

// sentence says why media could not be fetched, without the words of the network: they would tell a stranger what is to be
// found in ours.
func sentence(err error) string {
	var status statusError
	var timeout net.Error
	switch {
	case errors.As(err, &status):
		return fmt.Sprintf("The media address answers with HTTP status %d instead of the file; Threads may not get it either.", int(status))
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedPort), errors.Is(err, ssrf.ErrProhibitedNetwork):
		return "The media address is not public; Threads could not fetch it."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "The media address does not answer in time; Threads might give up as well."
	}
	return "The media address cannot be reached; please check it."
}

type statusError int

func (s statusError) Error() string { return "status " + strconv.Itoa(int(s)) }
