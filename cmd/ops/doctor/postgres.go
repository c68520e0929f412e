package doctor

import (
	"context"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/pg"
)

func (e *examination) postgres(ctx context.Context) {
	db, err := e.database(ctx)
	if err != nil {
		e.say(Wrong, "postgres", "%s", oneLine(err))
		return
	}
	e.db = db
	var version, fsync, commit string
	var now time.Time
	asked := time.Now()
	err = db.NewRaw("SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'), clock_timestamp()").
		Scan(ctx, &version, &fsync, &commit, &now)
	if err != nil {
		e.say(Wrong, "postgres", "Postgres does not answer: %s", oneLine(err))
		return
	}
	e.say(Well, "postgres", "Postgres %s answers.", version)
	if fsync != "on" || commit == "off" {
		e.say(Wrong, "postgres", "fsync is %s and synchronous_commit %s: an accepted post could be lost with the machine's power.", fsync, commit)
	}
	half := time.Since(asked) / 2
	if skew := now.Sub(asked.Add(half)); skew.Abs() > half+200*time.Millisecond {
		e.say(Warning, "clock", "Postgres' clock and ours are %s apart; leases are judged by its clock, due times by ours. Is NTP running on both?", skew.Abs().Round(time.Millisecond))
	} else {
		e.say(Well, "clock", "Postgres' clock and ours agree.")
	}
	pending, err := pg.Pending(ctx, db)
	switch {
	case err != nil:
		e.say(Wrong, "postgres", "The migrations cannot be read: %s", oneLine(err))
	case len(pending) > 0:
		e.say(Wrong, "postgres", "The database lacks %d migrations (%s); run migrate.", len(pending), strings.Join(pending, ", "))
	default:
		e.say(Well, "postgres", "The database is of this version.")
	}
}
