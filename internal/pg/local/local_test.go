//go:build unix

package local

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/omni-write/threads/internal/subprocess"
	"github.com/omni-write/threads/internal/testkit/forked"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

func TestRestart(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	first := start(t, Options{StateDir: dir})
	exec1(t, first.URL(), "CREATE TABLE kept AS SELECT 'yes'::text AS said")

	t.Run("listens on TCP with a password only", func(t *testing.T) {
		if got := text(t, first.AdminURL(), "SELECT current_setting('unix_socket_directories') || current_setting('listen_addresses')"); got != "127.0.0.1" {
			t.Errorf("listens on %q", got)
		}
		wrong := strings.Replace(first.URL(), first.password, "wrong", 1)
		if conn, err := pgx.Connect(t.Context(), wrong); err == nil {
			_ = conn.Close(t.Context())
			t.Error("a wrong password was let in")
		}
	})

	t.Run("keeps its password to itself", func(t *testing.T) {
		files, err := filepath.Glob(filepath.Join(dir, dataPrefix+"*.password"))
		if err != nil || len(files) != 1 {
			t.Fatalf("password files: %v, %v", files, err)
		}
		info, err := os.Stat(files[0])
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode is %v", info.Mode())
		}
	})

	t.Run("a second start on the directory is refused in words", func(t *testing.T) {
		_, err := Start(t.Context(), Options{StateDir: dir})
		want := fmt.Sprintf("another process (pid %d) already runs its Postgres in %s", os.Getpid(), dir)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	})

	forked.Hold(t, filepath.Join(dir, "postgres.lock")) // the lock is given back all the same
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	<-first.Exited()
	second := start(t, Options{StateDir: dir})
	if got := text(t, second.URL(), "SELECT said FROM kept"); got != "yes" {
		t.Errorf("kept %q", got)
	}
}

func TestKilledParent(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	parent, err := subprocess.Serve(t.Context(), subprocess.Command{Words: []string{dir}, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	url := parent.URL
	if !strings.HasPrefix(url, "postgres://") {
		t.Fatalf("parent said %q", url)
	}
	exec1(t, url, "CREATE TABLE kept AS SELECT 'yes'::text AS said")
	conn := connect(t, url)

	parent.Kill()

	if runtime.GOOS == "linux" { // elsewhere the next start stops it
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, err := conn.WaitForNotification(ctx); err == nil || ctx.Err() != nil {
			t.Errorf("the server did not end with its parent: %v", err)
		}
	}
	again := start(t, Options{StateDir: dir})
	if got := text(t, again.URL(), "SELECT said FROM kept"); got != "yes" {
		t.Errorf("kept %q", got)
	}
}

func TestLeftover(t *testing.T) {
	t.Parallel()

	t.Run("a server without an owner is stopped first", func(t *testing.T) {
		t.Parallel()
		dir := stateDir(t)
		orphan := start(t, Options{StateDir: dir, Throwaway: true}) // takes no lock
		again := start(t, Options{StateDir: dir})
		select {
		case <-orphan.Exited():
		default:
			t.Error("two servers at once")
		}
		text(t, again.URL(), "SELECT ''::text")
	})

	t.Run("a pid that now is another program's is no obstacle", func(t *testing.T) {
		t.Parallel()
		dir := stateDir(t)
		if err := start(t, Options{StateDir: dir, Throwaway: true}).Close(); err != nil {
			t.Fatal(err)
		}
		who, err := dropTo()
		if err != nil {
			t.Fatal(err)
		}
		stranger := exec.Command("cat")
		stranger.Dir = "/"
		stranger.SysProcAttr = who.sysProcAttr()        // Postgres only minds processes of its own user
		if _, err := stranger.StdinPipe(); err != nil { // keeps it waiting
			t.Fatal(err)
		}
		if err := stranger.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = stranger.Process.Kill()
			_ = stranger.Wait()
		}()
		data, err := filepath.Glob(filepath.Join(dir, dataPrefix+"??"))
		if err != nil || len(data) != 1 {
			t.Fatalf("data directories: %v, %v", data, err)
		}
		file := fmt.Sprintf("%d\n%s\n", stranger.Process.Pid, data[0])
		path := filepath.Join(data[0], "postmaster.pid")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := who.own(path); err != nil {
			t.Fatal(err)
		}
		text(t, start(t, Options{StateDir: dir}).URL(), "SELECT ''::text")
	})
}

func TestExitedByItself(t *testing.T) {
	t.Parallel()
	s := start(t, Options{StateDir: stateDir(t), Throwaway: true})
	if err := s.child.process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Exited():
	case <-time.After(waiting.Limit):
		t.Fatal("nobody noticed")
	}
}

func TestInterruptedInit(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond) // initdb takes longer
	defer cancel()
	if s, err := Start(ctx, Options{StateDir: dir}); err == nil {
		_ = s.Close()
		t.Log("initdb was faster than expected, nothing was interrupted")
	}
	text(t, start(t, Options{StateDir: dir}).URL(), "SELECT ''::text")
}

func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "postgres.log")
	for _, c := range []struct{ size, kept int64 }{{maxLog, maxLog}, {maxLog + 1, 0}} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, c.size); err != nil {
			t.Fatal(err)
		}
		f, err := openLog(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != c.kept {
			t.Errorf("of %d bytes %d were kept, want %d", c.size, info.Size(), c.kept)
		}
	}
}
