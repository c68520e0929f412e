package local

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// waysOut is what to tell a person on whose machine there is no Postgres.
func waysOut() string {
	return "install one (" + installLine() + ", then run this again; PG_BINDIR may name its bin directory), " +
		"or let DATABASE_URL name a server you have (postgres://user:password@host:5432/name), " +
		"or run everything in containers (docker compose up)"
}

// installLine is what installs Postgres on this system.
func installLine() string {
	if runtime.GOOS == "darwin" {
		return "brew install postgresql@18"
	}
	for _, m := range []struct{ program, line string }{
		{"apt-get", "apt-get update && apt-get install -y postgresql"},
		{"dnf", "dnf install -y postgresql-server"},
		{"apk", "apk add postgresql"},
		{"pacman", "pacman -S postgresql"},
		{"zypper", "zypper install postgresql-server"},
		{"pkg", "pkg install postgresql18-server"},
	} {
		if _, err := exec.LookPath(m.program); err == nil {
			if os.Geteuid() == 0 {
				return m.line // a container often has no sudo
			}
			return "sudo " + strings.ReplaceAll(m.line, "&& ", "&& sudo ")
		}
	}
	return "see https://www.postgresql.org/download"
}
