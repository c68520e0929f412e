package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/omni-write/threads/cmd/lab/rig"
	"github.com/omni-write/threads/internal/subprocess"
)

// slowed in the environment says that this process runs under [rig.SlowSyncs].
const slowed = "BENCH_SYNCS_SLOWED"

// inSlowSyncs runs this very command again where each sync takes longer, when that was asked for. ran is false when there is nothing to
// be slowed down, or it is already.
func (o Options) inSlowSyncs(ctx context.Context, out, errOut io.Writer) (ran bool, err error) {
	if o.syncDelay == 0 || os.Getenv(slowed) != "" {
		return false, nil
	}
	program, err := subprocess.Program()
	if err != nil {
		return true, err
	}
	if err := os.Setenv(slowed, "1"); err != nil {
		return true, err
	}
	return true, rig.SlowSyncs(ctx, o.syncDelay, program, os.Args[1:], os.Stdin, out, errOut)
}

// syncs is the median of the disk's syncs, and an error where they should be slower than they are.
func syncs(dir string, delay time.Duration) (ms float64, err error) {
	ms, err = bareSync(dir)
	if least := float64(delay) / float64(time.Millisecond); err == nil && ms < least {
		return ms, fmt.Errorf("a sync takes %.2f ms, though each was to wait for %s", ms, delay)
	}
	return ms, err
}

var errSyncDelay = errors.New("--sync-delay is from 0 to 1s")
