package test

import (
	"strings"
	"testing"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	h := newSystem(t)
	if err := h.run("demo", "--exit").Wait(); err != nil {
		t.Fatalf("the demo ended with %v", err)
	}
	out := h.log.String()
	t.Log(out)
	for _, word := range []string{"AccountConnected", "PostScheduled", "PostPublished", "PostCancelled", "PostDeleted", "ms late"} {
		if !strings.Contains(out, word) {
			t.Errorf("it does not say %s", word)
		}
	}
	if strings.Contains(out, "curl") {
		t.Error("it says how to go on with a system that is gone")
	}
}
