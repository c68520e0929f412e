package cmd

import (
	"context"

	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/ops"
	"github.com/omni-write/threads/cmd/standalone"
	"github.com/omni-write/threads/internal/process"
)

// whichDeployment ends the help of the commands for operators.
const whichDeployment = `

It works on the deployment of NATS_URL and DATABASE_URL. Where neither is set, on the one that runs in one process on this machine.`

// operate runs a command for the people who run the system.
func (p *program) operate(ctx context.Context, run func(context.Context, *ops.Deployment) error) error {
	getenv := standalone.Discover(p.getenv)
	common, err := process.Env[boot.Common](getenv)
	if err != nil {
		return err
	}
	var log *zap.Logger
	if log, err = process.Logger(common.LogLevel, common.LogFormat); err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	d, err := ops.Open(getenv, log, p.out, p.errOut)
	if err != nil {
		return err
	}
	defer d.Close()
	return run(ctx, d)
}
