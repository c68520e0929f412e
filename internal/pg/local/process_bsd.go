//go:build unix && !linux

package local

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// childAttr has no parent-death signal to ask for here: after a SIGKILL the server lives on until the next start.
func childAttr(who *account) *syscall.SysProcAttr { return who.sysProcAttr() }

// servesFrom reports whether pid is a Postgres that was started on this data directory.
func servesFrom(pid int, data string) bool {
	out, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(out), "postgres -D "+data+" ")
}
