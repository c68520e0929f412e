package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// StrictJSON reads and writes bodies. It refuses what encoding/json would mend without a word (bytes that are not UTF-8
// become U+FFFD) and what a database cannot store (U+0000), so that neither is found out when the post is due.
var StrictJSON = huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: ReadStrictly}

var (
	errNotUTF8 = errors.New("the body is not valid UTF-8")
	errNUL     = errors.New("the body contains U+0000")
	errHalf    = errors.New("the body contains half of a surrogate pair")
	errTwice   = errors.New("the body has a name twice in one object")
	errDeep    = errors.New("the body is nested too deep")
)

// maxDepth is how deep a body may be nested; our own are five deep.
const maxDepth = 32

// ReadStrictly decodes a body, or says what is wrong with it.
func ReadStrictly(data []byte, into any) error {
	if !utf8.Valid(data) {
		return errNotUTF8
	}
	if halfPair(data) {
		return errHalf
	}
	if err := json.Unmarshal(data, into); err != nil {
		return err
	}
	// huma reads each body twice; its first reading, into any, is the one that finds out.
	if tree, ok := into.(*any); ok {
		if containsNUL(*tree) {
			return errNUL
		}
		return checkNames(data)
	}
	return nil
}

// checkNames refuses an object that says the same name twice, of which encoding/json takes the last and others the first,
// and what is nested too deep. Names differ by more than case, because encoding/json takes Text for text.
func checkNames(data []byte) error {
	type level struct {
		names map[string]bool // nil in a list
		value bool            // a value comes next, not a name
	}
	var levels []level
	for dec := json.NewDecoder(bytes.NewReader(data)); ; {
		token, err := dec.Token()
		if err != nil {
			return nil //nolint:nilerr // the end: the body was found well-formed before
		}
		top := len(levels) - 1
		switch name, isText := token.(string); {
		case token == json.Delim('}') || token == json.Delim(']'):
			levels = levels[:top]
			continue
		case top >= 0 && levels[top].names != nil && !levels[top].value && isText:
			name = strings.ToLower(strings.ToUpper(name)) // as encoding/json folds: ſ is S, and K is K
			if levels[top].names[name] {
				return errTwice
			}
			levels[top].names[name], levels[top].value = true, true
			continue
		}
		if top >= 0 {
			levels[top].value = false
		}
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{names: map[string]bool{}})
		case json.Delim('['):
			levels = append(levels, level{})
		}
		if len(levels) > maxDepth {
			return errDeep
		}
	}
}

// halfPair finds an escape such as \ud83d that is not followed by its other half. encoding/json would make U+FFFD of it.
func halfPair(data []byte) bool {
	for i := 0; i+1 < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++ // the escaped character; a second backslash is not the begin of another escape
		if data[i] != 'u' {
			continue
		}
		switch unit := codeUnit(data[i-1:]); {
		case utf16.IsSurrogate(unit) && utf16.DecodeRune(unit, codeUnit(data[min(i+5, len(data)):])) == utf8.RuneError:
			return true
		case utf16.IsSurrogate(unit):
			i += 6 // the other half
		}
	}
	return false
}

// codeUnit reads \uXXXX; what is none of that is 0.
func codeUnit(data []byte) rune {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}

func containsNUL(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.ContainsRune(v, 0)
	case []any:
		for _, item := range v {
			if containsNUL(item) {
				return true
			}
		}
	case map[string]any:
		for name, item := range v {
			if strings.ContainsRune(name, 0) || containsNUL(item) {
				return true
			}
		}
	}
	return false
}
