package standalone

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// What is wrong with the settings is said, all of it and by the settings' names, before anything is started or written.
func TestSettingsAreCheckedFirst(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	busy := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	for name, c := range map[string]struct {
		env    map[string]string
		says   []string
		unsaid string
	}{
		"a port that is none":    {map[string]string{"PORT": "abc"}, []string{"PORT is not a port"}, "another program"},
		"a port out of range":    {map[string]string{"NATS_PORT": "70000"}, []string{"NATS_PORT is not a port"}, ""},
		"two of one port":        {map[string]string{"PORT": "4567", "ADMIN_PORT": "4567"}, []string{"PORT and ADMIN_PORT are both 4567"}, ""},
		"a port of another":      {map[string]string{"SIMULATOR_PORT": busy}, []string{"SIMULATOR_PORT=" + busy, "another program"}, ""},
		"a host of another":      {map[string]string{"HOST": "192.0.2.1", "AUTH_ISSUER": "http://127.0.0.1:9"}, []string{"HOST=192.0.2.1"}, ""},
		"several of services":    {map[string]string{"WAIT": "5m", "PUBLISHER_STUCK_AFTER": "-1s", "TOKENKEEPER_LEASE": "1s"}, []string{"WAIT", "PUBLISHER_STUCK_AFTER", "TOKENKEEPER_LEASE"}, ""},
		"an app without secret":  {map[string]string{"THREADS_APP_ID": "1"}, []string{"THREADS_APP_SECRET"}, "PORT"},
		"no database address":    {map[string]string{"DATABASE_URL": "mysql://me:hunter2@db/app"}, []string{"DATABASE_URL", "postgres://"}, "hunter2"},
		"a keyset that is none":  {map[string]string{"TOKEN_KEYSET": "hunter2"}, []string{"TOKEN_KEYSET"}, "hunter2"},
		"a file that is not":     {map[string]string{"TOKEN_KEYSET_FILE": "/nowhere"}, []string{"TOKEN_KEYSET_FILE", "/nowhere"}, ""},
		"an origin with a path":  {map[string]string{"CORS_ORIGINS": "http://localhost:5173/app"}, []string{"CORS_ORIGINS"}, ""},
		"an audience is missing": {map[string]string{"AUTH_ISSUER": "https://issuer.example"}, []string{"AUTH_AUDIENCE"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "state")
			_, err := Start(t.Context(), func(name string) string {
				if name == "STATE_DIR" {
					return dir
				}
				return c.env[name]
			}, zap.NewNop())
			if err == nil {
				t.Fatal("it started")
			}
			for _, words := range c.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q does not mention %q", err, words)
				}
			}
			if c.unsaid != "" && strings.Contains(err.Error(), c.unsaid) {
				t.Errorf("%q mentions %q", err, c.unsaid)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("the state directory was made")
			}
		})
	}
}

// No settings at all are good settings.
func TestNoSettings(t *testing.T) {
	t.Parallel()
	sys := &System{outer: func(string) string { return "" }, env: map[string]string{}}
	if err := sys.checkSettings(t.Context()); err != nil {
		t.Error(err)
	}
}
