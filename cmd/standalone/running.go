package standalone

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// runningFile is locked by the system that runs with a state directory, as long as its process lives, and holds its pid.
const runningFile = "running.lock"

// lockPatience outlasts the look of a command for operators, which holds the lock for a moment.
const lockPatience = time.Second

// lockState makes this system the only one with the state directory.
func (sys *System) lockState(ctx context.Context) error {
	path := filepath.Join(sys.dir, runningFile)
	lock := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR))
	waiting, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	locked, err := lock.TryLockContext(waiting, lockPatience/20)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case waiting.Err() != nil:
		return fmt.Errorf("another system%s runs with the state directory %s: stop it first, or give this one a directory of its own with STATE_DIR",
			pidIn(path), sys.dir)
	case err != nil || !locked:
		return fmt.Errorf("the state directory %s cannot be used (STATE_DIR names another): %w", sys.dir, err)
	}
	sys.closers = append(sys.closers, lock.Close)
	if _, err := os.Stat(filepath.Join(sys.dir, envFile)); err == nil {
		sys.say("the last run was killed: NATS and Postgres recover what they had, and may warn of what they find")
	}
	return os.WriteFile(path, fmt.Appendln(nil, os.Getpid()), 0o600)
}

// runs says whether a system runs with a state directory, and as which process. Where nothing can be said, it counts as running.
func runs(dir string) (running bool, pid string) {
	path := filepath.Join(dir, runningFile)
	if _, err := os.Stat(path); err != nil {
		return false, ""
	}
	lock := flock.New(path, flock.SetFlag(os.O_RDONLY))
	free, err := lock.TryRLock()
	if err == nil && free {
		_ = lock.Close()
		return false, ""
	}
	return true, pidIn(path)
}

func pidIn(path string) string {
	b, err := os.ReadFile(path)
	if pid := strings.TrimSpace(string(b)); err == nil && pid != "" {
		return " (process " + pid + ")"
	}
	return ""
}
