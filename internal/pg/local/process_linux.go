package local

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// childAttr also has Linux tell the child of our death, however sudden: SIGINT makes Postgres shut down cleanly.
func childAttr(who *account) *syscall.SysProcAttr {
	attr := who.sysProcAttr()
	attr.Pdeathsig = syscall.SIGINT
	return attr
}

// servesFrom reports whether pid is a Postgres that was started on this data directory.
func servesFrom(pid int, data string) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && bytes.Contains(b, []byte("postgres\x00")) && bytes.Contains(b, []byte("\x00"+data+"\x00"))
}
