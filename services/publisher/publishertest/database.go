package publishertest

import (
	"time"

	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher/projector"
)

// Exec changes what is in the database behind the publisher's back.
func (sys *System) Exec(query string, args ...any) {
	sys.T.Helper()
	if _, err := sys.DB.NewRaw(query, args...).Exec(sys.T.Context()); err != nil {
		sys.T.Fatal(err)
	}
}

// backedUp are the tables that a backup of Postgres has of the publisher.
var backedUp = []string{"posts", "recorder_positions", "commands", "quota_uses", "post_attempts"}

// BackUp keeps the tables as they are.
func (sys *System) BackUp() {
	for _, table := range backedUp {
		sys.Exec("CREATE TABLE backup_" + table + " AS TABLE " + table)
	}
}

// Restore puts the tables back as they were backed up.
func (sys *System) Restore() {
	for _, table := range backedUp {
		sys.Exec("TRUNCATE " + table + "; INSERT INTO " + table + " SELECT * FROM backup_" + table)
	}
}

// NewProjector is one beside those of the publishers.
func (sys *System) NewProjector() *projector.Projector {
	return projector.New(sys.Config.Projector(), projector.Deps{Bus: sys.Bus, DB: sys.DB, Store: posts.NewStore(sys.DB, 0, 0), Log: sys.Log, Now: time.Now})
}

// Rebuild compares the rows with EVENTS, ten accounts at a time, and swaps those that differ when asked to.
func (sys *System) Rebuild(swap bool) (*projector.Rebuilt, error) {
	sys.T.Helper()
	return projector.Rebuilder{Bus: sys.Bus, DB: sys.DB, Cfg: sys.Config.Projector(), Log: sys.Log}.Run(sys.T.Context(), 10, swap)
}
