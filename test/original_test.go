package test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/cmd/ops/original"
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/subprocess"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// The tables of the original as Prisma made them, with ten thousand posts in them, good and bad.
const originalTables = `
CREATE TYPE "Status" AS ENUM ('QUEUED', 'POSTED', 'FAILED', 'CANCELLED', 'DRAFT');
CREATE TABLE "SocialConnection" (
	"id" text PRIMARY KEY, "provider" text NOT NULL, "providerUserId" text NOT NULL, "accessToken" text NOT NULL,
	"accessTokenExpiresAt" timestamp(3), "refreshToken" text, "username" text, "userId" text NOT NULL,
	"createdAt" timestamp(3) NOT NULL DEFAULT '2026-01-01', "updatedAt" timestamp(3) NOT NULL DEFAULT '2026-01-02');
CREATE TABLE "ScheduledTweet" (
	"id" text PRIMARY KEY, "userId" text NOT NULL, "provider" text NOT NULL DEFAULT 'X', "text" text NOT NULL,
	"scheduledAt" timestamp(3) NOT NULL, "status" "Status" NOT NULL, "postedTweetId" text, "errorMessage" text,
	"createdAt" timestamp(3) NOT NULL DEFAULT '2026-01-01', "updatedAt" timestamp(3) NOT NULL DEFAULT '2026-01-02');

-- user_1 and user_2 are added with tokens that work. Of the others: one token a person, some that have died, and bad rows.
INSERT INTO "SocialConnection" ("id", "provider", "providerUserId", "accessToken", "accessTokenExpiresAt", "userId")
	SELECT 'con' || n, 'THREADS', (5000000 + n)::text, 'THAAplantedsecret' || repeat('x', 20) || n,
		now() AT TIME ZONE 'UTC' + CASE WHEN n % 20 = 0 THEN interval '-1 day' ELSE interval '40 days' END, 'user_' || n
	FROM generate_series(3, 200) n;
INSERT INTO "SocialConnection" ("id", "provider", "providerUserId", "accessToken", "accessTokenExpiresAt", "userId") VALUES
	('older', 'THREADS', '5000003', 'THAAplantedsecretolder', '2026-02-01', 'user_3'),
	('second', 'THREADS', '7000000', 'THAAplantedsecretsecond', '2030-02-01', 'user_4'),
	('nobody', 'THREADS', '7000001', 'THAAplantedsecretnobody', '2030-02-01', ''),
	('empty', 'THREADS', '7000002', '', '2030-02-01', 'user_201'),
	('odd', 'THREADS', 'not digits', 'THAAplantedsecretodd', '2030-02-01', 'user_202'),
	('x1', 'X', '1', 'other', '2030-02-01', 'user_1');

INSERT INTO "ScheduledTweet" ("id", "userId", "provider", "text", "scheduledAt", "status", "postedTweetId", "errorMessage")
	SELECT 'row' || n, 'user_' || (5 + n % 196), 'THREADS', 'text number ' || n,
		CASE WHEN n % 4 = 0 THEN now() AT TIME ZONE 'UTC' + interval '30 days' + n * interval '1 minute'
			ELSE timestamp '2026-03-01' + n * interval '1 minute' END,
		(CASE WHEN n % 4 = 0 THEN 'QUEUED' WHEN n % 10 = 1 THEN 'FAILED' WHEN n % 10 = 3 THEN 'CANCELLED' ELSE 'POSTED' END)::"Status",
		CASE WHEN n % 4 <> 0 AND n % 10 NOT IN (1, 3) THEN (9000000 + n)::text END,
		CASE WHEN n % 10 = 1 THEN 'Request failed: https://graph.threads.net/v1.0/me?access_token=THAAplantedsecretinanerror&x=1' END
	FROM generate_series(1, 9800) n;
INSERT INTO "ScheduledTweet" ("id", "userId", "provider", "text", "scheduledAt", "status", "postedTweetId")
	SELECT 'bad' || n, CASE n % 10 WHEN 3 THEN 'user_999' WHEN 4 THEN '' WHEN 5 THEN 'user_4' ELSE 'user_6' END,
		CASE n % 10 WHEN 0 THEN 'X' ELSE 'THREADS' END,
		CASE n % 10 WHEN 1 THEN '' WHEN 2 THEN repeat('long ', 120) ELSE 'bad ' || n END,
		CASE n % 10 WHEN 6 THEN timestamp 'infinity' WHEN 7 THEN timestamp '2026-05-05' ELSE timestamp '2028-01-01' END,
		(CASE n % 10 WHEN 8 THEN 'POSTED' WHEN 9 THEN CASE WHEN n < 100 THEN 'DRAFT' ELSE 'POSTED' END ELSE 'QUEUED' END)::"Status",
		CASE n % 10 WHEN 9 THEN '777' END
	FROM generate_series(0, 199) n;`

