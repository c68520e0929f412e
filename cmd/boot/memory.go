package boot

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// limitMemory keeps the process under what its container may have, where nobody says otherwise: Go reads GOMEMLIMIT itself,
// and does not look at the container's limit.
func (c Common) limitMemory() {
	if c.MemoryLimit != "" {
		return
	}
	if limit, ok := containerMemory("/sys/fs/cgroup/memory.max"); ok {
		debug.SetMemoryLimit(limit / 10 * 9)
	}
}

// containerMemory reads the limit of a control group (version 2); there may be none.
func containerMemory(file string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return limit, err == nil && limit > 0
}
