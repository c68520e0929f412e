package ops

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/ops/original"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/process"
)

// importOriginal moves people in from the system that this one replaced.
func importOriginal(ctx context.Context, o *Ops, args []string) error {
	f := o.flags("import-original", "import-original -from ADDRESS [flags]: take over connections, queue and history of the original; "+
		"docs/moving.md")
	from := f.String("from", "", "`address` of the original's database, read and never written (default: ORIGINAL_DATABASE_URL)")
	dry := f.Bool("dry-run", false, "look and judge, and change nothing")
	stopped := f.String("old-backend-stopped-at", "", "`time` at which the original's backend was stopped for good, or how long ago: "+
		"2026-11-02T10:00:00Z, or 5m. Without it nothing that is queued is taken over, for two would publish it")
	overdue := f.String("overdue", string(original.Hold), "what was due by then and is not POSTED: "+
		"`hold` it for its owner to look, publish it now, or fail it")
	users := f.String("account-user", "", "only the connections and posts of these `users`, separated by commas (default: all)")
	scopes := f.String("scopes", "threads_basic,threads_content_publish",
		"the `scopes` that the original asked people for, its THREADS_DEFAULT_SCOPES")
	page := f.Int("batch", 500, "how many `rows` are in hand at a time, 1 to 1000")
	asJSON := f.Bool("json", false, "a line of JSON for every row, and the report as the last "+
		"(default: words, and a line for rows that were not simply taken)")
	if err := f.Parse(args); err != nil {
		return err
	}
	// Better than the flag, which others on the machine can see: the address has a password in it.
	settings, err := process.Env[struct {
		// Address is the database of the system before this one: postgres://user:password@host:port/name. Read by
		// import-original.
		Address string `env:"ORIGINAL_DATABASE_URL"`
	}](o.getenv)
	if err != nil {
		return err
	}
	address := cmp.Or(*from, settings.Address)
	im := original.Import{
		Overdue: original.Overdue(*overdue), Scopes: strings.Split(*scopes, ","), Page: *page, DryRun: *dry,
		Log: o.log, Progress: o.errOut,
	}
	switch {
	case f.NArg() > 0:
		return fmt.Errorf("import-original takes flags only, not %q", f.Arg(0))
	case address == "":
		return errors.New("-from or ORIGINAL_DATABASE_URL is required: the address of the original's database")
	case *page < 1 || *page > 1000:
		return errors.New("-batch is from 1 to 1000")
	case im.Overdue != original.Hold && im.Overdue != original.Publish && im.Overdue != original.Fail:
		return fmt.Errorf("-overdue is hold, publish or fail, not %q", *overdue)
	}
	if im.StoppedAt, err = moment(*stopped, time.Now()); err != nil {
		return fmt.Errorf("-old-backend-stopped-at: %w", err)
	}
	if im.StoppedAt.After(time.Now()) {
		return errors.New("-old-backend-stopped-at is in the future; stop the original's backend first")
	}
	if err := o.reachFor(ctx, &im); err != nil {
		return err
	}
	var only []string
	if *users != "" {
		only = strings.Split(*users, ",")
	}
	if im.Source, err = original.OpenSource(ctx, address, only, o.log); err != nil {
		return err
	}
	defer im.Source.Close()
	im.Each = rowPrinter(o.out, *asJSON)
	report, err := im.Run(ctx)
	if *asJSON {
		return errors.Join(err, json.NewEncoder(o.out).Encode(report))
	}
	return errors.Join(err, report.Print(o.out))
}

// reachFor connects to what an import writes to, and checks that it is of this version.
func (o *Ops) reachFor(ctx context.Context, im *original.Import) (err error) {
	if err := o.common.Missing(); err != nil {
		return err
	}
	if im.Vault, err = boot.OpenVault(o.common); err != nil {
		return err
	}
	if im.DB, err = o.database(ctx); err != nil {
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
		im.Bus, err = o.streams(ctx)
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
