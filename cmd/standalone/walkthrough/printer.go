package walkthrough

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// printer prints the walkthrough: one line an event, with its time.
type printer struct {
	mu  sync.Mutex
	out io.Writer
}

func newPrinter(out io.Writer) *printer { return &printer{out: out} }

// line prints one thing that happened: when, what, and the rest.
func (p *printer) line(what, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.out, "%s  %-22s %s\n", time.Now().Format("15:04:05.000"), what, fmt.Sprintf(format, args...))
}

func short(text string) string {
	const most = 44
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}
