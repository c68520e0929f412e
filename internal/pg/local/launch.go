package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/omni-write/threads/internal/clock"
)

const (
	readyLimit = time.Minute      // crash recovery may take its time
	heldLimit  = 10 * time.Second // for what an old server still holds after its end
	maxLog     = 10 << 20
)

// launch runs the server and returns when it answers. It tries again when another program took the port first, and
// while remains of an earlier server still hold the data directory.
func (s *Server) launch(ctx context.Context, c cluster) error {
	output, err := openLog(s.logFile)
	if err != nil {
		return err
	}
	defer output.Close() // the child has its own copy

	began := time.Now()
	for ports := 0; ; {
		if s.port, err = freePort(); err != nil {
			return err
		}
		from, err := output.Seek(0, io.SeekEnd)
		if err != nil {
			return err
		}
		cmd := c.server(s.port)
		cmd.Stdout, cmd.Stderr = output, output
		if s.child, err = startChild(cmd); err != nil {
			return err
		}
		err = s.awaitReady(ctx)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errExited) {
			return errors.Join(err, s.child.stop())
		}
		said := readFrom(s.logFile, from)
		switch {
		case strings.Contains(said, "could not bind") && ports < 3:
			ports++
		case stillHeld(said) && time.Since(began) < heldLimit:
			if !clock.Sleep(ctx, 200*time.Millisecond) {
				return ctx.Err()
			}
		default:
			return fmt.Errorf("%w: %s (more in %s)", err, lastLines([]byte(said)), s.logFile)
		}
	}
}

var errExited = errors.New("postgres ended at once")

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		conn, err := pgx.Connect(attempt, s.AdminURL())
		cancel()
		if err == nil {
			return conn.Close(ctx)
		}
		var refused *pgconn.PgError
		if errors.As(err, &refused) && strings.HasPrefix(refused.Code, "28") {
			return fmt.Errorf("it does not take the password kept beside its data: %w", err)
		}
		select {
		case <-s.child.exited:
			return errExited
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stillHeld recognises what Postgres says while the processes of an earlier server are not all gone.
func stillHeld(said string) bool {
	return strings.Contains(said, `"postmaster.pid" already exists`) || strings.Contains(said, "pre-existing shared memory")
}

// freePort is free now; launch copes with somebody else being faster.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback, and closed at once
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// openLog starts anew when the log has grown large; between starts nothing but warnings goes there.
func openLog(path string) (*os.File, error) {
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o600)
}

func readFrom(path string, offset int64) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, offset, maxLog))
	if err != nil {
		return err.Error()
	}
	return string(b)
}
