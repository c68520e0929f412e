package probe

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// local is a prober that may reach the test's own servers.
func local(t *testing.T, server *httptest.Server) *Prober {
	t.Helper()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Ports: []uint16{uint16(port)}, Timeout: 2 * time.Second})
}

// probed is what a probe finds; none of these may be an error.
func probed(t *testing.T, p *Prober, kind, address string) (threads.MediaFacts, []threads.Problem) {
	t.Helper()
	facts, found, err := p.Probe(t.Context(), kind, address)
	if err != nil {
		t.Fatal(err)
	}
	return facts, found
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func codes(found []threads.Problem) (list []string) {
	for _, p := range found {
		list = append(list, p.Code)
	}
	return list
}

func picture(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// file serves bytes as a server of static files does, with ranges.
func file(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content []byte
		want    []string
	}{
		"a picture":       {picture(t, 400, 300), nil},
		"a thin one":      {picture(t, 2000, 100), []string{threads.MediaRatio}},
		"a page":          {[]byte("<html>sign in</html>"), []string{threads.MediaTypeWrong}},
		"a video instead": {video(videoOf{}), []string{threads.MediaTypeWrong}},
		"a large one":     {append(picture(t, 400, 300), make([]byte, 9<<20)...), []string{threads.MediaTooLarge}},
	} {
		server := serve(t, file(c.content))
		facts, found := probed(t, local(t, server), threads.Image, server.URL+"/p")
		if !slices.Equal(codes(found), c.want) {
			t.Errorf("%s: %v, want %v", name, found, c.want)
		}
		if facts.Bytes != int64(len(c.content)) {
			t.Errorf("%s has %d bytes, want %d", name, facts.Bytes, len(c.content))
		}
	}
	server := serve(t, file(picture(t, 400, 300)))
	if f, _ := probed(t, local(t, server), threads.Image, server.URL); f.Format != "PNG" || f.Width != 400 || f.Height != 300 {
		t.Errorf("facts are %+v", f)
	}
}

// videoOf says what a made-up video shall be; zero fields are usual.
type videoOf struct {
	codec, audio        string
	width, height, fps  int
	seconds, channels   int
	rate, edits         int
	turned, noIndex     bool
	moovLast, quickTime bool
	padding             int
}

func box(kind string, content ...[]byte) []byte {
	body := bytes.Join(content, nil)
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(append(b, kind...), body...)
}

func u32(n ...int) (b []byte) {
	for _, v := range n {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return b
}

// video builds the boxes of an MP4 without its pictures.
func video(v videoOf) []byte {
	def := func(p *int, d int) {
		if *p == 0 {
			*p = d
		}
	}
	def(&v.width, 1080)
	def(&v.height, 1920)
	def(&v.fps, 30)
	def(&v.seconds, 10)
	def(&v.channels, 2)
	def(&v.rate, 44100)
	def(&v.edits, 1)
	if v.codec == "" {
		v.codec = "avc1"
	}
	if v.audio == "" {
		v.audio = "mp4a"
	}
	times := append(u32(0, 0, 0, 1000), u32(v.seconds*1000)...)
	tkhd := append(make([]byte, 76), u32(v.width<<16, v.height<<16)...)
	if v.turned { // the matrix of a quarter turn
		copy(tkhd[40:], u32(0, 1<<16, 0, 0xFFFF0000, 0))
	}
	hdlr := func(kind string) []byte { return box("hdlr", u32(0, 0), []byte(kind), make([]byte, 13)) }
	sound := append(append(make([]byte, 0), []byte(v.audio)...), make([]byte, 28)...)
	binary.BigEndian.PutUint16(sound[20:], uint16(v.channels))
	binary.BigEndian.PutUint32(sound[28:], uint32(v.rate)<<16)
	track := func(kind string, entry []byte, samples int) []byte {
		stsd := box("stsd", u32(0, 1), u32(4+len(entry)), entry)
		return box("trak", box("tkhd", tkhd), box("edts", box("elst", u32(0, v.edits), make([]byte, 12*v.edits))),
			box("mdia", box("mdhd", times), hdlr(kind), box("minf", box("stbl", stsd, box("stts", u32(0, 1, samples, 1))))))
	}
	moov := box("moov", box("mvhd", append(times, make([]byte, 80)...)),
		track("vide", append([]byte(v.codec), make([]byte, 78)...), v.fps*v.seconds), track("soun", sound, 1))
	brand := "isom"
	if v.quickTime {
		brand = "qt  "
	}
	head, data := box("ftyp", []byte(brand), u32(0)), box("mdat", make([]byte, 64+v.padding))
	if v.noIndex {
		return bytes.Join([][]byte{head, data}, nil)
	}
	if v.moovLast {
		return bytes.Join([][]byte{head, data, moov}, nil)
	}
	return bytes.Join([][]byte{head, moov, data}, nil)
}

func TestVideos(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		v    videoOf
		want []string
	}{
		"usual":           {videoOf{}, nil},
		"QuickTime, HEVC": {videoOf{quickTime: true, codec: "hvc1"}, nil},
		"too long":        {videoOf{seconds: 301}, []string{threads.MediaDuration}},
		"too wide":        {videoOf{width: 3840, height: 2160}, []string{threads.MediaDimensions}},
		"a slide show":    {videoOf{fps: 10}, []string{threads.MediaFrameRate}},
		"AV1":             {videoOf{codec: "av01"}, []string{threads.MediaCodec}},
		"Opus":            {videoOf{audio: "Opus"}, []string{threads.MediaAudio}},
		"surround":        {videoOf{channels: 6}, []string{threads.MediaAudio}},
		"index last":      {videoOf{moovLast: true}, []string{threads.MediaNotStreamable}},
		// The index lies behind what is fetched first, so it must be asked for.
		"far index": {videoOf{moovLast: true, padding: 1 << 20}, []string{threads.MediaNotStreamable}},
		"cut":       {videoOf{edits: 2}, []string{threads.MediaNotStreamable}},
		"no index":  {videoOf{noIndex: true}, []string{threads.MediaTypeWrong}},
		// As phones write it: the pictures lie on their side, and are 1,440 wide when shown.
		"turned":     {videoOf{width: 2560, height: 1440, turned: true}, nil},
		"not turned": {videoOf{width: 2560, height: 1440}, []string{threads.MediaDimensions}},
	} {
		server := serve(t, file(video(c.v)))
		facts, found := probed(t, local(t, server), threads.Video, server.URL+"/v.mp4")
		if !slices.Equal(codes(found), c.want) {
			t.Errorf("%s: %v, want %v (%+v)", name, found, c.want, facts)
		}
	}
	server := serve(t, file(video(videoOf{quickTime: true})))
	f, _ := probed(t, local(t, server), threads.Video, server.URL)
	f.Bytes, f.BitRate, f.ContentType = 0, 0, ""
	want := threads.MediaFacts{
		Kind: threads.Video, Format: "MOV", Width: 1080, Height: 1920, Duration: 10 * time.Second, VideoCodec: "H264", FrameRate: 30,
		AudioCodec: "AAC", AudioChannels: 2, SampleRate: 44100,
	}
	if f != want {
		t.Errorf("facts are\n%+v, want\n%+v", f, want)
	}
	server = serve(t, file([]byte("not a video at all, not at all")))
	if _, found := probed(t, local(t, server), threads.Video, server.URL); !slices.Equal(codes(found), []string{threads.MediaTypeWrong}) {
		t.Errorf("no video: %v", found)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hang":
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/drip": // says a little, and never ends
			_, _ = w.Write([]byte("\xff\xd8\xff"))
			w.(http.Flusher).Flush()
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		case "/elsewhere":
			http.Redirect(w, r, "http://127.0.0.2:80/secret", http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	})
	t.Cleanup(func() { close(hang) })
	p := local(t, server)
	p.timeout = 300 * time.Millisecond
	for path, word := range map[string]string{"/missing": "404", "/hang": "in time", "/drip": "in time", "/round": "cannot be reached", "/elsewhere": "not public", "/file": "cannot be reached"} {
		_, found := probed(t, p, threads.Image, server.URL+path)
		if !slices.Equal(codes(found), []string{threads.MediaUnreachable}) || !strings.Contains(found[0].Detail, word) {
			t.Errorf("%s: %v", path, found)
		}
	}
	if _, found := probed(t, p, threads.Image, "ftp://example.org/x"); !slices.Equal(codes(found), []string{threads.MediaURLInvalid}) {
		t.Errorf("ftp: %v", found)
	}
}

// Whatever is asked for: nothing of ours is reached, and nothing about it is told.
func TestOnlyPublicAddresses(t *testing.T) {
	t.Parallel()
	reached := false
	server := serve(t, func(http.ResponseWriter, *http.Request) { reached = true })
	u, _ := url.Parse(server.URL)
	strict := New(Config{Timeout: 2 * time.Second})
	for _, address := range []string{
		server.URL, "http://localhost:" + u.Port(), "http://127.0.0.1/", "http://[::1]/", "http://0.0.0.0/", "http://169.254.169.254/latest/meta-data",
		"http://10.0.0.1/", "http://192.168.1.1/", "http://100.64.0.1/", "http://[::ffff:127.0.0.1]/", "http://[fd00::1]/", "http://2130706433/",
		"http://[64:ff9b::7f00:1]/", "https://127.0.0.1:5432/",
	} {
		_, found := probed(t, strict, threads.Image, address)
		if !slices.Equal(codes(found), []string{threads.MediaUnreachable}) {
			t.Errorf("%s: %v", address, found)
		}
		for _, p := range found {
			if strings.Contains(p.Detail, "refused") || strings.Contains(p.Detail, "dial") {
				t.Errorf("%s tells of our network: %s", address, p.Detail)
			}
		}
	}
	if reached {
		t.Error("a private address was reached")
	}
	// Allowed is the one port that was named, on the one network.
	if _, found := probed(t, local(t, server), threads.Image, "http://127.0.0.1:5432/"); !slices.Equal(codes(found), []string{threads.MediaUnreachable}) {
		t.Errorf("another port: %v", found)
	}
}
