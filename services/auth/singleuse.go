package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// errSpent says that a secret is unknown, used or too old. Nobody is told which of the three.
var errSpent = errors.New("the secret is unknown, used or too old")

// singleUse keeps what belongs to secrets that are good once and for a short while. The bucket's age limit is their life:
// one clock for all, the server's. What is stored is a hash of the secret, so reading the bucket is of no use.
type singleUse[V any] struct {
	kv jetstream.KeyValue
}

// entry is what was kept under a secret, as it was read. Its revision makes the consuming exact.
type entry[V any] struct {
	Value    V
	key      string
	revision uint64
}

func (o singleUse[V]) put(ctx context.Context, secret string, value V) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode for %s: %w", o.kv.Bucket(), err)
	}
	if _, err := o.kv.Create(ctx, keyOf(secret), body); err != nil {
		return fmt.Errorf("keep in %s: %w", o.kv.Bucket(), err)
	}
	return nil
}

// find reads without consuming, or returns errSpent.
func (o singleUse[V]) find(ctx context.Context, secret string) (entry[V], error) {
	kept, err := o.kv.Get(ctx, keyOf(secret))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return entry[V]{}, errSpent
	}
	if err != nil {
		return entry[V]{}, fmt.Errorf("look in %s: %w", o.kv.Bucket(), err)
	}
	e := entry[V]{key: kept.Key(), revision: kept.Revision()}
	if err := json.Unmarshal(kept.Value(), &e.Value); err != nil {
		return entry[V]{}, fmt.Errorf("decode from %s: %w", o.kv.Bucket(), err)
	}
	return e, nil
}

// consume uses the secret up. Of two who found it, the revision lets one consume it; the other gets errSpent. An answer that
// was lost counts as consumed: at most once is the promise.
func (o singleUse[V]) consume(ctx context.Context, e entry[V]) error {
	err := o.kv.Delete(ctx, e.key, jetstream.LastRevision(e.revision))
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return errSpent
	}
	if err != nil {
		return fmt.Errorf("consume in %s: %w", o.kv.Bucket(), err)
	}
	return nil
}

// newSecret is 32 random bytes in the alphabet of URLs and cookies.
func newSecret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // crypto/rand never fails; it stops the program where there is no randomness
	return base64.RawURLEncoding.EncodeToString(b)
}

func hashOf(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }

// keyOf is the bucket's key for a secret.
func keyOf(secret string) string {
	h := hashOf(secret)
	return hex.EncodeToString(h[:])
}
