package probe

import (
	"bufio"
	"errors"
	"image"
	"image/jpeg"
	"image/png"
	"io"

	"github.com/omni-write/threads/internal/threads"
)

// readImage reads the size from the beginning of the file; the picture itself is not decoded. What a camera wrote ahead of
// the size may be longer than what was fetched first, so more is asked for as needed.
func readImage(s *source, f *threads.MediaFacts) error {
	if f.Format != "JPEG" && f.Format != "PNG" {
		return otherThan(f.Format, "neither a JPEG nor a PNG image")
	}
	r := bufio.NewReaderSize(io.NewSectionReader(s, 0, maxFetched), headSize)
	config, _, err := image.DecodeConfig(r)
	var noJPEG jpeg.FormatError
	var noPNG png.FormatError
	var unsupported jpeg.UnsupportedError
	switch {
	case err == nil:
		f.Width, f.Height = config.Width, config.Height
	case errors.As(err, &noJPEG), errors.As(err, &noPNG), s.whole && notRead(err):
		return &unreadable{"The image is damaged; please save it once more."}
	case notRead(err), errors.As(err, &unsupported): // not known, so no problem
	default:
		return err
	}
	return nil
}
