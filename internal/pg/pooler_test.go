package pg_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// pooler starts a PgBouncer before a database and returns the database's address through it.
func pooler(t *testing.T, mode, settings string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		t.Skip("no pgbouncer here")
	}
	address, err := url.Parse(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "pgbouncer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	password, _ := address.User.Password()
	files := map[string]string{
		"users": fmt.Sprintf("%q %q\n", address.User.Username(), password),
		"conf": fmt.Sprintf("[databases]\n* = host=%s port=%s\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=%d\nunix_socket_dir=\nauth_type=trust\n"+
			"auth_file=%s\npool_mode=%s\n%s\n", address.Hostname(), address.Port(), port, filepath.Join(dir, "users"), mode, settings),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, filepath.Join(dir, "conf"))
	if os.Getuid() == 0 { // it refuses to run as root
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	at := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	waiting.Until(t, "pgbouncer", func() bool {
		c, err := net.Dial("tcp", at)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	address.Host = at
	return address.String()
}

const passesOn = "ignore_startup_parameters=statement_timeout,lock_timeout,idle_in_transaction_session_timeout,tcp_keepalives_idle," +
	"tcp_keepalives_interval,tcp_keepalives_count,tcp_user_timeout"

// awaitSessions waits until a pooler has so many sessions at the server: it opens those beyond the first in its own time.
func awaitSessions(t *testing.T, url string, n int) {
	t.Helper()
	db, err := sql.Open("pgx", url+"&default_query_exec_mode=simple_protocol") // prepared statements are a session's
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	waiting.Until(t, "the pooler's sessions", func() bool {
		var there int
		err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()").Scan(&there)
		return err == nil && there >= n
	})
}

func TestATransactionPoolerIsRefused(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]string{"fresh sessions": passesOn, "round robin": passesOn + "\nserver_round_robin=1\nmin_pool_size=3"} {
		url := pooler(t, "transaction", settings)
		if name == "round robin" {
			awaitSessions(t, url, 3)
		}
		db, err := pg.Open(t.Context(), pg.Config{URL: url}, zap.NewNop())
		if err == nil {
			_ = db.Close()
		}
		if !errors.Is(err, pg.ErrPooler) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := pg.Open(t.Context(), pg.Config{URL: pooler(t, "transaction", "")}, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "a pooler answers here") {
		t.Errorf("one that does not know our settings: %v", err)
	}
	db, err := pg.Open(t.Context(), pg.Config{URL: pooler(t, "session", passesOn)}, zap.NewNop())
	if err != nil {
		t.Fatalf("one of sessions is refused: %v", err)
	}
	_ = db.Close()
}
