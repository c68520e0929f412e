package tokenkeeper

import (
	"strings"
	"testing"
	"time"
)

func TestConfigFromEnv(t *testing.T) {
	t.Run("has a default for everything", func(t *testing.T) {
		cfg, err := ConfigFromEnv(func(string) string { return "" })
		if err != nil || cfg.Lease != 2*time.Minute || cfg.BackoffMax != 6*time.Hour {
			t.Errorf("%+v, %v", cfg, err)
		}
	})

	t.Run("reports every mistake at once", func(t *testing.T) {
		vars := map[string]string{
			"THREADS_API_URL": "graph.threads.net", "TOKENKEEPER_LEASE": "1s", "TOKENKEEPER_BACKOFF_MAX": "1s",
			"TOKENKEEPER_HORIZON": "soon",
		}
		_, err := ConfigFromEnv(func(k string) string { return vars[k] })
		if err == nil {
			t.Fatal("took everything")
		}
		for _, name := range []string{"THREADS_API_URL", "TOKENKEEPER_LEASE", "TOKENKEEPER_BACKOFF_MAX", "TOKENKEEPER_HORIZON is not a duration"} {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("nothing about %s in: %v", name, err)
			}
		}
	})
}
