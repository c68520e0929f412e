// Package outage tells errors of what a process stands on (Postgres, NATS, the network, names, time that ran out) from
// errors of the work it was about. The first heal by waiting and say nothing about the work; the second come again.
package outage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Is reports whether err is for want of what we stand on, so that the same work may succeed later as it is. It knows
// Postgres' errors by their SQLSTATE alone: the gateway, which has no database, asks too.
func Is(err error) bool {
	if err == nil {
		return false
	}
	var postgres interface{ SQLState() string }
	if errors.As(err, &postgres) {
		return ofPostgres(postgres.SQLState())
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return ofJetStream(api)
	}
	var address *url.Error
	if errors.As(err, &address) && address.Op == "parse" { // no address, though its error has the type of the network's
		return false
	}
	for _, known := range away {
		if errors.Is(err, known) {
			return true
		}
	}
	var network net.Error // names that do not resolve, refused connections, timeouts
	var unused interface{ SafeToRetry() bool }
	return errors.As(err, &network) || errors.As(err, &unused) && unused.SafeToRetry() // pgconn's: nothing was sent
}

var away = []error{
	context.DeadlineExceeded, context.Canceled, os.ErrDeadlineExceeded,
	syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH,
	io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed,
	driver.ErrBadConn, sql.ErrConnDone,
	nats.ErrTimeout, nats.ErrNoResponders, nats.ErrNoServers, nats.ErrDisconnected, nats.ErrStaleConnection,
	nats.ErrConnectionClosed, nats.ErrConnectionReconnecting, nats.ErrConnectionDraining, nats.ErrReconnectBufExceeded,
	jetstream.ErrNoStreamResponse, jetstream.ErrNoHeartbeat, jetstream.ErrServerShutdown, jetstream.ErrTooManyStalledMsgs,
	jetstream.ErrJetStreamNotEnabled,
}

// ofPostgres reads a SQLSTATE. https://www.postgresql.org/docs/current/errcodes-appendix.html
func ofPostgres(state string) bool {
	if len(state) != 5 {
		return false
	}
	switch state[:2] {
	case "08", // connection exception
		"28", // it does not let us in: a password on its way from one to the next
		"40", // rolled back to end a deadlock, or for what others did at the same time
		"53", // disk full, out of memory, too many connections
		"57", // cancelled for its time, shutting down, crashed, starting up, idle for too long
		"58": // its disk or its machine
		return true
	}
	switch state {
	case "55P03", // a lock that somebody holds
		"25P03", "25P04", // a transaction that took too long
		"25006", // read only: a standby, on its way to be the primary
		"3D000": // the database is not there: it is being restored
		return true
	}
	return false
}

// ofJetStream is what JetStream says of itself: no leader, no space, too much at once.
func ofJetStream(err *jetstream.APIError) bool {
	return err.Code >= http.StatusInternalServerError || err.Code == http.StatusTooManyRequests
}
