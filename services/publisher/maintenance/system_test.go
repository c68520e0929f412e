package maintenance_test

import (
	"testing"

	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// system is a publisher with everything real around it but Threads, which is simulated.
type system struct{ *publishertest.System }

func setup(t *testing.T) *system {
	t.Helper()
	return &system{publishertest.New(t)}
}
