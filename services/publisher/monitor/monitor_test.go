package monitor

import (
	"strings"
	"testing"
	"time"
)

func TestStuck(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return time.Unix(1_000_000+int64(s), 0) }
	const after = 2 * time.Minute
	fine := func() *Monitor {
		m := New(Deps{StuckAfter: after, Now: func() time.Time { return at(0) }})
		m.measured, m.moved, m.stands = at(0), at(-500), at(-500)
		return m
	}
	for name, c := range map[string]struct {
		change func(*Monitor)
		want   string
	}{
		"nothing to do":                      {func(*Monitor) {}, ""},
		"a survey that does not end":         {func(m *Monitor) { m.measured = at(-121) }, "could not be looked through for 2m1s"},
		"a post that waits, others move":     {func(m *Monitor) { m.stalled, m.moved = at(-300), at(-5) }, ""},
		"a post that waits, and none moves":  {func(m *Monitor) { m.stalled = at(-300) }, "has been due for 5m0s"},
		"a post that has not waited long":    {func(m *Monitor) { m.stalled = at(-100) }, ""},
		"a projector that is behind, moving": {func(m *Monitor) { m.behind, m.stands = 7, at(-1) }, ""},
		"a projector that does not get on":   {func(m *Monitor) { m.behind, m.stands = 7, at(-180) }, "7 events are not applied"},
		"a projector that is not behind":     {func(m *Monitor) { m.stands = at(-180) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := fine()
			c.change(m)
			err := m.Stuck()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
