package threadssim

import (
	"hash/fnv"
	"net/http"
	"slices"
	"sync"
)

// Call is one API call as it came and went. Status 0 is a cut connection. It has the path without the query, since that
// may hold tokens.
type Call struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Op     string `json:"op"`
	User   string `json:"user,omitempty"`
	Status int    `json:"status"`
	// Code and Subcode are those of a Graph error.
	Code    int   `json:"code,omitempty"`
	Subcode int   `json:"subcode,omitempty"`
	AtNS    int64 `json:"at_ns"`

	same uint64 // equal for refused calls with equal parameters
}

// callLog keeps the latest calls. It has a lock of its own.
type callLog struct {
	mu   sync.Mutex
	ring [4096]Call
	n    int
}

func (r *callLog) add(c Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring[r.n%len(r.ring)] = c
	r.n++
}

// all copies the calls, oldest first.
func (r *callLog) all() []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := max(r.n-len(r.ring), 0)
	all := make([]Call, 0, r.n-first)
	for i := first; i < r.n; i++ {
		all = append(all, r.ring[i%len(r.ring)])
	}
	return all
}

func (r *callLog) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring, r.n = [len(r.ring)]Call{}, 0
}

// fingerprint is equal for equal calls, whatever the order of their parameters.
func (c *call) fingerprint(r *http.Request) uint64 {
	names := make([]string, 0, len(c.params))
	for name := range c.params {
		names = append(names, name)
	}
	slices.Sort(names)
	h := fnv.New64a()
	add := func(s string) { _, _ = h.Write(append([]byte(s), 0)) } // never fails
	add(r.Method)
	add(r.URL.Path)
	for _, name := range names {
		add(name)
		add(c.params.Get(name))
	}
	return h.Sum64()
}

// Calls returns the latest 4096 API calls, oldest first.
func (s *Sim) Calls() []Call { return s.api.log.all() }
