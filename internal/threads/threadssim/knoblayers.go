package threadssim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
)

// knobLayers are the knobs in their two layers, and the source of chance.
type knobLayers struct {
	seed uint64
	all  *Knobs // never changed in place: calls in flight read it
	rng  *rand.Rand
	// own are the changes of single accounts by name, in their order. They are kept as changes, so an account follows the
	// simulator's knobs in everything it was not told itself. An account may have some before it exists.
	own map[string][]Patch
}

// Patch changes knobs. As JSON it is an object with the knobs to change.
type Patch func(*Knobs) error

func newKnobLayers(start Knobs, seed uint64) knobLayers {
	return knobLayers{seed: seed, all: &start, rng: generator(seed, ""), own: map[string][]Patch{}}
}

// generator gives each account a generator of its own, so calls for one do not disturb what another one meets.
func generator(seed uint64, account string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(account))               // never fails
	return rand.New(rand.NewPCG(seed, h.Sum64())) //nolint:gosec // it plays dice, it keeps no secrets
}

// Read changes the knobs that a JSON object names. It refuses names it does not know and values that mean nothing; the
// knobs are then not to be used.
func (k *Knobs) Read(raw []byte) error {
	if err := strict(raw, k); err != nil {
		return err
	}
	return k.check()
}

// jsonPatch says at once what is wrong with a patch.
func jsonPatch(raw []byte) (Patch, error) {
	patch := func(k *Knobs) error { return k.Read(raw) }
	scratch := Quick()
	return patch, patch(&scratch)
}

// of resolves the knobs of an account.
func (h *knobLayers) of(username string) *Knobs {
	patches := h.own[username]
	if len(patches) == 0 {
		return h.all
	}
	k := *h.all
	for _, patch := range patches {
		_ = patch(&k) // was checked when it came
	}
	return &k
}

// settle gives every account its knobs anew. The caller holds the lock.
func (s *store) settle() {
	for name, u := range s.byName {
		u.knobs = s.layers.of(name)
	}
}

// Knobs are those of the whole simulator.
func (s *Sim) Knobs() Knobs {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return *s.store.layers.all
}

// SetKnobs changes the knobs of the whole simulator.
func (s *Sim) SetKnobs(change func(*Knobs)) error { return s.patch(plain(change)) }

func plain(change func(*Knobs)) Patch {
	return func(k *Knobs) error {
		change(k)
		return k.check()
	}
}

func (s *Sim) patch(p Patch) error {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	k := *s.store.layers.all
	if err := p(&k); err != nil {
		return err
	}
	s.store.layers.all = &k
	s.store.settle()
	return nil
}

// ResetKnobs brings back those the simulator started with. Accounts keep their own.
func (s *Sim) ResetKnobs() {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	k := s.store.start
	s.store.layers.all = &k
	s.store.settle()
}

// UserKnobs are those an account lives with: the simulator's and its own on top.
func (s *Sim) UserKnobs(username string) Knobs {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return *s.store.layers.of(account(username))
}

// SetUserKnobs changes the knobs of one account, which need not exist yet.
func (s *Sim) SetUserKnobs(username string, change func(*Knobs)) error {
	return s.patchUser(username, plain(change))
}

func (s *Sim) patchUser(username string, p Patch) error {
	name := account(username)
	if !usernameShape.MatchString(name) {
		return fmt.Errorf("%.40q is not a username", username)
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	k := *s.store.layers.of(name)
	if err := p(&k); err != nil {
		return err
	}
	s.store.layers.own[name] = append(s.store.layers.own[name], p)
	s.store.settle()
	return nil
}

// ResetUserKnobs makes an account like all others.
func (s *Sim) ResetUserKnobs(username string) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	delete(s.store.layers.own, account(username))
	s.store.settle()
}

// Seed starts the generators anew, the simulator's and every account's.
func (s *Sim) Seed(seed uint64) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.store.layers.seed, s.store.layers.rng = seed, generator(seed, "")
	for name, u := range s.store.byName {
		u.rng = generator(seed, name)
	}
}

// account is the one spelling of a username.
func account(username string) string {
	return strings.ToLower(strings.TrimPrefix(strings.TrimSpace(username), "@"))
}
