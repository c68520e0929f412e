package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/process"
)

// connectWithin is how long NATS or Postgres may take to answer at first: whoever called the command watches.
const connectWithin = 2 * time.Second

// Deployment is what the commands for operators work with. NATS and Postgres are connected when they are first needed.
type Deployment struct {
	getenv func(string) string
	log    *zap.Logger
	out    io.Writer
	errOut io.Writer

	common boot.Common
	unread error  // what could not be read of the settings
	hint   string // what may be the matter where nothing can be reached
	bus    *bus.Bus
	db     *bun.DB
}

// Open reads the settings of a deployment. Results are written to out, progress and remarks to errOut. Where settings cannot
// be read, the error names them, and the deployment is good for [Deployment.Doctor] alone.
func Open(getenv func(string) string, out, errOut io.Writer) (*Deployment, error) {
	d := &Deployment{getenv: getenv, log: zap.NewNop(), out: out, errOut: errOut}
	d.common, d.unread = process.Env[boot.Common](getenv)
	if log, err := process.Logger(d.common.LogLevel, d.common.LogFormat); err != nil {
		d.unread = errors.Join(d.unread, err)
	} else {
		d.log = log
	}
	return d, d.unread
}

// Unreachable says what may be the matter where NATS or Postgres cannot be reached.
func (d *Deployment) Unreachable(hint string) { d.hint = hint }

// explained adds to a failed connection what may be the matter.
func (d *Deployment) explained(err error) error {
	if err == nil || d.hint == "" {
		return err
	}
	return fmt.Errorf("%s (%w)", d.hint, err)
}

// Close closes what was connected.
func (d *Deployment) Close() {
	if d.bus != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = d.bus.Close(ctx)
	}
	if d.db != nil {
		_ = d.db.Close()
	}
	_ = d.log.Sync()
}

func (d *Deployment) streams(ctx context.Context) (_ *bus.Bus, err error) {
	if d.bus == nil {
		ctx, cancel := context.WithTimeout(ctx, connectWithin)
		defer cancel()
		d.bus, err = boot.Connect(ctx, "ops", d.common, d.log, nil)
	}
	return d.bus, d.explained(err)
}

func (d *Deployment) database(ctx context.Context) (_ *bun.DB, err error) {
	if d.db == nil {
		ctx, cancel := context.WithTimeout(ctx, connectWithin)
		defer cancel()
		d.db, err = boot.OpenDatabase(ctx, "ops", d.common, d.log.WithOptions(zap.IncreaseLevel(zap.ErrorLevel))) // the error says it all
	}
	return d.db, d.explained(err)
}

// both connects to NATS and to Postgres.
func (d *Deployment) both(ctx context.Context) (*bus.Bus, *bun.DB, error) {
	b, err := d.streams(ctx)
	if err != nil {
		return nil, nil, err
	}
	db, err := d.database(ctx)
	return b, db, err
}

func (d *Deployment) printJSON(v any) error {
	enc := json.NewEncoder(d.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// lines writes lines until one fails; err is that failure.
type lines struct {
	out io.Writer
	err error
}

func (l *lines) say(format string, args ...any) {
	_, err := fmt.Fprintf(l.out, format+"\n", args...)
	l.err = errors.Join(l.err, err)
}

// ParseTime reads a time, or how long ago it was. Empty is no time.
func ParseTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if age, err := time.ParseDuration(s); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither a time (2026-11-02T10:00:00Z) nor an age (90m)", s)
	}
	return at, nil
}
