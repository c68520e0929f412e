package boot

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// LimitMemory keeps the process under what its container may have, where nobody says otherwise: Go reads GOMEMLIMIT itself,
// and does not look at the container's limit.
func (c Common) LimitMemory() {
	if c.MemoryLimit != "" {
		return
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} { // versions 2 and 1
		if limit, ok := containerMemory(file); ok {
			debug.SetMemoryLimit(limit / 10 * 9)
			return
		}
	}
}

// unbounded is where version 1 of control groups begins to mean that there is no limit.
const unbounded = 1 << 60

// containerMemory reads the limit of a control group; there may be none.
func containerMemory(file string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return limit, err == nil && limit > 0 && limit < unbounded
}
