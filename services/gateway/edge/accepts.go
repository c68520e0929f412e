package edge

import (
	"slices"
	"strings"
)

// Accepts says that an Accept header names a media type itself; wildcards, which every browser and tool sends, do not
// count.
func Accepts(header, mediaType string) bool {
	return slices.ContainsFunc(strings.Split(header, ","), func(offer string) bool {
		name, _, _ := strings.Cut(offer, ";")
		return strings.EqualFold(strings.TrimSpace(name), mediaType)
	})
}
