package threads

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// ErrSignature says that something that claims to come from Meta was not signed with the app's secret.
var ErrSignature = errors.New("the signature is not ours")

// SignedRequest is what Meta posts to the uninstall and the data-deletion callback.
type SignedRequest struct {
	UserID   string
	IssuedAt time.Time
	// Expires is zero when Meta did not say.
	Expires time.Time
}

// maxSigned bounds a signed request; honest ones have a few hundred bytes.
const maxSigned = 16 << 10

// ParseSignedRequest checks and reads the signed_request of a callback. Which of an app's secrets Meta signs with is not
// documented for Threads, so several may be given.
//
// https://developers.facebook.com/docs/development/create-an-app/app-dashboard/data-deletion-callback/
func ParseSignedRequest(raw string, secrets ...string) (SignedRequest, error) {
	signature, payload, found := strings.Cut(raw, ".")
	if !found || len(raw) > maxSigned {
		return SignedRequest{}, ErrSignature
	}
	given, err := decodeSigned(signature)
	// The signature is of the payload as it was sent, not of what it decodes to.
	if err != nil || !signedBy(secrets, []byte(payload), given) {
		return SignedRequest{}, ErrSignature
	}
	body, err := decodeSigned(payload)
	if err != nil {
		return SignedRequest{}, ErrSignature
	}
	var w struct {
		Algorithm string  `json:"algorithm"`
		UserID    id      `json:"user_id"`
		IssuedAt  seconds `json:"issued_at"`
		Expires   seconds `json:"expires"`
	}
	if err := json.Unmarshal(body, &w); err != nil || !strings.EqualFold(w.Algorithm, "HMAC-SHA256") {
		return SignedRequest{}, ErrSignature
	}
	if !isID(string(w.UserID)) {
		return SignedRequest{}, errors.New("the signed request names no user")
	}
	return SignedRequest{UserID: string(w.UserID), IssuedAt: w.IssuedAt.time(), Expires: w.Expires.time()}, nil
}

// decodeSigned reads base64 for URLs, which comes without its padding.
func decodeSigned(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}

// signedBy says whether one of the secrets made the signature. An empty secret is none: it would let anybody sign.
func signedBy(secrets []string, message, signature []byte) bool {
	ok := false
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(message)
		if hmac.Equal(mac.Sum(nil), signature) { // in constant time
			ok = true
		}
	}
	return ok
}

// VerifyWebhook checks the X-Hub-Signature-256 header of a webhook against its body, byte for byte as it came: decoded and
// encoded again it would be another.
//
// https://developers.facebook.com/docs/graph-api/webhooks/getting-started
func VerifyWebhook(body []byte, header string, secrets ...string) error {
	hexed, found := strings.CutPrefix(header, "sha256=")
	signature, err := hex.DecodeString(hexed)
	if !found || err != nil || !signedBy(secrets, body, signature) {
		return ErrSignature
	}
	return nil
}
