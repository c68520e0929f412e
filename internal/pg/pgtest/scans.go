package pgtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/pg"
)

// After the tests of a package, every statement on a table that grows for ever which our own code made in them is explained,
// with a million rows in each such table as far as the planner knows: it must come to its rows by an index. So a
// statement is guarded from the first test on that runs it.

// growing are the tables that have a row for each post, or for what happens to it.
var growing = []string{
	"posts", "post_attempts", "commands", "quota_uses", "insight_snapshots", "webhook_deliveries", "webhook_attempts",
}

// small are the indexes that have few rows however many the table has: to read one of them whole is to read what is asked for.
var small = []string{"posts_unsettled", "posts_untold", "posts_unarmed", "posts_deleting", "posts_doubt", "commands_pending"}

// wholeTable are the statements that read a whole table, or all open posts, because that is what they are for, once.
var wholeTable = map[string]string{
	"internal/posts/rebuilt.go":  "compares every row with EVENTS",
	"internal/posts/restored.go": "every open post that was due, after a restore or since a publisher was last alive, at a start",
	"cmd/ops/original/":          "an import, once",
}

// statements are those of the tests of this process, each once.
type statements struct {
	mu  sync.Mutex
	all map[string]statement
}

type statement struct {
	origin, query string
	parameters    int // of a prepared one
}

var seen statements

func (s *statements) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (s *statements) AfterQuery(_ context.Context, event *bun.QueryEvent) {
	if event.Err != nil || !slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}, event.Operation()) {
		return
	}
	shape := event.QueryTemplate
	if event.IQuery != nil {
		b, err := event.IQuery.AppendQuery(schema.NewNopQueryGen(), nil)
		if err != nil {
			return
		}
		shape = string(b)
	}
	if !slices.ContainsFunc(growing, func(table string) bool { return strings.Contains(shape, table) }) {
		return
	}
	origin := originOf()
	if origin == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]statement{}
	}
	if _, known := s.all[shape]; !known {
		one := statement{origin: origin, query: event.Query}
		if strings.Contains(event.Query, "$1") { // bun's own have their values in them
			one.parameters = len(event.QueryArgs)
		}
		s.all[shape] = one
	}
}

// originOf is where in our code the statement under way comes from; empty where that is a test.
func originOf() string {
	const module = "github.com/omni-write/threads"
	callers := make([]uintptr, 48)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	for {
		frame, more := frames.Next()
		rest, ours := strings.CutPrefix(frame.Function, module)
		if ours && !strings.HasPrefix(rest, "/internal/pg.") && !strings.HasPrefix(rest, "/internal/pg/pgtest.") {
			// The name of a package that is made for tests ends with test.
			if name, _, _ := strings.Cut(path.Base(rest), "."); strings.HasSuffix(frame.File, "_test.go") || strings.HasSuffix(name, "test") {
				return ""
			}
			file := frame.File
			if i := strings.LastIndex(file, "/services/"); i >= 0 {
				file = file[i+1:]
			} else if i := strings.LastIndex(file, "/internal/"); i >= 0 {
				file = file[i+1:]
			}
			return fmt.Sprintf("%s:%d", file, frame.Line)
		}
		if !more {
			return ""
		}
	}
}

// scans explains what was seen, and says what comes to its rows by no index.
func (s *statements) scans() (wrong []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		return nil, nil
	}
	server, err := shared.get()
	if err != nil {
		return nil, err
	}
	template, err := server.migrated()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	name, err := server.create(ctx, template)
	if err != nil {
		return nil, err
	}
	defer func() { _ = server.drop(context.WithoutCancel(ctx), name) }()
	db, err := pg.Open(ctx, pg.Config{URL: server.urlOf(name), Application: "test", MaxConns: 1}, zap.NewNop())
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if err := pretend(ctx, db); err != nil {
		return nil, err
	}
	first, err := firstColumns(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, one := range s.all {
		if slices.ContainsFunc(keysOf(wholeTable), func(file string) bool { return strings.HasPrefix(one.origin, file) }) {
			continue
		}
		scanned, err := scannedBy(ctx, db, first, one)
		if err != nil {
			return nil, fmt.Errorf("explain the statement at %s: %w", one.origin, err)
		}
		for _, how := range scanned {
			wrong = append(wrong, fmt.Sprintf("%s: %s\n\t%.600s", one.origin, how, one.query))
		}
	}
	slices.Sort(wrong)
	return wrong, nil
}

