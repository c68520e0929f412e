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
	if err := h.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Wait(); err != nil {
		t.Errorf("Ctrl-C ends it with %v", err)
	}
	h.cmd = nil
	if strings.Contains(h.log.String(), `"level":"error"`) {
		t.Error("it complained while stopping")
	}
}
