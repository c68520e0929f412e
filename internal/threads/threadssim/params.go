package threadssim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"

	"github.com/omni-write/threads/internal/threads"
)

// containerFrom reads the parameters of a creation. Objects are JSON in strings; the error is what Threads says to one it
// cannot read.
func containerFrom(p url.Values) (*container, error) {
	var item bool
	if readFlag(p.Get("is_carousel_item"), &item) == nil && item {
		p = maps.Clone(p)
		for _, name := range threads.CarouselParams() {
			p.Del(name) // Threads does not look at them there
		}
	}
	k := &container{
		MediaType:    strings.ToUpper(strings.TrimSpace(p.Get("media_type"))),
		Text:         p.Get("text"),
		AltText:      p.Get("alt_text"),
		ReplyTo:      p.Get("reply_to_id"),
		Quote:        p.Get("quote_post_id"),
		ReplyControl: strings.ToLower(p.Get("reply_control")),
		TopicTag:     p.Get("topic_tag"),
		Link:         p.Get("link_attachment"),
		Location:     p.Get("location_id"),
		Children:     readList(p.Get("children")),
	}
	for _, code := range readList(p.Get("allowlisted_country_codes")) {
		k.Countries = append(k.Countries, strings.ToUpper(code))
	}
	for name, into := range map[string]*bool{
		"is_carousel_item":             &k.CarouselItem,
		"is_ghost_post":                &k.Ghost,
		"is_spoiler_media":             &k.SpoilerMedia,
		"enable_reply_approvals":       &k.Approvals,
		"crossreshare_to_ig":           &k.CrossReshare,
		"crossreshare_to_ig_dark_mode": &k.CrossDark,
	} {
		if err := readFlag(p.Get(name), into); err != nil {
			return nil, fmt.Errorf("%s must be a boolean", name)
		}
	}
	if k.MediaType == "" && k.CarouselItem && p.Get("image_url") != "" {
		k.MediaType = threads.Image // one of the documentation's own examples leaves it out
	}
	switch k.MediaType {
	case threads.Image:
		k.MediaURL = p.Get("image_url")
	case threads.Video:
		k.MediaURL = p.Get("video_url")
	}
	return k, k.readObjects(p)
}

func (k *container) readObjects(p url.Values) error {
	if raw := p.Get("poll_attachment"); raw != "" {
		var poll map[string]string
		if json.Unmarshal([]byte(raw), &poll) != nil {
			return fmt.Errorf("poll_attachment must be a JSON object of options")
		}
		if err := k.readPoll(poll); err != nil {
			return err
		}
	}
	if raw := p.Get("gif_attachment"); raw != "" {
		var gif struct {
			ID       string `json:"gif_id"`
			Provider string `json:"provider"`
		}
		if json.Unmarshal([]byte(raw), &gif) != nil {
			return fmt.Errorf("gif_attachment must be a JSON object with gif_id and provider")
		}
		k.GIF = &threads.GIF{ID: gif.ID, Provider: gif.Provider}
	}
	if raw := p.Get("text_attachment"); raw != "" {
		var long struct {
			Plaintext string `json:"plaintext"`
			Link      string `json:"link_attachment_url"`
			Styles    []struct {
				Offset int      `json:"offset"`
				Length int      `json:"length"`
				Styles []string `json:"styling_info"`
			} `json:"text_with_styling_info"`
		}
		if json.Unmarshal([]byte(raw), &long) != nil {
			return fmt.Errorf("text_attachment must be a JSON object with plaintext")
		}
		k.TextAttachment = &threads.TextAttachment{Plaintext: long.Plaintext, LinkURL: long.Link}
		for _, r := range long.Styles {
			k.TextAttachment.Styles = append(k.TextAttachment.Styles, threads.StyledRange{
				TextRange: threads.TextRange{Offset: r.Offset, Length: r.Length}, Styles: r.Styles,
			})
		}
	}
	if raw := p.Get("text_entities"); raw != "" {
		var entities []struct {
			Type   string `json:"entity_type"`
			Offset int    `json:"offset"`
			Length int    `json:"length"`
		}
		if json.Unmarshal([]byte(raw), &entities) != nil {
			return fmt.Errorf("text_entities must be a JSON array of entities")
		}
		for _, e := range entities {
			if !strings.EqualFold(e.Type, "spoiler") {
				return fmt.Errorf("text_entities has an unknown entity_type")
			}
			k.Spoilers = append(k.Spoilers, threads.TextRange{Offset: e.Offset, Length: e.Length})
		}
	}
	return nil
}

// readPoll keeps the order of the options and refuses a gap: an option_d without an option_c. Empty ones of the last two
// are left out: the form of Meta's own sample app sends all four.
func (k *container) readPoll(poll map[string]string) error {
	maps.DeleteFunc(poll, func(name, option string) bool {
		return option == "" && (name == "option_c" || name == "option_d")
	})
	names := []string{"option_a", "option_b", "option_c", "option_d"}
	for _, name := range names {
		option, there := poll[name]
		if !there {
			break
		}
		k.Poll = append(k.Poll, option)
	}
	if len(k.Poll) != len(poll) || len(k.Poll) < 2 {
		return fmt.Errorf("poll_attachment must have option_a and option_b, and may have option_c and option_d")
	}
	return nil
}

func readFlag(raw string, into *bool) error {
	if raw == "" {
		return nil
	}
	v, err := strconv.ParseBool(strings.ToLower(raw))
	*into = v
	return err
}

// readList takes "a,b" and ["a","b"].
func readList(raw string) []string {
	var items []string
	for item := range strings.SplitSeq(strings.Trim(raw, "[] "), ",") {
		if item = strings.Trim(item, `" `); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// asked is the container as its author wrote it, for the rules that authors are held to.
func (k *container) asked() threads.Container {
	c := threads.Container{
		MediaType: k.MediaType, Text: k.Text, AltText: k.AltText, IsCarouselItem: k.CarouselItem, Children: k.Children,
		ReplyToID: k.ReplyTo, QuotePostID: k.Quote, ReplyControl: k.ReplyControl, TopicTag: k.TopicTag,
		LinkAttachment: k.Link, PollOptions: k.Poll, GIF: k.GIF, TextAttachment: k.TextAttachment, Spoilers: k.Spoilers,
		SpoilerMedia: k.SpoilerMedia, Ghost: k.Ghost, ReplyApprovals: k.Approvals, LocationID: k.Location,
		Countries: k.Countries, ShareToInstagram: k.CrossReshare, ShareToInstagramDark: k.CrossDark,
	}
	switch k.MediaType {
	case threads.Image:
		c.ImageURL = k.MediaURL
	case threads.Video:
		c.VideoURL = k.MediaURL
	}
	return c
}
