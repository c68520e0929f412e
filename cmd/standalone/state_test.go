package standalone

import (
	"os"
	"path/filepath"
	"testing"
)

func TestStateDir(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"STATE_DIR wins":        {map[string]string{"STATE_DIR": "/x/y", "XDG_STATE_HOME": "/z"}, "/x/y"},
		"the user's state home": {map[string]string{"XDG_STATE_HOME": "/z"}, "/z/" + appName},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := StateDir(func(name string) string { return c.env[name] })
			if err != nil || got != c.want {
				t.Errorf("got %s, %v; want %s", got, err, c.want)
			}
		})
	}
}

func TestSecretFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	first, err := secretFile(path)
	if err != nil || len(first) < 20 {
		t.Fatalf("made %q, %v", first, err)
	}
	if again, err := secretFile(path); err != nil || again != first {
		t.Errorf("then read %q, %v", again, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
