package standalone

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"go.uber.org/zap"
)

// WithStores does work on NATS and Postgres of a state directory whose system does not run: it starts the two alone and stops them
// afterwards. done is false where that is not the system that is meant: the environment leads to another, or there is none.
func WithStores(ctx context.Context, getenv func(string) string, log *zap.Logger, work func(func(string) string) error) (done bool, err error) {
	if leads(getenv) {
		return false, nil
	}
	dir, err := StateDir(getenv)
	if err != nil {
		return false, err
	}
	if _, err := os.Stat(filepath.Join(dir, "nats")); err != nil {
		return false, nil // there is no system
	}
	if running, pid := runs(dir); running {
		return true, fmt.Errorf("the system%s with the state directory %s runs, and publishes: stop it first; then this command starts its "+
			"NATS and Postgres alone, and you start the system again afterwards", pid, dir)
	}
	sys := &System{log: log, dir: dir, env: map[string]string{}, outer: getenv}
	defer sys.closeAll()
	for _, step := range []func(context.Context) error{sys.makeState, sys.startNATS, sys.startPostgres} {
		if err := step(ctx); err != nil {
			return true, err
		}
	}
	return true, work(sys.getenv)
}
