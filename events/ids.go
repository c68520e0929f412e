package events

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"github.com/google/uuid"
)

// The kinds of id we hand out. An id is its kind, an underscore and 26 characters of Crockford base32
// (the TypeID format), for example post_01jd3k5v8xf2ka7q0c9zt4m6ye.
const (
	postPrefix     = "post_"
	accountPrefix  = "acct_"
	commandPrefix  = "cmd_"
	messagePrefix  = "evt_"
	webhookPrefix  = "whk_"
	deliveryPrefix = "dlv_"
	erasurePrefix  = "era_" // of the codes by which erasures are asked about
)

// alphabet is Crockford's alphabet in lower case: no i, l, o or u, so that ids survive being read aloud.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

var crockford = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// NewPostID makes a post id that sorts by time.
func NewPostID() string { return postPrefix + timeOrdered() }

// NewAccountID makes an id for a connected account.
func NewAccountID() string { return accountPrefix + timeOrdered() }

// NewCommandID makes an id for a command that came without an Idempotency-Key.
func NewCommandID() string { return commandPrefix + timeOrdered() }

// PostIDFor is the id of the post that this user creates under this Idempotency-Key: the same key always
// names the same post, whatever was lost on the way.
func PostIDFor(user, key string) string { return postPrefix + hashed("post", user, key) }

// CommandIDFor is the id of the command that this user gives under this key with this body.
func CommandIDFor(user, key, body string) string {
	return commandPrefix + hashed("command", user, key, body)
}

// IsPostID tells one of our post ids from a media id of Threads.
func IsPostID(id string) bool { return hasForm(id, postPrefix) }

// IsCommandID tells whether id has the form of a command id.
func IsCommandID(id string) bool { return hasForm(id, commandPrefix) }

// ErasureCode writes a hash of at least 128 bits as the code of an erasure.
func ErasureCode(hash []byte) string { return erasurePrefix + encode([16]byte(hash[:16])) }

// IsErasureCode tells whether code has the form of an erasure's.
func IsErasureCode(code string) bool { return hasForm(code, erasurePrefix) }

// NewWebhookID makes an id for a webhook.
func NewWebhookID() string { return webhookPrefix + timeOrdered() }

// WebhookIDFor is the id of the webhook that this user makes under this Idempotency-Key.
func WebhookIDFor(user, key string) string { return webhookPrefix + hashed("webhook", user, key) }

// NewTestEventID makes an id for a webhook's test, which is no event.
func NewTestEventID() string { return messagePrefix + timeOrdered() }

// DeliveryIDFor is the id of the delivery of an event to a webhook: there is one, however often the event is emitted.
func DeliveryIDFor(webhook, event string) string { return deliveryPrefix + hashed(webhook, event) }

// IsWebhookID tells whether id has the form of a webhook's id.
func IsWebhookID(id string) bool { return hasForm(id, webhookPrefix) }

// IsDeliveryID tells whether id has the form of a delivery's id.
func IsDeliveryID(id string) bool { return hasForm(id, deliveryPrefix) }

func hasForm(id, prefix string) bool {
	rest, ok := strings.CutPrefix(id, prefix)
	return ok && len(rest) == 26 && strings.Trim(rest, alphabet) == ""
}

func timeOrdered() string {
	id := uuid.Must(uuid.NewV7()) // fails only when the system has no randomness, and then nothing is safe
	return encode(id)
}

// hashed derives 128 bits from its parts. Each part carries its length, so that ("ab","c") and ("a","bc") differ.
func hashed(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		for i, l := 0, uint64(len(p)); i < 8; i, l = i+1, l>>8 {
			n[i] = byte(l)
		}
		h.Write(n[:])
		h.Write([]byte(p))
	}
	var id [16]byte
	copy(id[:], h.Sum(nil))
	return encode(id)
}

// encode writes 128 bits as 26 characters. The number is padded with two zero bits in front, as TypeID does,
// so that the text sorts as the number does.
func encode(id [16]byte) string {
	var padded [20]byte
	// Shift the 128 bits right by two inside 130 = 26·5 bits.
	var carry byte
	for i, b := range id {
		padded[i] = carry | b>>2
		carry = b << 6
	}
	padded[16] = carry
	return crockford.EncodeToString(padded[:])[:26]
}
