package test

import (
	"strings"
	"syscall"
	"testing"
)

func TestStopsCleanly(t *testing.T) {
	t.Parallel()
	h := newSystem(t)
	h.start()
	if err := h.main.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := h.main.Wait(); err != nil {
		t.Errorf("Ctrl-C ends it with %v", err)
	}
	h.main = nil
	if strings.Contains(h.log.String(), `"level":"error"`) {
		t.Error("it complained while stopping")
	}
}
