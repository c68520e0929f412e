package bus_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/bus"
)

func TestConnectFails(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := bus.Connect(ctx, bus.Config{Name: "test", URL: "nats://user:hunter2@127.0.0.1:1"})
	if err == nil || !strings.Contains(err.Error(), "NATS_URL") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("it says %v", err)
	}
}

func TestWithoutSecrets(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"nats://127.0.0.1:4222":                "nats://127.0.0.1:4222",
		"nats://me:secret@a:4222,nats://b:422": "nats://xxxxx@a:4222,nats://b:422",
		"nats://token@a:4222":                  "nats://xxxxx@a:4222",
		"nats://me:sec%zzret@a":                "an address that cannot be read",
		"":                                     "",
	} {
		if got := bus.WithoutSecrets(url); got != want {
			t.Errorf("%s is shown as %s, want %s", url, got, want)
		}
	}
}
