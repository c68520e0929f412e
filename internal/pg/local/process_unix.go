//go:build unix

package local

import (
	"errors"
	"syscall"
)

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// interrupt asks a Postgres for a fast shutdown. When it cannot be sent, waiting in vain says so.
func interrupt(pid int) { _ = syscall.Kill(pid, syscall.SIGINT) }
