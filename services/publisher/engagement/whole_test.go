package engagement_test

import (
	"testing"

	"github.com/omni-write/threads/services/publisher/publishertest"
)

// system is a publisher with everything real around it but Threads, which is simulated.
type system struct{ *publishertest.System }

func setup(t *testing.T) *system {
	t.Helper()
	return &system{publishertest.New(t)}
}
