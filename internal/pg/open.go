package pg

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

const (
	connectPatience = 30 * time.Second // a database that starts together with us is up by then
	connectAttempt  = 5 * time.Second  // pgx would let one attempt hang for two minutes
	idleConnection  = 5 * time.Minute  // under the usual idle limit of proxies and firewalls

	statementTimeout  = 30 * time.Second
	idleInTransaction = 60 * time.Second
)

// Config says which database to use, and as whom.
type Config struct {
	// URL of the database, postgres://user:password@host:port/name. Timeouts given in its query win over our defaults.
	URL string
	// Application is the name that pg_stat_activity and the server's log show. Empty: "threads".
	Application string
	// MaxConns bounds the pool. Zero: 16.
	MaxConns int
	// ByKey is for a pool whose statements all come to their rows by an index: the plans of what is prepared are made for that.
	ByKey bool
	// StatementTimeout bounds a statement. Zero: 30 s.
	StatementTimeout time.Duration
	// IdleInTransaction is how long a client may be silent in a transaction before Postgres ends its session. Zero: 60 s.
	IdleInTransaction time.Duration
}

// Open connects to Postgres, waiting up to 30 s (or until ctx ends) for a server that is not up yet. A refusal that
// time does not heal, such as a wrong password, is returned at once. No error holds the password.
func Open(ctx context.Context, c Config, log *zap.Logger) (*bun.DB, error) {
	conf, err := c.parse()
	if err != nil {
		return nil, err
	}
	options := guarded()
	if c.ByKey {
		options = append(options, stdlib.OptionAfterConnect(setFixedPlans))
	}
	pool := stdlib.OpenDB(*conf, options...)
	maxConns := cmp.Or(c.MaxConns, 16)
	pool.SetMaxOpenConns(maxConns)
	pool.SetMaxIdleConns(maxConns)
	pool.SetConnMaxIdleTime(idleConnection)

	// Unknown columns are skipped: a release keeps working while the next one has already added a column.
	db := bun.NewDB(pool, pgdialect.New(), bun.WithDiscardUnknownColumns())
	err = explained(connect(ctx, pool, log))
	if err == nil {
		err = refuseEncoding(ctx, pool)
	}
	if err == nil {
		err = refusePooler(ctx, pool)
	}
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("connect to %s: %w", RedactURL(c.URL), oneLine{err})
	}
	return hooked(db, newSlowQueries(log)), nil
}

// oneLine is an error in one line: pgconn has one for each address that it tried.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }

func (e oneLine) Unwrap() error { return e.error }

// Check says whether the address can be read, and connects to nothing.
func (c Config) Check() error {
	_, err := c.parse()
	return err
}

func (c Config) parse() (*pgx.ConnConfig, error) {
	if c.URL == "" {
		return nil, errors.New("the database url is empty")
	}
	conf, err := pgx.ParseConfig(c.URL)
	if err != nil || misread(c.URL) {
		// The parser's own words may quote the password, when that is what it stumbled over.
		return nil, fmt.Errorf("database url %s is not valid: it should look like "+
			"postgres://user:password@host:5432/name, with reserved characters of the password written as %%XX", RedactURL(c.URL))
	}
	if conf.ConnectTimeout == 0 || conf.ConnectTimeout > connectAttempt {
		conf.ConnectTimeout = connectAttempt
	}
	// bun writes values into the SQL, so every statement is new: preparing it would cost a round trip and gain nothing. What is worth
	// it says so itself (Prepared).
	conf.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	for name, value := range map[string]string{
		"application_name": cmp.Or(c.Application, "threads"),
		// A cancelled context frees the caller, not the server; these do.
		"statement_timeout":                   milliseconds(cmp.Or(c.StatementTimeout, statementTimeout)),
		"lock_timeout":                        "5s",
		"idle_in_transaction_session_timeout": milliseconds(cmp.Or(c.IdleInTransaction, idleInTransaction)),
		// A client that is gone without a word loses its session, and the locks that it holds, within seconds.
		"tcp_keepalives_idle":     "5",
		"tcp_keepalives_interval": "2",
		"tcp_keepalives_count":    "3",
		"tcp_user_timeout":        "10s",
	} {
		if _, given := conf.RuntimeParams[name]; !given {
			conf.RuntimeParams[name] = value
		}
	}
	conf.RuntimeParams["timezone"] = "UTC"
	conf.DialFunc = dialer(conf.RuntimeParams["statement_timeout"])
	return conf, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }

// connect waits until the pool has a connection. A server that has none to give counts as one that is not up yet.
// It tries more often than it speaks: the first failure is told at once, and then at most one a second.
func connect(ctx context.Context, pool *sql.DB, log *zap.Logger) error {
	pace := backoff.NewExponentialBackOff()
	pace.InitialInterval = 100 * time.Millisecond
	pace.MaxInterval = time.Second

	began := time.Now()
	told := rate.Sometimes{First: 1, Interval: time.Second}
	var last error
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := pool.PingContext(ctx)
		if last == nil || ctx.Err() == nil { // what the server said, rather than that time was up
			last = err
		}
		if err != nil && !Unavailable(err) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pace), backoff.WithMaxElapsedTime(connectPatience),
		backoff.WithNotify(func(err error, _ time.Duration) {
			told.Do(func() {
				log.Warn("postgres is not reachable yet", zap.Error(oneLine{err}),
					zap.Duration("gives_up_in", givesUpIn(ctx, began, time.Now())))
			})
		}))
	if err != nil && last != nil {
		return last // says more than "context deadline exceeded"
	}
	return err
}

// givesUpIn is how long connect goes on trying, to the second: until its patience or ctx ends, whichever is first.
func givesUpIn(ctx context.Context, began, now time.Time) time.Duration {
	end := began.Add(connectPatience)
	if deadline, set := ctx.Deadline(); set && deadline.Before(end) {
		end = deadline
	}
	return max(0, end.Sub(now).Round(time.Second))
}
