// Package forked lets a test see what a process does that has been forked and has not come to its exec yet: it has every open
// file of ours, and on a busy machine it stays like that for a while.
package forked

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// Hold holds a file as such a process does, until the test ends.
func Hold(t testing.TB, path string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("which files are open is read from /proc")
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	const open = "/proc/self/fd"
	files, err := os.ReadDir(open)
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, f := range files {
		at := filepath.Join(open, f.Name())
		if is, err := os.Readlink(at); err != nil || is != path {
			continue
		}
		fd, err := strconv.Atoi(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		again, err := syscall.Dup(fd)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Close(again) })
		held++
	}
	if held == 0 {
		t.Fatalf("%s is not open", path)
	}
}
