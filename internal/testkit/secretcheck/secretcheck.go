// Package secretcheck looks for secrets where none may be: in every table of a Postgres, in every message of every stream and
// bucket of a NATS, in logs, in answers. A test plants secrets, or overhears them, lets the system live for a while, and looks.
package secretcheck

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// minSecret is the shortest that is looked for: anything shorter is found everywhere.
const minSecret = 8

// Secrets are what is looked for. It may be added to from several goroutines.
type Secrets struct {
	mu     sync.Mutex
	forms  map[string]string // form of a secret → its name and what form it is
	values map[string]bool
}

// Add names a secret. What is empty or too short to be one is ignored.
func (s *Secrets) Add(name, secret string) {
	if len(secret) < minSecret {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forms == nil {
		s.forms, s.values = map[string]string{}, map[string]bool{}
	}
	if s.values[secret] {
		return
	}
	s.values[secret] = true
	s.forms[secret] = name + " (plain)"
	for form, text := range formsOf(secret) {
		if _, known := s.forms[text]; !known {
			s.forms[text] = name + " (" + form + ")"
		}
	}
}

// Len is how many there are.
func (s *Secrets) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.values)
}

// Places are texts by where they were found.
type Places map[string]string

// Add takes in others.
func (p Places) Add(others Places) {
	for where, text := range others {
		p[where] = text
	}
}

// Find says which secret is where, in any of its forms, and never shows it.
func (s *Secrets) Find(in Places) (found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for where, text := range in {
		for form, name := range s.forms {
			if strings.Contains(text, form) {
				found = append(found, fmt.Sprintf("the %s is in %s", name, where))
			}
		}
	}
	slices.Sort(found)
	return found
}

// formsOf are the ways in which a secret may be written: as it is, escaped for a URL or JSON, in hex, and in base64 wherever it
// begins within a longer text that was encoded as a whole.
func formsOf(secret string) map[string]string {
	quoted, _ := json.Marshal(secret) // a string always encodes
	var loose bytes.Buffer
	enc := json.NewEncoder(&loose)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(secret)
	forms := map[string]string{
		"plain":                secret,
		"escaped for a query":  url.QueryEscape(secret),
		"escaped for a path":   url.PathEscape(secret),
		"escaped for JSON":     inner(string(quoted)),
		"escaped for a log":    inner(strings.TrimSpace(loose.String())),
		"in hex":               hex.EncodeToString([]byte(secret)),
		"in upper-case hex":    strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"in hex of its escape": hex.EncodeToString([]byte(url.QueryEscape(secret))),
	}
	for offset := range 3 {
		for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			text := enc.EncodeToString([]byte(strings.Repeat("\x00", offset) + secret))
			// The characters at either end also say something of what stands beside the secret.
			from, to := (offset*8+5)/6, (offset+len(secret))*8/6
			forms[fmt.Sprintf("in %s from byte %d of three", name, offset)] = text[from:to]
		}
	}
	return forms
}

// inner is a quoted text without its quotes.
func inner(quoted string) string { return quoted[1 : len(quoted)-1] }
