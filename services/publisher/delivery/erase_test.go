package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher/projector"
)

// bury begins the erasure of an account, as auth does.
func (r *rig) bury(a accounts.Account) {
	r.t.Helper()
	err := pg.InTx(r.t.Context(), r.db, func(ctx context.Context, tx bun.Tx) error {
		_, fresh, err := accounts.Erase(ctx, tx, accounts.Request{Code: "era_" + a.ID, Subject: "s"}, []accounts.Account{a}, time.Now())
		if err == nil && !fresh {
			err = fmt.Errorf("it was asked for before")
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// stage waits until an erasure has come to a stage.
func (r *rig) stage(a accounts.Account, want accounts.Stage) accounts.Tombstone {
	r.t.Helper()
	var stone accounts.Tombstone
	for end := time.Now().Add(10 * time.Second); ; {
		err := r.db.NewSelect().Model(&stone).Where("account_id = ?", a.ID).Scan(r.t.Context())
		if err == nil && stone.Stage == want {
			return stone
		}
		if time.Now().After(end) {
			r.t.Fatalf("the erasure is at %+v, %v; the posts are %s", stone, err, r.rows())
		}
		clock.Sleep(r.t.Context(), 5*time.Millisecond)
	}
}

// again gives publisher its turn once more, as auth does after the rest.
func (r *rig) again(stone accounts.Tombstone) {
	r.t.Helper()
	err := pg.InTx(r.t.Context(), r.db, func(ctx context.Context, tx bun.Tx) error {
		if err := stone.Pass(ctx, tx, accounts.StageRest, time.Now(), time.Now()); err != nil {
			return err
		}
		stone.Stage = accounts.StageRest
		return stone.Pass(ctx, tx, accounts.StageRows, time.Now(), time.Now())
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// tablesWith names the tables that have a row with a word, as text or as bytes.
func tablesWith(t *testing.T, db *bun.DB, word string) (found []string) {
	t.Helper()
	var tables []string
	if err := db.NewRaw("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").Scan(t.Context(), &tables); err != nil {
		t.Fatal(err)
	}
	if len(tables) < 10 {
		t.Fatalf("there are only the tables %v", tables)
	}
	for _, table := range tables {
		var n int
		// A row as text shows bytes in hex.
		err := db.NewRaw("SELECT count(*) FROM ? AS r WHERE r::text LIKE ? OR r::text LIKE ?",
			bun.Ident(table), "%"+word+"%", "%"+fmt.Sprintf("%x", word)+"%").Scan(t.Context(), &n)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			found = append(found, table)
		}
	}
	slices.Sort(found)
	return found
}

func TestErase(t *testing.T) {
	t.Parallel()

	t.Run("takes every row of the account, and nobody else's", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		other := r.connect("user_2", "other.user")
		r.start()
		gone, _ := r.do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "secret words"}, PublishAt: time.Now()}, 10*time.Second)
		r.schedule(time.Hour, "secret plans")
		kept, _ := r.do(events.PublishPost{PostID: events.NewPostID(), UserID: "user_2", Draft: events.Draft{Text: "others words"}, PublishAt: time.Now()}, 10*time.Second)
		for table, row := range map[string]string{
			"insight_snapshots": "(account_id, media_id, hour, at, metrics) VALUES (?, '1', now(), now(), '{}')",
			"insight_rounds":    "(account_id, next_at) VALUES (?, now() + interval '1 day')",
			"search_uses":       "(account_id, quota, at) VALUES (?, 'keyword_searches', now())",
			"posts_gone":        "(account_id, media_id, gone_at) VALUES (?, '1', now())",
			"history_imports": "(account_id, user_id, command_id, status, until, with_replies, started_at, updated_at) " +
				"VALUES (?, 'user_1', 'cmd_1', 'done', now(), false, now(), now())",
		} {
			if _, err := r.db.NewRaw("INSERT INTO "+table+" "+row, r.account.ID).Exec(t.Context()); err != nil {
				t.Fatalf("%s: %v", table, err)
			}
		}
		for _, word := range []string{"secret", *gone.PostedTweetID, gone.ID, r.account.ProviderUserID} {
			if len(tablesWith(t, r.db, word)) == 0 {
				t.Fatalf("%q is nowhere, so its erasure would prove nothing", word)
			}
		}
		r.bury(r.account)
		stone := r.stage(r.account, accounts.StageStreams)
		for _, word := range []string{"secret", *gone.PostedTweetID, r.account.ProviderUserID, "demo.user"} {
			if found := tablesWith(t, r.db, word); len(found) > 0 {
				t.Errorf("%q is in %v", word, found)
			}
		}
		r.again(stone)
		r.stage(r.account, accounts.StageStreams)
		if found := tablesWith(t, r.db, r.account.ID); strings.Join(found, " ") != "erased_accounts erasures" {
			t.Errorf("the account is in %v", found)
		}
		if row := r.row(kept.ID, events.StatePublished); row.Text != "others words" || row.AccountID != other.ID {
			t.Errorf("the other's post is %+v", row)
		}
	})

	t.Run("waits for a call that is under way, and tells nobody of it", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		s, _ := r.start()
		if err := r.sim.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.Latency, DelayMS: 1000}); err != nil {
			t.Fatal(err)
		}
		p := r.schedule(500*time.Millisecond, "in flight")
		r.row(p.ID, events.StatePublishing)
		r.bury(r.account)
		for !s.Erasure.Erased(r.account.ID) { // this process has looked
			clock.Sleep(t.Context(), time.Millisecond)
		}
		if row := r.row(p.ID, events.StatePublishing); row.Lease == "" {
			t.Errorf("the post in hand is %+v", row)
		}
		stone := r.stage(r.account, accounts.StageStreams)
		if n, _ := r.arrivals("in flight"); n != 1 {
			t.Errorf("Threads has it %d times; it was on its way", n)
		}
		if n := r.told(p.ID, events.FactPublished); n != 0 {
			t.Errorf("it was told as published %d times", n)
		}
		if found := tablesWith(t, r.db, "in flight"); len(found) > 0 {
			t.Errorf("it is in %v", found)
		}
		r.again(stone)
		r.stage(r.account, accounts.StageStreams)
	})

	t.Run("refuses claims and new posts, and wakes nothing", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.start()
		p := r.schedule(5*time.Second, "never goes out")
		r.row(p.ID, events.StateReady)
		r.bury(r.account)
		_, fault := r.do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "late", AccountID: r.account.ID}, PublishAt: time.Now().Add(time.Hour)}, 5*time.Second)
		if fault == nil || fault.Code != events.NotFound {
			t.Errorf("a new post: %v", fault)
		}
		r.stage(r.account, accounts.StageStreams)
		clock.Sleep(t.Context(), time.Until(p.ScheduledAt.Add(300*time.Millisecond))) // its time passes
		if n, _ := r.arrivals("never goes out"); n != 0 {
			t.Errorf("Threads has it %d times", n)
		}
	})

	t.Run("keeps a late projector from bringing a post back", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		_, stop := r.start()
		p := r.schedule(time.Hour, "comes late")
		r.await(p.ID, events.FactScheduled)
		stop()
		r.bury(r.account)
		s, _ := r.start()
		r.stage(r.account, accounts.StageStreams)
		// A projector that read the fact before it was taken from EVENTS, or one that begins from the start.
		ev := events.NewPostEvent(events.FactScheduled, p)
		seq, err := s.Projector.Position(t.Context(), r.db)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Projector.ApplyAll(t.Context(), r.db, []projector.Event{{Seq: seq + 1, Message: ev}}); err != nil {
			t.Fatal(err)
		}
		if err := s.Projector.ApplyNow(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
		if found := tablesWith(t, r.db, "comes late"); len(found) > 0 {
			t.Errorf("it is back in %v", found)
		}
		if at, err := s.Projector.Position(t.Context(), r.db); err != nil || at != seq+1 {
			t.Errorf("the projector stands at %d, want %d: %v", at, seq+1, err)
		}
	})

	t.Run("is begun anew from EVENTS where a restored database has forgotten it", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.start()
		p := r.schedule(time.Hour, "from the backup")
		r.await(p.ID, events.FactScheduled)
		err := r.bus.Emit(t.Context(), events.AccountErased{UserID: testUser, AccountID: r.account.ID, At: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		r.stage(r.account, accounts.StageStreams)
		if found := tablesWith(t, r.db, "from the backup"); len(found) > 0 {
			t.Errorf("it is in %v", found)
		}
	})

	t.Run("answers whoever waits for a post", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.start()
		if err := r.sim.Inject(threadssim.Fault{Op: "create", Kind: threadssim.ProcessingTime, DelayMS: 60_000}); err != nil {
			t.Fatal(err)
		}
		id, command, faults := events.NewPostID(), events.NewCommandID(), make(chan *events.Fault, 1)
		go func() {
			cmd := events.PublishPost{PostID: id, UserID: testUser, Draft: events.Draft{Text: "waited for"}, PublishAt: time.Now()}
			o, err := r.bus.Do(t.Context(), cmd, bus.CommandOptions{ID: command}, 10*time.Second)
			if err != nil {
				t.Error(err)
			}
			faults <- o.Fault
		}()
		r.row(id, events.StateScheduled)
		r.bury(r.account)
		if fault := <-faults; fault == nil || fault.Code != events.NotFound || !strings.Contains(fault.Message, "erased") {
			t.Errorf("it was answered %v", fault)
		}
		r.stage(r.account, accounts.StageStreams)
		o, err := commands.Get(t.Context(), r.db, events.GetCommand{UserID: testUser, ID: command})
		if err != nil || o.Fault == nil || o.Fault.Code != events.NotFound {
			t.Errorf("who asks by the command's id hears %+v, %v", o, err)
		}
	})

	t.Run("answers a repeat of a command as erased, and does not do it elsewhere", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.start()
		id := events.NewCommandID()
		cmd := events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "asked again"}, PublishAt: time.Now().Add(time.Hour)}
		if _, fault := r.doAs(id, cmd, 5*time.Second); fault != nil {
			t.Fatal(fault)
		}
		second := r.connect(testUser, "second.account") // a command that names no account must not end up at this one
		r.bury(r.account)
		r.stage(r.account, accounts.StageStreams)
		o := r.redeliver(id, cmd)
		if o.Fault == nil || o.Fault.Code != events.NotFound {
			t.Errorf("the repeat was answered %+v", o)
		}
		n, err := r.db.NewSelect().Model((*posts.Post)(nil)).Where("account_id = ?", second.ID).Count(t.Context())
		if err != nil || n != 0 {
			t.Errorf("the other account has %d posts, %v", n, err)
		}
	})
}

