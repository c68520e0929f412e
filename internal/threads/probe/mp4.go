package probe

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// An MP4 or MOV file is a tree of boxes: four bytes of length, four letters of kind, then the content.
//
// github.com/abema/go-mp4 v1.4.1 would not do: one torn box ends its walk, where what is whole is to be used all the same;
// an index of the 4 MB we allow takes it 146 MB and 0.4 s; and finding the index in the parts of a file that may be
// fetched, a third of this code, would stay.

// maxIndex bounds the index (moov) that is read; that of five minutes has some hundred kilobytes.
const maxIndex = 4 << 20

// maxBoxes bounds how many boxes of a file are looked at: it is a stranger's.
const maxBoxes = 4096

// readVideo fills in what the file says of itself.
func readVideo(s *source, f *threads.MediaFacts) error {
	if f.Format != "" && f.Format != "MP4" && f.Format != "MOV" {
		return otherThan(f.Format, noVideo)
	}
	var at int64
	sawMedia, ended := false, false
	for range 64 { // boxes at the top of the file; honest ones have a handful
		kind, length, header, err := boxAt(s, at)
		if notRead(err) {
			ended = !errors.Is(err, errNotRead)
			break
		}
		if err != nil {
			return err
		}
		switch {
		case at == 0 && !slices.Contains(first, kind):
			return otherThan(f.Format, noVideo)
		case kind == "mdat":
			sawMedia = true
		case kind == "moov":
			if length == 0 {
				length = max(s.size-at, 0) // to the end of the file
			}
			f.MoovLast = sawMedia
			f.Format = cmp.Or(f.Format, "MOV")
			return readIndex(s, at+header, length-header, f)
		}
		if length == 0 {
			ended = true
			break
		}
		at += length
	}
	if ended && f.Format == "" && !sawMedia {
		return otherThan("", noVideo)
	}
	if ended {
		return &unreadable{"The video has no index; it may have been cut off on its way."}
	}
	// The index was not found in what may be read. If the pictures were, it comes after them.
	f.MoovLast = sawMedia
	f.Format = cmp.Or(f.Format, "MOV") // QuickTime once did without ftyp
	return nil
}

const noVideo = "neither an MP4 nor a MOV video"

// first are the boxes that a file may begin with.
var first = []string{"ftyp", "moov", "wide", "free", "skip", "mdat"}

// boxAt reads a box's header: its kind, its whole length (0: to the end of the file) and the length of the header.
func boxAt(r io.ReaderAt, at int64) (kind string, length, header int64, err error) {
	var b [16]byte
	if _, err := r.ReadAt(b[:8], at); err != nil {
		return "", 0, 0, err
	}
	length, kind, header = int64(binary.BigEndian.Uint32(b[:])), string(b[4:8]), 8
	if length == 1 {
		if _, err := r.ReadAt(b[8:], at+8); err != nil {
			return "", 0, 0, err
		}
		long := binary.BigEndian.Uint64(b[8:])
		if long > maxOffset {
			return "", 0, 0, otherThan("", noVideo)
		}
		length, header = int64(long), 16
	}
	if length != 0 && length < header {
		return "", 0, 0, otherThan("", noVideo)
	}
	return kind, length, header, nil
}

func readIndex(s *source, at, length int64, f *threads.MediaFacts) error {
	if length < 0 || length > maxIndex {
		return nil // too large to be read; Threads will say
	}
	index := make([]byte, length)
	n, err := s.ReadAt(index, at)
	if errors.Is(err, errNotRead) {
		return nil
	}
	if n < len(index) {
		if err != nil && !notRead(err) {
			return err
		}
		return &unreadable{"The video ends within its index; it may have been cut off on its way."}
	}
	w := &walk{facts: f}
	w.boxes(index, w.top)
	return nil
}

// walk goes through the index. Whatever is torn or absurd is passed over: what is not known is no problem.
type walk struct {
	facts *threads.MediaFacts
	seen  int

	// Of the track in hand.
	scale    uint32
	duration uint64
	handler  string
	width    int
	height   int
	upright  bool // shown turned by a quarter, as phones do
	samples  uint64
	edits    uint32
	entry    []byte // the first sample entry, from its kind on
}

// boxes calls visit for each box of b.
func (w *walk) boxes(b []byte, visit func(kind string, content []byte)) {
	for len(b) >= 8 && w.seen < maxBoxes {
		w.seen++
		length, header := uint64(binary.BigEndian.Uint32(b)), uint64(8)
		switch {
		case length == 1 && len(b) >= 16:
			length, header = binary.BigEndian.Uint64(b[8:]), 16
		case length == 0:
			length = uint64(len(b))
		}
		if length < header || length > uint64(len(b)) {
			return
		}
		visit(string(b[4:8]), b[header:length])
		b = b[length:]
	}
}

func (w *walk) top(kind string, b []byte) {
	switch kind {
	case "mvhd":
		if scale, duration, ok := times(b); ok {
			w.facts.Duration = length(scale, duration)
		}
	case "trak":
		*w = walk{facts: w.facts, seen: w.seen}
		w.boxes(b, w.track)
		w.trackDone()
	}
}

