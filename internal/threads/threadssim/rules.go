package threadssim

import (
	"strings"
	"unicode/utf8"

	"github.com/omni-write/threads/internal/threads"
)

// checkRules holds a container to the rules that the product holds its authors to as well, and answers the first problem
// in Threads' own way.
func (c creation) checkRules() (answer, bool) {
	k := c.container
	tooLong := false
	for _, p := range k.asked().Check() {
		if p.Code == threads.TextTooLong && p.Field == "text" {
			tooLong = true
			continue // the knob has the last word
		}
		return refusalOf(p), false
	}
	switch c.knobs.CountMode {
	case "bytes":
		tooLong = len(k.Text) > threads.MaxText
	case "codepoints":
		tooLong = utf8.RuneCountInString(k.Text) > threads.MaxText
	}
	if tooLong {
		return badParam("text must be at most 500 characters long."), false
	}
	if k.Location != "" && placeOf(k.Location) == nil {
		return badParam("location_id is not a valid location ID"), false
	}
	return answer{}, true
}

// refusalOf is what Threads says to a problem. Few of its sentences are known; the others are made of the field's name.
func refusalOf(p threads.Problem) answer {
	field, _, _ := strings.Cut(p.Field, ".")
	switch {
	case p.Code == threads.TooManyLinks:
		return named("LINK_LIMIT_EXCEEDED", "a post can have at most 5 links")
	case field == "allowlisted_country_codes":
		return named("GEO_GATING_INVALID_COUNTRY_CODES", "the list holds what is no country code")
	case field == "link_attachment":
		return invalidLink()
	case field == "children":
		return invalidChildren()
	case field == "image_url", field == "video_url":
		return badParam(field + " is not a valid URI.")
	case p.Field == "text" && p.Code == threads.TextInvalid:
		return badParam("text must be valid UTF-8")
	}
	return badParam(p.Field + " is not valid: " + p.Detail)
}
