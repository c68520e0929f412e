package threads

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// linkStart is how an address begins that Threads turns into a link: with a scheme, or as a bare host that starts with www.
var (
	linkStart      = regexp.MustCompile(`(?i)https?://|\bwww\.`)
	linkStartsHere = regexp.MustCompile(`^(?i)(https?://|www\.)`)
)

// Links counts the different links of a post: those of the text, and the attachment if it is none of them. Addresses
// that differ only in scheme, case of the host, a final slash or in how their characters are encoded count once; where
// Meta's own reading is unknown the author gets the benefit of the doubt, since a refusal at creation harms nothing.
//
// https://developers.facebook.com/documentation/threads/posts
func Links(text, attachment string) int {
	distinct := map[string]bool{}
	for {
		start := linkStart.FindStringIndex(text)
		if start == nil {
			break
		}
		text = text[start[0]:]
		scheme := start[1] - start[0]
		end := linkEnd(text, scheme)
		if end > scheme {
			distinct[linkKey(trimLink(text[:end]))] = true
		}
		text = text[end:]
	}
	distinct[linkKey(strings.TrimSpace(attachment))] = true
	delete(distinct, "")
	return len(distinct)
}

// linkEnd is where the address ends that a text begins with, whose host begins at from. The punctuation of ASCII may be of
// the address, and may be trimmed from its end; before the beginning of another it is not.
func linkEnd(text string, from int) int {
	before := rune(0)
	for at := from; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		after, _ := utf8.DecodeRuneInString(text[at+size:])
		if endsLink(before, r, after) || strings.ContainsRune(",;)]", before) && linkStartsHere.MatchString(text[at:]) {
			return at
		}
		before, at = r, at+size
	}
	return len(text)
}

// endsLink says that an address ends before a character. Of ASCII that is what the URL Standard has no place for; of the
// rest, by Unicode's tables, white space, what is not seen, punctuation and symbols, of whatever script. Letters end one
// where their script sets no space before them, as in 网址是https://example.org/a谢谢; after a slash they are of the address.
//
// https://url.spec.whatwg.org/#url-code-points
// https://www.unicode.org/reports/tr44/#Property_Definitions
func endsLink(before, r, after rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return r <= ' ' || r == 0x7f || strings.ContainsRune("<>\"`{}|\\^", r)
	case r == '\u200c' || r == '\u200d': // within words of Persian and of India
		return false
	case unicode.In(r, unicode.White_Space, unicode.C, unicode.Noncharacter_Code_Point):
		return true
	case strings.ContainsRune("‐‑–·’", r) && unicode.Is(unicode.Latin, before) && unicode.Is(unicode.Latin, after):
		return false // within a word, as in L’Équipe
	case unicode.IsPunct(r):
		return true
	case unicode.IsSymbol(r):
		return before != 0 || isFullWidth(r) // a host may begin with an emoji
	}
	return unicode.In(r, unspaced...) && (before < utf8.RuneSelf && (unicode.IsLetter(before) || unicode.IsDigit(before)))
}

// unspaced are the scripts whose words follow what is before them without a space.
var unspaced = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Hangul, unicode.Yi,
	unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tibetan,
}

func isFullWidth(r rune) bool { return width.LookupRune(r).Kind() == width.EastAsianFullwidth }

// trimLink takes away the punctuation of the sentence a link stands in. A closing bracket stays if it was opened within
// the link, as in Wikipedia's addresses.
func trimLink(s string) string {
	// How many more brackets close than open; counted once, since a text may be nothing but brackets.
	round := strings.Count(s, ")") - strings.Count(s, "(")
	square := strings.Count(s, "]") - strings.Count(s, "[")
	for s != "" {
		switch last := s[len(s)-1]; {
		case strings.IndexByte(`.,;:!?'*_`, last) >= 0:
		case last == ')' && round > 0:
			round--
		case last == ']' && square > 0:
			square--
		default:
			return s
		}
		s = s[:len(s)-1]
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
	host, rest := strings.ToLower(s[:end]), s[end:]
	if name, err := idna.ToUnicode(host); err == nil {
		host = name
	}
	if plain, err := url.PathUnescape(rest); err == nil && utf8.ValidString(plain) {
		rest = plain
	}
	return norm.NFC.String(host + strings.TrimSuffix(rest, "/"))
}
