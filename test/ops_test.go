package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/omni-write/threads/cmd"
	"github.com/omni-write/threads/cmd/ops"
	"github.com/omni-write/threads/cmd/ops/doctor"
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// op runs a command of ops against the system, as an operator does beside it.
func (h *system) op(words ...string) (string, error) {
	h.t.Helper()
	return h.opWith(nil, words...)
}

// opWith is op with settings that the system makes itself.
func (h *system) opWith(settings map[string]string, words ...string) (string, error) {
	h.t.Helper()
	getenv := func(name string) string {
		if value, ok := settings[name]; ok {
			return value
		}
		if name == "NATS_URL" {
			return h.natsURL()
		}
		return h.setting(name)
	}
	var out bytes.Buffer
	err := cmd.Run(h.t.Context(), words, getenv, &out, os.Stderr)
	return out.String(), err
}

func (h *system) mustOp(words ...string) string {
	h.t.Helper()
	out, err := h.op(words...)
	if err != nil {
		h.t.Fatalf("%v: %v\n%s", words, err, out)
	}
	return out
}

func TestOps(t *testing.T) {
	t.Parallel()
	h := newSystem(t)
	h.start()
	h.connect()
	p := h.schedule("explained", time.Second)
	other := h.schedule("not explained", time.Hour)
	h.posted(p)

	t.Run("beside a system they need no settings", func(t *testing.T) {
		near := map[string]string{"NATS_URL": "", "DATABASE_URL": ""}
		for _, words := range [][]string{{"explain", p.ID}, {"reconcile", p.ID}, {"replay", "--post", p.ID}, {"dead", "list"}} {
			if out, err := h.opWith(near, words...); err != nil {
				t.Errorf("%v: %v\n%s", words, err, out)
			}
		}
		near["STATE_DIR"] = t.TempDir()
		if out, err := h.opWith(near, "explain", p.ID); err == nil || !strings.Contains(err.Error(), "set NATS_URL") {
			t.Errorf("where there is no system: %v\n%s", err, out)
		}
		info, err := os.Stat(filepath.Join(h.setting("STATE_DIR"), "house.env"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the addresses: %v, %v", info, err)
		}
	})

	t.Run("explain tells a post's story in its order", func(t *testing.T) {
		var story ops.History
		if err := json.Unmarshal([]byte(h.mustOp("explain", "--json", p.ID)), &story); err != nil {
			t.Fatal(err)
		}
		var seen []string
		for _, m := range story.Timeline {
			words := strings.Fields(m.What)
			seen = append(seen, m.Source+" "+strings.TrimRight(words[0], ":,"))
		}
		at := 0
		for _, want := range []string{
			"request an", "command post.schedule.v1", "command post.schedule.v1", "event post.scheduled.v1", "threads create", "event post.prepared.v1",
			"threads publish", "event post.published.v1",
		} {
			i := slices.Index(seen[at:], want)
			if i < 0 {
				t.Fatalf("after %d of these %q is missing: %q", at, want, seen)
			}
			at += i + 1
		}
		if story.Row == nil || story.Row.State != events.StatePublished || story.Row.MediaID == nil {
			t.Fatalf("the row is %+v", story.Row)
		}
		for _, words := range [][]string{{"explain", p.ID}, {"explain", *story.Row.MediaID}} {
			if table := h.mustOp(words...); !strings.Contains(table, "It is published, http") || strings.Contains(table, "not explained") {
				t.Errorf("%v says\n%s", words, table)
			}
		}
		if waiting := h.mustOp("explain", other.ID); !strings.Contains(waiting, "looked at next at") || !strings.Contains(waiting, "an alarm was set for") {
			t.Errorf("of a post that waits it says\n%s", waiting)
		}
		if _, err := h.op("explain", events.NewPostID()); err == nil {
			t.Error("it knows a post that is not")
		}
	})

	t.Run("replay shows what was asked for", func(t *testing.T) {
		for want, words := range map[int][]string{
			1: {"--fact", "published", "--post", p.ID}, 2: {"--fact", "scheduled"}, 0: {"--since", "2100-01-01T00:00:00Z"},
			3: {"--post", p.ID, "--until", "0s"},
		} {
			out := h.mustOp(slices.Concat([]string{"replay", "--json"}, words)...)
			if n := strings.Count(out, "\n"); n != want {
				t.Errorf("%v gave %d facts, want %d:\n%s", words, n, want, out)
			}
		}
		if table := h.mustOp("replay", "--account", p.AccountID); !strings.Contains(table, "account.connected.v1") || !strings.Contains(table, "ms late") {
			t.Errorf("the table is\n%s", table)
		}
		if _, err := h.op("replay", "--post", "a.>"); err == nil {
			t.Error("a wildcard passed for an id")
		}
	})

	t.Run("a replay goes where nothing of ours listens", func(t *testing.T) {
		js := h.jetStream()
		last := func() (all []uint64) {
			for name := range js.StreamNames(t.Context()).Name() {
				s, err := js.Stream(t.Context(), name)
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(name, "KV_") || name == events.StreamPostAlarms || name == events.StreamTokenAlarms {
					continue // ticks come at any time
				}
				all = append(all, s.CachedInfo().State.LastSeq)
			}
			return all
		}
		before := last()
		heard, err := js.Conn().SubscribeSync(events.Replayed("test-1", events.EveryFact))
		if err != nil {
			t.Fatal(err)
		}
		if err := js.Conn().Flush(); err != nil {
			t.Fatal(err)
		}
		if out := h.mustOp("replay", "--publish", "test-1", "--post", p.ID); !strings.Contains(out, "3 events emitted again on threads.replay.test-1.>") {
			t.Errorf("it says %s", out)
		}
		var types []string
		for range 3 {
			m, err := heard.NextMsg(waiting.Limit)
			if err != nil {
				t.Fatal(err)
			}
			types = append(types, m.Header.Get(events.HeaderType))
			if m.Header.Get(events.HeaderReplay) != "test-1" || m.Header.Get(events.HeaderReplaySequence) == "" || m.Header.Get(nats.MsgIdHdr) != "" {
				t.Errorf("its headers are %v", m.Header)
			}
		}
		if want := []string{"post.scheduled.v1", "post.prepared.v1", "post.published.v1"}; !slices.Equal(types, want) {
			t.Errorf("%q were told again, want %q", types, want)
		}
		if after := last(); !slices.Equal(before, after) {
			t.Errorf("the streams moved from %v to %v", before, after)
		}
		if n := len(h.arrivals(p.Text)); n != 1 {
			t.Errorf("Threads has the post %d times", n)
		}
		if _, err := h.op("replay", "--publish", "evt.post"); err == nil {
			t.Error("a subject passed for an id")
		}
	})

	t.Run("a letter that nobody can read is listed, shown, and not given back", func(t *testing.T) {
		js := h.jetStream()
		m := nats.NewMsg("threads.cmd.post.cancel")
		m.Data = []byte("not JSON")
		m.Header = nats.Header{events.HeaderID: {"cmd_torn"}, events.HeaderType: {"post.cancel.v1"}}
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		var letters []ops.DeadLetter
		h.eventually("the letter", func() error {
			if err := json.Unmarshal([]byte(h.mustOp("dead", "--json")), &letters); err != nil || len(letters) != 1 {
				return fmt.Errorf("there are %d: %w", len(letters), err)
			}
			return nil
		})
		seq := fmt.Sprint(letters[0].Seq)
		if shown := h.mustOp("dead", "show", seq); !strings.Contains(shown, "not JSON") || !strings.Contains(shown, "cmd_torn") {
			t.Errorf("it shows %s", shown)
		}
		if list := h.mustOp("dead", "list"); !strings.Contains(list, "cmd_torn") {
			t.Errorf("the list is %s", list)
		}
		if _, err := h.op("dead", "requeue", seq); err == nil || !strings.Contains(err.Error(), "cannot be read") {
			t.Errorf("giving it back said %v", err)
		}
		if _, err := h.op("dead", "requeue", "--all"); err == nil || !strings.Contains(err.Error(), "1 of 1 dead letter could not be given back") {
			t.Errorf("giving all back said %v", err)
		}
		for want, filter := range map[string][]string{
			"[]\n": {"--since", "2100-01-01T00:00:00Z"}, "[]": {"--type", "post.schedule.v1"}, "cmd_torn": {"--type", "post.cancel.v1", "--since", "24h"},
		} {
			if out := h.mustOp(append([]string{"dead", "list", "--json"}, filter...)...); !strings.Contains(out, want) {
				t.Errorf("with %q it lists %s", filter, out)
			}
		}
		for _, wrong := range [][]string{{"drop"}, {"drop", "--all", seq}, {"drop", "--since", "1h", seq}, {"requeue", "--since", "soon", "--all"}, {"show", "--all"}} {
			if out, err := h.op(append([]string{"dead"}, wrong...)...); err == nil {
				t.Errorf("%q passed: %s", wrong, out)
			}
		}
	})

	t.Run("an event that could not be applied is told of by doctor and rebuild, until it is dropped", func(t *testing.T) {
		m := nats.NewMsg(events.PostFacts("acct_tomorrow", "post_tomorrow", "dreamt"))
		m.Header = nats.Header{events.HeaderType: {"post.dreamt.v9"}}
		ack, err := h.jetStream().PublishMsg(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		tells := fmt.Sprintf("1 events on EVENTS could not be read or written to the tables, the first at sequence %d", ack.Sequence)
		h.eventually("doctor's word", func() error {
			if out, _ := h.opWith(nil, "doctor"); !strings.Contains(out, tells) {
				return errors.New(out)
			}
			return nil
		})
		if out := h.mustOp("rebuild"); !strings.Contains(out, fmt.Sprintf("seq %d  post.dreamt.v9  post_tomorrow: unknown message type", ack.Sequence)) {
			t.Errorf("rebuild says %s", out)
		}
		seq := strconv.FormatUint(ack.Sequence, 10)
		h.mustOp("rebuild", "--drop", seq)
		if out, err := h.op("rebuild", "--drop", seq); err == nil {
			t.Errorf("it was dropped twice: %s", out)
		}
		if out := h.mustOp("rebuild"); strings.Contains(out, "post_tomorrow") {
			t.Errorf("after the drop rebuild says %s", out)
		}
	})

	t.Run("doctor says what is wrong, and only that", func(t *testing.T) {
		state := h.setting("STATE_DIR")
		settings := map[string]string{
			"AUTH_ISSUER": h.url("ISSUER_PORT"), "THREADS_API_URL": h.url("SIMULATOR_PORT"), "TOKEN_KEYSET_FILE": filepath.Join(state, "keyset.json"),
			"THREADS_APP_ID": threadssim.DefaultAppID, "THREADS_APP_SECRET_FILE": filepath.Join(state, "simulated-app-secret"),
			"THREADS_REDIRECT_URI":         h.url("PORT") + "/api/auth/threads/callback",
			"THREADS_SUCCESS_REDIRECT_URI": h.url("PORT"), "THREADS_FAILURE_REDIRECT_URI": h.url("PORT"),
		}
		examine := func() (bad []string) {
			out, err := h.opWith(settings, "doctor", "--json")
			var found []doctor.Finding
			if json.Unmarshal([]byte(out), &found) != nil {
				t.Fatalf("%v: %s", err, out)
			}
			for _, f := range found {
				if f.Level != doctor.Well {
					bad = append(bad, fmt.Sprintf("%s %s %s", f.Level, f.Check, f.Says))
				}
			}
			if wrong := strings.Contains(strings.Join(bad, "\n"), "wrong "); wrong != (err != nil) {
				t.Errorf("it ends with %v and found %q", err, bad)
			}
			return bad
		}
		// The dead letter of the test before; and the Postgres of tests, which does not sync.
		if bad := examine(); len(bad) != 2 || !strings.Contains(bad[0], "1 dead letters") || !strings.Contains(bad[1], "fsync is off") {
			t.Errorf("of a system that is well it says %q", bad)
		}
		for _, c := range []struct{ name, value, says string }{
			{"THREADS_REDIRECT_URI", h.url("PORT") + "/callback", "wrong addresses THREADS_REDIRECT_URI ends in \"/callback\"; the gateway answers at /api/auth/threads/callback"},
			{"THREADS_DEFAULT_SCOPES", "threads_basic", "publishing"},
			{"AUTH_ISSUER", "http://127.0.0.1:1", "keys cannot be had"},
			{"AUTH_ISSUER", h.url("ISSUER_PORT") + "/", "wrong issuer The issuer calls itself " + h.url("ISSUER_PORT") + ", and AUTH_ISSUER is"},
			{"THREADS_API_URL", "http://127.0.0.1:1", "Threads cannot be reached"},
			{"THREADS_APP_ID", "", "THREADS_APP_ID is required"},
			{"THREADS_APP_ID", "1", "wrong threads Threads refuses THREADS_APP_ID with THREADS_APP_SECRET"},
			{"PUBLISHER_LEASE", "1s", "wrong settings PUBLISHER_LEASE is shorter than is safe"},
			{"NATS_REPLICAS", "3", "has num_replicas 1, and not 3"},
			{"EVENTS_MAX_AGE", "240h", "stream EVENTS lacks max_age"},
			{"TOKEN_KEYSET_FILE", "/nowhere", "wrong settings TOKEN_KEYSET_FILE: open /nowhere"},
			{"LOG_LEVEL", "loud", "wrong settings LOG_LEVEL is not one of"},
			{"NATS_URL", "nats://127.0.0.1:1", "wrong nats"},
			{"DATABASE_URL", "postgres://nobody@127.0.0.1:1/none", "wrong postgres"},
		} {
			before, was := settings[c.name]
			settings[c.name] = c.value
			bad := examine()
			if !strings.Contains(strings.Join(bad, "\n"), c.says) {
				t.Errorf("with %s=%q it says %q", c.name, c.value, bad)
			}
			for _, line := range bad {
				if strings.Contains(line, "\n") {
					t.Errorf("with %s=%q this is not one line: %q", c.name, c.value, line)
				}
			}
			if settings[c.name] = before; !was {
				delete(settings, c.name)
			}
		}
		settings["NATS_URL"], settings["DATABASE_URL"], settings["TOKEN_KEYSET_FILE"] = "nats://127.0.0.1:1", "postgres://nobody@127.0.0.1:1/none", "/nowhere"
		settings["AUTH_ISSUER"], settings["THREADS_APP_ID"] = "http://127.0.0.1:1", "1"
		all := strings.Join(examine(), "\n")
		for _, says := range []string{"TOKEN_KEYSET_FILE", "wrong nats", "wrong postgres", "wrong issuer", "wrong threads"} {
			if !strings.Contains(all, says) {
				t.Errorf("where much is wrong it does not say %q: %s", says, all)
			}
		}
	})

	t.Run("dead letters are dropped, one or all of a kind", func(t *testing.T) {
		js := h.jetStream()
		for _, id := range []string{"cmd_second", "cmd_third"} {
			if _, err := js.PublishMsg(t.Context(), &nats.Msg{
				Subject: events.Dead("threads.cmd.post.cancel"), Header: nats.Header{events.HeaderID: {id}, events.HeaderType: {"post.cancel.v9"}},
			}); err != nil {
				t.Fatal(err)
			}
		}
		if out := h.mustOp("dead", "drop", "--all", "--type", "post.cancel.v9"); strings.Count(out, "is dropped") != 2 {
			t.Errorf("it says %s", out)
		}
		var letters []ops.DeadLetter
		if err := json.Unmarshal([]byte(h.mustOp("dead", "--json")), &letters); err != nil || len(letters) != 1 {
			t.Fatalf("left are %+v, %v", letters, err)
		}
		if out := h.mustOp("dead", "drop", fmt.Sprint(letters[0].Seq)); !strings.Contains(out, "cmd_torn is dropped") {
			t.Errorf("it says %s", out)
		}
		if out := h.mustOp("dead", "list"); !strings.Contains(out, "No dead letters.") {
			t.Errorf("it lists %s", out)
		}
	})

	t.Run("explain finds a post whose row is lost, by Threads' id too", func(t *testing.T) {
		var story ops.History
		if err := json.Unmarshal([]byte(h.mustOp("explain", "--json", p.ID)), &story); err != nil {
			t.Fatal(err)
		}
		db, err := pg.Open(t.Context(), pg.Config{URL: h.setting("DATABASE_URL"), Application: "loss", MaxConns: pg.MinConns}, bustest.Log(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		if _, err := db.ExecContext(t.Context(), "DELETE FROM posts WHERE id = ?", p.ID); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{p.ID, *story.Row.MediaID} {
			if out := h.mustOp("explain", id); !strings.Contains(out, "the row was lost") || !strings.Contains(out, "post.published.v1") || strings.Contains(out, "not explained") {
				t.Errorf("of %s it says\n%s", id, out)
			}
		}
		if out, err := h.op("explain", "1234567"); err == nil || !strings.Contains(err.Error(), "nothing is known") {
			t.Errorf("of an id that nobody has it says %v, %s", err, out)
		}
	})

	t.Run("doctor names each setting of a stream and of a durable that differs", func(t *testing.T) {
		js := h.jetStream()
		s, err := js.Stream(t.Context(), events.StreamDead)
		if err != nil {
			t.Fatal(err)
		}
		changed := s.CachedInfo().Config
		changed.MaxAge, changed.MaxConsumers = time.Hour, 7
		if _, err := js.UpdateStream(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
		c, err := js.Consumer(t.Context(), events.StreamCommands, events.AuthCommands)
		if err != nil {
			t.Fatal(err)
		}
		slower := c.CachedInfo().Config
		slower.AckWait = time.Minute
		if _, err := js.UpdateConsumer(t.Context(), events.StreamCommands, slower); err != nil {
			t.Fatal(err)
		}
		out, err := h.opWith(nil, "doctor")
		if err == nil {
			t.Error("it finds nothing wrong")
		}
		for _, says := range []string{
			"wrong    streams    stream DEAD has max_age 1h0m0s, and not", "durable auth-commands has ack_wait 1m0s, and not",
		} {
			if !strings.Contains(out, says) {
				t.Errorf("it does not say %q:\n%s", says, out)
			}
		}
	})
}
