package probe

import (
	"bytes"
	"image"
	_ "image/jpeg" // the two formats
	_ "image/png"  // that Threads takes
	"strings"

	"github.com/omni-write/threads/internal/threads"
)

// readImage reads format and size from the beginning of the file; the picture itself is not decoded.
func readImage(s *source, f *threads.MediaFacts) error {
	config, format, err := image.DecodeConfig(bytes.NewReader(s.head))
	if err != nil {
		return &unreadable{"What is at the media address is neither a JPEG nor a PNG image."}
	}
	f.Format, f.Width, f.Height = strings.ToUpper(format), config.Width, config.Height
	return nil
}