func keysOf(m map[string]string) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	return keys
}

// pretend makes the planner believe in a million rows of each table that grows: it trusts what the catalogue says of the
// rows on a page. With scans of tables out of favour it takes an index wherever there is one, as it would with real rows.
func pretend(ctx context.Context, db bun.IDB) error {
	const tables = `SELECT c.oid FROM pg_class c WHERE c.relname IN (?0) AND c.relkind = 'r'`
	for _, sql := range []string{
		"SET enable_seqscan = off", "SET plan_cache_mode = force_generic_plan", // the plan of what is prepared is made without its values
		// Some rows in each table and each index: what has no page has no rows, whatever the catalogue says. They are spread
		// as those of many accounts are.
		"ALTER TABLE posts ALTER account_id SET (n_distinct = -0.001), ALTER user_id SET (n_distinct = -0.001)",
		"ALTER TABLE post_attempts ALTER post_id SET (n_distinct = -0.2)",
		"ALTER TABLE commands ALTER user_id SET (n_distinct = -0.001)",
		`INSERT INTO posts (id, user_id, account_id, kind, text, parts, content_hash, publish_at, publish_within, state, media_id, wake_at,
				deleted_at, delete_requested_at, created_at, updated_at, rev, told_rev, fact)
			SELECT 'p' || i, 'u' || i, 'a' || i, kind, '', parts::jsonb, i, at, 1, state, i::text, at,
				CASE WHEN i % 3 = 0 THEN at END, CASE WHEN i % 5 = 0 THEN at END, at, at, 2, 1, ''
			FROM (SELECT row_number() OVER () AS i, now() - random() * interval '1 year' AS at, state, kind, parts FROM
				unnest(ARRAY['scheduled', 'waiting', 'publishing', 'unconfirmed', 'parked', 'published', 'failed', 'cancelled']) AS state,
				unnest(ARRAY['post', 'repost', 'imported']) AS kind, unnest(ARRAY['[]', '[{"mediaId": "1"}]']) AS parts) AS each`,
		"INSERT INTO post_attempts (post_id, at, phase, took_ms, ok, message) SELECT 'p' || i, now() - i * interval '1 day', '', 1, true, '' FROM generate_series(1, 40) AS i",
		`INSERT INTO commands (id, user_id, key, post_id, type, outcome, created_at, finished_at)
			SELECT 'c' || i, 'u' || i, 'k' || i, 'p' || i, '', CASE WHEN i > 2 THEN '{}'::jsonb END, now(), CASE WHEN i > 2 THEN now() - i * interval '1 day' END
			FROM generate_series(1, 40) AS i`,
		"INSERT INTO quota_uses (account_id, quota, at, post_id, part) SELECT 'a' || i, 'posts', now() - i * interval '1 hour', 'p' || i, 0 FROM generate_series(1, 40) AS i",
		"INSERT INTO insight_snapshots (account_id, hour, at, metrics) SELECT 'a' || i, now(), now() - i * interval '1 day', '{}' FROM generate_series(1, 40) AS i",
		`INSERT INTO webhook_endpoints (id, user_id, url, secret, created_at, updated_at) SELECT 'e' || i, 'u' || i, '', '', now(), now() FROM generate_series(1, 40) AS i`,
		`INSERT INTO webhook_deliveries (id, endpoint_id, event_id, event_type, payload, status, next_try, created_at, try_from)
			SELECT 'd' || i, 'e' || i, '', '', '', 'waiting', now(), now() - i * interval '1 day', now() FROM generate_series(1, 40) AS i`,
		"INSERT INTO webhook_attempts (delivery_id, at, message, took_ms) SELECT 'd' || i, now(), '', 1 FROM generate_series(1, 40) AS i",
		"ANALYZE",
		"UPDATE pg_class SET reltuples = 1e6, relpages = pg_relation_size(oid) / 8192 WHERE oid IN (" + tables + ")",
		`UPDATE pg_class SET reltuples = CASE WHEN relname IN (?1) THEN 100 ELSE 1e6 END, relpages = pg_relation_size(oid) / 8192
			WHERE oid IN (SELECT indexrelid FROM pg_index WHERE indrelid IN (` + tables + `))`,
	} {
		if _, err := db.ExecContext(ctx, sql, bun.List(growing), bun.List(small)); err != nil {
			return fmt.Errorf("pretend to have a million rows: %w", err)
		}
	}
	return nil
}

