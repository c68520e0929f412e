package publisher

import (
	"fmt"

	"github.com/omni-write/threads/events"
)

// maxParts bounds a chain: one must not use up a day's replies.
const maxParts = 50

// checkWhole holds a draft of any kind against the rules when it is accepted: each of its parts, and what goes together.
func checkWhole(d events.Draft) *events.Fault {
	f := events.Faultf(events.Invalid, "This post breaks a rule of Threads and would be refused; see the details.")
	switch {
	case d.RepostOf != "":
		if d.Text != "" || len(d.Media) > 0 || len(d.Parts) > 0 || d.ReplyTo != "" || d.QuotePostID != "" || hasOptions(d.Options) {
			f.At("/repostOf", "repost_alone", "A repost has nothing of its own; to add words, quote the post instead.")
		}
	case len(d.Parts) > 0:
		checkParts(f, d)
	default:
		return checkPart(d)
	}
	return breaches(f)
}

func checkParts(f *events.Fault, d events.Draft) {
	if d.Text != "" || len(d.Media) > 0 {
		f.At("/parts", "parts_and_text", "Give either parts, or a text with its media; not both.")
	}
	if len(d.Parts) > maxParts {
		f.At("/parts", "too_many_parts", fmt.Sprintf("A chain takes up to %d parts.", maxParts))
		return
	}
	if d.Ghost {
		f.At("/ghost", "ghost_chain", "A ghost post cannot be answered, so it cannot begin a chain.")
	}
	for i, part := range d.Parts {
		one := events.Draft{Text: part.Text, Media: part.Media, PublishWithin: d.PublishWithin}
		if i == 0 {
			one.Options, one.ReplyTo, one.QuotePostID = d.Options, d.ReplyTo, d.QuotePostID
		}
		wrong := checkPart(one)
		if wrong == nil {
			continue
		}
		for _, detail := range wrong.Details {
			if detail.Pointer == "/text" || len(detail.Pointer) > 6 && detail.Pointer[:6] == "/media" {
				detail.Pointer = fmt.Sprintf("/parts/%d%s", i, detail.Pointer)
			} else if i > 0 {
				continue // said of the first already
			}
			f.Details = append(f.Details, detail)
		}
	}
}

// hasOptions says whether anything is asked for besides words and media.
func hasOptions(o events.Options) bool {
	return o.ReplyControl != "" || o.TopicTag != "" || o.LinkAttachment != "" || len(o.Poll) > 0 || o.GIF != nil ||
		o.TextAttachment != nil || len(o.Spoilers) > 0 || o.SpoilerMedia || o.Ghost || o.ReplyApprovals || o.Location != "" || len(o.Countries) > 0
}

// breaches is a fault with all its details, or nil when there are none. A single detail is the sentence.
func breaches(f *events.Fault) *events.Fault {
	if len(f.Details) == 0 {
		return nil
	}
	if len(f.Details) == 1 {
		f.Message = f.Details[0].Message
	}
	return theFirst(f)
}

// maxDetails is how many flaws are named at once: with tens of thousands of them a refusal could not be told.
const maxDetails = 100

// theFirst keeps the first details of a fault, and says how many there are besides.
func theFirst(f *events.Fault) *events.Fault {
	if more := len(f.Details) - maxDetails; more > 0 {
		f.Details = f.Details[:maxDetails:maxDetails]
		f.At("", "and_more", fmt.Sprintf("There are %d more like these; mend these first.", more))
	}
	return f
}
