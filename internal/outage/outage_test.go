package outage_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/outage"
)

func TestIs(t *testing.T) {
	t.Parallel()
	state := func(code string) error { return &pgconn.PgError{Code: code} }
	_, refused := pgx.Connect(t.Context(), "postgres://u:p@127.0.0.1:1/x?sslmode=disable")
	_, nowhere := pgx.Connect(t.Context(), "postgres://u:p@postgres.invalid:5432/x?sslmode=disable")
	for _, err := range []error{
		refused, nowhere, context.DeadlineExceeded, context.Canceled, io.ErrUnexpectedEOF, sql.ErrConnDone,
		state("57P01"), state("57P02"), state("57P03"), state("57P05"), state("57014"), state("53100"), state("53300"), state("08006"), state("28P01"),
		state("40001"), state("40P01"), state("55P03"), state("25P03"), state("25006"), state("3D000"), state("58030"),
		&net.DNSError{Err: "no such host", Name: "postgres", IsNotFound: true}, &url.Error{Op: "Get", URL: "http://x", Err: errors.New("cut")},
		nats.ErrTimeout, nats.ErrNoResponders, nats.ErrConnectionReconnecting, nats.ErrDisconnected, jetstream.ErrNoStreamResponse,
		&jetstream.APIError{Code: 503, ErrorCode: 10008}, &jetstream.APIError{Code: 500, ErrorCode: 10047}, &jetstream.APIError{Code: 429, ErrorCode: 10167},
	} {
		if !outage.Is(fmt.Errorf("claim: %w", err)) {
			t.Errorf("%v (%T) counts as the work's own", err, err)
		}
	}
	var broken any
	for _, err := range []error{
		nil, errors.New("odd"), &url.Error{Op: "parse", URL: "http://[::1", Err: errors.New("odd")}, sql.ErrNoRows, state("23505"), state("23514"), state("22P02"), state("42P01"), state(""),
		json.Unmarshal([]byte(`{"cut`), &broken), events.Faultf(events.Conflict, "too late"), &jetstream.APIError{Code: 400, ErrorCode: 10071},
	} {
		if outage.Is(err) {
			t.Errorf("%v (%T) counts as an outage", err, err)
		}
	}
}
