// Package progress shows at a terminal how far long work is, how fast it goes and how long it will take. Elsewhere nothing is shown:
// what is written there is a log, which other programs read. Who starts the program says where to (To); work that may be long says
// how far it is (Start).
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

type key struct{}

// To lets work under the context show at out how far it is, if that is a terminal.
func To(ctx context.Context, out io.Writer) context.Context {
	if !isTerminal(out) {
		return ctx
	}
	return context.WithValue(ctx, key{}, out)
}

// Shown says whether anything is shown at all.
func Shown(ctx context.Context) bool { return ctx.Value(key{}) != nil }

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Task is one piece of work. All its methods may be called on nil, and by several at once.
type Task struct {
	mu          sync.Mutex
	bar         *progressbar.ProgressBar // nil once it is stopped
	done, total int64
}

// Start begins a piece of work: what it does, in which unit, and how much there is of it, which is 0 while nobody knows. The
// unit "bytes" is shown as sizes, "s" as time.
func Start(ctx context.Context, what, unit string, total int64) *Task {
	out, ok := ctx.Value(key{}).(io.Writer)
	if !ok {
		return nil
	}
	return &Task{bar: newBar(out, what, unit, total), total: total}
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
	if t.bar != nil && (t.total <= 0 || done < t.total) { // the last step is Stop's, which clears the line
		_ = t.bar.Set64(done)
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
	}
}

// Size is a number of bytes in words.
func Size(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
