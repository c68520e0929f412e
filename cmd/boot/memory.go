package boot

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/clock"
)

const (
	// gcPercent lets the heap grow to four times of what lives before it is collected: what lives is small, some tens of MiB, and
	// what a rush leaves behind is much.
	gcPercent = 300
	// smallProcess is what a process grows to so. Beyond it half of what lives, and of its stacks, is kept free.
	smallProcess = 160 << 20
	// measureEvery is how often what lives is looked at: as it grows, the limit must go before it.
	measureEvery = 250 * time.Millisecond
)

// LimitMemory keeps the process small until ctx ends, and in any case under what its container may have: Go does not look at
// that itself. A GOGC that is set stays what it is, and with GOMEMLIMIT there is no limit of ours.
func LimitMemory(ctx context.Context, getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if getenv("GOMEMLIMIT") != "" {
		return
	}
	most := containerLimit()
	limit := memoryLimit(0, most)
	debug.SetMemoryLimit(limit)
	go func() {
		for clock.Sleep(ctx, measureEvery) {
			if next := memoryLimit(living(), most); next != limit {
				limit = next
				debug.SetMemoryLimit(limit)
			}
		}
	}()
}

// memoryLimit is what a process of which so much lives may have, in steps: a new limit stops it for a moment.
func memoryLimit(living, most int64) int64 {
	const step = 16 << 20
	return min(most, max(smallProcess, (living+living/2+step-1)/step*step))
}

// living is what the last collection found in use, and the stacks.
func living() int64 {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() + samples[1].Value.Uint64()) //nolint:gosec // no process has so much
}

// unbounded is where version 1 of control groups begins to mean that there is no limit.
const unbounded = 1 << 60

// containerLimit is nine tenths of what the container may have, unbounded without one.
func containerLimit() int64 {
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} { // versions 2 and 1
		if limit, ok := containerMemory(file); ok {
			return limit / 10 * 9
		}
	}
	return unbounded
}

// containerMemory reads the limit of a control group; there may be none.
func containerMemory(file string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return limit, err == nil && limit > 0 && limit < unbounded
}
