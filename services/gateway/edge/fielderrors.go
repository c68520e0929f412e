package edge

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"github.com/omni-write/threads/events"
)

// MaxFieldErrors is how many field errors an answer names of one request, or of one row of a file: a body can have hundreds of
// thousands, and the sentence about each is many times as long as the field.
const MaxFieldErrors = 100

// FieldErrors puts what huma's validator found into our words, up to MaxFieldErrors. The validator keeps the offending values
// beside its messages; they are looked at here and go no further.
func FieldErrors(errs []error) []Flaw {
	var found []Flaw
	for _, err := range errs[:min(len(errs), MaxFieldErrors)] {
		var f *events.Fault
		var d *huma.ErrorDetail
		switch {
		case errors.As(err, &f):
			found = append(found, FromFault(f).Errors...)
		case errors.As(err, &d):
			found = append(found, fieldErrorOf(d))
		}
	}
	return found
}

func fieldErrorOf(d *huma.ErrorDetail) Flaw {
	at := pointer(d.Location)
	fail := func(code, detail string) Flaw { return Flaw{Pointer: at, Code: code, Detail: detail} }
	switch msg := d.Message; {
	case msg == validation.MsgUnexpectedProperty:
		return fail("unknown_field", "This field is not known here; take it out, or check its spelling.")
	case msg == validation.MsgExpectedRFC3339DateTime:
		return TimeError(at, d.Value)
	case msg == validation.MsgExpectedString:
		return fail("not_a_string", "This must be a text; put it in quotation marks.")
	case msg == validation.MsgExpectedInteger, msg == "invalid integer":
		return fail("not_a_number", "This must be a whole number, without quotation marks.")
	case msg == validation.MsgExpectedNumber, msg == "invalid float", msg == "invalid number":
		return fail("not_a_number", "This must be a number, without quotation marks.")
	case msg == validation.MsgExpectedBoolean:
		return fail("not_a_boolean", "This must be true or false, without quotation marks.")
	case msg == validation.MsgExpectedArray:
		return fail("not_a_list", "This must be a list, in square brackets.")
	case msg == validation.MsgExpectedObject:
		return fail("not_an_object", "This must be an object, in curly brackets.")
	case strings.HasPrefix(msg, "expected string to match pattern") && strings.HasSuffix(at, "/scheduledAt"):
		return TimeError(at, d.Value)
	case strings.HasPrefix(msg, "expected value to be one of "):
		return fail("not_a_choice", "This must be one of "+strings.TrimPrefix(msg, "expected value to be one of ")+".")
	case strings.HasPrefix(msg, "expected required property "):
		name, _, _ := strings.Cut(strings.TrimPrefix(msg, "expected required property "), " ")
		at += "/" + name
		return fail("missing", "This field is required; add it.")
	case msg == errNUL.Error():
		return fail("nul_character", "The body contains the character U+0000, which no text may have; take it out.")
	case msg == errNotUTF8.Error():
		return fail("not_utf8", "The body is not valid UTF-8; encode it so.")
	case msg == errHalf.Error():
		return fail("half_pair", "The body contains half of a surrogate pair, which is no character; send both halves.")
	case msg == errTwice.Error():
		return fail("name_twice", "The body has the same name twice in one object; say it once.")
	case msg == errDeep.Error():
		return fail("too_deep", "The body is nested too deep; 32 levels are the most.")
	case d.Location == "body":
		return fail("not_json", "The body is not well-formed JSON; correct it and send it again.")
	}
	if code, detail := boundIn(d.Message); code != "" {
		return fail(code, detail)
	}
	return fail("invalid", "This value is not accepted here; /docs says which are.")
}

// beyond are the validator's words for a value outside of its bounds, with ours.
var beyond = []struct{ said, code, words string }{
	{"expected number >= ", "out_of_range", "This must be at least %s; choose a larger number."},
	{"expected number <= ", "out_of_range", "This may be at most %s; choose a smaller number."},
	{"expected array length <= ", "too_many", "This list may have up to %s items; take some out."},
	{"expected array length >= ", "too_few", "This list needs at least %s items; add some."},
	{"expected length <= ", "too_long", "This may have up to %s characters; shorten it."},
	{"expected length >= ", "too_short", "This needs at least %s characters; add some."},
}

// boundIn names the bound that a value breaks.
func boundIn(message string) (code, detail string) {
	for _, b := range beyond {
		if bound, ok := strings.CutPrefix(message, b.said); ok {
			return b.code, strings.Replace(b.words, "%s", bound, 1)
		}
	}
	return "", ""
}

// plusLost is a time whose offset came through an address as it was, offsetTooFar one whose offset is a day or more, or no time of a
// day.
var (
	plusLost     = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d+)?)? \d\d:\d\d$`)
	offsetTooFar = regexp.MustCompile(`[Tt].*[+-](2[4-9]:\d\d|[3-9]\d:\d\d|\d\d:[6-9]\d)$`)
)

// TimeError tells a time without an offset, which means another moment in every zone, from what is no time at all.
func TimeError(at string, value any) Flaw {
	written, _ := value.(string)
	for _, layout := range []string{
		"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly,
	} {
		if _, err := time.Parse(layout, written); err == nil {
			return Flaw{Pointer: at, Code: "time_without_offset", Detail: "This time does not say in which zone it is; " +
				"add Z for UTC or an offset such as +02:00, as in 2025-11-02T10:00:00+02:00."}
		}
	}
	if plusLost.MatchString(written) {
		return Flaw{Pointer: at, Code: "time_invalid", Detail: "In an address a + stands for a space: write the offset as %2B02:00."}
	}
	if offsetTooFar.MatchString(written) {
		return Flaw{Pointer: at, Code: "time_invalid", Detail: "An offset lies between -23:59 and +23:59; correct it."}
	}
	return Flaw{Pointer: at, Code: "time_invalid", Detail: "This is not a time as RFC 3339 writes it: 2025-11-02T10:00:00Z, or with an offset such as +02:00."}
}

// pointer turns huma's location, body.media[0].url, into a JSON pointer, /media/0/url. For a parameter it is a slash and
// the parameter's name.
func pointer(location string) string {
	_, path, _ := strings.Cut(location, ".")
	if path == "" {
		return ""
	}
	return "/" + strings.NewReplacer("~", "~0", "/", "~1", "[", "/", "]", "", ".", "/").Replace(path)
}
