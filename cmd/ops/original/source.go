package original

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/pg"
)

// Source is the original's database, as it was at one moment. Nothing can be written there: the transaction in which it is
// read is READ ONLY.
type Source struct {
	db    *bun.DB
	tx    bun.Tx
	users []string // only these; none means all

	connections, posts table
}

// OpenSource connects to the original's database and finds its two tables. address is what the original had in its
// DATABASE_URL; what Prisma alone understands in it is translated.
func OpenSource(ctx context.Context, address string, users []string, log *zap.Logger) (_ *Source, err error) {
	plain, err := fromPrisma(address)
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, pg.Config{URL: plain, Application: "threads-import", MaxConns: 2}, log)
	if err != nil {
		return nil, err
	}
	s := &Source{db: db, users: users}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	// One snapshot for all: rows that the original changes meanwhile are for the next run.
	s.tx, err = db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("begin to read the original: %w", err)
	}
	if err := s.findTables(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends the reading.
func (s *Source) Close() {
	if s.tx.Tx != nil {
		_ = s.tx.Rollback()
	}
	_ = s.db.Close()
}

// fromPrisma makes the address of a database fit for other programs: Prisma puts settings of its own into it.
func fromPrisma(address string) (string, error) {
	const form = "--from is the address of the original's database: postgres://user:password@host:5432/name"
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", errors.New(form) // the parser's words would quote the password
	}
	q := u.Query()
	if schema := q.Get("schema"); schema != "" {
		q.Set("search_path", schema)
	}
	for _, own := range []string{"schema", "pgbouncer", "connection_limit", "pool_timeout", "socket_timeout",
		"statement_cache_size", "sslaccept", "sslidentity", "sslpassword"} {
		q.Del(own)
	}
	// A page may wait for the publisher, and the first one sorts them all.
	for name, value := range map[string]string{"idle_in_transaction_session_timeout": "0", "statement_timeout": "600000"} {
		if !q.Has(name) {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// table is a table of the original with the names that it has there.
type table struct {
	name    string
	columns map[string]column // by Prisma's name of the field
}

type column struct{ name, kind string }

// The fields of the two models. Those in the first list must be there.
var (
	connectionFields = [2][]string{
		{"id", "provider", "providerUserId", "accessToken", "userId"},
		{"accessTokenExpiresAt", "username", "createdAt", "updatedAt"},
	}
	postFields = [2][]string{
		{"id", "userId", "provider", "text", "scheduledAt", "status"},
		{"postedTweetId", "errorMessage", "createdAt", "updatedAt", "mediaUrl"},
	}
)

func (s *Source) findTables(ctx context.Context) error {
	var rows []struct {
		Table  string `bun:"table_name"`
		Column string `bun:"column_name"`
		Kind   string `bun:"data_type"`
	}
	err := s.tx.NewRaw(`SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns
		WHERE table_schema = ANY (current_schemas(false)) ORDER BY 1, 2`).Scan(ctx, &rows)
	if err != nil {
		return fmt.Errorf("look for the original's tables: %w", err)
	}
	tables := map[string][]column{}
	for _, r := range rows {
		tables[r.Table] = append(tables[r.Table], column{r.Column, r.Kind})
	}
	if s.connections, err = pick(tables, "SocialConnection", connectionFields); err != nil {
		return err
	}
	s.posts, err = pick(tables, "ScheduledTweet", postFields)
	return err
}

// pick finds the table of a model, under Prisma's name or one that it was mapped to: scheduled_tweets.
func pick(tables map[string][]column, model string, fields [2][]string) (table, error) {
	var names []string
	for name, columns := range tables {
		ours := slices.ContainsFunc(columns, func(c column) bool { return c.name == "told_rev" })
		if !ours && (bare(name) == bare(model) || bare(name) == bare(model)+"s") {
			names = append(names, name)
		}
	}
	if slices.Contains(names, model) {
		names = []string{model}
	}
	switch len(names) {
	case 0:
		return table{}, fmt.Errorf("the database has no table %q; is it the original's, and is ?schema= the right one?", model)
	case 1:
	default:
		slices.Sort(names)
		return table{}, fmt.Errorf("the database has several tables that could be %q: %s", model, strings.Join(names, ", "))
	}
	t := table{name: names[0], columns: map[string]column{}}
	for _, c := range tables[t.name] {
		for _, field := range slices.Concat(fields[0], fields[1]) {
			if bare(c.name) == bare(field) {
				t.columns[field] = c
			}
		}
	}
	for _, field := range fields[0] {
		if _, ok := t.columns[field]; !ok {
			return table{}, fmt.Errorf("the table %q has no column %q", t.name, field)
		}
	}
	return t, nil
}

func bare(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// text reads a column of any type as text; one that is not there is NULL.
func (t table) text(field string) string {
	c, ok := t.columns[field]
	if !ok {
		return "NULL::text"
	}
	return quoted(c.name) + "::text"
}

// moment reads a time as UTC, which is what Prisma writes into its columns without a zone. One that no calendar of ours
// has (infinity, the year 20000) is NULL.
func (t table) moment(field string) string {
	c, ok := t.columns[field]
	if !ok {
		return "NULL::timestamptz"
	}
	utc := quoted(c.name)
	if c.kind != "timestamp with time zone" {
		utc = quoted(c.name) + "::timestamp AT TIME ZONE 'UTC'"
	}
	return fmt.Sprintf("CASE WHEN %[1]s >= '0001-01-02' AND %[1]s < '9999-12-31' THEN %[2]s END", quoted(c.name), utc)
}

// where selects the rows that are ours to take: of Threads, and of the users asked for.
func (s *Source) where(t table) string {
	w := " WHERE upper(" + t.text("provider") + ") = 'THREADS'"
	if len(s.users) > 0 {
		in := make([]string, len(s.users))
		for i, u := range s.users {
			in[i] = "'" + strings.ReplaceAll(u, "'", "''") + "'"
		}
		w += " AND " + t.text("userId") + " IN (" + strings.Join(in, ", ") + ")"
	}
	return w
}

// connection is a row of SocialConnection.
type connection struct {
	ID, ProviderUserID, AccessToken, UserID, Username string
	ExpiresAt, CreatedAt, UpdatedAt                   time.Time // zero: not known
}

// post is a row of ScheduledTweet.
type post struct {
	ID, UserID, Text, Status, PostedTweetID, ErrorMessage, MediaURL string
	ScheduledAt, CreatedAt, UpdatedAt                               time.Time // zero: not known
}

// eachConnection gives the connections in pages, the latest of each person first.
func (s *Source) eachConnection(ctx context.Context, page int, each func([]connection) error) error {
	t := s.connections
	query := "SELECT " + strings.Join([]string{t.text("id"), t.text("providerUserId"), t.text("accessToken"), t.text("userId"),
		t.text("username"), t.moment("accessTokenExpiresAt"), t.moment("createdAt"), t.moment("updatedAt")}, ", ") +
		" FROM " + quoted(t.name) + s.where(t) + " ORDER BY 4, 6 DESC NULLS LAST, 8 DESC NULLS LAST, 1"
	return pages(ctx, s.tx, query, page, func(scan func(...any) error) (c connection, err error) {
		var words [5]sql.NullString
		var times [3]sql.NullTime
		err = scan(&words[0], &words[1], &words[2], &words[3], &words[4], &times[0], &times[1], &times[2])
		c = connection{words[0].String, words[1].String, words[2].String, words[3].String, words[4].String,
			times[0].Time.UTC(), times[1].Time.UTC(), times[2].Time.UTC()}
		return c, err
	}, each)
}

// eachPost gives the posts in pages: the queued first, for their time comes, then the others; each in the order of their
// times, always the same.
func (s *Source) eachPost(ctx context.Context, page int, each func([]post) error) error {
	t := s.posts
	query := "SELECT " + strings.Join([]string{t.text("id"), t.text("userId"), t.text("text"), t.text("status"),
		t.text("postedTweetId"), t.text("errorMessage"), t.text("mediaUrl"), t.moment("scheduledAt"), t.moment("createdAt"), t.moment("updatedAt")}, ", ") +
		" FROM " + quoted(t.name) + s.where(t) + " ORDER BY upper(" + t.text("status") + ") <> 'QUEUED', 8, 1"
	return pages(ctx, s.tx, query, page, func(scan func(...any) error) (p post, err error) {
		var words [7]sql.NullString
		var times [3]sql.NullTime
		err = scan(&words[0], &words[1], &words[2], &words[3], &words[4], &words[5], &words[6], &times[0], &times[1], &times[2])
		p = post{words[0].String, words[1].String, words[2].String, words[3].String,
			words[4].String, words[5].String, words[6].String, times[0].Time.UTC(), times[1].Time.UTC(), times[2].Time.UTC()}
		return p, err
	}, each)
}

// pages reads a query through a cursor, a page at a time.
func pages[T any](ctx context.Context, tx bun.Tx, query string, page int,
	read func(scan func(...any) error) (T, error), each func([]T) error) error {
	if _, err := tx.ExecContext(ctx, "DECLARE original NO SCROLL CURSOR FOR "+query); err != nil {
		return fmt.Errorf("read the original: %w", err)
	}
	for {
		list, err := fetch(ctx, tx, page, read)
		if err != nil {
			return fmt.Errorf("read the original: %w", err)
		}
		if len(list) > 0 {
			if err := each(list); err != nil {
				return err
			}
		}
		if len(list) < page {
			_, err := tx.ExecContext(ctx, "CLOSE original")
			return err
		}
	}
}

func fetch[T any](ctx context.Context, tx bun.Tx, page int,
	read func(scan func(...any) error) (T, error)) (list []T, err error) {
	rows, err := tx.QueryContext(ctx, fmt.Sprintf("FETCH %d FROM original", page))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		one, err := read(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, rows.Err()
}

// others counts the rows of other providers, by provider. They are not ours to take.
func (s *Source) others(ctx context.Context) (map[string]int, error) {
	m := map[string]int{}
	for _, t := range []table{s.connections, s.posts} {
		var rows []struct {
			Provider sql.NullString `bun:"provider"`
			N        int            `bun:"n"`
		}
		provider := t.text("provider")
		query := "SELECT " + provider + " AS provider, count(*) AS n FROM " + quoted(t.name) +
			" WHERE coalesce(upper(" + provider + "), '') <> 'THREADS' GROUP BY 1"
		if err := s.tx.NewRaw(query).Scan(ctx, &rows); err != nil {
			return nil, fmt.Errorf("count the rows of other providers: %w", err)
		}
		for _, r := range rows {
			m[t.name+" "+r.Provider.String] += r.N
		}
	}
	return m, nil
}

// total is how many posts there are to take.
func (s *Source) total(ctx context.Context) (n int, err error) {
	err = s.tx.NewRaw("SELECT count(*) FROM "+quoted(s.posts.name)+s.where(s.posts)).Scan(ctx, &n)
	if err != nil {
		return 0, fmt.Errorf("count the posts: %w", err)
	}
	return n, nil
}

// stirred is when the original last changed one of its rows of Threads, by its own clock; zero when it never did.
func (s *Source) stirred(ctx context.Context) (time.Time, error) {
	var last time.Time
	for _, t := range []table{s.connections, s.posts} {
		var at sql.NullTime
		updated := t.moment("updatedAt")
		err := s.tx.NewRaw("SELECT max("+updated+") FROM "+quoted(t.name)+
			" WHERE upper("+t.text("provider")+") = 'THREADS' AND "+updated+" <= now()").Scan(ctx, &at)
		if err != nil {
			return time.Time{}, fmt.Errorf("look when the original changed its rows: %w", err)
		}
		if at.Time.After(last) {
			last = at.Time.UTC()
		}
	}
	return last, nil
}
