package edge

import (
	"slices"
	"strings"
	"unicode"

	"github.com/agnivade/levenshtein"
)

// Nearest is the known name that was probably meant by another: the same but for case and what joins its words, or with
// one letter in three amiss. It is empty where none is near.
func Nearest(name string, known []string) string {
	const longest = 64 // what is longer is no name, and the distance costs the square of it
	if len(name) > longest {
		return ""
	}
	best, least := "", len(name)
	for _, candidate := range slices.Sorted(slices.Values(known)) {
		distance := levenshtein.ComputeDistance(plain(name), plain(candidate))
		if distance < least && distance*3 <= len(candidate) {
			best, least = candidate, distance
		}
	}
	return best
}

// plain is a name without case and without what joins its words: scheduled_at is scheduledAt.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}
