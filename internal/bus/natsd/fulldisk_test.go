package natsd_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// smallDisk is a disk of 16 MiB, with a way to fill it to the last byte, and to empty it again.
func smallDisk(t *testing.T) (dir string, fill, free func()) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("a small disk cannot be mounted here (root may): %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	file := filepath.Join(dir, "filler")
	return dir, func() {
			f, err := os.Create(file)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			for _, piece := range []int{1 << 16, 1} {
				for err = nil; err == nil; {
					_, err = f.Write(make([]byte, piece))
				}
			}
		}, func() {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
}

// nats-server keeps a stream's first error of a write until it is restarted, and answers nothing meanwhile. Who sends a command
// then must not wait for long to hear "unknown", and who runs the system must hear which stream it is.
func TestAFullDiskIsNoticedAndNamed(t *testing.T) {
	t.Parallel()
	dir, fill, free := smallDisk(t)
	port := -1
	serve := func() bustest.ConfServer {
		return bustest.ServeConf(t, "nats.conf", func(o *server.Options) {
			o.StoreDir, o.JetStreamMaxStore, o.Port = dir, 4<<30, port
		})
	}
	s := serve()
	_, after, _ := strings.Cut(s.URL, "127.0.0.1:")
	var err error
	if port, err = strconv.Atoi(after); err != nil {
		t.Fatal(err)
	}
	if err := bus.Declare(t.Context(), s.As(t, bus.UserMigrate), bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	gateway, publisher, ops := s.As(t, "gateway"), s.As(t, "publisher"), s.As(t, bus.UserOps)
	for _, stream := range []string{events.StreamCommands, events.StreamPostAlarms, events.StreamTokenAlarms, events.StreamDead, events.StreamEvents} {
		if err := ops.TryStoring(t.Context(), stream); err != nil {
			t.Fatalf("%s on a good day: %v", stream, err)
		}
	}
	gateway.KeepTrying(events.StreamCommands)
	var refused []string // ids
	sendBy := func(b *bus.Bus) *events.Fault {
		var f *events.Fault
		id := events.NewCommandID()
		errors.As(b.Send(t.Context(), events.CancelPost{PostID: "post_1", UserID: "user_1"}, bus.CommandOptions{ID: id}), &f)
		if f != nil && f.Code == events.Unavailable {
			refused = append(refused, id)
		}
		return f
	}
	send := func() *events.Fault { return sendBy(gateway) }
	if f := send(); f != nil {
		t.Fatal(f)
	}

	fill()
	unknown := 0
	waiting.Until(t, "a command is refused as not accepted", func() bool {
		f := send() // the first may go into the rest of a page; of the next nobody knows
		if f != nil && f.Code == events.Unknown {
			unknown++
		}
		return f != nil && f.Code == events.Unavailable
	})
	if unknown > 2 {
		t.Errorf("%d commands waited in vain before it was known that nothing is stored", unknown)
	}

	// A command that was on its way when that came out, behind tries that were lost: it is certainly not stored either.
	other := s.As(t, "gateway")
	for range 2 {
		if err := other.TryStoring(t.Context(), events.StreamCommands); err == nil || !strings.Contains(err.Error(), "worked off") {
			t.Fatalf("a try ends with %v", err)
		}
	}
	answer := make(chan *events.Fault, 1)
	go func() { answer <- sendBy(other) }()
	other.KeepTrying(events.StreamCommands)
	if f := <-answer; f == nil || f.Code != events.Unavailable {
		t.Errorf("a command behind tries that were lost is answered %+v", f)
	}
	// The last fact for which there is room is stored, and not answered: the next one shows that the stream stores nothing.
	n, notStored := 0, 0
	waiting.Until(t, "two facts are not stored", func() bool {
		_ = publisher.Healthy(t.Context())
		n++
		if publisher.Emit(t.Context(), events.NewAccountConnected(events.Connection{ID: "acct_" + strconv.Itoa(n)})) != nil {
			notStored++
		}
		return notStored == 2
	})
	for stream, b := range map[string]*bus.Bus{events.StreamCommands: gateway, events.StreamEvents: publisher} {
		var stuck *bus.StoresNothingError
		if err := b.Healthy(t.Context()); !errors.As(err, &stuck) || stuck.Stream != stream || stuck.Since.IsZero() || !strings.Contains(err.Error(), "restart") {
			t.Errorf("of %s its user says %v", stream, err)
		}
	}
	if err := ops.TryStoring(t.Context(), events.StreamCommands); err == nil {
		t.Error("the tools find nothing wrong")
	}
	// This stream acknowledges before it writes: the first try is taken, and a later one is not.
	waiting.Until(t, "a try of the alarms is not stored", func() bool { return publisher.TryStoring(t.Context(), events.StreamPostAlarms) != nil })

	free()
	s.Shutdown()
	s.WaitForShutdown()
	serve()
	if err := publisher.Emit(t.Context(), events.NewAccountConnected(events.Connection{ID: "acct_0"})); err != nil {
		t.Error(err)
	}
	waiting.Until(t, "all are well again", func() bool {
		return publisher.TryStoring(t.Context(), events.StreamPostAlarms) == nil && gateway.Healthy(t.Context()) == nil && publisher.Healthy(t.Context()) == nil
	})
	if f := send(); f != nil {
		t.Errorf("afterwards a command is answered %+v", f)
	}
	commands, err := ops.JetStream().Stream(t.Context(), events.StreamCommands)
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= commands.CachedInfo().State.LastSeq; seq++ {
		if m, err := commands.GetMsg(t.Context(), seq); err == nil && slices.Contains(refused, m.Header.Get(nats.MsgIdHdr)) {
			t.Errorf("%s was refused, and is stored", m.Header.Get(nats.MsgIdHdr))
		}
	}
}

// A server with the configuration of the version before does not let us try: that is said, and is no reason to refuse anything.
func TestAServerThatCannotBeTriedIsWell(t *testing.T) {
	t.Parallel()
	s := bustest.ServeConf(t, "nats.conf", func(o *server.Options) {
		for _, u := range o.Users {
			if u.Permissions != nil && u.Permissions.Publish != nil {
				u.Permissions.Publish.Allow = slices.DeleteFunc(u.Permissions.Publish.Allow, bus.IsProbe)
			}
		}
	})
	if err := bus.Declare(t.Context(), s.As(t, bus.UserMigrate), bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	gateway := s.As(t, "gateway")
	if err := gateway.TryStoring(t.Context(), events.StreamCommands); !errors.Is(err, bus.ErrNotTried) {
		t.Errorf("the try ends with %v", err)
	}
	if err := gateway.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
	if err := gateway.Send(t.Context(), events.CancelPost{PostID: "post_1", UserID: "user_1"}, bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
		t.Error(err)
	}
}

// What is stored to try COMMANDS is taken off it again, and nothing else with it.
func TestTriesAreTakenOff(t *testing.T) {
	t.Parallel()
	s := bustest.ServeConf(t, "nats.conf", nil)
	if err := bus.Declare(t.Context(), s.As(t, bus.UserMigrate), bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	gateway, publisher, ops := s.As(t, "gateway"), s.As(t, "publisher"), s.As(t, bus.UserOps)
	if err := gateway.Send(t.Context(), events.CancelPost{PostID: "post_1", UserID: "user_1"}, bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*bus.Bus{gateway, ops} {
		if err := b.TryStoring(t.Context(), events.StreamCommands); err != nil {
			t.Fatal(err)
		}
	}
	if err := publisher.TakeTriesOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	commands, err := ops.JetStream().Stream(t.Context(), events.StreamCommands)
	if err != nil || commands.CachedInfo().State.Msgs != 1 {
		t.Errorf("COMMANDS has %+v, %v", commands.CachedInfo().State, err)
	}
}
