package test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
)

// While versions change, old and new processes share streams and tables. Whatever the released version has sent, and what
// the next one may send (fields, types and words that nobody knows here yet), goes through a running system: nothing blocks,
// nothing is lost, and its posts go out.
func TestRollingChange(t *testing.T) {
	t.Parallel()
	h := newSystem(t)
	h.otherVersions = true
	h.start()
	h.connect()
	js := h.jetStream()
	files, err := filepath.Glob("events/testdata/released/*/corpus/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("nothing was released")
	}
	sent := 0
	send := func(typ, subject, id string, body map[string]any) {
		t.Helper()
		sent++
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		m := &nats.Msg{Subject: subject, Data: text, Header: nats.Header{
			events.HeaderID: {id}, events.HeaderType: {typ}, events.HeaderSource: {events.Source}, events.HeaderSpecVersion: {"1.0"},
			events.HeaderTime: {time.Now().UTC().Format(time.RFC3339Nano)}, "omni-from-tomorrow": {"yes"}, jetstream.MsgIDHeader: {id},
		}}
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
	}
	for _, file := range files {
		typ := strings.TrimSuffix(filepath.Base(file), ".json")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = []byte(strings.ReplaceAll(string(text), `"user_1"`, `"user_of_then"`)) // user_1 is ours
		msg, err := events.Decode(typ, text)
		if err != nil {
			t.Fatal(err)
		}
		var body map[string]any
		if err := json.Unmarshal(text, &body); err != nil {
			t.Fatal(err)
		}
		id := func(n int) string { return fmt.Sprintf("rolling_%s_%d", typ, n) }
		send(typ, msg.Subject(), id(1), body)
		body["fromTomorrow"] = map[string]any{"deep": []any{1, nil}}
		if post, ok := body["post"].(map[string]any); ok {
			post["fromTomorrow"], post["rev"] = true, 1000+sent
			post["options"] = map[string]any{"fromTomorrow": true}
		}
		send(typ, msg.Subject(), id(2), body)
		if post, ok := body["post"].(map[string]any); ok {
			post["state"], post["status"], post["kind"], post["rev"] = "hovering", "HOVERING", "song", 2000+sent
			post["reason"] = map[string]any{"code": "moonstruck", "message": "The moon was in the way."}
			post["media"] = []any{map[string]any{"type": "hologram", "url": "https://cdn.example/h"}}
			send(typ, msg.Subject(), id(3), body)
		}
	}
	send("post.celebrated.v1", events.PostFacts("acct_01jbkq4t00e7x8v5n2m3k9w0rb", "post_01jbkq4t00e7x8v5n2m3k9w0ra", "celebrated"), "rolling_fact", map[string]any{"n": 1})
	send("post.celebrate.v1", strings.ReplaceAll(events.SchedulePost{PostID: events.NewPostID()}.Subject(), "schedule", "celebrate"), "rolling_command", map[string]any{"n": 1})

	h.posted(h.schedule("amid the change", time.Second))
	h.eventually("everything to be read", func() error {
		for _, stream := range []string{events.StreamCommands, events.StreamEvents} {
			s, err := js.Stream(t.Context(), stream)
			if err != nil {
				return err
			}
			for info := range s.ListConsumers(t.Context()).Info() {
				if info.Config.Durable != "" && info.NumPending+uint64(info.NumAckPending) > 0 {
					return fmt.Errorf("%s has %d messages before it and %d in hand", info.Name, info.NumPending, info.NumAckPending)
				}
			}
		}
		return nil
	})
	h.up()
	// A command that no version here knows is kept for one that does, and nothing else is.
	dead, err := js.Stream(t.Context(), events.StreamDead)
	if err != nil {
		t.Fatal(err)
	}
	if state := dead.CachedInfo().State; state.Msgs != 1 {
		t.Errorf("%d messages are dead", state.Msgs)
	} else if m, err := dead.GetMsg(t.Context(), state.LastSeq); err != nil || m.Header.Get(events.HeaderType) != "post.celebrate.v1" {
		t.Errorf("dead is %v (%v)", m, err)
	}
	h.posted(h.schedule("after the change", time.Second))
}
