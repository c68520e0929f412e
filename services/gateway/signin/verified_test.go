package signin

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
)

// A token that was found good is remembered, but for no longer than it lasts or its key stands.
func TestVerifiedIsRemembered(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys.json")
	write := func(kid string, key crypto.PublicKey) {
		jwk, err := jwkset.NewJWKFromKey(key, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: kid}})
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{jwk.Marshal()}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	key := newKey()
	write("one", key.Public())
	now := time.Now()
	k := NewKeys("https://issuer.example", "file://"+file)
	if err := k.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	v := NewVerifier(Options{Issuer: "https://issuer.example", Log: zap.NewNop(), Now: func() time.Time { return now }}, k)
	signed := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": "https://issuer.example", "sub": "user_1", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	signed.Header["kid"] = "one"
	token, err := signed.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	look := func(token string) error {
		s, err := v.Session(t.Context(), "Bearer "+token)
		if err == nil && s.User != "user_1" {
			t.Errorf("it stands for %+v", s)
		}
		return err
	}
	for range 2 {
		if err := look(token); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := v.verified.find(token); !ok || v.verified.sessions.Len() != 1 {
		t.Error("it is not remembered")
	}
	refused := &events.Fault{Code: events.Unauthorized}
	if err := look(token + "x"); !errors.Is(err, refused) {
		t.Errorf("another token is answered %v", err)
	}
	if v.verified.sessions.Len() != 1 {
		t.Error("a token that is not good is remembered")
	}
	now = now.Add(2 * time.Hour)
	if err := look(token); !errors.Is(err, refused) {
		t.Errorf("an expired token is answered %v", err)
	}
	now = now.Add(-2 * time.Hour)
	if err := look(token); err != nil {
		t.Fatal(err)
	}
	write("two", newKey().Public())
	if err := k.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := look(token); !errors.Is(err, refused) {
		t.Errorf("a token whose key was withdrawn is answered %v", err)
	}
}
