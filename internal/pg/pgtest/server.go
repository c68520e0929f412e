package pgtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/local"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// emptyTemplate is what Postgres itself copies when asked for a database without more words.
const emptyTemplate = "template1"

// shared is the server of this test process.
var shared process

type process struct {
	managed atomic.Bool // by Main

	mu     sync.Mutex
	server *server
	err    error // the first failure: a second attempt would only fail more slowly
}

func (p *process) get() (*server, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == nil && p.err == nil {
		p.server, p.err = start()
	}
	return p.server, p.err
}

func (p *process) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		p.server.close()
	}
}

type server struct {
	adminURL *url.URL
	admin    *sql.DB
	private  *local.Server // nil: somebody else's
	dir      string        // of private
	prefix   string        // of the names of our databases, on a server that others may share
	last     atomic.Int64

	once        sync.Once
	template    string
	templateErr error
}

func start() (_ *server, err error) {
	s := &server{prefix: "test_" + strings.ToLower(rand.Text()[:8])}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	raw := os.Getenv("TEST_DATABASE_URL")
	if raw == "" {
		if s.dir, err = os.MkdirTemp("", "pgtest-"); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), local.DownloadLimit+waiting.Limit)
		defer cancel()
		s.private, err = local.Start(ctx, local.Options{StateDir: s.dir, BinDir: os.Getenv("PG_BINDIR"), Repository: os.Getenv("PG_REPOSITORY"), Throwaway: true})
		if err != nil {
			return nil, err
		}
		raw = s.private.AdminURL()
	}
	if s.adminURL, err = url.Parse(raw); err != nil {
		return nil, fmt.Errorf("TEST_DATABASE_URL %s is not a url", pg.RedactURL(raw))
	}
	s.admin, err = sql.Open("pgx", raw)
	return s, err
}

func (s *server) close() {
	if s.admin != nil {
		if s.private == nil && s.template != "" {
			_ = s.drop(context.Background(), s.template)
		}
		_ = s.admin.Close()
	}
	if s.private != nil {
		_ = s.private.Close()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// migrated returns the name of a database with the current schema, to be cloned. Nobody may be connected to it then.
func (s *server) migrated() (string, error) {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waiting.Limit)
		defer cancel()
		if s.template, s.templateErr = s.create(ctx, emptyTemplate); s.templateErr != nil {
			return
		}
		db, err := pg.Open(ctx, pg.Config{URL: s.urlOf(s.template), Application: "test"}, zap.NewNop())
		if err != nil {
			s.templateErr = err
			return
		}
		defer db.Close()
		_, s.templateErr = pg.Migrate(ctx, db, zap.NewNop())
	})
	return s.template, s.templateErr
}

func (s *server) create(ctx context.Context, template string) (string, error) {
	name := fmt.Sprintf("%s_%d", s.prefix, s.last.Add(1))
	if _, err := s.admin.ExecContext(ctx, "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		return "", fmt.Errorf("create database from %s: %w", template, err)
	}
	return name, nil
}

func (s *server) drop(ctx context.Context, name string) error {
	if _, err := s.admin.ExecContext(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}

func (s *server) urlOf(database string) string {
	u := *s.adminURL
	u.Path = "/" + database
	return u.String()
}
