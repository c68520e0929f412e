package threads_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omni-write/threads/internal/threads"
)

// The vectors are for every implementation of the rules, a frontend's too: parameters under Threads' names, and the field
// and code of each problem.

func vectors[T any](t *testing.T, file string) (list []T) {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatalf("%s is empty", file)
	}
	return list
}

type styled struct {
	Offset int      `json:"offset"`
	Length int      `json:"length"`
	Styles []string `json:"styles"`
}

type postVector struct {
	Name      string `json:"name"`
	Container struct {
		MediaType    string   `json:"media_type"`
		Text         string   `json:"text"`
		ImageURL     string   `json:"image_url"`
		VideoURL     string   `json:"video_url"`
		AltText      string   `json:"alt_text"`
		CarouselItem bool     `json:"is_carousel_item"`
		Children     []string `json:"children"`
		ReplyTo      string   `json:"reply_to_id"`
		ReplyControl string   `json:"reply_control"`
		TopicTag     string   `json:"topic_tag"`
		Link         string   `json:"link_attachment"`
		Poll         []string `json:"poll_options"`
		GIF          *struct {
			ID       string `json:"gif_id"`
			Provider string `json:"provider"`
		} `json:"gif"`
		Attachment *struct {
			Plaintext string   `json:"plaintext"`
			Link      string   `json:"link"`
			Styles    []styled `json:"styles"`
		} `json:"text_attachment"`
		Spoilers     []styled `json:"spoilers"`
		SpoilerMedia bool     `json:"is_spoiler_media"`
		Ghost        bool     `json:"is_ghost_post"`
		Approvals    bool     `json:"enable_reply_approvals"`
		Countries    []string `json:"countries"`
		Quote        string   `json:"quote_post_id"`
		Location     string   `json:"location_id"`
	} `json:"container"`
	Problems []struct{ Field, Code string } `json:"problems"`
}

func (v postVector) container() threads.Container {
	c := v.Container
	k := threads.Container{
		MediaType: c.MediaType, Text: c.Text, ImageURL: c.ImageURL, VideoURL: c.VideoURL, AltText: c.AltText, IsCarouselItem: c.CarouselItem,
		Children: c.Children, ReplyToID: c.ReplyTo, ReplyControl: c.ReplyControl, TopicTag: c.TopicTag, LinkAttachment: c.Link,
		PollOptions: c.Poll, SpoilerMedia: c.SpoilerMedia, Ghost: c.Ghost, ReplyApprovals: c.Approvals, Countries: c.Countries,
		QuotePostID: c.Quote, LocationID: c.Location,
	}
	if c.GIF != nil {
		k.GIF = &threads.GIF{ID: c.GIF.ID, Provider: c.GIF.Provider}
	}
	if c.Attachment != nil {
		k.TextAttachment = &threads.TextAttachment{Plaintext: c.Attachment.Plaintext, LinkURL: c.Attachment.Link}
		for _, s := range c.Attachment.Styles {
			k.TextAttachment.Styles = append(k.TextAttachment.Styles, threads.StyledRange{TextRange: threads.TextRange{Offset: s.Offset, Length: s.Length}, Styles: s.Styles})
		}
	}
	for _, s := range c.Spoilers {
		k.Spoilers = append(k.Spoilers, threads.TextRange{Offset: s.Offset, Length: s.Length})
	}
	return k
}

func TestPostRules(t *testing.T) {
	t.Parallel()
	for _, v := range vectors[postVector](t, "post_vectors.json") {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			var got []struct{ Field, Code string }
			for _, p := range v.container().Check() {
				got = append(got, struct{ Field, Code string }{p.Field, p.Code})
				if p.Detail == "" {
					t.Errorf("%s has no sentence", p.Code)
				}
			}
			want := v.Problems
			if len(want) == 0 {
				want = nil
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the problems differ:\n%s", diff)
			}
		})
	}
}

type mediaVector struct {
	Name  string `json:"name"`
	Facts struct {
		Kind          string  `json:"kind"`
		Format        string  `json:"format"`
		Bytes         int64   `json:"bytes"`
		Width         int     `json:"width"`
		Height        int     `json:"height"`
		Seconds       float64 `json:"seconds"`
		VideoCodec    string  `json:"video_codec"`
		FrameRate     float64 `json:"frame_rate"`
		BitRate       int64   `json:"bit_rate"`
		AudioCodec    string  `json:"audio_codec"`
		AudioChannels int     `json:"audio_channels"`
		SampleRate    int     `json:"sample_rate"`
		MoovLast      bool    `json:"moov_last"`
		EditLists     bool    `json:"edit_lists"`
	} `json:"facts"`
	Problems []string `json:"problems"`
}

func TestMediaRules(t *testing.T) {
	t.Parallel()
	for _, v := range vectors[mediaVector](t, "media_vectors.json") {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			f := v.Facts
			got := []string{}
			for _, p := range threads.CheckMedia(threads.MediaFacts{
				Kind: f.Kind, Format: f.Format, Bytes: f.Bytes, Width: f.Width, Height: f.Height, Duration: time.Duration(f.Seconds * float64(time.Second)),
				VideoCodec: f.VideoCodec, FrameRate: f.FrameRate, BitRate: f.BitRate, AudioCodec: f.AudioCodec, AudioChannels: f.AudioChannels,
				SampleRate: f.SampleRate, MoovLast: f.MoovLast, EditLists: f.EditLists,
			}) {
				got = append(got, p.Code)
				if p.Detail == "" || p.Field == "" {
					t.Errorf("%s lacks its sentence or field", p.Code)
				}
			}
			if diff := cmp.Diff(v.Problems, got); diff != "" {
				t.Errorf("the problems differ:\n%s", diff)
			}
		})
	}
}

// A figure that is over its limit by a little must not read as the limit.
func TestFiguresReadAsOverTheLimit(t *testing.T) {
	t.Parallel()
	for says, f := range map[string]threads.MediaFacts{
		"has 8.1 MB":                  {Kind: threads.Image, Bytes: threads.MaxImageBytes + 1},
		"has 1.1 GB":                  {Kind: threads.Video, Bytes: threads.MaxVideoBytes + 1},
		"is 300.1 seconds long":       {Kind: threads.Video, Duration: threads.MaxVideoDuration + time.Millisecond},
		"has 100.1 Mbit a second":     {Kind: threads.Video, BitRate: threads.MaxBitRate + 1},
		"is 1921 pixels wide":         {Kind: threads.Video, Width: threads.MaxVideoWidth + 1},
		"has 22.50 pictures a second": {Kind: threads.Video, FrameRate: 22.5},
	} {
		if found := threads.CheckMedia(f); len(found) != 1 || !strings.Contains(found[0].Detail, says) {
			t.Errorf("%v, want %q", found, says)
		}
	}
}
