package threads

import (
	"regexp"
	"strings"
)

// link finds what Threads turns into a link: a web address, or a bare host that starts with www.
var link = regexp.MustCompile(`(?i)(?:https?://|\bwww\.)[^\s<>"]+`)

// Links counts the different links of a post: those of the text, and the attachment if it is none of them. Addresses
// that differ only in scheme, case of the host or a final slash count once; where Meta's own reading is unknown the
// author gets the benefit of the doubt, since a refusal at creation harms nothing.
//
// https://developers.facebook.com/documentation/threads/posts
func Links(text, attachment string) int {
	distinct := map[string]bool{}
	for _, found := range link.FindAllString(text, -1) {
		if key := linkKey(trimLink(found)); key != "" {
			distinct[key] = true
		}
	}
	if key := linkKey(strings.TrimSpace(attachment)); key != "" {
		distinct[key] = true
	}
	return len(distinct)
}

// trimLink takes away the punctuation of the sentence a link stands in. A closing bracket stays if it was opened within
// the link, as in Wikipedia's addresses.
func trimLink(s string) string {
	// How many more brackets close than open; counted once, since a text may be nothing but brackets.
	round := strings.Count(s, ")") - strings.Count(s, "(")
	square := strings.Count(s, "]") - strings.Count(s, "[")
	for s != "" {
		cut := 1
		switch last := s[len(s)-1]; {
		case strings.IndexByte(`.,;:!?'*_`, last) >= 0:
		case last == ')' && round > 0:
			round--
		case last == ']' && square > 0:
			square--
		case strings.HasSuffix(s, "…"), strings.HasSuffix(s, "”"), strings.HasSuffix(s, "’"):
			cut = len("…") // all three are of the same length
		default:
			return s
		}
		s = s[:len(s)-cut]
	}
	return s
}

// linkKey is what two spellings of one address have in common.
func linkKey(s string) string {
	if before, after, found := strings.Cut(s, "://"); found && !strings.ContainsAny(before, "/?#") {
		s = after
	}
	end := strings.IndexAny(s, "/?#")
	if end < 0 {
		end = len(s)
	}
	return strings.ToLower(s[:end]) + strings.TrimSuffix(s[end:], "/")
}
