package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Running under a filter of system calls is what slows syncs down here: the kernel stops whoever calls fsync and its like, tells us, and
// goes on when we say so. That covers programs that go through libc (Postgres) and those that do not (nats-server), on whatever
// disk there is, where dm-delay needs a kernel with a device mapper.

// synced are the calls that wait for the disk, but for writes to files opened with O_SYNC: nats-server writes some small files so.
var synced = []uint32{unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNC_FILE_RANGE, unix.SYS_MSYNC}

// notification is the kernel's struct seccomp_notif, answer its struct seccomp_notif_resp.
type notification struct {
	id         uint64
	pid, flags uint32
	data       struct {
		nr, arch uint32
		ip       uint64
		args     [6]uint64
	}
}

type answer struct {
	id           uint64
	val          int64
	error, flags uint32
}

// SlowSyncs runs a program to its end, of which, and of all that it starts, each sync takes so much longer.
func SlowSyncs(ctx context.Context, delay time.Duration, program string, args []string, in io.Reader, out, errOut io.Writer) error {
	started, ended := make(chan error, 1), make(chan struct{})
	defer close(ended)
	var listener int
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, errOut
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	go func() {
		runtime.LockOSThread() // and not unlocked: the filter holds for the thread, and for what is started from it
		var err error
		if listener, err = notifiedOf(synced); err == nil {
			err = cmd.Start()
		}
		started <- err
		<-ended // the thread is kept, so that the kernel goes on telling
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("slow syncs down: %w", err)
	}
	go delaySyncs(listener, delay)
	return cmd.Wait()
}

// notifiedOf has the kernel tell of some system calls of this thread.
func notifiedOf(calls []uint32) (listener int, err error) {
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	is := func(nr uint32, then, otherwise uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jt: then, Jf: otherwise}
	}
	give := func(action uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
	}
	filter := []unix.SockFilter{load(0)} // the number of the call comes first
	for i, nr := range calls {
		filter = append(filter, is(nr, uint8(len(calls)-i), 0)) //nolint:gosec // a handful
	}
	filter = append(filter, give(unix.SECCOMP_RET_ALLOW), give(unix.SECCOMP_RET_USER_NOTIF))
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]} //nolint:gosec // as above
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, err
	}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&program))) //nolint:gosec // the kernel reads or writes a struct of ours
	if errno != 0 {
		return 0, fmt.Errorf("this kernel does not tell of system calls (seccomp user notification): %w", errno)
	}
	return int(fd), nil
}

// delaySyncs lets each call go on after a while; the disk's own sync comes after it. It ends with the last process.
func delaySyncs(listener int, delay time.Duration) {
	for {
		var n notification
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n))) //nolint:gosec // the kernel reads or writes a struct of ours
		switch {
		case errors.Is(errno, unix.EINTR), errors.Is(errno, unix.ENOENT): // who called has been killed meanwhile
			continue
		case errno != 0:
			return
		}
		time.AfterFunc(delay, func() {
			a := answer{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
			_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&a))) //nolint:gosec // as above; whoever called may be gone
		})
	}
}
