package publisher

import (
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/threads"
)

// withOptions gives a container what the post has besides its words and media.
func withOptions(c *threads.Container, o events.Options) {
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
