package crash_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/subprocess"
)

func TestMain(m *testing.M) {
	if !subprocess.Is() {
		os.Exit(m.Run())
	}
	if err := crash.Arm(os.Getenv); err != nil {
		os.Exit(3)
	}
	for range 2 {
		crash.At(crash.PublishClaimed)
	}
	os.Exit(4) // alive after two passings
}

func TestDiesAtThePassingAskedFor(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]int{"": 4, "publish.claimed": -1, "publish.claimed:2": -1, "publish.claimed:3": 4, "publish.noted": 4, "publish.nowhere": 3, "publish.claimed:0": 3} {
		p, err := subprocess.Start(t.Context(), subprocess.Command{Env: append(os.Environ(), crash.Env+"="+at)})
		if err != nil {
			t.Fatal(err)
		}
		status := p.Status()
		if killed := status.Signaled() && status.Signal() == syscall.SIGKILL; killed != (want == -1) || !killed && status.ExitStatus() != want {
			t.Errorf("%s=%q ends with %v", crash.Env, at, p.Wait())
		}
	}
}
