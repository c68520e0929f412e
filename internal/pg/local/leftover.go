package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/clock"
)

const leftoverLimit = 10 * time.Second

// clearLeftover deals with the postmaster.pid of a server whose parent was killed. We hold the lock on the state
// directory, so whoever still runs there belongs to nobody: it is stopped and waited for.
func clearLeftover(ctx context.Context, data string, log *zap.Logger) error {
	path := filepath.Join(data, "postmaster.pid")
	began, told := time.Now(), false
	for {
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		first, rest, _ := bytes.Cut(b, []byte("\n"))
		pid, err := strconv.Atoi(string(bytes.TrimSpace(first)))
		if err != nil || pid <= 0 || !alive(pid) {
			return nil //nolint:nilerr // Postgres clears such a file away itself
		}
		if !servesFrom(pid, data) {
			// The pid was given to another process since, as happens after a reboot or in a new container, and Postgres
			// would refuse to start. It takes its parent's pid for a stale one, so that is what the file gets; deleting
			// the file would also skip Postgres' own check for processes that still use the old shared memory.
			return os.WriteFile(path, append([]byte(strconv.Itoa(os.Getpid())+"\n"), rest...), 0o600)
		}
		if !told {
			told = true
			log.Warn("a postgres of an earlier run is still there, stopping it", zap.Int("pid", pid))
			interrupt(pid)
		}
		if time.Since(began) > leftoverLimit {
			return fmt.Errorf("a Postgres of an earlier run (pid %d) still uses %s and does not stop: end it with kill -QUIT %d",
				pid, data, pid)
		}
		if !clock.Sleep(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
}
