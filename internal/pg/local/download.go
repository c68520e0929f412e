package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
	"go.uber.org/zap"
)

const (
	downloadVersion = embeddedpostgres.V18
	downloadFrom    = "https://repo1.maven.org/maven2"
	downloadLimit   = 5 * time.Minute
)

// downloadDir is where downloaded binaries are kept, shared by all that this user runs.
func downloadDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "omni-threads", "postgres-"+string(downloadVersion)), nil
}

// download fetches Postgres once and returns its binaries.
func download(ctx context.Context, o Options, who *account, log *zap.Logger) (binaries, error) {
	switch {
	case o.NoDownload:
		return binaries{}, errors.New("is turned off")
	case who != nil:
		// Postgres refuses to run as root, the library that downloads cannot drop root, and what it would leave in
		// root's home could not be read by the user to whom we drop.
		return binaries{}, errors.New("is not done as root")
	}
	dir, err := downloadDir()
	if err != nil {
		return binaries{}, err
	}
	log.Warn("no postgres found, downloading one", zap.String("version", string(downloadVersion)),
		zap.String("from", downloadFrom), zap.String("to", dir))
	ctx, cancel := context.WithTimeout(ctx, downloadLimit)
	defer cancel()
	if err := fetch(ctx, downloadFrom, dir); err != nil {
		return binaries{}, err
	}
	return inspect(ctx, filepath.Join(dir, "bin"), who)
}

// fetch leaves in dir the binaries that embedded-postgres downloads, checks and unpacks. That library has no call for
// only that: it also starts a server, which we stop at once. So the binaries are known to run here, and from then on
// our own supervision applies, not its daemon, which would survive us.
func fetch(ctx context.Context, from, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	// Next to dir, and renamed when complete: a download cut short must not be taken for Postgres the next time.
	work, err := os.MkdirTemp(filepath.Dir(dir), "download-")
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	watched, stop, err := watchDownload(ctx, from)
	if err != nil {
		return err
	}
	defer stop()
	once := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(downloadVersion).
		BinaryRepositoryURL(watched).
		CachePath(filepath.Join(work, "archive")).
		BinariesPath(filepath.Join(work, "unpacked")).
		RuntimePath(filepath.Join(work, "run")).
		Port(uint32(port)). //nolint:gosec // a port is small
		StartParameters(map[string]string{"unix_socket_directories": "", "listen_addresses": "127.0.0.1"}).
		Logger(io.Discard))

	done := make(chan error, 1)
	go func() {
		// The library takes no context. When ours ends first, this goroutine still tidies up whenever it gets there.
		err := once.Start()
		if err == nil {
			err = once.Stop()
		}
		if err == nil && ctx.Err() == nil {
			err = os.Rename(filepath.Join(work, "unpacked"), dir)
		}
		done <- errors.Join(err, os.RemoveAll(work))
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("failed: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("took too long: %w", ctx.Err())
	}
}
