package standalone

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

const (
	// appName names our directories.
	appName = "omni-write-threads"
	// rootState is root's state directory; other users can enter it, as they can not root's home.
	rootState = "/var/lib/" + appName
)

// StateDir is where standalone keeps everything between two starts: streams, database, keys, the simulator's memory.
// STATE_DIR wins; then the user's state directory; root, whose home no other user may enter (Postgres must), gets
// /var/lib.
func StateDir(getenv func(string) string) (string, error) {
	if dir := getenv("STATE_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, appName), nil
	}
	if os.Geteuid() == 0 {
		return rootState, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home directory (set STATE_DIR to go without): %w", err)
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support", appName), nil
	}
	return filepath.Join(home, ".local", "state", appName), nil
}

// secretFile returns the content of a file in the state directory, made of random letters on first use.
func secretFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	secret := rand.Text()
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return "", err
	}
	return secret, nil
}
