package command

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
)

// Idempotent is part of every request that changes something. Under the same key the same request is done once and
// answered alike each time; the ids of what it makes follow from the key, so they are the same whatever was lost on the way.
type Idempotent struct {
	IdempotencyKey string `header:"Idempotency-Key" doc:"1 to 255 printable characters of your choice, quoted or bare. Repeat a request under the same key and it is done once."`

	scope string // what the key was sent with, but for the body
}

// Resolve reads the key and notes the request that it came with.
func (i *Idempotent) Resolve(ctx huma.Context) []error {
	key, ok := readKey(i.IdempotencyKey)
	if !ok {
		const sentence = "An Idempotency-Key has 1 to 255 printable ASCII characters, quoted or bare; choose such a one."
		return []error{events.Faultf(events.Invalid, sentence).At("/Idempotency-Key", "key_invalid", sentence)}
	}
	i.IdempotencyKey = key
	u := ctx.URL()
	// The query in one order, whatever the client's; If-Match because it changes what is asked.
	i.scope = strings.Join([]string{ctx.Method(), u.Path, canonicalQuery(&u), ctx.Header("If-Match")}, "\n")
	return nil
}

func canonicalQuery(u *url.URL) string { return u.Query().Encode() } // sorted by name

// readKey reads the header, a structured-field string or, as most clients send it, the bare characters. No header is no
// key.
func readKey(header string) (key string, ok bool) {
	if header == "" {
		return "", true
	}
	key = header
	if strings.HasPrefix(header, `"`) {
		if key, ok = unquote(header); !ok {
			return "", false
		}
	}
	printable := func(r rune) bool { return r >= 0x20 && r <= 0x7e }
	if key == "" || len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return !printable(r) }) {
		return "", false
	}
	return key, true
}

// unquote reads a string of RFC 8941: in quotes, with \" and \\ inside.
func unquote(s string) (string, bool) {
	s, closed := strings.CutSuffix(s[1:], `"`)
	if !closed {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return "", false
		case c != '\\':
			b.WriteByte(c)
		case i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		default:
			return "", false
		}
	}
	return b.String(), true
}

// Options are the command's id and what it is made of. body is the request's body as it was understood, or nil.
func (i *Idempotent) Options(user string, body any) (bus.CommandOptions, error) {
	if i.IdempotencyKey == "" {
		return bus.CommandOptions{ID: events.NewCommandID()}, nil
	}
	// Encoding the decoded body makes spacing and the order of fields irrelevant.
	canonical, err := json.Marshal(body)
	if err != nil {
		return bus.CommandOptions{}, fmt.Errorf("encode body: %w", err)
	}
	sum := sha256.Sum256([]byte(i.scope + "\n" + string(canonical)))
	hash := hex.EncodeToString(sum[:])
	return bus.CommandOptions{
		ID: events.CommandIDFor(user, i.IdempotencyKey, hash), Key: i.IdempotencyKey, BodyHash: hash,
	}, nil
}

// PostID is the id of the post that the request creates.
func (i *Idempotent) PostID(user string) string {
	if i.IdempotencyKey == "" {
		return events.NewPostID()
	}
	return events.PostIDFor(user, i.IdempotencyKey)
}
