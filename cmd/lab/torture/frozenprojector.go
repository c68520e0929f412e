package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/omni-write/threads/cmd/lab/rig"
)

const (
	frozenProjector = "frozen-recorder"
	// frozenFor is for how long posts are due in such a round. The freeze begins when those that are judged are accepted, and
	// lasts to the end.
	frozenFor  = 28 * time.Second
	frozenFrom = handIn + time.Second
	// frozenLeases is how many leases old the freeze is when posts begin to be judged. What the frozen publisher had claimed
	// or been handed, and what the restarted one had, is late by rights; by then others have taken it.
	frozenLeases = 4
	// projectorLock is the key of the publishers' advisory lock (services/publisher/projector/lock.go).
	projectorLock = 0x7468726561647301
)

// freezeProjector stops the publisher that records, and restarts another: it must come up and publish although the lock is
// held by one that does not move.
func freezeProjector(ctx context.Context, r *round, rng *rand.Rand) error {
	if !r.at(ctx, frozenFrom) {
		return nil
	}
	var holder *worker
	err := rig.Within(ctx, 5*time.Second, "the publisher that records", func(ctx context.Context) (err error) {
		holder, err = r.env.projector(ctx)
		return err
	})
	if err != nil {
		return nil // Postgres is away, or publishers are being killed: nobody records now
	}
	frozen := holder.current()
	from := time.Now()
	frozen.Pause()
	defer frozen.Resume()
	r.count("recorders frozen")
	var others []*worker
	for _, p := range r.env.workers {
		if p != holder {
			others = append(others, p)
		}
	}
	r.killed("")
	others[rng.IntN(len(others))].kill("")
	lease, err := time.ParseDuration(waits["PUBLISHER_LEASE"])
	if err != nil {
		return fmt.Errorf("read the publishers' lease: %w", err)
	}
	r.at(ctx, r.plan.until)
	r.judgedBy(ordeal{from: from.Add(frozenLeases * lease), until: time.Now(), accepted: from})
	return nil
}

// projector is the publisher that holds the projector's lock; each is known to Postgres by its name.
func (e *env) projector(ctx context.Context) (*worker, error) {
	var name string
	err := e.DB.NewSelect().TableExpr("pg_locks").Join("JOIN pg_stat_activity USING (pid)").Column("application_name").
		Where("locktype = 'advisory' AND granted AND objsubid = 1").
		Where("classid = ? AND objid = ?", projectorLock>>32, projectorLock&0xffffffff).Limit(1).Scan(ctx, &name)
	if err != nil {
		return nil, fmt.Errorf("find who holds the projector's lock: %w", err)
	}
	for _, p := range e.workers {
		if p.name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("the projector's lock is held by %q, which is no publisher of this run", name)
}
