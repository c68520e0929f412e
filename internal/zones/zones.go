// Package zones are the time zones of the IANA database, by its names alone. Go's own reading takes any file below the system's
// zone directory for a zone: localtime, posixrules, right/Europe/Berlin.
package zones

import (
	_ "embed"
	"errors"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the zones themselves, where a system has none
)

// The names in the zoneinfo.zip of the Go distribution, which time/tzdata is made from, without Factory, which is none; a test holds the two together.
//
//go:embed names.txt
var list string

var names = strings.Fields(list)

var errUnknown = errors.New("no zone of the IANA database")

// Load finds a zone.
func Load(name string) (*time.Location, error) {
	if _, known := slices.BinarySearch(names, name); !known {
		return nil, errUnknown
	}
	return time.LoadLocation(name)
}
