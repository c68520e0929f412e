package secretcheck_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/testkit/secretcheck"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const secret = `THQVJ/planted+one="&é`

func finds(t *testing.T, in secretcheck.Places, err error) bool {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var s secretcheck.Secrets
	s.Add("token", secret)
	found := s.Find(in)
	for _, f := range found {
		if strings.Contains(f, secret) {
			t.Errorf("the finding shows the secret: %s", f)
		}
	}
	return len(found) > 0
}

func TestForms(t *testing.T) {
	t.Parallel()
	written := map[string]string{
		"plain": secret, "query": url.QueryEscape(secret), "path": url.PathEscape(secret),
		"json": `{"a":"THQVJ/planted+one=\"\u0026é"}`, "hex": hex.EncodeToString([]byte(secret)), "HEX": fmt.Sprintf("%X", secret),
	}
	for before := range 7 {
		whole := []byte(strings.Repeat("{", before) + secret + " and more")
		written[fmt.Sprint("base64 after ", before)] = base64.StdEncoding.EncodeToString(whole)
		written[fmt.Sprint("base64url after ", before)] = base64.RawURLEncoding.EncodeToString(whole)
	}
	for name, text := range written {
		if !finds(t, secretcheck.Places{"here": "some text " + text + " and more"}, nil) {
			t.Errorf("not found: %s", name)
		}
	}
	if finds(t, secretcheck.Places{"here": "THQVJ/planted, but not all of it"}, nil) {
		t.Error("found what is not there")
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()

	t.Run("Postgres: in any table, in text and in bytes", func(t *testing.T) {
		t.Parallel()
		db := pgtest.New(t)
		dump := func() bool {
			in, err := secretcheck.Postgres(t.Context(), db)
			if len(in) < 5 {
				t.Fatalf("only %d tables", len(in))
			}
			return finds(t, in, err)
		}
		if dump() {
			t.Fatal("found before it was planted")
		}
		for _, q := range []string{"CREATE TABLE odd (a bytea); INSERT INTO odd VALUES (convert_to(?, 'utf8'))",
			"DROP TABLE odd; CREATE TABLE other (a jsonb); INSERT INTO other VALUES (jsonb_build_object('x', ?::text))"} {
			if _, err := db.ExecContext(t.Context(), q, secret); err != nil {
				t.Fatal(err)
			}
			if !dump() {
				t.Errorf("not found after %s", q)
			}
		}
	})

	t.Run("NATS: in bodies, headers, subjects and buckets, and in the store's files", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		b := bustest.Connect(t, bustest.Server(t, dir), "test")
		js := b.JetStream()
		dump := func() bool {
			in, err := secretcheck.NATS(t.Context(), js)
			return finds(t, in, err)
		}
		if dump() {
			t.Fatal("found before it was planted")
		}
		kv, err := js.KeyValue(t.Context(), events.BucketTickets)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kv.Put(t.Context(), "x", []byte(secret)); err != nil {
			t.Fatal(err)
		}
		if !dump() {
			t.Error("not found in a bucket")
		}
		if in, err := secretcheck.Files(filepath.Clean(dir)); !finds(t, in, err) {
			t.Error("not found in the files of the store")
		}
		if err := kv.Purge(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if dump() {
			t.Fatal("found after it was purged")
		}
		if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: events.Dead("x"), Header: nats.Header{"X": {secret}}}); err != nil {
			t.Fatal(err)
		}
		if !dump() {
			t.Error("not found in a header")
		}
	})

	t.Run("logs: in a message, a field, an error", func(t *testing.T) {
		t.Parallel()
		for name, say := range map[string]func(*zap.Logger){
			"message": func(l *zap.Logger) { l.Debug("it is " + secret) },
			"field":   func(l *zap.Logger) { l.Info("it is", zap.Any("x", map[string]string{"y": secret})) },
			"error":   func(l *zap.Logger) { l.Error("it is", zap.Error(fmt.Errorf("get %s: %w", secret, os.ErrNotExist))) },
			"with":    func(l *zap.Logger) { l.With(zap.String("x", secret)).Debug("it is") },
		} {
			core, logs := observer.New(zap.DebugLevel)
			say(zap.New(core))
			if in, err := secretcheck.Logs(logs.All()); !finds(t, in, err) {
				t.Errorf("not found in a log's %s", name)
			}
		}
	})
}
