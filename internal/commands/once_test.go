package commands_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/pg/pgtest"
)

var (
	errRefused = events.Faultf(events.Conflict, "No.")
	errAway    = events.Faultf(events.Unavailable, "Later.")
	errOther   = errors.New("a mistake")
)

// deliveries are what a handler may make of a command, and what its two deliveries are answered with.
var deliveries = map[string]struct {
	err          error // of the work
	first        error // that the first delivery returns
	calls        int   // of the work, by both deliveries
	callsOutside int   // the same where the work is a call
	second       error // that the record of the second answers with
}{
	"done":                {nil, nil, 1, 1, nil},
	"refused":             {errRefused, errRefused, 1, 1, errRefused},
	"away for the moment": {errAway, errAway, 2, 2, errAway},
	"a mistake of ours":   {errOther, errOther, 2, 2, errOther},
	"told later":          {bus.Pending, nil, 1, 2, bus.Pending},
}

func TestOnce(t *testing.T) {
	t.Parallel()
	for name, c := range deliveries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, calls := pgtest.New(t), 0
			once := func() (*commands.Command, error) {
				return commands.Once(t.Context(), db, command("key", "body"), time.Now, func(ctx context.Context, tx bun.Tx) (any, error) {
					calls++
					if _, err := tx.NewRaw(`SELECT 1`).Exec(ctx); err != nil {
						return nil, err
					}
					return map[string]int{"made": calls}, c.err
				})
			}
			if prior, err := once(); prior != nil || !errors.Is(err, c.first) {
				t.Fatalf("the first delivery says %+v, %v", prior, err)
			}
			prior, err := once()
			if prior != nil {
				var result any
				if result, err = prior.Answer(); err == nil && string(result.(json.RawMessage)) != `{"made": 1}` {
					t.Errorf("the second delivery says %s", result)
				}
			}
			if !sameFault(err, c.second) || calls != c.calls || (prior == nil) != (c.calls == 2) {
				t.Errorf("the second delivery says %+v, %v after %d calls", prior, err, calls)
			}
		})
	}
}

func TestOnceByCall(t *testing.T) {
	t.Parallel()
	for name, c := range deliveries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, calls := pgtest.New(t), 0
			once := func() (*commands.Command, any, error) {
				return commands.OnceByCall(t.Context(), db, command("key", "body"), time.Now, func(context.Context) (any, error) {
					calls++
					return map[string]int{"made": calls}, c.err
				})
			}
			want := c.first
			if name == "told later" {
				want = bus.Pending
			}
			if prior, _, err := once(); prior != nil || !errors.Is(err, want) {
				t.Fatalf("the first delivery says %+v, %v", prior, err)
			}
			prior, _, err := once()
			if prior != nil {
				var result any
				if result, err = prior.Answer(); err == nil && string(result.(json.RawMessage)) != `{"made": 1}` {
					t.Errorf("the second delivery says %s", result)
				}
			}
			if !sameFault(err, c.second) || calls != c.callsOutside || (prior == nil) != (c.callsOutside == 2) {
				t.Errorf("the second delivery says %+v, %v after %d calls", prior, err, calls)
			}
		})
	}

	t.Run("an outcome that the work wrote itself stays", func(t *testing.T) {
		t.Parallel()
		db := pgtest.New(t)
		c := command("key", "body")
		_, _, err := commands.OnceByCall(t.Context(), db, c, time.Now, func(ctx context.Context) (any, error) {
			return "later", commands.Finish(ctx, db, events.Outcome{CommandID: c.ID, Result: []byte(`"first"`)}, time.Now())
		})
		if err != nil {
			t.Fatal(err)
		}
		prior, err := commands.Find(t.Context(), db, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		if result, err := prior.Answer(); err != nil || string(result.(json.RawMessage)) != `"first"` {
			t.Errorf("it answers %s, %v", result, err)
		}
	})
}

// sameFault compares errors of which one may have been read from its record.
func sameFault(got, want error) bool {
	var g, w *events.Fault
	if errors.As(got, &g) && errors.As(want, &w) {
		return g.Code == w.Code && g.Message == w.Message
	}
	return errors.Is(got, want)
}
