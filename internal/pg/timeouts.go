package pg

import (
	"context"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/omni-write/threads/internal/dial"
)

// answerSlack is how much longer than a statement may take its answer is waited for.
const answerSlack = 5 * time.Second

// dialer opens connections whose other end may fall silent. Keepalives find a host that is gone; one whose kernel still
// answers while Postgres itself stands still is found because no statement may take that long.
func dialer(statementTimeout string) pgconn.DialFunc {
	limit := answerLimit(statementTimeout)
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial.Dialer(connectAttempt).DialContext(ctx, network, addr)
		if err != nil || limit == 0 {
			return c, err
		}
		return &boundedConn{Conn: c, limit: limit}, nil
	}
}

// answerLimit is how long Postgres may be silent while it owes an answer; 0 without a bound.
func answerLimit(statementTimeout string) time.Duration {
	limit, err := time.ParseDuration(statementTimeout) // as we write it; of another way to write it we make no bound
	if err != nil {
		ms, err := strconv.Atoi(statementTimeout)
		if err != nil {
			return 0
		}
		limit = time.Duration(ms) * time.Millisecond
	}
	if limit <= 0 {
		return 0
	}
	return limit + answerSlack
}

// boundedConn gives each read a deadline, unless pgx has set one: it does to interrupt a read whose context has ended.
type boundedConn struct {
	net.Conn
	limit time.Duration

	mu  sync.Mutex
	set bool
}

func (c *boundedConn) Read(b []byte) (int, error) {
	if err := c.bound(); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *boundedConn) bound() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.set {
		return nil
	}
	return c.Conn.SetReadDeadline(time.Now().Add(c.limit))
}

func (c *boundedConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set = !t.IsZero()
	return c.Conn.SetDeadline(t)
}

func (c *boundedConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set = !t.IsZero()
	return c.Conn.SetReadDeadline(t)
}
