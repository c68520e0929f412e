package test

import (
	"bytes"
	"os/exec"
	"testing"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	h := newSystem(t)
	cmd := exec.Command(program, "demo", "--exit")
	cmd.Env = h.env
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("the demo ended with %v", err)
	}
	for _, word := range []string{"AccountConnected", "PostScheduled", "PostPublished", "PostCancelled", "PostDeleted", "ms late"} {
		if !bytes.Contains(out, []byte(word)) {
			t.Errorf("it does not say %s", word)
		}
	}
	if bytes.Contains(out, []byte("curl")) {
		t.Error("it says how to go on with a system that is gone")
	}
}
