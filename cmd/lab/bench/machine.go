package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// Machine is where a run was made.
type Machine struct {
	Cores  int    `json:"cores"`
	Memory int64  `json:"memoryBytes"`
	Load   string `json:"load"` // the system's averages over 1, 5 and 15 minutes
	System string `json:"system"`
	Go     string `json:"go"`
	// Disk is the file system that Postgres and nats-server write to.
	Disk              string `json:"disk"`
	Postgres          string `json:"postgres"`
	Fsync             string `json:"fsync"`
	SynchronousCommit string `json:"synchronousCommit"`
	NATS              string `json:"natsServer"`
	NATSSync          string `json:"natsSyncInterval"`
	// SyncMs is the median of the disk's syncs, SyncDelay how much of it was added by --sync-delay.
	SyncMs    float64 `json:"syncMs"`
	SyncDelay string  `json:"syncDelay,omitempty"`
	Target    string  `json:"target"`
}

func (e *env) machine(ctx context.Context) (Machine, error) {
	m := Machine{
		Cores: runtime.GOMAXPROCS(0), Memory: memoryTotal(), Load: load(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Go: runtime.Version(), Disk: fileSystem(e.Dir), NATS: natsserver.VERSION,
		NATSSync: "always", // natsd does not start otherwise
		Target:   "the simulator at zero latency, in a process of its own",
	}
	if e.o.target != "" {
		m.Target = e.o.target
		if e.target != nil {
			m.Target += " behind a front that answers reads in its place"
		}
	}
	if e.o.syncDelay > 0 {
		m.SyncDelay = e.o.syncDelay.String()
	}
	var err error
	if m.SyncMs, err = syncs(e.Dir, e.o.syncDelay); err != nil {
		return m, err
	}
	for name, into := range map[string]*string{
		"server_version": &m.Postgres, "fsync": &m.Fsync, "synchronous_commit": &m.SynchronousCommit,
	} {
		if err := e.DB.NewRaw("SELECT current_setting(?)", name).Scan(ctx, into); err != nil {
			return m, fmt.Errorf("read a setting of Postgres: %w", err)
		}
	}
	return m, nil
}

func (m Machine) memory() string {
	if m.Memory == 0 {
		return ""
	}
	return fmt.Sprintf(", %.0f GiB", float64(m.Memory)/(1<<30))
}

// load is empty where the system has no /proc.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}

func memoryTotal() int64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	var kb int64
	if _, err := fmt.Sscanf(string(b), "MemTotal: %d kB", &kb); err != nil {
		return 0
	}
	return kb << 10
}

// fileSystem is the type of the file system that holds dir. On one in memory a sync costs nothing, and the figures mean
// little.
func fileSystem(dir string) string {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "unknown file system"
	}
	best, kind := "", "unknown file system"
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		rel, err := filepath.Rel(f[1], dir)
		if err == nil && !strings.HasPrefix(rel, "..") && len(f[1]) >= len(best) {
			best, kind = f[1], f[2]
		}
	}
	if kind == "tmpfs" {
		kind += " (in memory: a sync costs nothing here; choose a disk with --dir)"
	}
	return kind
}
