package erasure_test

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
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher/projector"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

// system is a publisher with everything real around it but Threads, which is simulated.
type system struct{ *publishertest.System }

func setup(t *testing.T) *system {
	t.Helper()
	return &system{publishertest.New(t)}
}

// erase begins the erasure of an account, as auth does.
func (r *system) erase(a accounts.Account) {
	r.T.Helper()
	err := pg.InTx(r.T.Context(), r.DB, func(ctx context.Context, tx bun.Tx) error {
		_, fresh, err := accounts.Erase(ctx, tx, accounts.Request{Code: "era_" + a.ID, Subject: "s"}, []accounts.Account{a}, time.Now())
		if err == nil && !fresh {
			err = fmt.Errorf("it was asked for before")
		}
		return err
	})
	if err != nil {
		r.T.Fatal(err)
	}
}

// stage waits until an erasure has come to a stage.
func (r *system) stage(a accounts.Account, want accounts.Stage) accounts.Tombstone {
	r.T.Helper()
	var stone accounts.Tombstone
	for end := time.Now().Add(10 * time.Second); ; {
		err := r.DB.NewSelect().Model(&stone).Where("account_id = ?", a.ID).Scan(r.T.Context())
		if err == nil && stone.Stage == want {
			return stone
		}
		if time.Now().After(end) {
			r.T.Fatalf("the erasure is at %+v, %v; the posts are %s", stone, err, r.Rows())
		}
		clock.Sleep(r.T.Context(), 5*time.Millisecond)
	}
}

