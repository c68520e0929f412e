package draft

import (
	"fmt"
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	b := newBudget(60, 6000)
	if b.takeFetches("ada", 60, now) != nil || b.takeFetches("bob", 60, now) != nil {
		t.Error("a first minute is refused")
	}
	if f := b.takeFetches("ada", 1, now); f == nil || f.RetryAfter != 1 {
		t.Errorf("one more: %+v", f)
	}
	if f := b.takeFetches("ada", 30, now.Add(20*time.Second)); f == nil || f.RetryAfter != 10 {
		t.Errorf("thirty after twenty seconds: %+v", f)
	}
	if f := b.takeFetches("ada", 30, now.Add(30*time.Second)); f != nil {
		t.Errorf("thirty after thirty seconds: %v", f)
	}
	if f := b.takeFetches("ada", 1000, now.Add(10*time.Minute)); f != nil {
		t.Errorf("more than a minute's at once, after a minute: %v", f)
	}
	if f := b.takeFetches("ada", 1, now.Add(11*time.Minute)); f == nil {
		t.Error("and one more, in the next minute")
	}

	eve := payerOf(b.paidBy(t.Context(), "eve", func() time.Time { return now }))
	if !eve.take(5000) || eve.take(5000) {
		t.Error("twice five thousand of six")
	}
	if eve.giveBack(4500); !eve.take(5000) {
		t.Error("what was given back is not there")
	}
	if eve.giveBack(1 << 40); eve.take(6000) != true || eve.take(1) {
		t.Error("more is there than a minute's")
	}

	for i := range mostPurses + 10 {
		b.takeFetches(fmt.Sprint(i), 1, now.Add(-time.Hour))
	}
	if len(b.users) > mostPurses+13 {
		t.Errorf("%d are remembered", len(b.users))
	}
	b.takeFetches("late", 1, now)
	if len(b.users) > 20 {
		t.Errorf("%d are remembered when all are full", len(b.users))
	}
}