// plan is a node of what EXPLAIN says.
type plan struct {
	Type     string `json:"Node Type"`
	Relation string `json:"Relation Name"`
	Index    string `json:"Index Name"`
	Cond     string `json:"Index Cond"`
	Plans    []plan
}

// firstColumns are the indexes of the tables that grow, each with what it is ordered by first: a condition on another
// column alone does not spare a row of it.
func firstColumns(ctx context.Context, db bun.IDB) (map[string]string, error) {
	var rows []struct {
		Name  string `bun:"name"`
		First string `bun:"first"`
	}
	err := db.NewRaw(`SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid, 1, true) AS first
		FROM pg_index WHERE indrelid::regclass::text IN (?)`, bun.List(growing)).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("read the indexes: %w", err)
	}
	first := map[string]string{}
	for _, row := range rows {
		first[row.Name] = row.First
	}
	return first, nil
}

// scannedBy is what a statement reads whole.
func scannedBy(ctx context.Context, db bun.IDB, first map[string]string, one statement) (scanned []string, err error) {
	body, err := explained(ctx, db, one)
	if err != nil {
		return nil, err
	}
	var whole []struct{ Plan plan }
	if err := json.Unmarshal(body, &whole); err != nil {
		return nil, fmt.Errorf("read a plan: %w", err)
	}
	var walk func(p plan)
	walk = func(p plan) {
		switch p.Type {
		case "Seq Scan", "Sample Scan":
			if slices.Contains(growing, p.Relation) {
				scanned = append(scanned, "reads all of "+p.Relation)
			}
		case "Index Scan", "Index Only Scan", "Bitmap Index Scan":
			column, whose := first[p.Index]
			if whose && !strings.Contains(p.Cond, column) && !slices.Contains(small, p.Index) {
				scanned = append(scanned, "reads all of the index "+p.Index)
			}
		}
		for _, below := range p.Plans {
			walk(below)
		}
	}
	for _, one := range whole {
		walk(one.Plan)
	}
	return scanned, nil
}

// explained is the plan of a statement.
func explained(ctx context.Context, db bun.IDB, one statement) (body []byte, err error) {
	if one.parameters == 0 {
		err = db.QueryRowContext(ctx, "EXPLAIN (FORMAT JSON) "+one.query).Scan(&body)
		return body, err
	}
	if _, err := db.ExecContext(ctx, "PREPARE one AS "+one.query); err != nil {
		return nil, err
	}
	nulls := strings.Repeat(", NULL", one.parameters)[2:]
	err = db.QueryRowContext(ctx, "EXPLAIN (FORMAT JSON) EXECUTE one("+nulls+")").Scan(&body)
	_, after := db.ExecContext(ctx, "DEALLOCATE one")
	return body, errors.Join(err, after)
}

// report says what was found; false where something was.
func (s *statements) report() bool {
	wrong, err := s.scans()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest: the statements of these tests could not be explained:", err)
		return false
	}
	for _, one := range wrong {
		fmt.Fprintln(os.Stderr, "pgtest: at a million rows this comes to its rows by no index:", one)
	}
	return len(wrong) == 0
}