// again gives publisher its turn once more, as auth does after the rest.
func (r *system) again(stone accounts.Tombstone) {
	r.T.Helper()
	err := pg.InTx(r.T.Context(), r.DB, func(ctx context.Context, tx bun.Tx) error {
		if err := stone.Pass(ctx, tx, accounts.StageRest, time.Now(), time.Now()); err != nil {
			return err
		}
		stone.Stage = accounts.StageRest
		return stone.Pass(ctx, tx, accounts.StageRows, time.Now(), time.Now())
	})
	if err != nil {
		r.T.Fatal(err)
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
		r := setup(t)
		other := r.Connect("user_2", "other.user")
		r.Start()
		gone, _ := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: publishertest.User, Draft: events.Draft{Text: "secret words"}, PublishAt: time.Now()}, 10*time.Second)
		r.Schedule(time.Hour, "secret plans")
		kept, _ := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: "user_2", Draft: events.Draft{Text: "others words"}, PublishAt: time.Now()}, 10*time.Second)
		for table, row := range map[string]string{
			"insight_snapshots": "(account_id, media_id, hour, at, metrics) VALUES (?, '1', now(), now(), '{}')",
			"insight_rounds":    "(account_id, next_at) VALUES (?, now() + interval '1 day')",
			"search_uses":       "(account_id, quota, at) VALUES (?, 'keyword_searches', now())",
			"posts_gone":        "(account_id, media_id, gone_at) VALUES (?, '1', now())",
			"history_imports": "(account_id, user_id, command_id, status, until, with_replies, started_at, updated_at) " +
				"VALUES (?, 'user_1', 'cmd_1', 'done', now(), false, now(), now())",
		} {
			if _, err := r.DB.NewRaw("INSERT INTO "+table+" "+row, r.Account.ID).Exec(t.Context()); err != nil {
				t.Fatalf("%s: %v", table, err)
			}
		}
		for _, word := range []string{"secret", *gone.PostedTweetID, gone.ID, r.Account.ProviderUserID} {
			if len(tablesWith(t, r.DB, word)) == 0 {
				t.Fatalf("%q is nowhere, so its erasure would prove nothing", word)
			}
		}
		r.erase(r.Account)
		stone := r.stage(r.Account, accounts.StageStreams)
		for _, word := range []string{"secret", *gone.PostedTweetID, r.Account.ProviderUserID, "demo.user"} {
			if found := tablesWith(t, r.DB, word); len(found) > 0 {
				t.Errorf("%q is in %v", word, found)
			}
		}
		r.again(stone)
		r.stage(r.Account, accounts.StageStreams)
		if found := tablesWith(t, r.DB, r.Account.ID); strings.Join(found, " ") != "erased_accounts erasures" {
			t.Errorf("the account is in %v", found)
		}
		if row := r.Row(kept.ID, events.StatePublished); row.Text != "others words" || row.AccountID != other.ID {
			t.Errorf("the other's post is %+v", row)
		}
	})

	t.Run("waits for a call that is under way, and tells nobody of it", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		s, _ := r.Start()
		if err := r.Sim.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.Latency, DelayMS: 1000}); err != nil {
			t.Fatal(err)
		}
		p := r.Schedule(500*time.Millisecond, "in flight")
		r.Row(p.ID, events.StatePublishing)
		r.erase(r.Account)
		for !s.Erasure.Erased(r.Account.ID) { // this process has looked
			clock.Sleep(t.Context(), time.Millisecond)
		}
		if row := r.Row(p.ID, events.StatePublishing); row.Lease == "" {
			t.Errorf("the post in hand is %+v", row)
		}
		stone := r.stage(r.Account, accounts.StageStreams)
		if n, _ := r.Arrivals("in flight"); n != 1 {
			t.Errorf("Threads has it %d times; it was on its way", n)
		}
		if n := r.Emitted(p.ID, events.FactPublished); n != 0 {
			t.Errorf("it was told as published %d times", n)
		}
		if found := tablesWith(t, r.DB, "in flight"); len(found) > 0 {
			t.Errorf("it is in %v", found)
		}
		r.again(stone)
		r.stage(r.Account, accounts.StageStreams)
	})

	t.Run("refuses claims and new posts, and wakes nothing", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		p := r.Schedule(5*time.Second, "never goes out")
		r.Row(p.ID, events.StateReady)
		r.erase(r.Account)
		_, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: publishertest.User, Draft: events.Draft{Text: "late", AccountID: r.Account.ID}, PublishAt: time.Now().Add(time.Hour)}, 5*time.Second)
		if fault == nil || fault.Code != events.NotFound {
			t.Errorf("a new post: %v", fault)
		}
		r.stage(r.Account, accounts.StageStreams)
		clock.Sleep(t.Context(), time.Until(p.ScheduledAt.Add(300*time.Millisecond))) // its time passes
		if n, _ := r.Arrivals("never goes out"); n != 0 {
			t.Errorf("Threads has it %d times", n)
		}
	})

	t.Run("keeps a late projector from bringing a post back", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		_, stop := r.Start()
		p := r.Schedule(time.Hour, "comes late")
		r.Await(p.ID, events.FactScheduled)
		stop()
		r.erase(r.Account)
		s, _ := r.Start()
		r.stage(r.Account, accounts.StageStreams)
		// A projector that read the event before it was taken from EVENTS, or one that begins from the start.
		ev := events.NewPostEvent(events.FactScheduled, p)
		seq, err := s.Projector.Position(t.Context(), r.DB)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Projector.ApplyAll(t.Context(), r.DB, []projector.Event{{Seq: seq + 1, Message: ev}}); err != nil {
			t.Fatal(err)
		}
		if err := s.Projector.ApplyNow(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
		if found := tablesWith(t, r.DB, "comes late"); len(found) > 0 {
			t.Errorf("it is back in %v", found)
		}
		if at, err := s.Projector.Position(t.Context(), r.DB); err != nil || at != seq+1 {
			t.Errorf("the projector stands at %d, want %d: %v", at, seq+1, err)
		}
	})

	t.Run("is begun anew from EVENTS where a restored database has forgotten it", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		p := r.Schedule(time.Hour, "from the backup")
		r.Await(p.ID, events.FactScheduled)
		err := r.Bus.Emit(t.Context(), events.AccountErased{UserID: publishertest.User, AccountID: r.Account.ID, At: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		r.stage(r.Account, accounts.StageStreams)
		if found := tablesWith(t, r.DB, "from the backup"); len(found) > 0 {
			t.Errorf("it is in %v", found)
		}
	})

	t.Run("answers whoever waits for a post", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		if err := r.Sim.Inject(threadssim.Fault{Op: "create", Kind: threadssim.ProcessingTime, DelayMS: 60_000}); err != nil {
			t.Fatal(err)
		}
		id, command, faults := events.NewPostID(), events.NewCommandID(), make(chan *events.Fault, 1)
		go func() {
			cmd := events.PublishPost{PostID: id, UserID: publishertest.User, Draft: events.Draft{Text: "waited for"}, PublishAt: time.Now()}
			o, err := r.Bus.Do(t.Context(), cmd, bus.CommandOptions{ID: command}, 10*time.Second)
			if err != nil {
				t.Error(err)
			}
			faults <- o.Fault
		}()
		r.Row(id, events.StateScheduled)
		r.erase(r.Account)
		if fault := <-faults; fault == nil || fault.Code != events.NotFound || !strings.Contains(fault.Message, "erased") {
			t.Errorf("it was answered %v", fault)
		}
		r.stage(r.Account, accounts.StageStreams)
		o, err := commands.Get(t.Context(), r.DB, asks.GetCommand{UserID: publishertest.User, ID: command})
		if err != nil || o.Fault == nil || o.Fault.Code != events.NotFound {
			t.Errorf("who asks by the command's id hears %+v, %v", o, err)
		}
	})

	t.Run("answers a repeat of a command as erased, and does not do it elsewhere", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		id := events.NewCommandID()
		cmd := events.SchedulePost{PostID: events.NewPostID(), UserID: publishertest.User, Draft: events.Draft{Text: "asked again"}, PublishAt: time.Now().Add(time.Hour)}
		if _, fault := r.DoAs(id, cmd, 5*time.Second); fault != nil {
			t.Fatal(fault)
		}
		second := r.Connect(publishertest.User, "second.account") // a command that names no account must not end up at this one
		r.erase(r.Account)
		r.stage(r.Account, accounts.StageStreams)
		o := r.Redeliver(id, cmd)
		if o.Fault == nil || o.Fault.Code != events.NotFound {
			t.Errorf("the repeat was answered %+v", o)
		}
		n, err := r.DB.NewSelect().Model((*posts.Post)(nil)).Where("account_id = ?", second.ID).Count(t.Context())
		if err != nil || n != 0 {
			t.Errorf("the other account has %d posts, %v", n, err)
		}
	})
}

