package ops

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/ops/original"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/progress"
)

// ImportOptions say what is taken over from the original, and how.
type ImportOptions struct {
	From      string           // address of the original's database; empty: ORIGINAL_DATABASE_URL
	Users     []string         // only the connections and posts of these; empty: all
	StoppedAt time.Time        // when the original's backend was stopped for good; zero: it was not
	Overdue   original.Overdue // what becomes of posts that were due by then and are not POSTED
	Scopes    []string         // those that the original asked people for
	Batch     int              // rows in hand at a time
	DryRun    bool             // look and judge, and change nothing
	JSON      bool             // a line for every row, and the report as the last
}

// Mistakes names everything that is not valid, at once.
func (o ImportOptions) Mistakes(now time.Time) error {
	var wrong []error
	if o.Batch < 1 || o.Batch > 1000 {
		wrong = append(wrong, errors.New("--batch is from 1 to 1000"))
	}
	if o.Overdue != original.Hold && o.Overdue != original.Publish && o.Overdue != original.Fail {
		wrong = append(wrong, fmt.Errorf("--overdue is hold, publish or fail, not %q", o.Overdue))
	}
	if o.StoppedAt.After(now) {
		wrong = append(wrong, errors.New("--old-backend-stopped-at is in the future; stop the original's backend first"))
	}
	return errors.Join(wrong...)
}

// ImportOriginal moves people in from the system that this one replaced.
func (d *Deployment) ImportOriginal(ctx context.Context, o ImportOptions) error {
	// Better than the flag, which others on the machine can see: the address has a password in it.
	settings, err := process.Env[struct {
		// Address is the database of the system before this one: postgres://user:password@host:port/name. Read by
		// import-original.
		Address string `env:"ORIGINAL_DATABASE_URL"`
	}](d.getenv)
	if err != nil {
		return err
	}
	address := cmp.Or(o.From, settings.Address)
	if address == "" {
		return errors.New("--from or ORIGINAL_DATABASE_URL is required: the address of the original's database")
	}
	task := progress.Start(ctx, "import", "posts", 0)
	defer task.Stop()
	im := original.Import{
		StoppedAt: o.StoppedAt, Overdue: o.Overdue, Scopes: o.Scopes, Page: o.Batch, DryRun: o.DryRun, Log: d.log,
		Progress: func(done, all int) { task.Set(int64(done), int64(all)) },
	}
	if err := d.reachFor(ctx, &im); err != nil {
		return err
	}
	if im.Source, err = original.OpenSource(ctx, address, o.Users, d.log); err != nil {
		return err
	}
	defer im.Source.Close()
	show := rowPrinter(d.out, o.JSON)
	im.Each = func(r original.Row) { task.Aside(func() { show(r) }) }
	report, err := im.Run(ctx)
	task.Stop()
	if o.JSON {
		return errors.Join(err, json.NewEncoder(d.out).Encode(report))
	}
	return errors.Join(err, report.Print(d.out))
}

// reachFor connects to what an import writes to, and checks that it is of this version.
func (d *Deployment) reachFor(ctx context.Context, im *original.Import) (err error) {
	if err := d.common.Missing(); err != nil {
		return err
	}
	if im.Vault, err = boot.OpenVault(d.common); err != nil {
		return err
	}
	if im.DB, err = d.database(ctx); err != nil {
		return err
	}
	pending, err := pg.Pending(ctx, im.DB)
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		return fmt.Errorf("the database lacks %d migrations (%v); run the command migrate", len(pending), pending)
	}
	if !im.DryRun {
		im.Bus, err = d.streams(ctx)
	}
	return err
}

// rowPrinter shows what became of rows: all as JSON, or in words those that were not simply taken or known.
func rowPrinter(out io.Writer, asJSON bool) func(original.Row) {
	enc := json.NewEncoder(out)
	return func(r original.Row) {
		switch {
		case asJSON:
			_ = enc.Encode(r)
		case r.Code != "":
			_, _ = fmt.Fprintf(out, "%s %s %s %s: %s %s\n", r.Kind, r.ID, r.Status, r.Action, r.Code, r.Reason)
		}
	}
}
