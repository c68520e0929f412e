package standalone

import (
	"errors"
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
// hint says what is likely the matter where nothing can be reached; it is empty where that cannot be told from here.
func Discover(getenv func(string) string) (found func(string) string, hint string) {
	if leads(getenv) {
		return getenv, ""
	}
	dir, err := StateDir(getenv)
	if err != nil {
		return getenv, ""
	}
	text, err := os.ReadFile(filepath.Join(dir, envFile))
	switch running, pid := runs(dir); {
	case errors.Is(err, os.ErrNotExist) && running:
		return getenv, fmt.Sprintf("the system%s with the state directory %s is not up yet", pid, dir)
	case errors.Is(err, os.ErrNotExist):
		return getenv, fmt.Sprintf("no system runs with the state directory %s: if it was started with another STATE_DIR, set the same one here; "+
			"for services that run separately, set NATS_URL and DATABASE_URL", dir)
	case err != nil:
		return getenv, fmt.Sprintf("how to reach the system of the state directory %s cannot be read: %v", dir, err)
	case !running:
		hint = fmt.Sprintf("the system that ran with the state directory %s was killed: it is gone, and left %s behind; start it again (what it had "+
			"accepted is still there)", dir, envFile)
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
	}, hint
}

// leads says whether the environment says where a system is.
func leads(getenv func(string) string) bool {
	return isSet(getenv, "NATS_URL") || isSet(getenv, "DATABASE_URL")
}
