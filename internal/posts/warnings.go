package posts

import (
	"fmt"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/threads"
)

// TextWarnings say which texts of a draft keep Threads' rule and may be refused all the same: Threads is known to have counted
// bytes where it documents characters.
func TextWarnings(d events.Draft) (found []events.Detail) {
	warn := func(pointer, text string) {
		if len(text) <= threads.MaxText {
			return
		}
		if n := threads.Count(text); n <= threads.MaxText {
			found = append(found, events.Detail{Pointer: pointer, Code: "text_bytes", Message: fmt.Sprintf(
				"This text counts %d of %d characters and has %d bytes in UTF-8; Threads has refused some of more than %d bytes. It is tried before its time.",
				n, threads.MaxText, len(text), threads.MaxText)})
		}
	}
	warn("/text", d.Text)
	for i, part := range d.Parts {
		warn(fmt.Sprintf("/parts/%d/text", i), part.Text)
	}
	return found
}
