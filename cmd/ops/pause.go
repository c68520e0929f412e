package ops

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/omni-write/threads/services/publisher/maintenance"
)

// Pause holds an account's posts back, and returns when no call of them is on its way.
func (d *Deployment) Pause(ctx context.Context, accountID, reason string, asJSON bool) error {
	b, db, err := d.both(ctx)
	if err != nil {
		return err
	}
	var waited int64
	p := maintenance.Pauser{Bus: b, DB: db, Progress: func(calls int64) {
		if calls != waited {
			waited = calls
			_, _ = fmt.Fprintf(d.errOut, "Waiting for %d calls that were claimed before the pause.\n", calls)
		}
	}}
	done, err := p.Pause(ctx, accountID, reason)
	if err != nil {
		return err
	}
	return d.printPause(done, asJSON)
}

// Resume lets the posts of a paused account go out again.
func (d *Deployment) Resume(ctx context.Context, accountID string, asJSON bool) error {
	b, db, err := d.both(ctx)
	if err != nil {
		return err
	}
	done, err := maintenance.Pauser{Bus: b, DB: db}.Resume(ctx, accountID)
	if err != nil {
		return err
	}
	return d.printPause(done, asJSON)
}

func (d *Deployment) printPause(p maintenance.Pause, asJSON bool) error {
	if asJSON {
		return d.printJSON(p)
	}
	return printPause(d.out, p)
}

func printPause(out io.Writer, p maintenance.Pause) error {
	l := lines{out: out}
	say := l.say
	id, at := p.Account.ID, p.Account.PausedAt
	switch {
	case at == nil && p.Already:
		say("%s was not paused.", id)
	case at == nil:
		say("%s is resumed; what waited goes out now, spaced where it is long overdue.", id)
	case p.Already:
		say("%s is paused since %s already. No post of it is on its way.", id, at.Format(time.RFC3339))
	default:
		say("%s is paused. No post of it is on its way, and none goes out until it is resumed.", id)
	}
	if !p.Emitted {
		say("The event could not be emitted just now; auth emits it as soon as it can.")
	}
	if p.Queued > 0 {
		say("%s queued, %d of them overdue.", some(p.Queued, "post"), p.Overdue)
		if at != nil && p.FirstMissed != nil {
			say("How late a post may be goes on counting: unless it is resumed before, the first is given up as missed at %s.",
				p.FirstMissed.UTC().Format(time.RFC3339))
		}
	}
	return l.err
}
