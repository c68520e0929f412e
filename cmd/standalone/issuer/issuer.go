// Package issuer is a small OpenID-like issuer for a machine of one's own: whoever asks gets a token for the name they
// give. It exists so that the gateway's real check of tokens runs from the first start, with no switch to turn it off.
//
// It proves nothing about anybody. Serve it on a loopback address only; that is the caller's part.
package issuer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// Life is how long a token lives that was asked for over HTTP: a working day, for there is no refresh.
const Life = 12 * time.Hour

// Issuer makes tokens and publishes the key to check them with.
type Issuer struct {
	url string
	key *ecdsa.PrivateKey
	id  string // of the key
	now func() time.Time

	codes codes // given out, and not yet taken back
}

// New makes an issuer with a key of its own that is gone with the process. issuerURL is where its Handler is served,
// without a slash at its end; it becomes the tokens' iss.
func New(issuerURL string) (*Issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the issuer's key: %w", err)
	}
	return with(issuerURL, key)
}

// Load makes an issuer whose key is kept in dir, so that tokens outlive a restart. The first Load makes the key.
func Load(dir, issuerURL string) (*Issuer, error) {
	key, err := loadKey(dir)
	if err != nil {
		return nil, fmt.Errorf("load the issuer's key: %w", err)
	}
	return with(issuerURL, key)
}

func with(issuerURL string, key *ecdsa.PrivateKey) (*Issuer, error) {
	i := &Issuer{url: issuerURL, key: key, now: time.Now}
	x, y, err := i.point()
	if err != nil {
		return nil, err
	}
	// The key's id is its thumbprint (RFC 7638): another key has another id, and verifiers look for it by that.
	thumb := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, x, y))
	i.id = base64.RawURLEncoding.EncodeToString(thumb[:])
	return i, nil
}

// URL is the iss of the tokens.
func (i *Issuer) URL() string { return i.url }

// Token makes a token for sub that is good for life.
func (i *Issuer) Token(sub string, life time.Duration) (string, error) {
	now := i.now()
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.RegisteredClaims{
		Issuer: i.url, Subject: sub, ID: uuid.NewString(),
		IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
	})
	t.Header["kid"] = i.id
	signed, err := t.SignedString(i.key)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed, nil
}

// jwk is the public key as RFC 7517 writes it.
type jwk struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y"`
	ID        string `json:"kid"`
	Algorithm string `json:"alg"`
	Use       string `json:"use"`
}

func (i *Issuer) public() (jwk, error) {
	x, y, err := i.point()
	return jwk{KeyType: "EC", Curve: "P-256", X: x, Y: y, ID: i.id, Algorithm: "ES256", Use: "sig"}, err
}

// point is the public key's two coordinates.
func (i *Issuer) point() (x, y string, err error) {
	b, err := i.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return "", "", fmt.Errorf("read the public key: %w", err)
	}
	half := 1 + (len(b)-1)/2
	return base64.RawURLEncoding.EncodeToString(b[1:half]), base64.RawURLEncoding.EncodeToString(b[half:]), nil
}
