package draft

import (
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

// Container is what Threads is asked to build for the current part of a post, before it can be published.
func Container(p *posts.Post) threads.Container {
	text, media := p.Content()
	c := threads.Container{MediaType: threads.Text}
	switch len(media) {
	case 0:
	case 1:
		c = mediaContainer(media[0])
	default:
		c = threads.Container{MediaType: threads.Carousel, Children: p.Children}
	}
	c.Text, c.ReplyToID = text, p.Parent()
	if p.CurrentPart() == 0 {
		c.QuotePostID = p.QuotedID
		addOptions(&c, p.Options)
	}
	return c
}

// CarouselItem is what Threads is asked to build for the next item of its carousel.
func CarouselItem(p *posts.Post) threads.Container {
	_, media := p.Content()
	c := mediaContainer(media[len(p.Children)])
	c.IsCarouselItem = true
	return c
}

// Trials are containers by which it can be tried whether Threads takes a part of a chain, before the part has a parent. Where
// our own rules can judge the part there are none: it is a text without links, of no more bytes than it may have characters.
func Trials(part events.Part) (list []threads.Container) {
	for i, m := range part.Media {
		c := mediaContainer(m)
		c.IsCarouselItem = i > 0
		list = append(list, c)
	}
	switch {
	case len(list) > 0:
		list[0].Text = part.Text
	case len(part.Text) > threads.MaxText || threads.Links(part.Text, "") > 0:
		list = append(list, threads.Container{MediaType: threads.Text, Text: part.Text})
	}
	return list
}

func mediaContainer(m events.Media) threads.Container {
	if m.Type == events.Video {
		return threads.Container{MediaType: threads.Video, VideoURL: m.URL, AltText: m.AltText}
	}
	return threads.Container{MediaType: threads.Image, ImageURL: m.URL, AltText: m.AltText}
}

// addOptions adds what a post has besides its text and media.
func addOptions(c *threads.Container, o events.Options) {
	c.ReplyControl, c.TopicTag, c.LinkAttachment = o.ReplyControl, o.TopicTag, o.LinkAttachment
	c.PollOptions, c.SpoilerMedia, c.Ghost = o.Poll, o.SpoilerMedia, o.Ghost
	c.ReplyApprovals, c.LocationID, c.Countries = o.ReplyApprovals, o.Location, o.Countries
	if o.GIF != nil {
		c.GIF = &threads.GIF{ID: o.GIF.ID, Provider: o.GIF.Provider}
	}
	for _, r := range o.Spoilers {
		c.Spoilers = append(c.Spoilers, threads.TextRange(r))
	}
	if a := o.TextAttachment; a != nil {
		c.TextAttachment = &threads.TextAttachment{Plaintext: a.Plaintext, LinkURL: a.Link}
		for _, st := range a.Styles {
			c.TextAttachment.Styles = append(c.TextAttachment.Styles, threads.StyledRange{TextRange: threads.TextRange(st.TextRange), Styles: st.Styles})
		}
	}
}
