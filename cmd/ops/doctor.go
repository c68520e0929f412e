package ops

import (
	"context"
	"fmt"
	"slices"

	"github.com/omni-write/threads/cmd/ops/doctor"
)

// Doctor checks the deployment from outside and says in plain words what is wrong. It goes on where settings cannot be read.
func (d *Deployment) Doctor(ctx context.Context, asJSON bool) error {
	found := doctor.Examine(ctx, doctor.Deployment{
		Getenv: d.getenv, Common: d.common, Unread: d.unread, Bus: d.streams, Database: d.database,
	})
	if err := d.printFindings(found, asJSON); err != nil {
		return err
	}
	if slices.ContainsFunc(found, func(f doctor.Finding) bool { return f.Level == doctor.Wrong }) {
		return doctor.ErrUnwell
	}
	return nil
}

func (d *Deployment) printFindings(found []doctor.Finding, asJSON bool) error {
	if asJSON {
		return d.printJSON(found)
	}
	for _, f := range found {
		if _, err := fmt.Fprintf(d.out, "%-8s %-10s %s\n", f.Level, f.Check, f.Says); err != nil {
			return err
		}
	}
	return nil
}
