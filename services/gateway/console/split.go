package console

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// maxPart is what one part of a chain may have, as Threads counts.
const maxPart = 500

// splitText cuts a long text into parts that fit, where sentences end if any do, else between words.
func splitText(text string) []string {
	var parts []string
	for rest := strings.TrimSpace(text); rest != ""; {
		var fits, sentence, words, weight int
		state := -1
		for left := rest; left != ""; {
			var cluster string
			cluster, left, _, state = uniseg.FirstGraphemeClusterInString(left, state)
			if weight += atMost(cluster); weight > maxPart && fits > 0 {
				break
			}
			fits += len(cluster)
			next, _ := utf8.DecodeRuneInString(left)
			last, _ := utf8.DecodeLastRuneInString(strings.TrimRight(rest[:fits], `"'”’)»`))
			if left == "" || unicode.IsSpace(next) {
				words = fits
				if strings.ContainsRune(".!?…", last) {
					sentence = fits
				}
			}
			if left == "" || strings.ContainsRune("。！？\n", last) {
				sentence = fits
			}
		}
		cut := fits
		if fits < len(rest) {
			if sentence > 0 {
				cut = sentence
			} else if words > 0 {
				cut = words
			}
		}
		parts = append(parts, strings.TrimSpace(rest[:cut]))
		rest = strings.TrimSpace(rest[cut:])
	}
	return parts
}

// atMost is no less than Threads counts for a grapheme: what may show an emoji counts its bytes, all else its code points. How
// Threads counts is the API's to know; this decides where to cut, and the API counts what was cut.
func atMost(cluster string) int {
	showy := func(r rune) bool {
		return r > unicode.MaxASCII && (unicode.IsSymbol(r) || !unicode.IsGraphic(r) || r == '\ufe0f' || r == '\u20e3')
	}
	if strings.ContainsFunc(cluster, showy) {
		return len(cluster)
	}
	return utf8.RuneCountInString(cluster)
}