func TestMovingIn(t *testing.T) {
	t.Parallel()
	h := newSystem(t)
	h.start()
	h.token = h.tokenOf("user_1")
	from := pgtest.EmptyURL(t)
	source := openSource(t, from)
	exec1(t, source, originalTables)
	for n, name := range []string{"mover.one", "mover.two"} {
		var token struct {
			AccessToken string `json:"access_token"`
			UserID      string `json:"user_id"`
		}
		h.call(http.MethodPost, h.url("SIMULATOR_PORT")+"/_sim/token", map[string]any{"username": name}, &token)
		exec1(t, source, `INSERT INTO "SocialConnection" ("id", "provider", "providerUserId", "accessToken", "accessTokenExpiresAt", "userId", "username")
			VALUES ($1, 'THREADS', $2, $3, now() AT TIME ZONE 'UTC' + interval '50 days', $4, $5)`,
			fmt.Sprintf("mine%d", n+1), token.UserID, token.AccessToken, fmt.Sprintf("user_%d", n+1), name)
	}
	// Before every time in its queue, however long the import takes here.
	stopped := time.Now().Add(-30 * time.Second).UTC().Format(time.RFC3339Nano)
	due := time.Now().Add(15 * time.Second).UTC().Truncate(time.Millisecond)
	for n := range 20 {
		exec1(t, source, `INSERT INTO "ScheduledTweet" ("id", "userId", "provider", "text", "scheduledAt", "status") VALUES ($1, $2, 'THREADS', $3, $4, 'QUEUED')`,
			fmt.Sprintf("due%d", n), fmt.Sprintf("user_%d", 1+n%2), fmt.Sprintf("moved and due %d", n), due.Add(time.Duration(n)*50*time.Millisecond))
	}
	exec1(t, source, `INSERT INTO "ScheduledTweet" ("id", "userId", "provider", "text", "scheduledAt", "status")
		VALUES ('ckv0later00000000000000001', 'user_1', 'THREADS', 'moved for later', '2028-01-01', 'QUEUED')`)
	before := sumOf(t, source, `"SocialConnection"`) + sumOf(t, source, `"ScheduledTweet"`)

	im := importer{h, from}
	// While the old backend may still publish, its queue is its own.
	early := im.run("--account-user", "user_1")
	if n := early.Posts["QUEUED"][original.Left]; n != 11 || early.Posts["QUEUED"][original.Taken] != 0 {
		t.Errorf("with the old backend running, of the queued 11 it left %d: %+v", n, early.Posts)
	}
	dry := im.run("--dry-run", "--old-backend-stopped-at", stopped)
	if !dry.DryRun || h.rows(t, "posts") != 0 {
		t.Errorf("a dry run wrote %d posts", h.rows(t, "posts"))
	}

	im.killedAfter(4000, "--old-backend-stopped-at", stopped)
	if n := h.rows(t, "posts"); n < 2000 || n > 9000 {
		t.Fatalf("it was to be killed in the middle, with %d posts here", n)
	}
	started := time.Now()
	whole := im.run("--old-backend-stopped-at", stopped)
	t.Logf("the rest took %s:\n%+v", time.Since(started), whole)
	first := h.tables(t)
	again := im.run("--old-backend-stopped-at", stopped)
	t.Logf("once more, with nothing to do, took %.1f s", again.Seconds)
	if second := h.tables(t); first != second {
		t.Error("taking over again changed what is here")
	}
	for _, r := range []*original.Report{whole, again} {
		want := map[string]int{
			"no_connection": 20, "no_user": 21, "account_ambiguous": 20, "no_time": 20, "overdue": 20, "no_media_id": 20, "status_unknown": 10,
			"media_taken": 9, "connected_twice": 1, "no_token": 1, "threads_user_invalid": 1, "text_too_long": 20, "text_missing": 20,
		}
		if r == again {
			delete(want, "overdue") // parked by now, and known
		}
		got := maps.Clone(r.Reasons)
		if r == whole { // the first page was taken before it was killed
			delete(got, "overdue")
			delete(want, "overdue")
		}
		if !maps.Equal(got, want) {
			t.Errorf("the reasons are %v, want %v", got, want)
		}
		if r.Others["ScheduledTweet X"] != 20 || r.Others["SocialConnection X"] != 1 || r.ReconnectRequired != 10 {
			t.Errorf("others %v, to be reconnected %d", r.Others, r.ReconnectRequired)
		}
	}
	for status, actions := range again.Posts {
		if actions[original.Taken]+actions[original.Updated]+actions[original.Withdrawn] > 0 {
			t.Errorf("of %s there was still something to do: %v", status, actions)
		}
	}
	if after := sumOf(t, source, `"SocialConnection"`) + sumOf(t, source, `"ScheduledTweet"`); after != before {
		t.Error("the original's tables were changed")
	}

	// The original's ids lead to the posts.
	var row events.Post
	if status := h.call(http.MethodGet, h.url("PORT")+"/api/threads/post/ckv0later00000000000000001", nil, &row); status != http.StatusOK || row.Text != "moved for later" {
		t.Errorf("the original's id leads to %d %q", status, row.Text)
	}
	if story := h.mustOp("explain", "ckv0later00000000000000001"); !strings.Contains(story, row.ID) {
		t.Errorf("explain knows of the original's id: %s", story)
	}
	if status := h.call(http.MethodDelete, h.url("PORT")+"/api/threads/post/schedule/ckv0later00000000000000001", nil, &row); status != http.StatusOK || row.Status != events.StatusCancelled {
		t.Errorf("cancelling by the original's id answers %d, %s", status, row.Status)
	}

	// What the original settles or changes after all is followed, as far as it can be.
	queued := func(n int) string {
		return events.OriginalPostID(fmt.Sprintf("user_%d", 5+n%196), fmt.Sprintf("row%d", n))
	}
	exec1(t, source, `UPDATE "ScheduledTweet" SET "status" = 'POSTED', "postedTweetId" = '123' WHERE "id" = 'row4'`)
	exec1(t, source, `UPDATE "ScheduledTweet" SET "text" = 'mended', "scheduledAt" = '2027-07-07 07:07' WHERE "id" = 'row8'`)
	exec1(t, source, `UPDATE "ScheduledTweet" SET "status" = 'CANCELLED' WHERE "id" = 'row12'`)
	exec1(t, source, `UPDATE "ScheduledTweet" SET "status" = 'POSTED', "postedTweetId" = '124' WHERE "id" = 'bad7'`)
	exec1(t, source, `UPDATE "SocialConnection" SET "accessTokenExpiresAt" = '2030-01-01' WHERE "id" = 'con20'`) // was dead
	late := im.run("--old-backend-stopped-at", stopped)
	if late.Connections[original.Renewed] != 1 || late.ReconnectRequired != 9 {
		t.Errorf("a token that lives longer: %+v", late)
	}
	for id, want := range map[string]string{
		queued(4): "published 123", queued(8): "scheduled ", queued(12): "cancelled ", events.OriginalPostID("user_6", "bad7"): "published 124",
	} {
		if is := h.post(t, id); is != want {
			t.Errorf("post %s is %q, want %q", id, is, want)
		}
	}
	if p, c := late.Posts["POSTED"], late.Posts["CANCELLED"]; p[original.Withdrawn] != 1 || p[original.Updated] != 1 || c[original.Withdrawn] != 1 || late.Posts["QUEUED"][original.Updated] != 1 {
		t.Errorf("what was settled there: %+v", late.Posts)
	}
	settled := h.tables(t)
	im.run("--old-backend-stopped-at", stopped)
	if h.tables(t) != settled {
		t.Error("following it again changed what is here")
	}
	// Whoever had to be forgotten here does not come back from there.
	ours := openSource(t, h.setting("DATABASE_URL"))
	exec1(t, ours, `WITH gone AS (DELETE FROM social_connections WHERE user_id = 'user_7' RETURNING id), posts AS (DELETE FROM posts WHERE user_id = 'user_7')
		INSERT INTO erased_accounts (account_id, user_id, buried_at, stage) SELECT id, 'user_7', now(), 'done' FROM gone`)
	forgotten := im.run("--old-backend-stopped-at", stopped)
	var left int
	err := ours.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM posts WHERE user_id = 'user_7') +
		(SELECT count(*) FROM social_connections WHERE user_id = 'user_7')`).Scan(&left)
	if err != nil || left != 0 || forgotten.Reasons["erased"] != 51 {
		t.Errorf("of an erased user %d rows came back (%v); reasons %v", left, err, forgotten.Reasons)
	}
	exec1(t, source, `UPDATE "ScheduledTweet" SET "updatedAt" = now() AT TIME ZONE 'UTC' WHERE "id" = 'row16'`)
	var said subprocess.Output
	cmd := im.command("--old-backend-stopped-at", "10m")
	cmd.Out, cmd.Log = &said, &said
	if err := subprocess.Run(t.Context(), cmd); err == nil || !strings.Contains(said.String(), "is its backend still running?") {
		t.Errorf("a backend that still writes is not noticed: %v %s", err, tail(said.String()))
	}

	if out := h.log.String() + im.said(); strings.Contains(out, "plantedsecret") {
		t.Error("a token was said")
	}
	for n := range 20 {
		user, at := fmt.Sprintf("user_%d", 1+n%2), due.Add(time.Duration(n)*50*time.Millisecond)
		id := events.OriginalPostID(user, fmt.Sprintf("due%d", n))
		h.eventually("a moved post to be live", func() error {
			if is := h.post(t, id); !strings.HasPrefix(is, "published ") {
				return fmt.Errorf("it is %s", is)
			}
			return nil
		})
		if arrived := h.arrivals(fmt.Sprintf("moved and due %d", n)); len(arrived) != 1 || arrived[0].Before(at) {
			t.Errorf("post %d was for %s and arrived %v", n, at, arrived)
		}
	}
	published, planted := h.everyFact(t, "plantedsecret")
	if planted {
		t.Error("a token lies on EVENTS or in a table")
	}
	if len(published) != 20 {
		t.Errorf("%d posts were told as published", len(published))
	}
	for id, n := range published {
		if n != 1 {
			t.Errorf("post %s was told as published %d times", id, n)
		}
	}
}

// importer runs import-original as a process of its own.
type importer struct {
	h    *system
	from string
}

var importerSaid subprocess.Output

func (im importer) said() string { return importerSaid.String() }

func (im importer) command(words ...string) subprocess.Command {
	return subprocess.Command{
		Words: append([]string{"import-original", "--json", "--scopes", "threads_basic,threads_content_publish"}, words...),
		Env: append(slices.Clip(im.h.env), "ORIGINAL_DATABASE_URL="+im.from+"&schema=public&pgbouncer=true",
			"NATS_URL="+im.h.natsURL(), "TOKEN_KEYSET_FILE="+im.h.keyset()),
	}
}

func (im importer) run(words ...string) *original.Report {
	im.h.t.Helper()
	cmd := im.command(words...)
	var out, complaints bytes.Buffer
	cmd.Out, cmd.Log = &out, io.MultiWriter(&importerSaid, &complaints)
	err := subprocess.Run(im.h.t.Context(), cmd)
	_, _ = importerSaid.Write(out.Bytes())
	if err != nil {
		im.h.t.Fatalf("import-original %v: %v\n%s", words, err, tail(complaints.String()))
	}
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	report := new(original.Report)
	if err := json.Unmarshal(lines[len(lines)-1], report); err != nil {
		im.h.t.Fatalf("the report cannot be read: %v: %s", err, lines[len(lines)-1])
	}
	return report
}

// killedAfter runs it and kills it once it has said so many rows.
func (im importer) killedAfter(rows int, words ...string) {
	im.h.t.Helper()
	cmd := im.command(words...)
	out, in := io.Pipe()
	cmd.Out, cmd.Log = in, &importerSaid
	p, err := subprocess.Start(im.h.t.Context(), cmd)
	if err != nil {
		im.h.t.Fatal(err)
	}
	go func() {
		<-p.Ended()
		_ = in.Close()
	}()
	dec := json.NewDecoder(out)
	for n := 0; n < rows; n++ {
		var row original.Row
		if err := dec.Decode(&row); err != nil {
			im.h.t.Fatalf("it ended after %d rows: %v\n%s", n, err, tail(importerSaid.String()))
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	p.Kill()
}

func tail(s string) string { return s[max(0, len(s)-3000):] }

func (h *system) tokenOf(user string) string {
	h.t.Helper()
	var token struct {
		AccessToken string `json:"access_token"`
	}
	h.call(http.MethodGet, h.url("ISSUER_PORT")+"/token?sub="+user, nil, &token)
	return token.AccessToken
}

func (h *system) setting(name string) (value string) {
	for _, e := range h.env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

func (h *system) keyset() string { return filepath.Join(h.setting("STATE_DIR"), "keyset.json") }

func (h *system) rows(t *testing.T, table string) (n int) {
	t.Helper()
	if err := openSource(t, h.setting("DATABASE_URL")).QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// post is a post's state and media id.
func (h *system) post(t *testing.T, id string) (is string) {
	t.Helper()
	err := openSource(t, h.setting("DATABASE_URL")).QueryRowContext(t.Context(),
		"SELECT state || ' ' || coalesce(media_id, '') FROM posts WHERE id = $1", id).Scan(&is)
	if err != nil {
		t.Fatalf("post %s: %v", id, err)
	}
	return is
}

// tables is what is here, but for what is about to be published.
func (h *system) tables(t *testing.T) string {
	t.Helper()
	db := openSource(t, h.setting("DATABASE_URL"))
	var posts, connections string
	err := db.QueryRowContext(t.Context(), `SELECT count(*) || md5(string_agg(concat_ws('|', id, user_id, account_id, kind, text, publish_at, state, reason, media_id,
		created_at, updated_at, rev, fact), ',' ORDER BY id)) FROM posts WHERE text NOT LIKE 'moved and due%'`).Scan(&posts)
	if err != nil {
		t.Fatal(err)
	}
	err = db.QueryRowContext(t.Context(), `SELECT count(*) || md5(string_agg(concat_ws('|', id, user_id, provider_user_id, status, scopes, granted_at, access_token_expires_at,
		rev, told_rev, fact, encode(access_token, 'hex')), ',' ORDER BY id)) FROM social_connections`).Scan(&connections)
	if err != nil {
		t.Fatal(err)
	}
	return posts + " " + connections
}

// everyFact counts the PostPublished of every post, and says whether a word lies in an event or in a table.
func (h *system) everyFact(t *testing.T, word string) (published map[string]int, found bool) {
	t.Helper()
	s, err := h.jetStream().Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := s.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	published = map[string]int{}
	for seq, last := uint64(0), s.CachedInfo().State.LastSeq; seq < last; {
		m, err := messages.Next(jetstream.NextMaxWait(waiting.Limit))
		if err != nil {
			t.Fatal(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		seq = meta.Sequence.Stream
		found = found || bytes.Contains(m.Data(), []byte(word))
		if msg, err := events.Decode(m.Headers().Get(events.HeaderType), m.Data()); err != nil {
			t.Error(err)
		} else if ev, ok := msg.(events.PostPublished); ok {
			published[ev.Post.ID]++
		}
	}
	db := openSource(t, h.setting("DATABASE_URL"))
	for _, table := range []string{"posts", "social_connections", "commands"} {
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table+" AS r WHERE r::text LIKE $1", "%"+word+"%").Scan(&n); err != nil {
			t.Fatal(err)
		}
		found = found || n > 0
	}
	return published, found
}

func openSource(t *testing.T, address string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(0) // there are many of them, and few connections
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func exec1(t *testing.T, db *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

func sumOf(t *testing.T, db *sql.DB, table string) (sum string) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), `SELECT md5(string_agg(r::text, ',' ORDER BY "id")) FROM `+table+` AS r`).Scan(&sum); err != nil {
		t.Fatal(err)
	}
	return sum
}
