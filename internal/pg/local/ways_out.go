package local

import (
	"os/exec"
	"runtime"
)

// waysOut is what to tell a person on whose machine there is no Postgres.
func waysOut() string {
	return "install one (" + installLine() + ", then run this again; PG_BINDIR may name its bin directory), " +
		"or let DATABASE_URL name a server you have (postgres://user:password@host:5432/name), " +
		"or run everything in containers (docker compose up)"
}

func installLine() string {
	if runtime.GOOS == "darwin" {
		return "brew install postgresql@18"
	}
	for _, m := range []struct{ program, line string }{
		{"apt-get", "sudo apt-get install -y postgresql"},
		{"dnf", "sudo dnf install -y postgresql-server"},
		{"apk", "sudo apk add postgresql"},
		{"pacman", "sudo pacman -S postgresql"},
		{"zypper", "sudo zypper install postgresql-server"},
		{"pkg", "sudo pkg install postgresql18-server"},
	} {
		if _, err := exec.LookPath(m.program); err == nil {
			return m.line
		}
	}
	return "see https://www.postgresql.org/download"
}
