package rig

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of processor time in /proc; Linux promises a hundredth of a second there.
const tick = 10 * time.Millisecond

// stat is what /proc says of a process: whose child it is, and the processor time of its own and of its children that have ended.
type stat struct {
	parent        int
	own, children time.Duration
}

// statOf is empty where the system has no /proc, and for a process that has ended.
func statOf(pid int) stat {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}
	}
	// The second field is the program's name in parentheses, which may hold anything.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 15 {
		return stat{}
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		return n
	}
	return stat{
		parent: int(number(1)), own: time.Duration(number(11)+number(12)) * tick,
		children: time.Duration(number(13)+number(14)) * tick,
	}
}

// CPUOf is the processor time that a process has used so far; 0 where the system has no /proc.
func CPUOf(pid int) time.Duration { return statOf(pid).own }

// CPU is the processor time that Postgres and NATS have used so far, all their processes together.
func (s *System) CPU(ctx context.Context) (postgres, nats time.Duration, err error) {
	var backend int
	if err := s.DB.NewRaw("SELECT pg_backend_pid()").Scan(ctx, &backend); err != nil {
		return 0, 0, fmt.Errorf("find Postgres' processes: %w", err)
	}
	if nats = CPUOf(s.nats.PID()); nats == 0 {
		return 0, 0, nil // a system without /proc
	}
	server := statOf(backend).parent
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, 0, err
	}
	of := statOf(server)
	postgres = of.own + of.children
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if child := statOf(pid); child.parent == server {
				postgres += child.own + child.children
			}
		}
	}
	return postgres, nats, nil
}
