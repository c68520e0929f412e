// Package progress says how far long work is, how fast it goes and how long it will take: at a terminal as a bar, elsewhere as
// a line now and then. Who starts the program says where to (To); work that may be long says how far it is (Start).
package progress

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// lineEvery is how often a line is written where there is no terminal.
const lineEvery = 10 * time.Second

type key struct{}

// To lets work under the context say to out how far it is. Without it nothing is said.
func To(ctx context.Context, out io.Writer) context.Context {
	return context.WithValue(ctx, key{}, screen{out: out, terminal: isTerminal(out), now: time.Now})
}

// Shown says whether anything is said at all.
func Shown(ctx context.Context) bool { return ctx.Value(key{}) != nil }

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// screen is where progress is shown.
type screen struct {
	out      io.Writer
	terminal bool
	now      func() time.Time
}

// Task is one piece of work. All its methods may be called on nil, and by several at once.
type Task struct {
	screen
	what, unit string
	every      time.Duration
	began      time.Time

	mu          sync.Mutex
	bar         *progressbar.ProgressBar
	done, total int64
	said        time.Time
}

// Start begins a piece of work: what it does, in which unit, and how much there is of it, which is 0 while nobody knows. The
// unit "bytes" is shown as sizes, "s" as time.
func Start(ctx context.Context, what, unit string, total int64) *Task {
	s, ok := ctx.Value(key{}).(screen)
	if !ok {
		return nil
	}
	t := &Task{screen: s, what: what, unit: unit, total: total, every: lineEvery, began: s.now(), said: s.now()}
	if s.terminal {
		t.bar = newBar(s.out, what, unit, total)
	}
	return t
}

func newBar(out io.Writer, what, unit string, total int64) *progressbar.ProgressBar {
	if total <= 0 {
		total = -1
	}
	options := []progressbar.Option{
		progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(what), progressbar.OptionSetWidth(24),
		progressbar.OptionThrottle(100 * time.Millisecond), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetElapsedTime(true), progressbar.OptionUseANSICodes(true),
	}
	switch unit {
	case "bytes":
		options = append(options, progressbar.OptionShowBytes(true))
	case "s":
	default:
		options = append(options, progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(unit))
	}
	return progressbar.NewOptions64(total, options...)
}

// Every sets how often a line is written where there is no terminal.
func (t *Task) Every(d time.Duration) *Task {
	if t != nil {
		t.every = d
	}
	return t
}

// Set says how far the work is. A total of 0 leaves it as it was.
func (t *Task) Set(done, total int64) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done = done
	if total > 0 && total != t.total {
		t.total = total
		if t.bar != nil {
			t.bar.ChangeMax64(total)
		}
	}
	if t.bar != nil {
		if t.total <= 0 || done < t.total { // the last step is Stop's, which clears the line
			_ = t.bar.Set64(done)
		}
		return
	}
	if now := t.now(); now.Sub(t.said) >= t.every {
		t.said = now
		_, _ = fmt.Fprintln(t.out, t.line(now))
	}
}

// Add says that so much more is done.
func (t *Task) Add(n int64) {
	if t == nil {
		return
	}
	t.mu.Lock()
	done := t.done + n
	t.mu.Unlock()
	t.Set(done, 0)
}

// Note says what is being done right now.
func (t *Task) Note(what string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.what = what
	if t.bar != nil {
		t.bar.Describe(what)
	}
}

// Aside does something that writes lines of its own, out of the bar's way.
func (t *Task) Aside(write func()) {
	if t == nil {
		write()
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bar != nil {
		_ = t.bar.Clear()
	}
	write()
}

// Stop ends the work. A bar disappears.
func (t *Task) Stop() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bar != nil {
		_ = t.bar.Clear()
		t.bar = nil
		t.out = io.Discard // nothing is shown of what comes late
	}
}

// line is how far the work is, in words.
func (t *Task) line(now time.Time) string {
	took := now.Sub(t.began)
	rate := float64(t.done) / max(took.Seconds(), 0.001)
	text := t.what + ": " + t.amount(t.done)
	if t.total > 0 {
		text += " of " + t.amount(t.total)
	}
	if t.unit != "s" && t.unit != "bytes" {
		text += " " + t.unit
	}
	switch {
	case t.unit == "bytes":
		text += fmt.Sprintf(", %s a second", Size(int64(rate)))
	case t.unit != "s" && rate >= 10:
		text += fmt.Sprintf(", %.0f a second", rate)
	case t.unit != "s":
		text += fmt.Sprintf(", %.1f a second", rate)
	}
	switch {
	case t.total > 0 && t.done > 0:
		left := time.Duration(float64(took) * float64(t.total-t.done) / float64(t.done))
		text += fmt.Sprintf(", %s left", max(left, 0).Round(time.Second))
	default:
		text += fmt.Sprintf(", after %s", took.Round(time.Second))
	}
	return text
}

func (t *Task) amount(n int64) string {
	switch t.unit {
	case "bytes":
		return Size(n)
	case "s":
		return (time.Duration(n) * time.Second).String()
	}
	return fmt.Sprint(n)
}

// Size is a number of bytes in words.
func Size(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
