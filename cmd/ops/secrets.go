package ops

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/vault"
)

// clusterNodes are the NATS servers of compose.yaml's cluster.
var clusterNodes = []string{"nats-1", "nats-2", "nats-3"}

// Secrets makes the files of secrets that compose.yaml hands to the containers, each of those that are not there yet. The
// directory is closed to others; the files in it are not, for the users in the containers are not ours, and read them
// through a mount.
func Secrets(dir string, out io.Writer) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of the secrets: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a directory
		return fmt.Errorf("close the directory of the secrets: %w", err)
	}
	s := secrets{dir: dir, out: out}
	s.keep("postgres_password", random)
	s.keep("postgres_superuser_password", random)
	for _, service := range pg.Roles() {
		s.keep("postgres_password_"+service, random)
	}
	s.keep("token_keyset", vault.NewKeyset)
	if s.keep("threads_app_secret", random) {
		s.say("  put the secret of your Threads app into %s, unless it is the simulator that you run against",
			filepath.Join(dir, "threads_app_secret"))
	}
	s.keep("threads_webhook_verify_token", random)
	s.keep("threads_webhook_secret", func() ([]byte, error) { return nil, nil }) // empty: the app's own signs
	// The server reads all passwords from one file; each service reads its own.
	var passwords strings.Builder
	for _, u := range bus.Users() {
		file := "nats_password_" + u.Name
		s.keep(file, random)
		fmt.Fprintf(&passwords, "%s: %q\n", natsd.PasswordOf(u.Name), s.read(file))
	}
	s.derive("nats_passwords", passwords.String())

	s.keep("nats_password_route", random)
	password := s.read("nats_password_route")
	routes := make([]string, len(clusterNodes))
	for i, node := range clusterNodes {
		routes[i] = fmt.Sprintf("%q", "nats://route:"+password+"@"+node+":6222")
	}
	s.derive("nats_routes", fmt.Sprintf("NATS_PASSWORD_ROUTE: %q\nNATS_ROUTES: [%s]\n", password, strings.Join(routes, ", ")))
	return s.err
}

// secrets does nothing more after its first error.
type secrets struct {
	dir string
	out io.Writer
	err error
}

func random() ([]byte, error) { return []byte(rand.Text()), nil }

// keep makes a file, unless it is there, and says whether it was made.
func (s *secrets) keep(name string, create func() ([]byte, error)) bool {
	path := filepath.Join(s.dir, name)
	if _, err := os.Stat(path); s.err != nil || !errors.Is(err, os.ErrNotExist) {
		return false
	}
	var content []byte
	if content, s.err = create(); s.err == nil {
		s.write(name, append(content, '\n'))
	}
	return s.err == nil
}

// derive writes a file that says again what others say.
func (s *secrets) derive(name, content string) {
	content = "# Made by `go run . secrets` from the other files; run it again when one of them has changed.\n" + content
	if is, err := os.ReadFile(filepath.Join(s.dir, name)); err != nil || string(is) != content {
		s.write(name, []byte(content))
	}
}

func (s *secrets) read(name string) string {
	if s.err != nil {
		return ""
	}
	var content []byte
	content, s.err = os.ReadFile(filepath.Join(s.dir, name))
	return strings.TrimSpace(string(content))
}

func (s *secrets) write(name string, content []byte) {
	if s.err != nil {
		return
	}
	path := filepath.Join(s.dir, name)
	if s.err = os.WriteFile(path, content, 0o644); s.err == nil { //nolint:gosec // the directory is closed, see Secrets
		s.say("%s", path)
	}
}

func (s *secrets) say(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.out, format+"\n", args...)
	}
}