func (w *walk) track(kind string, b []byte) {
	switch kind {
	case "mdia", "minf", "stbl", "edts":
		w.boxes(b, w.track)
	case "tkhd":
		// The last eight bytes are width and height, in 65536ths of a pixel.
		if n := len(b); n >= 84 {
			w.width, w.height = int(binary.BigEndian.Uint32(b[n-8:])>>16), int(binary.BigEndian.Uint32(b[n-4:])>>16)
			// Before them the matrix a b u c d v x y w: without a and d, width and height change places.
			m := b[n-44:]
			w.upright = binary.BigEndian.Uint32(m) == 0 && binary.BigEndian.Uint32(m[16:]) == 0 &&
				binary.BigEndian.Uint32(m[4:]) != 0 && binary.BigEndian.Uint32(m[12:]) != 0
		}
	case "elst":
		if len(b) >= 8 {
			w.edits = binary.BigEndian.Uint32(b[4:])
		}
	case "mdhd":
		w.scale, w.duration, _ = times(b)
	case "hdlr":
		if len(b) >= 12 {
			w.handler = string(b[8:12])
		}
	case "stsd":
		if len(b) >= 16 {
			w.entry = b[12:]
		}
	case "stts":
		w.countSamples(b)
	}
}

// countSamples adds up the table of how many pictures take how long.
func (w *walk) countSamples(b []byte) {
	if len(b) < 8 {
		return
	}
	n := binary.BigEndian.Uint32(b[4:])
	for b = b[8:]; n > 0 && len(b) >= 8; n-- {
		w.samples += uint64(binary.BigEndian.Uint32(b))
		b = b[8:]
	}
}

func (w *walk) trackDone() {
	f := w.facts
	codec := ""
	if len(w.entry) >= 4 {
		codec = string(w.entry[:4])
	}
	switch w.handler {
	case "vide":
		if f.VideoCodec != "" {
			return // one video track is what is shown
		}
		f.VideoCodec = videoCodec(codec)
		if (w.width == 0 || w.height == 0) && len(w.entry) >= 32 { // the track does not say; the pictures do
			w.width, w.height = int(binary.BigEndian.Uint16(w.entry[28:])), int(binary.BigEndian.Uint16(w.entry[30:]))
		}
		if w.upright {
			w.width, w.height = w.height, w.width
		}
		f.Width, f.Height = w.width, w.height
		// One edit only says where the picture begins; more cut and rearrange it.
		f.EditLists = w.edits > 1
		if took := length(w.scale, w.duration); took > 0 && w.samples > 0 {
			f.FrameRate = float64(w.samples) / took.Seconds()
		}
	case "soun":
		if f.AudioCodec != "" {
			return
		}
		f.AudioCodec = codec
		if codec == "mp4a" {
			f.AudioCodec = "AAC"
		}
		f.AudioChannels, f.SampleRate = sound(w.entry)
	}
}

func videoCodec(entry string) string {
	switch entry {
	case "avc1", "avc3":
		return "H264"
	case "hvc1", "hev1":
		return "HEVC"
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, entry))
}

// sound reads channels and samples a second of a sample entry, counted from its kind on.
func sound(entry []byte) (channels, rate int) {
	if len(entry) < 32 {
		return 0, 0
	}
	if binary.BigEndian.Uint16(entry[12:]) < 2 {
		return int(binary.BigEndian.Uint16(entry[20:])), int(binary.BigEndian.Uint32(entry[28:]) >> 16)
	}
	// QuickTime's version 2 has them elsewhere, the rate as a floating-point number.
	if len(entry) < 48 {
		return 0, 0
	}
	if r := math.Float64frombits(binary.BigEndian.Uint64(entry[36:])); r > 0 && r < 1e7 {
		rate = int(r)
	}
	return int(binary.BigEndian.Uint32(entry[44:]) & 0xFFFF), rate
}

// times reads ticks a second and the length in ticks of an mvhd or mdhd. All bits set is "not known".
func times(b []byte) (scale uint32, duration uint64, ok bool) {
	switch {
	case len(b) >= 20 && b[0] == 0:
		if d := binary.BigEndian.Uint32(b[16:]); d != math.MaxUint32 {
			return binary.BigEndian.Uint32(b[12:]), uint64(d), true
		}
	case len(b) >= 32 && b[0] == 1:
		if d := binary.BigEndian.Uint64(b[24:]); d != math.MaxUint64 {
			return binary.BigEndian.Uint32(b[20:]), d, true
		}
	}
	return 0, 0, false
}

// length is ticks as time; absurd ones are none.
func length(scale uint32, ticks uint64) time.Duration {
	if scale == 0 || ticks == 0 {
		return 0
	}
	if seconds := float64(ticks) / float64(scale); seconds < 7*24*60*60 {
		return time.Duration(seconds * float64(time.Second))
	}
	return 0
}
