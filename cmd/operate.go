package cmd

import (
	"context"

	"github.com/omni-write/threads/cmd/ops"
	"github.com/omni-write/threads/cmd/standalone"
	"github.com/omni-write/threads/internal/process"
)

// whichDeployment ends the help of the commands for operators.
const whichDeployment = `

It works on the deployment of NATS_URL and DATABASE_URL. Where neither is set, on the one that runs in one process on this machine.`

// operate runs a command for the people who run the system.
func (p *program) operate(ctx context.Context, run func(context.Context, *ops.Deployment) error) error {
	getenv, hint := standalone.Discover(p.getenv)
	return p.operateOn(ctx, getenv, hint, run)
}

// operateStopped is operate for a command that needs the publishers stopped: with a system in one process that leaves nothing to
// work on, so its NATS and Postgres are started alone.
func (p *program) operateStopped(ctx context.Context, run func(context.Context, *ops.Deployment) error) error {
	log, err := process.Logger("warn", p.getenv("LOG_FORMAT"))
	if err != nil {
		return err
	}
	done, err := standalone.WithStores(ctx, p.getenv, log, func(getenv func(string) string) error {
		return p.operateOn(ctx, getenv, "", run)
	})
	if done || err != nil {
		return err
	}
	return p.operate(ctx, run)
}

// operateOn runs a command on the deployment of an environment. hint says what may be the matter where it cannot be reached.
func (p *program) operateOn(ctx context.Context, getenv func(string) string, hint string, run func(context.Context, *ops.Deployment) error) error {
	d, err := ops.Open(getenv, p.out, p.errOut)
	if err != nil {
		return err
	}
	defer d.Close()
	d.Unreachable(hint)
	return run(ctx, d)
}

// examine is operate for the command that says what is wrong with the settings itself.
func (p *program) examine(ctx context.Context, asJSON bool) error {
	getenv, hint := standalone.Discover(p.getenv)
	d, _ := ops.Open(getenv, p.out, p.errOut) // what it could not read, doctor says
	d.Unreachable(hint)
	err := d.Doctor(ctx, asJSON)
	d.Close()
	return err
}
