package pg_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/omni-write/threads/internal/outage"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// A Postgres that takes a statement and never answers is left, also by who set no deadline.
func TestSilentPostgresIsLeft(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(pgtest.EmptyURL(t))
	if err != nil {
		t.Fatal(err)
	}
	silent := new(atomic.Bool)
	u.Host = between(t, u.Host, silent)
	db := open(t, pg.Config{URL: u.String() + "&statement_timeout=100ms", MaxConns: 1})
	if _, err := db.ExecContext(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	silent.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), waiting.Limit) // ends a test that fails, and nothing else
	defer cancel()
	_, err = db.ExecContext(ctx, "SELECT 2")
	if !outage.Is(err) || ctx.Err() != nil {
		t.Errorf("got %v", err)
	}
	silent.Store(false)
	if _, err := db.ExecContext(t.Context(), "SELECT 3"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// between is an address that leads to a server, whose answers are lost while silent.
func between(t *testing.T, target string, silent *atomic.Bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go func() {
				defer in.Close()
				answer := make([]byte, 32<<10)
				for {
					n, err := out.Read(answer)
					if err != nil {
						return
					}
					if !silent.Load() {
						_, _ = in.Write(answer[:n])
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}
