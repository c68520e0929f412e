package bustest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// ConfServer is a server that runs with the configuration of a deployment, users and all.
type ConfServer struct {
	*server.Server
	URL string
}

// PasswordFor is the password of a user of a [ConfServer].
func PasswordFor(user string) string { return "the password of " + user }

// ServeConf starts a server with a configuration file, of which only the place of the streams and the ports are changed.
// It stops with the test. The passwords are those of PasswordFor; change, if any, alters the options further.
func ServeConf(t testing.TB, file string, change func(*server.Options)) ConfServer {
	t.Helper()
	return ServeConfIn(t, t.TempDir(), file, change)
}

// ServeConfIn is ServeConf with the configuration put into a directory that may have secrets already.
func ServeConfIn(t testing.TB, dir, file string, change func(*server.Options)) ConfServer {
	t.Helper()
	opts, err := confOptions(dir, file)
	if err != nil {
		t.Fatal(err)
	}
	opts.StoreDir, opts.Host, opts.Port, opts.HTTPPort = t.TempDir(), "127.0.0.1", -1, 0
	opts.NoLog, opts.NoSigs = true, true
	if change != nil {
		change(opts)
	}
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(waiting.Limit) {
		t.Fatal("the server does not come up")
	}
	return ConfServer{s, s.ClientURL()}
}

// confOptions reads a configuration file as a server would that finds it in dir, beside its passwords.
func confOptions(dir, file string) (*server.Options, error) {
	all, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*.conf"))
	if err != nil {
		return nil, err
	}
	for _, one := range all { // one may include another
		content, err := os.ReadFile(one)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(one)), content, 0o600)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := writePasswords(dir); err != nil {
		return nil, err
	}
	return server.ProcessConfigFile(filepath.Join(dir, filepath.Base(file)))
}

// WritePasswords puts the passwords of PasswordFor into a directory of a configuration, unless it has some.
func WritePasswords(t testing.TB, dir string) {
	t.Helper()
	if err := writePasswords(dir); err != nil {
		t.Fatal(err)
	}
}

func writePasswords(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "secrets"), 0o700); err != nil {
		return err
	}
	passwords := filepath.Join(dir, "secrets", "nats_passwords")
	if _, err := os.Stat(passwords); err == nil {
		return nil
	}
	var b strings.Builder
	for _, u := range bus.Users() {
		fmt.Fprintf(&b, "%s: %q\n", natsd.PasswordOf(u.Name), PasswordFor(u.Name))
	}
	return os.WriteFile(passwords, []byte(b.String()), 0o600)
}

// As is a connection as one of the users, who need not be a service.
func (s ConfServer) As(t testing.TB, user string) *bus.Bus {
	t.Helper()
	b, err := s.TryAs(t, user, PasswordFor(user))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TryAs tries to connect with a password.
func (s ConfServer) TryAs(t testing.TB, user, password string) (*bus.Bus, error) {
	t.Helper()
	b, err := bus.Connect(t.Context(), bus.Config{URL: s.URL, Name: user, Identity: bus.Identity{Password: password}})
	if err == nil {
		t.Cleanup(func() { b.JetStream().Conn().Close() })
	}
	return b, err
}
