package standalone

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// envFile is where a system that runs leaves how it can be reached, in the form of a shell's assignments: so that the
// commands for operators need no settings beside it. Only its owner may read it, for the database's password is in it.
const envFile = "house.env"

// discovered are the settings that lead to a system.
var discovered = []string{
	"AUTH_ISSUER", "DATABASE_URL", "NATS_URL", "PUBLIC_URL", "THREADS_API_URL", "THREADS_APP_ID", "THREADS_APP_SECRET_FILE", "THREADS_AUTHORIZE_URL",
	"THREADS_FAILURE_REDIRECT_URI", "THREADS_REDIRECT_URI", "THREADS_SUCCESS_REDIRECT_URI", "TOKEN_KEYSET_FILE",
}

// writeEnvFile writes the file, and takes it away when the system ends.
func (sys *System) writeEnvFile() error {
	var lines strings.Builder
	for _, name := range discovered {
		if value := sys.getenv(name); value != "" {
			fmt.Fprintf(&lines, "%s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
		}
	}
	path := filepath.Join(sys.dir, envFile)
	sys.Endpoints.EnvFile = path
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		return fmt.Errorf("leave the addresses: %w", err)
	}
	sys.closers = append(sys.closers, func() error { return os.Remove(path) })
	return nil
}

// Discover adds to the environment how the system of the state directory is reached, unless the environment leads anywhere itself.
func Discover(getenv func(string) string) func(string) string {
	for _, name := range []string{"NATS_URL", "DATABASE_URL", "NATS_URL_FILE", "DATABASE_URL_FILE"} {
		if getenv(name) != "" {
			return getenv
		}
	}
	dir, err := StateDir(getenv)
	if err != nil {
		return getenv
	}
	text, err := os.ReadFile(filepath.Join(dir, envFile))
	if err != nil {
		return getenv
	}
	there := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if slices.Contains(discovered, name) {
			there[name] = strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(value, "'"), "'"), `'\''`, "'")
		}
	}
	maps.DeleteFunc(there, func(name, _ string) bool { return isSet(getenv, name) }) // what the environment says otherwise counts
	return func(name string) string {
		if value, ok := there[name]; ok {
			return value
		}
		return getenv(name)
	}
}
