package cmd

import (
	"context"

	"github.com/omni-write/threads/cmd/ops"
	"github.com/omni-write/threads/cmd/standalone"
)

// whichDeployment ends the help of the commands for operators.
const whichDeployment = `

It works on the deployment of NATS_URL and DATABASE_URL. Where neither is set, on the one that runs in one process on this machine.`

// operate runs a command for the people who run the system.
func (p *program) operate(ctx context.Context, run func(context.Context, *ops.Deployment) error) error {
	d, err := ops.Open(standalone.Discover(p.getenv), p.out, p.errOut)
	defer d.Close()
	if err != nil {
		return err
	}
	return run(ctx, d)
}

// examine is operate for the command that says what is wrong with the settings itself.
func (p *program) examine(ctx context.Context, asJSON bool) error {
	d, _ := ops.Open(standalone.Discover(p.getenv), p.out, p.errOut)
	defer d.Close()
	return d.Doctor(ctx, asJSON)
}
