//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/omni-write/threads/internal/clock"
)

// lockDir makes us the only one to run a Postgres in dir, until the file is closed or this process ends. The child does
// not inherit the lock.
func lockDir(dir string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, "postgres.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		pid := make([]byte, 20)
		n, _ := f.Read(pid)
		_ = f.Close()
		return nil, fmt.Errorf("another process (pid %s) already runs its Postgres in %s: stop that one first, "+
			"or choose another state directory", strings.TrimSpace(string(pid[:n])), dir)
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintln(f, os.Getpid())
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

// awaitLock makes us the only one to hold path, once whoever else does is done.
func awaitLock(ctx context.Context, path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if errors.Is(err, syscall.EWOULDBLOCK) && clock.Sleep(ctx, 100*time.Millisecond) {
			continue
		}
		_ = f.Close()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("waited for another process that downloads (%s is locked): %w", path, ctx.Err())
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
}
