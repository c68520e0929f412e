package commands_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/wire"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func command(key, body string) commands.Command {
	return commands.Command{
		ID: events.CommandIDFor("user_1", key, body), UserID: "user_1", Key: key, BodyHash: body,
		Type: (events.PublishPost{}).Type(), PostID: "post_1", OutcomeTo: "_INBOX_gateway.1",
	}
}

func begin(t *testing.T, db bun.IDB, c commands.Command) *commands.Command {
	t.Helper()
	prior, err := commands.Begin(t.Context(), db, c, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return prior
}

func TestBegin(t *testing.T) {
	t.Parallel()

	t.Run("the second time it finds the first", func(t *testing.T) {
		t.Parallel()
		db := pgtest.New(t)
		c := command("key", "body")
		if prior := begin(t, db, c); prior != nil {
			t.Fatalf("a new command was known as %+v", prior)
		}
		prior := begin(t, db, c)
		if prior == nil || prior.ID != c.ID || prior.PostID != c.PostID {
			t.Fatalf("it found %+v", prior)
		}
		if _, done := prior.Done(); done {
			t.Error("it is done before it was finished")
		}
		o := events.Outcome{CommandID: c.ID, Result: []byte(`{"a":1}`)}
		for range 2 { // the first outcome stays
			if err := commands.Finish(t.Context(), db, o, time.Now()); err != nil {
				t.Fatal(err)
			}
			o.Fault = events.Faultf(events.Internal, "later")
		}
		if o, done := begin(t, db, c).Done(); !done || o.Fault != nil || string(o.Result) != `{"a": 1}` {
			t.Errorf("it ended with %+v, %s", o, o.Result)
		}
	})

	t.Run("another body under the same key is refused, another user's key is another key", func(t *testing.T) {
		t.Parallel()
		db := pgtest.New(t)
		begin(t, db, command("key", "body"))
		if _, err := commands.Begin(t.Context(), db, command("key", "other"), time.Now()); !errors.Is(err, &events.Fault{Code: events.KeyReused}) {
			t.Errorf("it says %v", err)
		}
		theirs := command("key", "other")
		theirs.UserID = "user_2"
		if prior := begin(t, db, theirs); prior != nil {
			t.Errorf("it found %+v", prior)
		}
	})

	t.Run("without a key, commands are told apart by their id", func(t *testing.T) {
		t.Parallel()
		db := pgtest.New(t)
		for range 2 {
			c := command("", "")
			c.ID = events.NewCommandID()
			if prior := begin(t, db, c); prior != nil {
				t.Errorf("it found %+v", prior)
			}
		}
	})

	t.Run("of many at once one is first, and the others wait for what it does", func(t *testing.T) {
		t.Parallel()
		db := pgtest.New(t)
		var first, after int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				err := pg.InTx(context.Background(), db, func(ctx context.Context, tx bun.Tx) error {
					prior, err := commands.Begin(ctx, tx, command("key", "body"), time.Now())
					if err != nil {
						return err
					}
					mu.Lock()
					defer mu.Unlock()
					if prior == nil {
						first++
						return commands.Finish(ctx, tx, events.Outcome{CommandID: command("key", "body").ID}, time.Now())
					}
					if _, done := prior.Done(); done {
						after++
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if first != 1 || after != 7 {
			t.Errorf("%d were first, %d found its outcome", first, after)
		}
	})
}

func TestFinishForPost(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	begin(t, db, command("key", "body"))
	types := []string{(events.PublishPost{}).Type()}
	if waiting, err := commands.FinishForPost(t.Context(), db, "post_1", []string{(events.DeletePost{}).Type()}, nil, 1, time.Now()); err != nil || len(waiting) != 0 {
		t.Errorf("another type of command was ended: %+v, %v", waiting, err)
	}
	fault := events.Faultf(events.Refused, "No.")
	waiting, err := commands.FinishForPost(t.Context(), db, "post_1", types, fault, nil, time.Now())
	if err != nil || len(waiting) != 1 || waiting[0].OutcomeTo == "" {
		t.Fatalf("ended %+v, %v", waiting, err)
	}
	if o, done := waiting[0].Done(); !done || o.Fault == nil || o.Fault.Code != events.Refused {
		t.Errorf("ended with %+v", o)
	}
	if waiting, err := commands.FinishForPost(t.Context(), db, "post_1", types, nil, 1, time.Now()); err != nil || len(waiting) != 0 {
		t.Errorf("ended twice: %+v, %v", waiting, err)
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := command("key", "body")
	begin(t, db, c)
	if o, err := commands.Get(t.Context(), db, asks.GetCommand{UserID: "user_1", ID: c.ID}); err != nil || o.Done || o.CommandID != c.ID {
		t.Errorf("it says %+v, %v", o, err)
	}
	for range 2 {
		o, err := commands.Get(t.Context(), db, asks.GetCommand{UserID: "user_1", ID: command("key", "other").ID, Key: "key", BodyHash: "other"})
		if err != nil || !o.Done || o.Fault == nil || o.Fault.Code != events.KeyReused {
			t.Errorf("a key that was used for another request says %+v, %v", o, err)
		}
	}
	_, foreign := commands.Get(t.Context(), db, asks.GetCommand{UserID: "user_2", ID: c.ID})
	_, missing := commands.Get(t.Context(), db, asks.GetCommand{UserID: "user_1", ID: events.NewCommandID()})
	if foreign == nil || missing == nil || foreign.Error() != missing.Error() {
		t.Errorf("a foreign one says %v, a missing one %v", foreign, missing)
	}
}

// The record of an accepted post is kept for a day or more for each post: it holds nothing that can be put back when it is read.
func TestPostIsKeptWithoutNulls(t *testing.T) {
	t.Parallel()
	link, late := "https://www.threads.net/@a/post/1", 3.5
	post := events.Post{
		ID: events.NewPostID(), UserID: "user_1", Text: "a <text>", ScheduledAt: time.Unix(1_900_000_000, 5_000).UTC(), Rev: 1, Kind: events.KindPost,
		Media: []events.Media{}, Permalink: &link, LatenessMs: &late, Parts: []events.Part{{Text: "one"}}, Options: events.Options{TopicTag: "tag"},
		Zoned: events.Zoned{TimeZone: "Europe/Berlin"}, Warnings: []events.Detail{{Message: "long"}},
	}
	other := map[string]any{"id": "acct_1", "name": nil}
	for name, result := range map[string]any{"a post": post, "something else": other, "no more than a post's id": map[string]any{"id": post.ID, "text": nil}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := wire.Encode(result)
			if err != nil {
				t.Fatal(err)
			}
			db := pgtest.New(t)
			c := command("key", "body")
			if err := c.End(events.Outcome{CommandID: c.ID}, result, time.Now()); err != nil {
				t.Fatal(err)
			}
			begin(t, db, c)
			found, err := commands.Find(t.Context(), db, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			if kept := string(found.Outcome); strings.Contains(kept, "null") == (name == "a post") || found.OutcomeTo != "" {
				t.Errorf("kept, to be told to %q: %s", found.OutcomeTo, kept)
			}
			o, done := found.Done()
			if !done || o.CommandID != c.ID {
				t.Errorf("it ended with %+v", o)
			}
			if name == "a post" && string(o.Result) != string(want) { // of others Postgres sorts the members
				t.Errorf("it made %s, want %s", o.Result, want)
			}
			if got := decoded(t, o.Result); !reflect.DeepEqual(got, decoded(t, want)) {
				t.Errorf("it made %v, want %s", got, want)
			}
		})
	}
}

func decoded(t *testing.T, body []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
