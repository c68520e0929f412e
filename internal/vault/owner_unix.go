//go:build unix

package vault

import (
	"os"
	"syscall"
)

// likeBefore gives a file the owner of the one it replaces.
func likeBefore(path string, was os.FileInfo) error {
	if stat, ok := was.Sys().(*syscall.Stat_t); ok && (int(stat.Uid) != os.Getuid() || int(stat.Gid) != os.Getgid()) {
		return os.Chown(path, int(stat.Uid), int(stat.Gid))
	}
	return nil
}
