package threads

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// What Threads allows.
//
// https://developers.facebook.com/documentation/threads/posts
const (
	MaxText     = 500  // counted as Count counts
	MaxLinks    = 5    // different ones, counted as Links counts
	MaxMediaURL = 2048 // bytes; ours, no limit is documented
)

// Codes of a Problem.
const (
	TextTooLong     = "text_too_long"
	TooManyLinks    = "too_many_links"
	TextInvalid     = "text_invalid"
	MediaURLInvalid = "media_url_invalid"
)

// Problem is something Threads would refuse, found before asking it. Detail is a sentence for the author.
type Problem struct {
	// Field is Meta's name of the parameter, with a path into it where it has parts: poll_attachment.option_c.
	Field  string
	Code   string
	Detail string
}

// Count is the length of a text as Meta documents it: a grapheme that shows an emoji counts its UTF-8 bytes, all else
// one per code point. A family emoji is 25, a flag 8, a Chinese character 1.
func Count(text string) int {
	n := 0
	for state := -1; text != ""; {
		var cluster string
		cluster, text, _, state = uniseg.FirstGraphemeClusterInString(text, state)
		if showsEmoji(cluster) {
			n += len(cluster)
		} else {
			n += utf8.RuneCountInString(cluster)
		}
	}
	return n
}

// CheckText finds what is wrong with a text by itself. The link of an attachment counts too: see Links.
func CheckText(text string) []Problem {
	if !validText(text) {
		return []Problem{{"text", TextInvalid, "The text contains characters that are not valid text."}}
	}
	var found []Problem
	if n := Count(text); n > MaxText {
		found = append(found, Problem{"text", TextTooLong, fmt.Sprintf(
			"The text counts %d characters, Threads allows %d (an emoji counts as several). Please shorten it by %d.",
			n, MaxText, n-MaxText)})
	}
	if n := Links(text, ""); n > MaxLinks {
		found = append(found, Problem{"text", TooManyLinks, fmt.Sprintf(
			"The text has %d different links, Threads allows %d.", n, MaxLinks)})
	}
	return found
}

// validText says whether a text can be written and stored as it is.
func validText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// CheckMediaURL finds what is wrong with the address of an image or video; nil means nothing. It does not look whether
// anything is there.
func CheckMediaURL(raw string) *Problem {
	wrong := func(detail string) *Problem { return &Problem{Code: MediaURLInvalid, Detail: detail} }
	if len(raw) > MaxMediaURL {
		return wrong(fmt.Sprintf("The media address is longer than %d characters.", MaxMediaURL))
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return wrong("The media address is not a complete web address, such as https://example.com/photo.jpg.")
	case u.Scheme != "http" && u.Scheme != "https":
		return wrong("The media address must start with https:// or http://.")
	case u.User != nil:
		return wrong("The media address must not contain a user name or password.")
	case strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return wrong("The media address contains spaces or control characters.")
	}
	return nil
}
