package pg

import (
	"net/url"
	"regexp"
	"strings"
)

var (
	// Greedy, to the last @: a password that should have been escaped and was not must be hidden all the same.
	userinfo = regexp.MustCompile(`(?s)(://[^:/@]*):.*@`)
	keyword  = regexp.MustCompile(`(?i)(password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)`)
)

// RedactURL returns a database URL, or a keyword=value connection string, fit for logs: with its password blanked. It
// works by pattern rather than by parsing, because the URLs that do not parse are the ones that end up in errors.
func RedactURL(raw string) string {
	raw = userinfo.ReplaceAllString(raw, "${1}:xxxxx@")
	return keyword.ReplaceAllString(raw, "${1}xxxxx")
}

// misread reports whether a URL parses, but not as meant: an unescaped / or ? in the password ends the host early, and
// what follows is taken for a database name or a setting, which errors quote.
func misread(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Host != "" && u.User == nil && strings.Contains(raw, "@")
}
