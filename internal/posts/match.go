package posts

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/threads"
)

// LookBack is how long before the claim a post may be dated and still be ours: clocks differ.
const LookBack = time.Minute

// Matches says whether a listed post could be the part in hand. A repost is known by what it reposts, a carousel for
// sure by its children where Threads lists the very container ids (threads-api §4.10). Everything else by its words, kind
// and place.
func Matches(p *Post, m threads.Media) bool {
	if p.Kind == events.KindRepost {
		return m.RepostedID != "" && m.RepostedID == p.ParentID
	}
	if m.RepostedID != "" || m.IsReply != p.IsReply() || m.ReplyToID != p.Parent() || p.CurrentPart() == 0 && m.QuotedID != p.QuotedID {
		return false
	}
	text, media := p.Content()
	if m.MediaType != listedAs(media) {
		return false
	}
	if len(media) > 1 {
		if len(m.ChildIDs) > 0 && slices.Equal(m.ChildIDs, p.Children) {
			return true
		}
		// Others have seen the children under ids of their own; then their number, the words and the place must do.
		if len(m.ChildIDs) > 0 && len(m.ChildIDs) != len(media) {
			return false
		}
	}
	return Normalise(text) == Normalise(m.Text)
}

// CouldBe says whether a listed post has the kind and the place of the part in hand, whatever it says. What Threads leaves
// open could be.
func CouldBe(p *Post, m threads.Media) bool {
	facade := m.RepostedID != "" || m.MediaType == "REPOST_FACADE"
	if p.Kind == events.KindRepost {
		return facade && (m.RepostedID == "" || m.RepostedID == p.ParentID)
	}
	if facade || m.IsReply != p.IsReply() || p.IsReply() && m.ReplyToID != "" && m.ReplyToID != p.Parent() {
		return false
	}
	if quotes := p.CurrentPart() == 0 && p.QuotedID != ""; !quotes && (m.IsQuote || m.QuotedID != "") || quotes && m.QuotedID != "" && m.QuotedID != p.QuotedID {
		return false
	}
	_, media := p.Content()
	return m.MediaType == listedAs(media) || !slices.Contains([]string{"TEXT_POST", "IMAGE", "VIDEO", "CAROUSEL_ALBUM"}, m.MediaType)
}

// listedAs is the kind under which Threads lists a post with such media.
func listedAs(media []events.Media) string {
	switch {
	case len(media) > 1:
		return "CAROUSEL_ALBUM"
	case len(media) == 1 && media[0].Type == events.Video:
		return "VIDEO"
	case len(media) == 1:
		return "IMAGE"
	}
	return "TEXT_POST"
}

// Normalise is a text as Threads may give it back: composed (NFC), with other ends of lines, with white space and invisible
// marks changed or left out, and without the hash of its topic tag (threads-api §4.4).
func Normalise(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '#' || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) {
			return -1
		}
		return r
	}, norm.NFC.String(text))
	return strings.Join(strings.Fields(text), " ")
}
