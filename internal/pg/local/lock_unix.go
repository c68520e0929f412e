//go:build unix

package local

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// lockDir makes us the only one to run a Postgres in dir, until the lock is closed or this process ends. The child does
// not inherit the lock.
func lockDir(dir string) (io.Closer, error) {
	lock := flock.New(filepath.Join(dir, "postgres.lock"))
	switch taken, err := lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	case !taken:
		pid, _ := os.ReadFile(lock.Path())
		return nil, fmt.Errorf("another process (pid %s) already runs its Postgres in %s: stop that one first, "+
			"or choose another state directory", strings.TrimSpace(string(pid)), dir)
	}
	if err := os.WriteFile(lock.Path(), fmt.Appendln(nil, os.Getpid()), 0o600); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return lock, nil
}
