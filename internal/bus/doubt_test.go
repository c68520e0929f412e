package bus_test

import (
	"testing"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// An event whose answer was lost is stored all the same. Once that shows, its stream is doubted no more, though nobody emits anything else:
// a process was "not ready" for as long as nothing happened.
func TestDoubtEndsWithoutAnotherEvent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fact events.PostFact
		hear bool // the next try is answered, before anybody looks
	}{
		"a look at the stream":          {events.FactPostponed, false},
		"a try that is a repeat":        {events.FactPostponed, true},
		"a try that the stream refuses": {events.FactPublished, true},
		"a look at what was published":  {events.FactPublished, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := bustest.Server(t, t.TempDir())
			bustest.Connect(t, s, "publisher") // which declares
			b, l := connectLossy(t, s)
			if err := b.Healthy(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.only = `"stream":"EVENTS"`
			l.deaf.Store(true)
			emitted := make(chan error, 1)
			go func() { emitted <- b.Emit(t.Context(), newEvent(c.fact, "post_1", 2)) }()
			waiting.Until(t, "the stream is doubted", b.Doubted)
			if c.hear {
				l.deaf.Store(false)
				if err := <-emitted; err != nil {
					t.Fatal(err)
				}
				if c.fact != events.FactPublished && b.Doubted() {
					t.Error("it is doubted after a try that was answered")
				}
			}
			if err := b.Healthy(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
