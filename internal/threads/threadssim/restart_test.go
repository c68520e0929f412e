package threadssim_test

import (
	"net/http/httptest"

	"github.com/omni-write/threads/internal/threads/threadssim"
)

// on is the same client in front of another simulator.
func on(w *world, sim *threadssim.Sim) *world {
	other := *w
	other.sim, other.server = sim, httptest.NewServer(sim)
	w.t.Cleanup(other.server.Close)
	return &other
}