// What was accepted for an account has an outcome, also when the account is erased before its turn comes.
func TestErasureEndsWaitingCalls(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.idle()
	d := bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Time: time.Now()}, Deliveries: 1}
	if _, err := s.OwnerCalls.Enqueue(t.Context(), d, events.HideReply{UserID: testUser, AccountID: r.account.ID, ID: "1000", Hide: true}); !errors.Is(err, bus.Pending) {
		t.Fatal(err)
	}
	r.bury(r.account)
	if err := s.Erasure.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.stage(r.account, accounts.StageStreams)
	o, err := s.Questions.GetCommand(t.Context(), events.GetCommand{UserID: testUser, ID: d.Meta.ID})
	if err != nil || !o.Done || o.Fault == nil || o.Fault.Code != events.NotFound {
		t.Errorf("the command that waited ended as %+v, %v", o, err)
	}
	if found := tablesWith(t, r.db, r.account.ID); strings.Join(found, " ") != "erased_accounts erasures" {
		t.Errorf("the account is in %v", found)
	}
}

func TestKeptQueue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	p := r.schedule(6*time.Second, "after the holidays")
	r.row(p.ID, events.StateReady)
	gone, _, err := accounts.DisconnectKeeping(t.Context(), r.db, r.account.ID, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := accounts.Tell(t.Context(), r.db, r.bus.Emit, gone.ID); err != nil {
		t.Fatal(err)
	}
	waiting := r.await(p.ID, events.FactPostponed)
	if waiting.State != events.StateWaiting || waiting.Reason.Code != events.ReauthRequired ||
		!strings.Contains(waiting.Reason.Message, "was disconnected") {
		t.Errorf("it is %s because of %v", waiting.State, waiting.Reason)
	}
	clock.Sleep(t.Context(), time.Until(p.ScheduledAt.Add(200*time.Millisecond))) // its time passes
	if n, _ := r.arrivals(p.Text); n != 0 {
		t.Fatal("it went out without a connection")
	}
	back := r.connect(testUser, "demo.user")
	if back.ID != r.account.ID {
		t.Fatalf("reconnected as %s, was %s", back.ID, r.account.ID)
	}
	if err := accounts.Tell(t.Context(), r.db, r.bus.Emit, back.ID); err != nil {
		t.Fatal(err)
	}
	r.once(r.await(p.ID, events.FactPublished))
}

// Two of our users have connected one Threads account, and publish the same words there. What the one has published is not
// taken for the other's lost answer.
func TestSharedThreadsAccount(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	twin := r.connect("user_2", "demo.user")
	if twin.ID == r.account.ID || twin.ProviderUserID != r.account.ProviderUserID {
		t.Fatalf("%+v and %+v", r.account, twin)
	}
	r.start()
	text := events.Draft{Text: "the same words"}
	first, fault := r.do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: text, PublishAt: time.Now()}, 10*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	// The answer is lost, and nothing was done: only the lists of Threads can say so.
	if err := r.sim.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropRequest}); err != nil {
		t.Fatal(err)
	}
	second, fault := r.do(events.PublishPost{PostID: events.NewPostID(), UserID: "user_2", Draft: text, PublishAt: time.Now()}, 20*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	if *first.PostedTweetID == *second.PostedTweetID {
		t.Error("one post at Threads is two posts here")
	}
	if n, _ := r.arrivals(text.Text); n != 2 {
		t.Errorf("Threads has it %d times, want one for each%s", n, r.rows())
	}
}
