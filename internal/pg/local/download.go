package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
	"github.com/gofrs/flock"
	"go.uber.org/zap"
)

const (
	downloadVersion = embeddedpostgres.V18
	// DownloadLimit is how long a download may take.
	DownloadLimit = 5 * time.Minute
)

// defaultRepository is where the library downloads from, which it does not say otherwise.
func defaultRepository() string {
	return reflect.ValueOf(embeddedpostgres.DefaultConfig()).FieldByName("binaryRepositoryURL").String()
}

// downloadDir is where downloaded programs are kept: in the cache of this user, for all that the user runs. Root's is one that
// the account that runs Postgres can enter, as it can not root's home.
func downloadDir(o Options, who *account) (string, error) {
	cache := o.CacheDir
	switch {
	case cache != "":
	case who != nil && os.Getenv("XDG_CACHE_HOME") == "":
		cache = "/var/cache"
	default:
		var err error
		if cache, err = os.UserCacheDir(); err != nil {
			return "", err
		}
	}
	return filepath.Join(cache, "omni-threads", "postgres-"+string(downloadVersion)), nil
}

// download fetches Postgres once, however many processes ask for it at the same time, and returns its binaries.
func download(ctx context.Context, o Options, who *account, log *zap.Logger) (binaries, error) {
	if o.NoDownload {
		return binaries{}, errors.New("is turned off")
	}
	dir, err := downloadDir(o, who)
	if err != nil {
		return binaries{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, DownloadLimit)
	defer cancel()
	if err := prepareDir(filepath.Dir(dir), who); err != nil {
		return binaries{}, fmt.Errorf("has no place to keep it: %w", err)
	}
	lock := flock.New(dir + ".lock")
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return binaries{}, fmt.Errorf("waited for another process that downloads: %w", err)
	}
	defer func() { _ = lock.Close() }()
	bin := filepath.Join(dir, "bin")
	if b, err := inspect(ctx, bin, who); err == nil {
		return b, nil // by somebody else, while we waited
	}
	if err := fetch(ctx, o, dir, log); err != nil {
		return binaries{}, err
	}
	return inspect(ctx, bin, who)
}

// fetch leaves in dir the programs that embedded-postgres downloads, checks and unpacks. That library has no call for only that:
// it would also make a database and start a server, as whoever we are, which Postgres refuses to be as root. So it is given a data
// directory that it cannot clear, and ends there, before any program has run; by then it has made its runtime directory, which
// it does when all is unpacked. From then on our own supervision applies, not its daemon, which would survive us.
func fetch(ctx context.Context, o Options, dir string, log *zap.Logger) error {
	// Next to dir, and renamed when complete: a download cut short must not be taken for Postgres the next time.
	leftovers, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), "download-*")) // only a malformed pattern is an error
	for _, old := range append(leftovers, dir) {
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "download-")
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	repository := o.Repository
	if repository == "" {
		repository = defaultRepository()
	}
	r, err := relayTo(ctx, repository, dir, log)
	if err != nil {
		return err
	}
	defer r.close()
	unpacked, run := filepath.Join(work, "unpacked"), filepath.Join(work, "run")
	once := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(downloadVersion).
		BinaryRepositoryURL(r.address).
		CachePath(filepath.Join(work, "archive")).
		BinariesPath(unpacked).
		RuntimePath(run).
		DataPath(run + string(filepath.Separator) + "."). // which is never removed
		Port(uint32(port)).                               //nolint:gosec // a port is small
		Logger(io.Discard))

	done := make(chan error, 1)
	go func() {
		// The library takes no context. When ours ends first, this goroutine still tidies up whenever it gets there.
		err := once.Start()
		if _, missing := os.Stat(run); missing == nil {
			err = ctx.Err()
		}
		if cause := r.verdict(); cause != nil {
			err = cause // the library says only that something is not there
		}
		if err == nil {
			err = readable(unpacked)
		}
		if err == nil {
			err = os.Rename(unpacked, dir)
		}
		done <- errors.Join(err, os.RemoveAll(work))
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("failed: %w", err)
		}
		log.Info("postgres is downloaded", zap.String("in", dir))
		return nil
	case <-ctx.Done():
		return fmt.Errorf("broke off: %w", ctx.Err())
	}
}

// readable lets every user read and run the programs, whatever our umask is: it is not always us who run them.
func readable(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if d.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		return root.Chmod(path, mode)
	})
}
