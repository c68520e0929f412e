package doctor

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
)

// disk says what NATS and Postgres have on their disks, what they may take beside it, and how fast EVENTS grows; and where their disk is this
// machine's, whether there is room for it. A disk elsewhere cannot be looked at from here.
func (e *examination) disk(ctx context.Context) {
	b, err := e.streams(ctx)
	if err != nil || e.db == nil {
		return // nats or postgres has said so
	}
	var use diskUse
	for _, s := range events.Streams(e.common.Replicas, e.common.EventsMaxAge) {
		if there, err := b.JetStream().Stream(ctx, s.Name); err == nil { // else nats has said so
			use.add(there.CachedInfo())
		}
	}
	var dir string
	err = e.db.NewRaw("SELECT pg_database_size(current_database()), coalesce((SELECT setting FROM pg_settings WHERE name = 'data_directory'), '')").
		Scan(ctx, &use.database, &dir)
	if err != nil {
		e.say(Wrong, "disk", "The size of the database cannot be read: %s", oneLine(err))
		return
	}
	e.say(use.judge(freeAt(dir)))
}

// diskUse is in bytes.
type diskUse struct {
	streams, reserved uint64 // what is on the streams, and what NATS keeps free for them beside it
	perDay            uint64 // by which EVENTS grows; 0: it is too young to tell
	database          int64
}

func (u *diskUse) add(s *jetstream.StreamInfo) {
	u.streams += s.State.Bytes
	if most := s.Config.MaxBytes; most > 0 && uint64(most) > s.State.Bytes {
		u.reserved += uint64(most) - s.State.Bytes
	}
	if age := s.State.LastTime.Sub(s.State.FirstTime); s.Config.Name == events.StreamEvents && age > 24*time.Hour {
		u.perDay = uint64(float64(s.State.Bytes) / age.Hours() * 24)
	}
}

// roomForDays is for how many days' growth a disk should have room. The rows and the copy of EVENTS grow with it: 12 KB a post, of
// which 6 are on EVENTS.
const (
	roomForDays = 14
	allOfEvents = 2
)

// judge says how it stands with the disk. free is nil where that cannot be looked at.
func (u diskUse) judge(free *uint64) (level Level, check, format, is string) {
	words := fmt.Sprintf("The streams take %s and may take %s more for commands, the database takes %s", size(u.streams), size(u.reserved), size(uint64(max(0, u.database))))
	if u.perDay > 0 {
		words += fmt.Sprintf("; EVENTS grows by %s a day", size(u.perDay))
	}
	needed := u.reserved + roomForDays*allOfEvents*u.perDay
	switch {
	case free == nil:
		level, words = Well, words+". Their disk is not this machine's: keep "+size(needed)+" free there."
	case *free < needed:
		level, words = Warning, words+fmt.Sprintf(". Their disk has %s free, and should have %s: make room before it is full.", size(*free), size(needed))
	default:
		level, words = Well, words+". Their disk has "+size(*free)+" free."
	}
	return level, "disk", "%s", words
}

// freeAt is how much is free on the disk of a directory; nil: it is not on this machine.
func freeAt(dir string) *uint64 {
	var fs syscall.Statfs_t
	if dir == "" || syscall.Statfs(dir, &fs) != nil {
		return nil
	}
	free := fs.Bavail * uint64(fs.Bsize) //nolint:gosec // no block is of a negative size
	return &free
}

// size is a number of bytes for people.
func size(bytes uint64) string {
	switch {
	case bytes == 0:
		return "nothing"
	case bytes < 1<<20:
		return "under 1 MiB"
	case bytes < 1<<30:
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
}
