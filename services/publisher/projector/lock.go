package projector

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"
)

const (
	LockKey = 0x7468726561647301 // "threads", 1
	// lockSilence is how long the session of the one that follows EVENTS may say nothing before Postgres ends it, and with it the lock: a
	// process that stands still must not keep the others from following. lockBeat is how often it says something.
	lockSilence = 10 * time.Second
	lockBeat    = 2 * time.Second
	// lockPatience bounds what is asked only for the lock's sake.
	lockPatience = 5 * time.Second
)

// lock tries to become the one that follows EVENTS. The lock and the limit of its session's silence are one statement, so that no
// standstill comes between them.
func (r *Projector) lock(ctx context.Context) (*bun.Conn, bool, error) {
	conn, err := r.DB.Conn(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("connect: %w", err)
	}
	asked, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	var mine bool
	err = conn.QueryRowContext(asked, `WITH l AS MATERIALIZED (SELECT pg_try_advisory_lock(?0) AS mine)
		SELECT mine, CASE WHEN mine THEN set_config('idle_session_timeout', ?1, false)
			|| set_config('idle_in_transaction_session_timeout', ?1, false) END FROM l`,
		int64(LockKey), fmt.Sprint(lockSilence.Milliseconds())).Scan(&mine, new(sql.NullString))
	switch {
	case err != nil:
		unlock(ctx, &conn)
		return nil, false, fmt.Errorf("take the projector's lock: %w", err)
	case !mine:
		err = r.logHolder(asked, &conn)
		return nil, false, errors.Join(err, conn.Close())
	}
	r.holder = 0
	r.Log.Info("projecting: this process follows EVENTS into Postgres")
	return &conn, true, nil
}

// unlock gives the lock back and ends its session: in the pool, its silence would be cut off as well.
func unlock(ctx context.Context, conn *bun.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lockPatience)
	defer cancel()
	_, _ = conn.ExecContext(ctx, "SELECT pg_advisory_unlock(?)", int64(LockKey)) // the end of the session does the same
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}

// heartbeat is the heartbeat of the lock's session.
func heartbeat(ctx context.Context, conn *bun.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	if _, err := conn.ExecContext(ctx, "SELECT 1"); err != nil {
		return fmt.Errorf("the session with the projector's lock: %w", err)
	}
	return nil
}

// logHolder says once of each holder who holds the lock.
func (r *Projector) logHolder(ctx context.Context, conn *bun.Conn) error {
	var holder struct {
		PID         int
		Application string
		Address     string
		Quiet       float64
	}
	err := conn.QueryRowContext(ctx, `SELECT a.pid, a.application_name, coalesce(host(a.client_addr) || ':' || a.client_port, 'local'),
			coalesce(extract(epoch FROM now() - a.state_change), 0)
		FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.datname = current_database()
			AND (l.classid::bigint << 32) | l.objid::bigint = ?`, int64(LockKey)).
		Scan(&holder.PID, &holder.Application, &holder.Address, &holder.Quiet)
	if errors.Is(err, sql.ErrNoRows) || err == nil && holder.PID == r.holder {
		return nil // gone meanwhile, or known
	}
	if err != nil {
		return fmt.Errorf("find who holds the projector's lock: %w", err)
	}
	r.holder = holder.PID
	r.Log.Info("standing by: another session follows EVENTS", zap.String("holder", holder.Application), zap.Int("holder_pid", holder.PID),
		zap.String("holder_address", holder.Address), zap.Duration("holder_quiet_for", time.Duration(holder.Quiet*float64(time.Second))))
	return nil
}
