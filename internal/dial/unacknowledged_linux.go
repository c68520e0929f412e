package dial

import (
	"os"

	"golang.org/x/sys/unix"
)

func boundUnacknowledged(fd uintptr) error {
	return os.NewSyscallError("setsockopt TCP_USER_TIMEOUT",
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(Unacknowledged.Milliseconds())))
}
