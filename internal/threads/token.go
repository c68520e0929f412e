package threads

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Token is an access token. It behaves like a string to the compiler and like nothing at all to a printer: fmt, JSON,
// slog and zap all show [redacted], so a struct that holds one may be logged. Only Reveal gives the secret.
type Token string

// Reveal returns the secret. Call it where the token leaves for Threads or is sealed, and nowhere else.
func (t Token) Reveal() string { return string(t) }

// String is what fmt.Stringer users see, zap.Any and zap.Stringer among them.
func (t Token) String() string { return redacted }

// GoString is what %#v shows.
func (t Token) GoString() string { return redacted }

// Format answers every verb alike. Without it %x or %q on a string kind would print the secret.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON makes encoding/json, and with it zap.Reflect, redact the token inside any struct.
func (t Token) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText covers the encoders that prefer text. A token is still no map key: encoding/json writes string keys as
// they are, whatever methods they have.
func (t Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue is slog's turn.
func (t Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// Value refuses to put a clear token into SQL: tokens are sealed before they are stored.
func (t Token) Value() (driver.Value, error) {
	return nil, errors.New("a threads token is not stored in clear: seal it first")
}
