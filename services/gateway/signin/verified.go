package signin

import (
	"crypto/sha256"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// mostVerified bounds the tokens that are remembered, some 300 bytes each.
const mostVerified = 10_000

// verified remembers tokens that were found good, so that the signature of one that comes with every request is checked once. A token is
// known by its hash, and good until it expires or the issuer's keys are read anew, whichever comes first: a key that was withdrawn opens
// nothing for longer than without this.
type verified struct {
	sessions *lru.Cache[[sha256.Size]byte, remembered]
	reading  *atomic.Uint64 // how often the keys were read
	now      func() time.Time
}

type remembered struct {
	session Session
	reading uint64
	since   time.Time
}

func newVerified(k *Keys, now func() time.Time) *verified {
	sessions, err := lru.New[[sha256.Size]byte, remembered](mostVerified)
	if err != nil {
		panic(err) // only without a size
	}
	return &verified{sessions: sessions, reading: &k.readings, now: now}
}

// find is the session of a token that was found good before, and still is.
func (v *verified) find(token string) (Session, bool) {
	key := sha256.Sum256([]byte(token))
	known, ok := v.sessions.Get(key)
	now := v.now()
	// A clock that was set back may make a token one that is not valid yet.
	if !ok || known.reading != v.reading.Load() || !now.Before(known.session.Until) || now.Before(known.since) {
		return Session{}, false
	}
	return known.session, true
}

// keep remembers a token that was found good by the keys of a reading.
func (v *verified) keep(token string, s Session, reading uint64, since time.Time) {
	v.sessions.Add(sha256.Sum256([]byte(token)), remembered{s, reading, since})
}
