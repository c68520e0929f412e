package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/omni-write/threads/internal/threads"
)

// A name that is public when it is judged and ours when it is fetched: each answer of this name server is another.
func TestANameThatChangesItsAddress(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // so that the redirect is dialed anew
		http.Redirect(w, r, "/again", http.StatusFound)
	})
	names := nameServer(t, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"))
	port := portOf(t, server.URL)
	p := newProber(Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Ports: []uint16{port}}, names.resolver)
	_, found := probed(t, p, threads.Image, fmt.Sprintf("http://media.example.:%d/first", port))
	if !slices.Equal(codes(found), []string{threads.MediaUnreachable}) || !strings.Contains(found[0].Detail, "not public") {
		t.Errorf("found %v", found)
	}
	if n := names.answers(); n < 2 {
		t.Errorf("the name was looked up %d times; it must have changed between two", n)
	}
}

// A port that is opened for local media opens nothing elsewhere.
func TestPortsAreOfTheirNetworks(t *testing.T) {
	t.Parallel()
	g := newGuard(Config{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, Ports: []uint16{8080}})
	for address, ok := range map[string]bool{
		"10.1.2.3:8080": true, "10.1.2.3:80": true, "[::ffff:10.1.2.3]:8080": true, "10.1.2.3:22": false, "10.2.0.1:80": false,
		"93.184.215.14:443": true, "93.184.215.14:8080": false, "127.0.0.1:8080": false, "[2606:2800:21f:cb07::1]:443": true,
	} {
		network := "tcp4"
		if strings.HasPrefix(address, "[") {
			network = "tcp6"
		}
		if err := g.control(network, address, nil); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	img := picture(t, 400, 300)
	referred := ""
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		referred += r.Header.Get("Referer")
		n, _ := strconv.Atoi(strings.Trim(r.URL.Path, "/"))
		if n > 0 {
			http.Redirect(w, r, fmt.Sprintf("/%d", n-1), http.StatusFound)
			return
		}
		file(img)(w, r)
	})
	p := local(t, server)
	if _, found := probed(t, p, threads.Image, server.URL+"/3?signature=secret"); len(found) > 0 {
		t.Errorf("three redirects: %v", found)
	}
	if _, found := probed(t, p, threads.Image, server.URL+"/4"); !slices.Equal(codes(found), []string{threads.MediaUnreachable}) {
		t.Errorf("four redirects: %v", found)
	}
	if referred != "" {
		t.Errorf("the next server is told of the address before: %s", referred)
	}
}

// A caller that goes away, and one that asks for nonsense, learn nothing about the media.
func TestOurOwnMistakes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, found, err := local(t, server).Probe(ctx, threads.Image, server.URL); !errors.Is(err, context.Canceled) || len(found) > 0 {
		t.Errorf("found %v, %v", found, err)
	}
	if _, _, err := local(t, server).Probe(t.Context(), threads.Text, server.URL); err == nil {
		t.Error("a text was probed")
	}
}

// liar answers every question for a part with bytes that it makes up, and with whatever size it likes.
type liar struct {
	total  string
	length int64 // of the boxes it makes up
	shift  int64
	asked  int
}

func (l *liar) RoundTrip(r *http.Request) (*http.Response, error) {
	l.asked++
	var from, to int64
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err != nil {
		return nil, err
	}
	b := append(u32(1), "free"...)
	b = binary.BigEndian.AppendUint64(b, uint64(l.length))
	b = append(b, make([]byte, max(to-from+1-int64(len(b)), 0))...)[:to-from+1]
	if from == 8 || from%l.length == 8 { // the long length of a box
		b = binary.BigEndian.AppendUint64(nil, uint64(l.length))
	}
	h := http.Header{"Content-Range": {fmt.Sprintf("bytes %d-%d/%s", from+l.shift, to, l.total)}}
	return &http.Response{StatusCode: http.StatusPartialContent, Header: h, Body: io.NopCloser(bytes.NewReader(b)), Request: r}, nil
}

// Offsets near the largest number must neither overflow nor be asked for without end.
func TestLyingServers(t *testing.T) {
	t.Parallel()
	for _, l := range []*liar{
		{total: "*", length: 1<<60 - 1}, {total: "*", length: 1<<63 - 1}, {total: "*", length: maxOffset}, {total: "9223372036854775807", length: 1 << 49},
		{total: "-5", length: 16}, {total: "many", length: 1 << 20}, {total: "*", length: 1 << 20, shift: 7},
	} {
		p := newProber(Config{}, nil)
		p.http.Transport = l
		facts, _, err := p.Probe(t.Context(), threads.Video, "https://media.example/v.mp4")
		if err != nil || facts.Bytes < 0 || facts.BitRate < 0 {
			t.Errorf("%+v: %+v, %v", l, facts, err)
		}
		if l.asked > 200 {
			t.Errorf("%+v was asked %d times", l, l.asked)
		}
	}
}

// A size that no file has makes no rate of bits, and what a camera wrote ahead of a picture's size is not asked for in crumbs.
func TestSizes(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-262143/9223372036854775807")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(video(videoOf{}))
	})
	facts, found := probed(t, local(t, server), threads.Video, server.URL)
	if !slices.Equal(codes(found), []string{threads.MediaTooLarge}) || facts.BitRate != 0 {
		t.Errorf("found %v, %+v", found, facts)
	}
	asked, content := 0, photo(t, 400, 300, 1_000_000)
	server = serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		file(content)(w, r)
	})
	if facts, _ := probed(t, local(t, server), threads.Image, server.URL); facts.Width != 400 || asked > 5 {
		t.Errorf("%d pixels wide after %d questions", facts.Width, asked)
	}
}

func portOf(t *testing.T, address string) uint16 {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(port)
}

// names is a name server that answers each question for an IPv4 address with the next of its own, the last from then on.
type names struct {
	resolver *net.Resolver

	mu   sync.Mutex
	next []netip.Addr
	n    int
}

func nameServer(t *testing.T, addresses ...netip.Addr) *names {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{next: addresses}
	n.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp4", conn.LocalAddr().String())
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(n.answer(b[:size]), from)
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return n
}

func (n *names) answers() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.n
}

// answer repeats the question and, if it is for an A record, gives the address.
func (n *names) answer(q []byte) []byte {
	end := 12
	for q[end] != 0 {
		end += 1 + int(q[end])
	}
	end += 5 // the name's end, type and class
	a := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:end]...)
	if binary.BigEndian.Uint16(q[end-4:]) != 1 {
		return a
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	address := n.next[min(n.n, len(n.next)-1)].As4()
	n.n++
	a[7] = 1
	a = append(a, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4) // the name above, A, IN, not to be kept, four bytes
	return append(a, address[:]...)
}
