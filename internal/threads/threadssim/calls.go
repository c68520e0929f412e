package threadssim

import "net/http"

// Call is one API call as it came and went. Status 0 is a cut connection. It has the path without the query, since that
// may hold tokens.
type Call struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Op     string `json:"op"`
	User   string `json:"user,omitempty"`
	Status int    `json:"status"`
	AtNS   int64  `json:"at_ns"`
}

// callRing keeps the latest calls.
type callRing struct {
	ring [4096]Call
	n    int
}

func (r *callRing) add(c Call) {
	r.ring[r.n%len(r.ring)] = c
	r.n++
}

// note remembers a call. It is noted when its fate is known and before it is answered, so who has the answer finds the
// call.
func (s *Sim) note(c *call, r *http.Request, status int) {
	seen := Call{Method: r.Method, Path: r.URL.Path, Op: c.op, Status: status, AtNS: c.at.UnixNano()}
	if c.user != nil {
		seen.User = c.user.Username
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls.add(seen)
}

// Calls returns the latest 4096 API calls, oldest first.
func (s *Sim) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.calls
	first := max(r.n-len(r.ring), 0)
	all := make([]Call, 0, r.n-first)
	for i := first; i < r.n; i++ {
		all = append(all, r.ring[i%len(r.ring)])
	}
	return all
}
