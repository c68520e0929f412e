package auth

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/omni-write/threads/internal/threads"
)

func TestConfigFromEnv(t *testing.T) {
	valid := map[string]string{
		"THREADS_APP_ID": "1234567890", "THREADS_APP_SECRET": "hunter2",
		"THREADS_REDIRECT_URI": "https://api.example/api/auth/threads/callback",
	}
	from := func(vars map[string]string, more ...string) (Config, error) {
		return ConfigFromEnv(func(name string) string {
			for i := 0; i < len(more); i += 2 {
				if more[i] == name {
					return more[i+1]
				}
			}
			return vars[name]
		})
	}

	t.Run("asks for six scopes unless told otherwise", func(t *testing.T) {
		cfg, err := from(valid)
		if err != nil || len(cfg.Scopes) != 6 {
			t.Errorf("%v, %v", cfg, err)
		}
		cfg, err = from(valid, "THREADS_DEFAULT_SCOPES", "threads_basic, threads_content_publish")
		if err != nil || !slices.Equal(cfg.scopes(), []string{threads.ScopeBasic, threads.ScopeContentPublish}) {
			t.Errorf("%v, %v", cfg, err)
		}
	})

	t.Run("takes the secret from a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte("hunter3\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := from(valid, "THREADS_APP_SECRET", "", "THREADS_APP_SECRET_FILE", file)
		if err != nil || cfg.AppSecret.Reveal() != "hunter3" {
			t.Errorf("%q, %v", cfg.AppSecret.Reveal(), err)
		}
	})

	t.Run("reports every mistake at once", func(t *testing.T) {
		_, err := from(nil, "THREADS_APP_ID", "my-app", "THREADS_APP_SECRET_FILE", "/nowhere", "THREADS_API_URL", "graph",
			"THREADS_DEFAULT_SCOPES", "threads_delete", "AUTH_RETELL_EVERY", "often")
		if err == nil {
			t.Fatal("took everything")
		}
		for _, name := range []string{
			"THREADS_APP_ID", "THREADS_APP_SECRET_FILE", "THREADS_REDIRECT_URI", "THREADS_API_URL", "THREADS_DEFAULT_SCOPES", "AUTH_RETELL_EVERY is not a duration",
		} {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("nothing about %s in: %v", name, err)
			}
		}
	})

	t.Run("is printed without the secret", func(t *testing.T) {
		cfg, err := from(valid)
		if err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if out := fmt.Sprintf(verb, cfg); strings.Contains(out, "hunter2") {
				t.Errorf("%s: %s", verb, out)
			}
		}
	})
}
