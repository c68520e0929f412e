package gateway

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// strictJSON reads and writes bodies. It refuses what encoding/json would mend without a word (bytes that are not UTF-8
// become U+FFFD) and what a database cannot store (U+0000), so that neither is found out when the post is due.
var strictJSON = huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: readStrictly}

var (
	errNotUTF8 = errors.New("the body is not valid UTF-8")
	errNUL     = errors.New("the body contains U+0000")
)

func readStrictly(data []byte, into any) error {
	if !utf8.Valid(data) {
		return errNotUTF8
	}
	if err := json.Unmarshal(data, into); err != nil {
		return err
	}
	// huma reads each body twice; its first reading, into any, is the one that finds out.
	if tree, ok := into.(*any); ok && containsNUL(*tree) {
		return errNUL
	}
	return nil
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
