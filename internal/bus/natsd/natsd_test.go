package natsd_test

import (
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/bus/natsd"
)

func TestStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := natsd.Options{StoreDir: dir, Host: "127.0.0.1", Port: -1, SyncAlways: true, Log: zap.NewNop()}
	first, err := natsd.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := natsd.Start(o); err == nil || !strings.Contains(err.Error(), "another process is already running") {
		t.Errorf("a second server on the same directory says %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := natsd.Start(o)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	taken, err := natsd.Start(natsd.Options{StoreDir: t.TempDir(), Host: "127.0.0.1", Port: -1, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	if _, err := natsd.Start(natsd.Options{StoreDir: t.TempDir(), Host: "no.such.host.invalid", Port: 1, Log: zap.NewNop()}); err == nil {
		t.Error("an address that cannot be had starts")
	}
}
