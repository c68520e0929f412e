// Package drafttest makes drafts for tests.
package drafttest

import (
	"fmt"
	"strings"

	"github.com/omni-write/threads/events"
)

// LongChain is a chain whose parts have twenty pictures each, at addresses of the given length.
func LongChain(parts, length int) (d events.Draft) {
	for i := range parts {
		part := events.DraftPart{Text: fmt.Sprint("part ", i)}
		for range 20 {
			part.Media = append(part.Media, events.Media{Type: events.Image, URL: "https://cdn.example/i.jpg?" + strings.Repeat("&", length)})
		}
		d.Parts = append(d.Parts, part)
	}
	return d
}
