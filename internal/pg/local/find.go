package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// oldestMajor is the oldest Postgres for which the schema is written.
const oldestMajor = 14

// dataPrefix and the major version name a data directory. A server cannot read another major's files.
const dataPrefix = "postgres-"

// usualPlaces are where systems put bin directories.
var usualPlaces = []string{
	"/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                                   // RHEL and its kin, from postgresql.org
	"/usr/libexec/postgresql*",                           // Alpine
	"/opt/homebrew/opt/postgresql@*/bin",                 // Homebrew, arm64
	"/usr/local/opt/postgresql@*/bin",                    // Homebrew, amd64
	"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
	"/opt/local/lib/postgresql*/bin",                     // MacPorts
	"/usr/local/pgsql/bin",                               // built from source
}

// binaries is an installed Postgres: a directory with both postgres and initdb.
type binaries struct {
	dir          string
	version      string
	major, minor int
}

func (b binaries) path(name string) string { return filepath.Join(b.dir, name) }

// find returns the binaries to use: those whose major has data in stateDir already, so that nobody's data vanishes
// because a newer Postgres was installed; otherwise the newest; otherwise downloaded ones.
func find(ctx context.Context, o Options, stateDir string, who *account, log *zap.Logger) (binaries, error) {
	if o.BinDir != "" {
		b, err := inspect(ctx, o.BinDir, who)
		if err != nil {
			return binaries{}, fmt.Errorf("the directory that PG_BINDIR names is of no use: %w", err)
		}
		return b, nil
	}
	var found []binaries
	for _, dir := range candidates(ctx, o, who) {
		b, err := inspect(ctx, dir, who)
		if err != nil {
			log.Debug("no postgres here", zap.String("dir", dir), zap.Error(err))
			continue
		}
		found = append(found, b)
	}
	kept := majorsWithData(stateDir)
	if len(found) > 0 {
		b := choose(found, kept)
		if len(kept) > 0 && !slices.Contains(kept, b.major) {
			log.Warn("existing data is of another major version and stays as it is",
				zap.Ints("data_of", kept), zap.Int("using", b.major), zap.String("state_dir", stateDir))
		}
		return b, nil
	}
	b, err := download(ctx, o, who, log)
	if err != nil {
		return binaries{}, fmt.Errorf("no Postgres server found on this machine, and the download of one %w; %s", err, waysOut())
	}
	return b, nil
}

func candidates(ctx context.Context, o Options, who *account) []string {
	patterns := o.Search
	if patterns == nil {
		patterns = usualPlaces
	}
	var dirs []string
	for _, pattern := range patterns {
		matches, _ := filepath.Glob(pattern) // only a malformed pattern is an error
		dirs = append(dirs, matches...)
	}
	if o.Search != nil {
		return dirs
	}
	// On the PATH there may be only links, as in Debian's /usr/bin or Homebrew's; initdb lies where they lead.
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	if dir, err := downloadDir(o, who); err == nil {
		dirs = append(dirs, filepath.Join(dir, "bin"))
	}
	return dirs
}

// choose picks from a list that is not empty.
func choose(found []binaries, kept []int) binaries {
	return slices.MaxFunc(found, func(a, b binaries) int {
		return cmp.Or(
			compareBool(slices.Contains(kept, a.major), slices.Contains(kept, b.major)),
			cmp.Compare(a.major, b.major),
			cmp.Compare(a.minor, b.minor),
		)
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// versionText matches "postgres (PostgreSQL) 15.19 (Debian …)", "… 18beta1" and "… 9.6.24".
var versionText = regexp.MustCompile(`\(PostgreSQL\) (\d+)(?:\.(\d+))?`)

// inspect tells what is installed in dir and whether the account that will run it may.
func inspect(ctx context.Context, dir string, who *account) (binaries, error) {
	for _, name := range []string{"postgres", "initdb"} {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return binaries{}, fmt.Errorf("%s has no %s that can be run", dir, name)
		}
	}
	if err := enterable(dir, who); err != nil {
		return binaries{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ask := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version")
	ask.Dir, ask.SysProcAttr = dir, who.sysProcAttr() // root runs nothing of it
	out, err := ask.Output()
	if err != nil {
		return binaries{}, fmt.Errorf("ask %s/postgres for its version: %w", dir, err)
	}
	m := versionText.FindSubmatch(out)
	if m == nil {
		return binaries{}, fmt.Errorf("%s/postgres does not tell its version", dir)
	}
	b := binaries{dir: dir, version: strings.TrimPrefix(strings.TrimSpace(string(out)), "postgres (PostgreSQL) ")}
	b.major, _ = strconv.Atoi(string(m[1]))
	b.minor, _ = strconv.Atoi(string(m[2])) // a beta has none
	if b.major < oldestMajor {
		return binaries{}, fmt.Errorf("%s has Postgres %s, and %d is the oldest that will do", dir, b.version, oldestMajor)
	}
	return b, nil
}

func majorsWithData(stateDir string) []int {
	entries, err := os.ReadDir(stateDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var majors []int
	for _, e := range entries {
		if digits, ok := strings.CutPrefix(e.Name(), dataPrefix); ok && e.IsDir() {
			if major, err := strconv.Atoi(digits); err == nil {
				majors = append(majors, major)
			}
		}
	}
	return majors
}
