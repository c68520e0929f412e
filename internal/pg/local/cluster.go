package local

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// cluster is a data directory and what runs on it.
type cluster struct {
	bins      binaries
	who       *account // nil: ourselves
	data      string
	log       *zap.Logger
	throwaway bool
}

func (c cluster) passwordFile() string { return c.data + ".password" }

// init makes the data directory unless there is one, and returns the superuser's password.
func (c cluster) init(ctx context.Context) (password string, err error) {
	if _, err := os.Stat(filepath.Join(c.data, "PG_VERSION")); err == nil {
		b, err := os.ReadFile(c.passwordFile())
		if err != nil {
			return "", fmt.Errorf("its password is lost, bring the file back or remove the directory to begin anew: %w", err)
		}
		return strings.TrimSpace(string(b)), nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}

	// Made aside and renamed when complete, so that a first start cut short leaves nothing that looks like data.
	fresh := c.data + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return "", err
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return "", err
	}
	password = rand.Text()
	if err := os.WriteFile(c.passwordFile(), []byte(password+"\n"), 0o600); err != nil {
		return "", err
	}
	if err := errors.Join(c.who.own(fresh), c.who.own(c.passwordFile())); err != nil {
		return "", err
	}
	args := []string{"-D", fresh, "-U", superuser, "-A", "scram-sha-256", "--pwfile", c.passwordFile(),
		"-E", "UTF8", "--locale=C"}
	if c.throwaway {
		args = append(args, "--no-sync")
	}
	cmd := c.command("initdb", args...)
	// initdb has helpers that hold our pipe: without a limit, waiting for a killed one could last as long as they do.
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	ch, err := startChild(cmd)
	if err != nil {
		return "", err
	}
	select {
	case <-ch.exited:
	case <-ctx.Done():
		_ = cmd.Process.Kill()
		<-ch.exited
		return "", ctx.Err()
	}
	if ch.err != nil {
		return "", fmt.Errorf("initdb: %w: %s", ch.err, lastLines(out.Bytes()))
	}
	return password, os.Rename(fresh, c.data)
}

// server is the command that runs Postgres itself, not through pg_ctl, which would make a daemon of it.
func (c cluster) server(port int) *exec.Cmd {
	settings := []string{
		"listen_addresses=127.0.0.1",
		"port=" + strconv.Itoa(port),
		"unix_socket_directories=", // the compiled-in directory is often not ours to write
		// bun writes values into the SQL: neither failing statements nor the rows they tripped over belong in a log.
		"log_min_error_statement=panic",
		"log_error_verbosity=terse",
	}
	if c.throwaway {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=400")
	}
	args := []string{"-D", c.data}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	return c.command("postgres", args...)
}

func (c cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(c.bins.path(name), args...) //nolint:noctx // it lives until Close, not as long as the start
	cmd.Dir = filepath.Dir(c.data)
	// Not our environment: it may hold secrets, and PG* variables that mean another server. LC_ALL=C also keeps the
	// messages in the words that launch looks for.
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH")}
	for _, name := range []string{"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.SysProcAttr = childAttr(c.who)
	return cmd
}

// lastLines is the end of what a program said, in one line.
func lastLines(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], " | ")
}
