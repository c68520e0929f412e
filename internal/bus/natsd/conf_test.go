package natsd_test

import (
	"flag"
	"os"
	"testing"

	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/bus/natsd"
)

var update = flag.Bool("update", false, "write nats.conf")

func TestTheConfigurationIsWhatTheUsersAre(t *testing.T) {
	t.Parallel()
	const file = "nats.conf"
	want := natsd.Configuration()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	is, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(is) != want {
		t.Errorf("%s is not what internal/bus/permissions.go says; run: go test ./internal/bus/natsd -update", file)
	}
}

// Accepted posts hang on this one setting: without it an acknowledged command can be lost with the machine's power.
func TestTheConfigurationSyncsEveryMessage(t *testing.T) {
	t.Parallel()
	s := bustest.ServeConf(t, "nats.conf", nil)
	if cfg := s.JetStreamConfig(); cfg == nil || !cfg.SyncAlways {
		t.Errorf("jetstream runs with %+v", cfg)
	}
}
