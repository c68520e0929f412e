package threads

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// id decodes an identifier that is a JSON string nearly everywhere and a number in a few places, without ever passing
// through a float: ids exceed 2^53, and a rounded id belongs to a stranger.
type id string

func (v *id) UnmarshalJSON(b []byte) error {
	switch {
	case bytes.Equal(b, []byte("null")):
		return nil
	case len(b) > 0 && b[0] == '"':
		return json.Unmarshal(b, (*string)(v))
	case isID(string(b)):
		*v = id(b)
		return nil
	}
	return fmt.Errorf("%.40q is not an id", b)
}

// isID reports whether s looks like an id of Threads: decimal digits. It keeps anything else out of request paths.
func isID(s string) bool {
	if s == "" || len(s) > 40 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// seconds decodes whole seconds, as a number or a string. The bound keeps them within a time.Duration.
type seconds int64

func (v *seconds) UnmarshalJSON(b []byte) error {
	n, err := whole(b)
	if err != nil || n > 1<<33 {
		return fmt.Errorf("%.40q is not a number of seconds", b)
	}
	*v = seconds(n)
	return nil
}

// count decodes how many there are, as a number or a string. Unlike a figure (see number), it decides something: what
// cannot be read is an error, not 0.
type count int64

func (v *count) UnmarshalJSON(b []byte) error {
	n, err := whole(b)
	if err != nil {
		return fmt.Errorf("%.40q is not a count", b)
	}
	*v = count(n)
	return nil
}

// whole reads a whole number that is not negative; null is 0.
func whole(b []byte) (int64, error) {
	if bytes.Equal(b, []byte("null")) {
		return 0, nil
	}
	n, err := strconv.ParseInt(string(bytes.Trim(b, `"`)), 10, 64)
	if err == nil && n < 0 {
		err = strconv.ErrRange
	}
	return n, err
}

// time reads the seconds as a moment of the Unix clock; none is no moment.
func (v seconds) time() time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.Unix(int64(v), 0).UTC()
}

// timestamp decodes "2026-05-04T10:15:30+0000", a form time.RFC3339 does not read, and RFC 3339 too.
type timestamp time.Time

func (v *timestamp) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if s == "" {
		return nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05-0700", time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			*v = timestamp(t.UTC())
			return nil
		}
	}
	return fmt.Errorf("%.40q is not a timestamp", s)
}
