package draft

import (
	"fmt"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/probe"
)

// PastGrace is how far in the past a post may be asked for: clocks differ, and a form takes time to send.
const PastGrace = time.Minute

// CheckTime refuses a time that had passed when it was asked for.
func CheckTime(at, asked time.Time) *events.Fault {
	if !at.Before(asked.Add(-PastGrace)) {
		return nil
	}
	return events.Faultf(events.Invalid, "The time of this post has passed; choose a later one, or post it now.").
		At("/scheduledAt", "time_in_past", "The time is more than a minute in the past; choose a later one, or post it now.")
}

// MayPost says why an account cannot be used for a draft, and nil when it can.
func MayPost(a accounts.Account, d events.Draft) error {
	if err := a.MayUse(threads.ScopeContentPublish); err != nil {
		return err
	}
	if d.Location != "" && !a.HasScope(threads.ScopeLocationTagging) {
		words := "This account did not grant " + threads.ScopeLocationTagging + ", which a place needs; reconnect it and allow that, or leave the place out."
		return events.Faultf(events.MissingScope, "%s", words).At("/location", "missing_scope", words)
	}
	return nil
}

// Check checks a draft by itself: Threads' rules, and that its addresses are public ones.
func (s *Service) Check(d events.Draft) *events.Fault {
	fault := checkRules(d)
	var private []events.Detail
	each := func(pointer, address string) {
		if address != "" && threads.CheckMediaURL(address) == nil && !probe.Public(address, s.cfg.MediaNetworks) {
			private = append(private, events.Detail{Pointer: pointer, Code: "address_not_public",
				Message: "This address is not on the internet, so Threads could not reach it; use a public one."})
		}
	}
	for pointer, m := range allMedia(d) {
		each(pointer+"/url", m.URL)
	}
	each("/linkAttachment", d.LinkAttachment)
	if d.TextAttachment != nil {
		each("/textAttachment/link", d.TextAttachment.Link)
	}
	if len(private) == 0 {
		return fault
	}
	if fault == nil {
		fault = events.Faultf(events.Invalid, "%s", private[0].Message)
	}
	fault.Details = append(fault.Details, private...)
	return limitDetails(fault)
}

// maxParts bounds a chain: one must not use up a day's replies.
const maxParts = 50

// checkRules checks a draft of any kind against Threads' rules: each of its parts, and what may go together.
func checkRules(d events.Draft) *events.Fault {
	f := events.Faultf(events.Invalid, "This post breaks a rule of Threads and would be refused; see errors for each field.")
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
	return FieldErrors(f)
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
		found := checkPart(one)
		if found == nil {
			continue
		}
		for _, detail := range found.Details {
			if detail.Pointer == "/text" || len(detail.Pointer) > 6 && detail.Pointer[:6] == "/media" {
				detail.Pointer = fmt.Sprintf("/parts/%d%s", i, detail.Pointer)
			} else if i > 0 {
				continue // said of the first already
			}
			f.Details = append(f.Details, detail)
		}
	}
}

// hasOptions says whether a draft has anything besides text and media.
func hasOptions(o events.Options) bool {
	return o.ReplyControl != "" || o.TopicTag != "" || o.LinkAttachment != "" || len(o.Poll) > 0 || o.GIF != nil ||
		o.TextAttachment != nil || len(o.Spoilers) > 0 || o.SpoilerMedia || o.Ghost || o.ReplyApprovals || o.Location != "" || len(o.Countries) > 0
}