// What was accepted for an account has an outcome, also when the account is erased before its turn comes.
func TestErasureEndsWaitingCalls(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.Idle()
	d := bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Time: time.Now()}, Deliveries: 1}
	if _, err := s.OwnerCalls.Enqueue(t.Context(), d, events.HideReply{UserID: publishertest.User, AccountID: r.Account.ID, ID: "1000", Hide: true}); !errors.Is(err, bus.Pending) {
		t.Fatal(err)
	}
	r.erase(r.Account)
	if err := s.Erasure.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.stage(r.Account, accounts.StageStreams)
	o, err := s.Questions.GetCommand(t.Context(), asks.GetCommand{UserID: publishertest.User, ID: d.Meta.ID})
	if err != nil || !o.Done || o.Fault == nil || o.Fault.Code != events.NotFound {
		t.Errorf("the command that waited ended as %+v, %v", o, err)
	}
	if found := tablesWith(t, r.DB, r.Account.ID); strings.Join(found, " ") != "erased_accounts erasures" {
		t.Errorf("the account is in %v", found)
	}
}

func TestKeptQueue(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()
	p := r.Schedule(6*time.Second, "after the holidays")
	r.Row(p.ID, events.StateReady)
	gone, _, err := accounts.DisconnectKeeping(t.Context(), r.DB, r.Account.ID, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := accounts.EmitChange(t.Context(), r.DB, r.Bus.Emit, gone.ID); err != nil {
		t.Fatal(err)
	}
	waiting := r.Await(p.ID, events.FactPostponed)
	if waiting.State != events.StateWaiting || waiting.Reason.Code != events.ReauthRequired ||
		!strings.Contains(waiting.Reason.Message, "was disconnected") {
		t.Errorf("it is %s because of %v", waiting.State, waiting.Reason)
	}
	clock.Sleep(t.Context(), time.Until(p.ScheduledAt.Add(200*time.Millisecond))) // its time passes
	if n, _ := r.Arrivals(p.Text); n != 0 {
		t.Fatal("it went out without a connection")
	}
	back := r.Connect(publishertest.User, "demo.user")
	if back.ID != r.Account.ID {
		t.Fatalf("reconnected as %s, was %s", back.ID, r.Account.ID)
	}
	if err := accounts.EmitChange(t.Context(), r.DB, r.Bus.Emit, back.ID); err != nil {
		t.Fatal(err)
	}
	r.Once(r.Await(p.ID, events.FactPublished))
}

// Two of our users have connected one Threads account, and publish the same words there. What the one has published is not
// taken for the other's lost answer.
func TestSharedThreadsAccount(t *testing.T) {
	t.Parallel()
	r := setup(t)
	sameUser := r.Connect("user_2", "demo.user")
	if sameUser.ID == r.Account.ID || sameUser.ProviderUserID != r.Account.ProviderUserID {
		t.Fatalf("%+v and %+v", r.Account, sameUser)
	}
	r.Start()
	text := events.Draft{Text: "the same words"}
	first, fault := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: publishertest.User, Draft: text, PublishAt: time.Now()}, 10*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	// The answer is lost, and nothing was done: only the lists of Threads can say so.
	if err := r.Sim.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropRequest}); err != nil {
		t.Fatal(err)
	}
	second, fault := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: "user_2", Draft: text, PublishAt: time.Now()}, 20*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	if *first.PostedTweetID == *second.PostedTweetID {
		t.Error("one post at Threads is two posts here")
	}
	if n, _ := r.Arrivals(text.Text); n != 2 {
		t.Errorf("Threads has it %d times, want one for each%s", n, r.Rows())
	}
}
