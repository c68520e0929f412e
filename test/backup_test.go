package test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg"
)

const operationsPage = "docs/operations.md"

// natsCLI is the directory of the nats command: an installed one, or that of .ci/nats.mod.
func natsCLI(t *testing.T) string {
	t.Helper()
	if found, err := exec.LookPath("nats"); err == nil {
		return filepath.Dir(found)
	}
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile=.ci/nats.mod", "-o", filepath.Join(dir, "nats"), "github.com/nats-io/natscli/nats")
	build.Env = append(os.Environ(), "GOFLAGS=") // ours may ask for the race detector, which finds one in theirs
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("the nats CLI is not installed, and cannot be built here, so the backup of docs/operations.md is not tried: %v\n%s", err, out)
	}
	return dir
}

// engine is the directory of a stand-in for docker. It takes its words as the page has them and in no other way, and runs here what they
// would run in a container.
func engine(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(`#!/usr/bin/env bash
set -eu
case "$*" in
"compose ps -q nats") echo the-container-of-nats ;;
"compose exec -T postgres pg_dump "*" --username=app app") shift 4; exec "${@:1:$#-2}" "$DATABASE_URL" ;;
"run --rm --network container:the-container-of-nats -v "*":/backup natsio/nats-box nats "*) here="${6%:/backup}"; shift 7; exec "${@//\/backup/$here}" ;;
*) echo "docker would not understand: $*" >&2; exit 1 ;;
esac
`), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// get is a post as its owner sees it.
func (d *deployment) get(id string) (p events.Post) {
	d.t.Helper()
	d.call(http.MethodGet, d.url("PORT")+"/api/threads/post/"+id, nil, &p)
	return p
}

// runbook runs commands of docs/operations.md in the place of the deployment's files.
func (d *deployment) runbook(path, script string) {
	d.t.Helper()
	script = strings.ReplaceAll(script, "nats://127.0.0.1:4222", fmt.Sprintf("nats://127.0.0.1:%d", d.ports["NATS_PORT"]))
	run := exec.CommandContext(d.t.Context(), "bash", "-euc", script)
	run.Dir, run.WaitDelay = d.dir, time.Second
	run.Env = []string{"PATH=" + path + ":" + os.Getenv("PATH"), "HOME=" + d.t.TempDir(), "DATABASE_URL=" + d.databaseURL()}
	if out, err := run.CombinedOutput(); err != nil {
		d.t.Fatalf("%v\n%s\n%s", err, script, out)
	}
}

// databaseURL is the owner's address of the database, with the password.
func (d *deployment) databaseURL() string {
	d.t.Helper()
	u, err := url.Parse(d.address.Replace("postgres://app@postgres:5432/app?sslmode=disable"))
	if err != nil {
		d.t.Fatal(err)
	}
	password, err := os.ReadFile(filepath.Join(d.dir, "secrets", "postgres_password"))
	if err != nil {
		d.t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), string(password))
	return u.String()
}

// Postgres and NATS are lost, after a backup with the words of docs/operations.md, and come back with its words. A post that went out since
// the backup does not go out again.
func TestBothStoresAreRestored(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "pg_dump", "pg_restore"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed; the backup of docs/operations.md is not tried", tool)
		}
	}
	cli := natsCLI(t)
	d := newDeployment(t)
	d.patience = crashPatience
	services := []string{"gateway", "auth", "publisher", "tokenkeeper"}
	up := func() {
		d.start("nats")
		d.ready("nats")
	}
	begin := func(names []string) {
		if err := d.once("migrate", d.compose.Services["migrate"].Command, nil); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			d.start(name)
		}
		for _, name := range names {
			d.ready(name)
		}
	}
	up()
	begin(append([]string{"simulator"}, services...))
	d.connect()
	before := d.schedule("out before the backup", time.Second)
	d.detail(before.ID, events.StatusPosted)
	later := d.schedule("due long after", 24*time.Hour)
	if err := d.once("ops", []string{"pause", before.AccountID}, nil); err != nil {
		t.Fatal(err)
	}
	began := time.Now().Add(-time.Second)
	between := d.schedule("out between backup and loss", 0)
	d.eventually("the post to wait", func() error {
		if p := d.get(between.ID); p.Reason == nil || p.Reason.Code != events.Paused {
			return fmt.Errorf("it is %s", p.State)
		}
		return nil
	})
	d.runbook(cli, theBlock(t, operationsPage, backUp))
	// The same as compose has it, which is what comes back later; only it does not copy DEAD.
	for _, copied := range []string{"events", "postgres.dump"} {
		if err := os.RemoveAll(filepath.Join(d.dir, "backup", copied)); err != nil {
			t.Fatal(err)
		}
	}
	d.runbook(engine(t)+":"+cli, theBlock(t, operationsPage, backUpInCompose))

	if err := d.once("ops", []string{"resume", before.AccountID}, nil); err != nil {
		t.Fatal(err)
	}
	d.detail(between.ID, events.StatusPosted)
	out := d.get(between.ID)
	unknown := d.schedule("asked for after the backup", 24*time.Hour)

	for _, name := range append(services, "nats") {
		d.kills(name)
	}
	if err := os.RemoveAll(filepath.Join(d.dir, "data")); err != nil {
		t.Fatal(err)
	}
	db, err := pg.Open(t.Context(), pg.Config{URL: d.databaseURL(), Application: "loss", MaxConns: pg.MinConns}, bustest.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "DROP SCHEMA public CASCADE; CREATE SCHEMA public"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	up()
	d.runbook(cli, theBlock(t, operationsPage, restore))
	d.more = []string{"PUBLISHER_RESTORED_SINCE=" + began.UTC().Format(time.RFC3339)}
	begin(services)
	d.more = nil
	d.detail(before.ID, events.StatusPosted)
	if p := d.get(later.ID); p.Status != events.StatusQueued {
		t.Errorf("the post that is due long after is %s", p.Status)
	}
	if status := d.call(http.MethodGet, d.url("PORT")+"/api/threads/post/"+unknown.ID, nil, nil); status != http.StatusNotFound {
		t.Errorf("a post that was asked for after the backup is answered %d", status)
	}
	d.detail(between.ID, events.StatusPosted)
	if p := d.get(between.ID); p.PostedTweetID == nil || *p.PostedTweetID != *out.PostedTweetID {
		t.Errorf("the post that went out after the backup was found as %v, not %v", p.PostedTweetID, out.PostedTweetID)
	}
	if err := d.once("ops", []string{"resume", before.AccountID}, nil); err != nil { // it was paused at the time of the backup
		t.Fatal(err)
	}
	after := d.schedule("out after the restore", time.Second)
	d.detail(after.ID, events.StatusPosted)
	for _, p := range []events.Post{before, between, after} {
		if n := len(d.arrivals(p.Text)); n != 1 {
			t.Errorf("Threads has %q %d times", p.Text, n)
		}
	}
	var found bytes.Buffer
	if err := d.once("ops", []string{"rebuild", "--json"}, &found); err != nil || !strings.Contains(found.String(), `"different": 0`) {
		t.Errorf("rows and EVENTS differ: %v: %s", err, found.String())
	}
}
