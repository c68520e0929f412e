package threads

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Codes of the problems that CheckMedia finds.
const (
	MediaUnreachable   = "media_unreachable"
	MediaTypeWrong     = "media_type_wrong"
	MediaTooLarge      = "media_too_large"
	MediaRatio         = "media_ratio"
	MediaDimensions    = "media_dimensions"
	MediaDuration      = "media_duration"
	MediaCodec         = "media_codec"
	MediaFrameRate     = "media_frame_rate"
	MediaBitRate       = "media_bit_rate"
	MediaAudio         = "media_audio"
	MediaNotStreamable = "media_not_streamable"
)

// MediaFacts is what is known of a picture or video before Threads fetches it. Zero is not known, and no problem.
type MediaFacts struct {
	Kind   string // Image or Video
	Format string // JPEG, PNG, MP4, MOV; another word for anything else
	// ContentType is what its server calls it. Threads reads the file itself, so no rule hangs on it.
	ContentType string
	Bytes       int64
	Width       int // pixels
	Height      int

	// Of videos.

	Duration      time.Duration
	VideoCodec    string // H264, HEVC, or what the file says
	FrameRate     float64
	BitRate       int64 // bits a second, of the whole file
	AudioCodec    string
	AudioChannels int
	SampleRate    int
	// MoovLast says that the index comes after the pictures, so that nothing can be shown before all is fetched.
	MoovLast  bool
	EditLists bool
}

// The limits of media: Threads' "Image specifications" and "Video specifications".
//
// https://developers.facebook.com/documentation/threads/posts (updated 2026-04-14)
const (
	MaxImageBytes    = 8 << 20
	MaxVideoBytes    = 1 << 30
	MaxRatio         = 10.0 // of the longer side of an image to the shorter, and of a video's width to its height
	MinVideoRatio    = 0.01
	MaxVideoWidth    = 1920
	MaxVideoDuration = 300 * time.Second
	MinFrameRate     = 23.0
	MaxFrameRate     = 60.0
	MaxBitRate       = 100_000_000
	MaxSampleRate    = 48_000
	MaxAudioChannels = 2
)

// CheckMedia finds what Threads would refuse in a picture or video. A width outside of 320 to 1440 pixels is scaled and no
// problem.
func CheckMedia(f MediaFacts) (found []Problem) {
	c := &mediaChecker{f: f}
	if f.Kind == Video {
		c.field = "video_url"
		c.video()
	} else {
		c.field = "image_url"
		c.image()
	}
	return c.found
}

// over writes a figure that is over its limit, rounded up, so that it never reads as the limit itself.
func over(figure float64) string { return strconv.FormatFloat(math.Ceil(figure*10)/10, 'f', -1, 64) }

type mediaChecker struct {
	f     MediaFacts
	field string
	found []Problem
}

func (c *mediaChecker) wrong(code, format string, args ...any) {
	c.found = append(c.found, Problem{Field: c.field, Code: code, Detail: fmt.Sprintf(format, args...)})
}

func (c *mediaChecker) image() {
	f := c.f
	switch f.Format {
	case "", "JPEG", "PNG":
	default:
		c.wrong(MediaTypeWrong, "The image is %s; Threads takes JPEG and PNG.", f.Format)
	}
	if f.Bytes > MaxImageBytes {
		c.wrong(MediaTooLarge, "The image has %s MB; Threads takes up to 8.", over(float64(f.Bytes)/(1<<20)))
	}
	if f.Width > 0 && f.Height > 0 && float64(max(f.Width, f.Height)) > MaxRatio*float64(min(f.Width, f.Height)) {
		c.wrong(MediaRatio, "The image is %d by %d pixels; one side may be up to ten times the other.", f.Width, f.Height)
	}
}

func (c *mediaChecker) video() {
	f := c.f
	switch f.Format {
	case "", "MP4", "MOV":
	default:
		c.wrong(MediaTypeWrong, "The video is %s; Threads takes MP4 and MOV.", f.Format)
	}
	if f.Bytes > MaxVideoBytes {
		c.wrong(MediaTooLarge, "The video has %s GB; Threads takes up to 1.", over(float64(f.Bytes)/(1<<30)))
	}
	if f.Width > MaxVideoWidth {
		c.wrong(MediaDimensions, "The video is %d pixels wide; Threads takes up to %d.", f.Width, MaxVideoWidth)
	}
	if f.Width > 0 && f.Height > 0 {
		if ratio := float64(f.Width) / float64(f.Height); ratio < MinVideoRatio || ratio > MaxRatio {
			c.wrong(MediaRatio, "The video is %d by %d pixels; its width may be a hundredth of its height to ten times it.", f.Width, f.Height)
		}
	}
	if f.Duration > MaxVideoDuration {
		c.wrong(MediaDuration, "The video is %s seconds long; Threads takes up to %.0f.", over(f.Duration.Seconds()), MaxVideoDuration.Seconds())
	}
	switch strings.ToUpper(f.VideoCodec) {
	case "", "H264", "HEVC":
	default:
		c.wrong(MediaCodec, "The video is coded as %s; Threads takes H.264 and HEVC.", f.VideoCodec)
	}
	// Rounded: 23.976 is the usual 24 of films, 59.94 the usual 60.
	if f.FrameRate > 0 && (f.FrameRate < MinFrameRate-0.1 || f.FrameRate > MaxFrameRate+0.1) {
		c.wrong(MediaFrameRate, "The video has %.2f pictures a second; Threads takes 23 to 60.", f.FrameRate)
	}
	if f.BitRate > MaxBitRate {
		c.wrong(MediaBitRate, "The video has %s Mbit a second; Threads takes up to 100.", over(float64(f.BitRate)/1e6))
	}
	if f.MoovLast {
		c.wrong(MediaNotStreamable, "The video's index is at its end; save it for streaming (faststart), so that the index comes first.")
	}
	if f.EditLists {
		c.wrong(MediaNotStreamable, "The video has edit lists, which Threads does not take; export it once more without them.")
	}
	c.audio()
}

func (c *mediaChecker) audio() {
	f := c.f
	if f.AudioCodec != "" && !strings.EqualFold(f.AudioCodec, "AAC") {
		c.wrong(MediaAudio, "The sound is coded as %s; Threads takes AAC.", f.AudioCodec)
	}
	if f.AudioChannels > MaxAudioChannels {
		c.wrong(MediaAudio, "The sound has %d channels; Threads takes one or two.", f.AudioChannels)
	}
	if f.SampleRate > MaxSampleRate {
		c.wrong(MediaAudio, "The sound has %d samples a second; Threads takes up to 48,000.", f.SampleRate)
	}
}
