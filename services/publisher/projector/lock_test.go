package projector

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/outage"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// A projector that is frozen loses the lock because its session is silent, and can write nothing afterwards.
func TestSilentProjectorLosesItsLock(t *testing.T) {
	t.Parallel()
	d := Deps{DB: pgtest.New(t), Log: zap.NewNop(), Now: time.Now}
	silent := New(Config{}, d)
	frozen, mine, err := silent.lock(t.Context())
	if err != nil || !mine {
		t.Fatalf("%t, %v", mine, err)
	}
	defer unlock(t.Context(), frozen)
	other := New(Config{}, d)
	waiting.Until(t, "the lock of the one that says nothing", func() bool {
		conn, mine, err := other.lock(t.Context())
		if mine {
			unlock(t.Context(), conn)
		}
		return err == nil && mine
	})
	if err := silent.setPosition(t.Context(), frozen, 7); !outage.Is(err) {
		t.Errorf("without the lock it writes: %v", err)
	}
}
