package pg

import "github.com/uptrace/bun"

// MinConns is the least that a service's pool may have: one that is held for long (the projector's), one for those that
// Slots lets work at once, one for everything else.
const MinConns = 3

// Slots is how many pieces of work of one kind may be in hand at once, at most so many as given, each needing a connection
// now and then: fewer than the pool has, so that whatever they wait for in the database, others still find a connection.
func Slots(db *bun.DB, most int) int {
	conns := db.Stats().MaxOpenConnections
	if conns == 0 { // no bound
		return most
	}
	return max(1, min(most, (conns-1)*3/4))
}
