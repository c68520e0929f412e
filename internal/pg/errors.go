package pg

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

var (
	// ErrNotFound means that no row answered.
	ErrNotFound = errors.New("not found")
	// ErrExists means that a unique constraint forbids the row; Constraint tells which.
	ErrExists = errors.New("already exists")
)

// Map turns the driver's "no rows" into ErrNotFound and a unique violation into ErrExists. The cause stays reachable;
// any other error, and nil, comes back as it is.
func Map(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrExists):
		return err // mapped already, further down
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case sqlState(err) == "23505":
		return fmt.Errorf("%w: %w", ErrExists, err)
	}
	return err
}

// Constraint returns the name of the constraint that err is about, or "".
func Constraint(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.ConstraintName
	}
	return ""
}

// Unavailable reports whether err says that Postgres cannot be reached or cannot work just now, so that the same call
// may succeed later. A call that the caller gave up on is not that.
func Unavailable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	if state := sqlState(err); state != "" {
		switch state[:2] {
		case "08", // connection exception
			"53": // insufficient resources: disk full, out of memory, too many connections
			return true
		}
		switch state {
		case "57P01", "57P02", "57P03": // shutting down, crashed, starting up
			return true
		}
		return false
	}
	for _, cut := range []error{
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE,
		io.EOF, io.ErrUnexpectedEOF, driver.ErrBadConn, pgconn.ErrConnClosed,
	} {
		if errors.Is(err, cut) {
			return true
		}
	}
	var netErr *net.OpError
	var dnsErr *net.DNSError
	return errors.As(err, &netErr) || errors.As(err, &dnsErr)
}

// Refused reports whether err, of a transaction or of what was read, says that it was refused for what it was, and surely
// changed nothing: less of it may succeed. That is not known where the commit went wrong without Postgres' own word, and
// nothing is refused where Postgres is away or the time was over.
func Refused(err error) bool {
	if err == nil || Unavailable(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var commit *commitError
	state := sqlState(err)
	return state != "40003" && (state != "" || !errors.As(err, &commit)) // 40003: Postgres itself does not know
}

// LockTimeout reports whether err says that a row was held by somebody else for longer than lock_timeout allows.
func LockTimeout(err error) bool { return sqlState(err) == "55P03" }

// Unfit reports whether err says that a value can never stand where it was to be written: it breaks a rule of its column or
// row, or is no value of that type. The same call cannot succeed later.
func Unfit(err error) bool {
	state := sqlState(err)
	return strings.HasPrefix(state, "22") || state == "23502" || state == "23514"
}

func sqlState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}
