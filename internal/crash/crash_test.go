package crash_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/omni-write/threads/internal/crash"
)

const asChild = "THREADS_TEST_CRASH_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) == "" {
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
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asChild+"=1", crash.Env+"="+at)
		_ = cmd.Run()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if killed := status.Signaled() && status.Signal() == syscall.SIGKILL; killed != (want == -1) || !killed && status.ExitStatus() != want {
			t.Errorf("%s=%q ends with %v", crash.Env, at, cmd.ProcessState)
		}
	}
}
