package maintenance_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/maintenance"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

func (r *system) reconciler(mend bool) maintenance.Reconciler {
	return maintenance.Reconciler{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, SweepGrace: r.Config.SweepGrace, ArmHorizon: r.Config.ArmHorizon,
		Publisher: publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log}).Delivery,
		Mend:      mend, Since: time.Now().Add(-time.Hour), Limit: 100}
}

// token is the account's, for what is done at Threads behind our back.
func (r *system) accountToken() threads.Token {
	r.T.Helper()
	token, err := r.Account.Open(r.Vault, time.Now())
	if err != nil {
		r.T.Fatal(err)
	}
	return token
}

// checks are the differences that were found, by post or else by media id, and whether they can be mended.
func checks(r *maintenance.Reconciled) map[string]string {
	m := map[string]string{}
	for _, d := range r.Differences {
		id, word := d.PostID, d.Check
		if id == "" {
			id = d.MediaID
		}
		if d.Mend != "" {
			word += ", mend"
		}
		if m[id] != "" {
			word = m[id] + "; " + word
		}
		m[id] = word
	}
	return m
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	r := setup(t)
	_, stop := r.Start()
	now := func(text string) events.Post {
		p, fault := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: publishertest.User, Draft: events.Draft{Text: text}, PublishAt: time.Now()}, 10*time.Second)
		if fault != nil {
			t.Fatal(fault)
		}
		return p
	}
	fine, vanished, reworded, halfEmitted, forgotten := now("fine"), now("vanished"), now("reworded"), now("behind"), now("forgotten")
	unemitted, unarmed, asleep, queued := r.Schedule(time.Hour, "unemitted"), r.Schedule(time.Hour, "unarmed"), r.Schedule(time.Hour, "asleep"), r.Schedule(time.Hour, "queued")
	lost, taken := r.Schedule(time.Minute, "container lost"), r.Schedule(time.Minute, "published behind our back")
	r.Row(lost.ID, events.StateReady)
	ready := r.Row(taken.ID, events.StateReady)
	for _, p := range []events.Post{fine, vanished, reworded, halfEmitted, forgotten, unemitted, unarmed, asleep, queued, lost, taken} {
		for row := r.Any(p.ID); row.EmittedRev < row.Rev; row = r.Any(p.ID) {
			clock.Sleep(t.Context(), 10*time.Millisecond)
		}
	}
	stop()

	ctx, token := t.Context(), r.accountToken()
	if err := accounts.EmitChange(ctx, r.DB, r.Bus.Emit, r.Account.ID); err != nil {
		t.Fatal(err)
	}
	if err := r.API.Delete(ctx, token, *vanished.PostedTweetID); err != nil {
		t.Fatal(err)
	}
	container, err := r.API.CreateContainer(ctx, token, threads.Container{MediaType: "TEXT", Text: "elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	publish := func(container string) (mediaID string) {
		for {
			status, err := r.API.ContainerStatus(ctx, token, container)
			if err != nil {
				t.Fatal(err)
			}
			if status.Status == threads.StatusFinished {
				break
			}
			clock.Sleep(ctx, 10*time.Millisecond)
		}
		mediaID, err := r.API.Publish(ctx, token, container, nil)
		if err != nil {
			t.Fatal(err)
		}
		return mediaID
	}
	elsewhere := publish(container)
	takenMedia := publish(ready.ContainerID)

	r.Exec("UPDATE posts SET text = 'other words' WHERE id = ?", reworded.ID)
	r.Exec("UPDATE posts SET rev = rev - 1, told_rev = rev - 1 WHERE id = ?", halfEmitted.ID)
	r.Exec("UPDATE posts SET media_id = '17999999999999999' WHERE id = ?", forgotten.ID)
	r.Exec("UPDATE posts SET rev = rev + 1, fact = 'edited' WHERE id = ?", unemitted.ID)
	r.Exec("UPDATE posts SET wake_at = NULL WHERE id = ?", asleep.ID)
	r.Exec("UPDATE posts SET container_id = '17888888888888888', container_at = now() - interval '1 hour' WHERE id = ?", lost.ID)
	r.Exec("UPDATE posts SET updated_at = updated_at - interval '1 minute'")
	alarms, err := r.Bus.JetStream().Stream(ctx, events.StreamPostAlarms)
	if err != nil {
		t.Fatal(err)
	}
	if err := alarms.Purge(ctx, jetstream.WithPurgeSubject(events.PostAlarm(unarmed.ID))); err != nil {
		t.Fatal(err)
	}

	want := map[string]string{
		vanished.ID: "media, mend", reworded.ID: "row; text", halfEmitted.ID: "row", forgotten.ID: "row",
		*forgotten.PostedTweetID: "elsewhere",
		unemitted.ID:             "event, mend", unarmed.ID: "alarm, mend", asleep.ID: "alarm, mend",
		lost.ID: "container, mend", taken.ID: "container, mend", elsewhere: "elsewhere", takenMedia: "elsewhere",
	}
	look := func(mend bool) *maintenance.Reconciled {
		t.Helper()
		found, err := r.reconciler(mend).Run(ctx, r.Account.ID)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	before, told := r.Snapshots(), r.facts()
	dry := look(false)
	if got := checks(dry); !maps.Equal(got, want) {
		t.Errorf("it found\n%v, want\n%v", got, want)
	}
	if dry.Mended != 0 || r.facts() != told || !maps.EqualFunc(before, r.Snapshots(), func(a, b events.Post) bool { return a.Rev == b.Rev && a.State == b.State }) {
		t.Error("looking changed something")
	}
	// Of one post, by either id, it says the same; nothing is wrong with a good one.
	for id, want := range map[string]string{vanished.ID: "media, mend", *vanished.PostedTweetID: "media, mend", fine.ID: "", queued.ID: ""} {
		found, err := r.reconciler(false).Run(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Collect(maps.Values(checks(found))); strings.Join(got, "") != want {
			t.Errorf("of %s alone it says %q, want %q", id, got, want)
		}
	}

	calls := len(r.publishCalls())
	if mended := look(true); mended.Mended != 6 {
		t.Errorf("%d were mended: %+v", mended.Mended, mended.Differences)
	}
	if len(r.publishCalls()) != calls {
		t.Error("mending published something")
	}
	_, stop = r.Start()
	for r.Any(vanished.ID).DeletedAt.IsZero() {
		clock.Sleep(ctx, 10*time.Millisecond)
	}
	// The event comes from the row, with the sweep, once the change is some seconds old.
	r.Exec("UPDATE posts SET updated_at = updated_at - interval '1 minute' WHERE id = ?", vanished.ID)
	for row := r.Any(vanished.ID); row.EmittedRev < row.Rev; row = r.Any(vanished.ID) {
		clock.Sleep(ctx, 10*time.Millisecond)
	}
	r.Await(unemitted.ID, events.FactEdited)
	found := r.Await(taken.ID, events.FactPublished)
	if *found.PostedTweetID != takenMedia {
		t.Errorf("the post that was live is %s, the row found %s", takenMedia, *found.PostedTweetID)
	}
	for row := r.Any(asleep.ID); row.WakeAt.Before(time.Now().Add(30 * time.Minute)); row = r.Any(asleep.ID) {
		clock.Sleep(ctx, 10*time.Millisecond)
	}
	r.Exec("UPDATE posts SET publish_at = now() + interval '1 second', wake_at = now() - interval '1 hour', armed_at = NULL WHERE id = ?", lost.ID)
	r.Await(lost.ID, events.FactPublished)
	for {
		if _, err := alarms.GetLastMsgForSubject(ctx, events.PostAlarm(unarmed.ID)); err == nil {
			break
		}
		clock.Sleep(ctx, 10*time.Millisecond)
	}
	for _, text := range []string{"published behind our back", "container lost", "vanished", "fine"} {
		if n, _ := r.Arrivals(text); n != 1 {
			t.Errorf("Threads has %q %d times", text, n)
		}
	}
	stop()
	r.Exec("UPDATE posts SET updated_at = updated_at - interval '1 minute'")
	if got, want := checks(look(false)), map[string]string{reworded.ID: "row; text", halfEmitted.ID: "row", forgotten.ID: "row",
		elsewhere: "elsewhere", *forgotten.PostedTweetID: "elsewhere"}; !maps.Equal(got, want) {
		t.Errorf("after the mending it found\n%v, want\n%v", got, want)
	}
}

// events is how many there are on EVENTS.
func (r *system) facts() uint64 {
	r.T.Helper()
	s, err := r.Bus.JetStream().Stream(r.T.Context(), events.StreamEvents)
	if err != nil {
		r.T.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// What cannot be known is not mended: a token that Threads refuses, a list that cannot be read, an outcome nobody knows.
func TestReconcileDecidesNothingUnknown(t *testing.T) {
	t.Parallel()
	r := setup(t)
	_, stop := r.Start()
	p, fault := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: publishertest.User, Draft: events.Draft{Text: "live"}, PublishAt: time.Now()}, 10*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	for row := r.Any(p.ID); row.EmittedRev < row.Rev; row = r.Any(p.ID) {
		clock.Sleep(t.Context(), 10*time.Millisecond)
	}
	stop()
	if err := r.API.Delete(t.Context(), r.accountToken(), *p.PostedTweetID); err != nil {
		t.Fatal(err)
	}
	r.Exec("UPDATE posts SET updated_at = updated_at - interval '1 minute'")
	look := func(says string) {
		t.Helper()
		facts := r.facts()
		found, err := r.reconciler(true).Run(context.Background(), p.ID)
		if err != nil {
			t.Fatal(err)
		}
		found.Differences = slices.DeleteFunc(found.Differences, func(d maintenance.Discrepancy) bool {
			return strings.HasPrefix(d.Says, "The row and EVENTS differ in reply_to.") // as this test makes it
		})
		if found.Mended != 0 || r.facts() != facts || len(found.Differences) != 1 || !strings.Contains(found.Differences[0].Says, says) {
			t.Errorf("want only %q, got %+v", says, found)
		}
	}
	r.Exec("UPDATE posts SET reply_to = '17777777777777777' WHERE id = ?", p.ID) // and the account may not read replies
	look("cannot be read")
	r.Exec("UPDATE posts SET reply_to = NULL, state = 'parked' WHERE id = ?", p.ID)
	r.Exec("UPDATE posts SET media_id = NULL WHERE id = ?", p.ID)
	found, err := r.reconciler(true).Run(t.Context(), p.ID)
	if err != nil || found.Mended != 0 {
		t.Errorf("of a parked post: %+v, %v", found, err)
	}
	r.Exec("UPDATE posts SET state = 'published', media_id = ? WHERE id = ?", *p.PostedTweetID, p.ID)
	if err := r.Sim.Revoke("demo.user", 460); err != nil {
		t.Fatal(err)
	}
	look("could not be asked")
	if _, err := r.reconciler(true).Run(t.Context(), "post_nowhere"); err == nil {
		t.Error("it knows a post that is not")
	}
}

// A Threads account that two users have connected lists the posts of both, and a row that was lost is called that: neither was published
// elsewhere. What the row says is held against EVENTS to the last column.
func TestReconcileKnowsEveryRowAndMissesTheLost(t *testing.T) {
	t.Parallel()
	r := setup(t)
	_, stop := r.Start()
	now := func(text string) events.Post {
		p, fault := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: publishertest.User, Draft: events.Draft{Text: text}, PublishAt: time.Now()}, waiting.Limit)
		if fault != nil {
			t.Fatal(fault)
		}
		return p
	}
	shared, lost := now("shared"), now("lost")
	lostQueued, moved := r.Schedule(time.Hour, "lost before it went out"), r.Schedule(time.Hour, "moved")
	for _, p := range []events.Post{shared, lost, lostQueued, moved} {
		for row := r.Any(p.ID); row.EmittedRev < row.Rev; row = r.Any(p.ID) {
			clock.Sleep(t.Context(), 10*time.Millisecond)
		}
	}
	stop()
	if err := accounts.EmitChange(t.Context(), r.DB, r.Bus.Emit, r.Account.ID); err != nil {
		t.Fatal(err)
	}
	// A second user's connection of the same account at Threads; its token is sealed for its own row.
	other := r.Account
	other.ID, other.UserID, other.EmittedRev = events.NewAccountID(), "user_2", other.Rev
	sealed, err := r.Vault.Seal(other.ID, r.accountToken())
	if err != nil {
		t.Fatal(err)
	}
	other.Sealed = sealed
	if _, err := r.DB.NewInsert().Model(&other).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Exec("DELETE FROM posts WHERE id IN (?, ?)", lost.ID, lostQueued.ID)
	r.Exec("UPDATE posts SET publish_at = publish_at + interval '1 hour' WHERE id = ?", moved.ID)
	r.Exec("UPDATE posts SET updated_at = updated_at - interval '1 minute'")

	look := func(id string, later time.Duration) *maintenance.Reconciled {
		t.Helper()
		c := r.reconciler(false)
		c.Now = func() time.Time { return time.Now().Add(later) } // than the events are settled
		found, err := c.Run(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	const settled = 20 * time.Second
	all := look("", settled)
	if got, want := checks(all), map[string]string{lost.ID: "row", lostQueued.ID: "row", moved.ID: "row"}; !maps.Equal(got, want) {
		t.Errorf("it found\n%v, want\n%v", got, want)
	}
	if all.Accounts != 2 || all.Findings() != 3 {
		t.Errorf("it looked at %d accounts, with %d findings", all.Accounts, all.Findings())
	}
	for _, d := range all.Differences {
		want := "there is no row: it was lost"
		if d.PostID == moved.ID {
			want = "The row says that it is due at"
		}
		if !strings.Contains(d.Says, want) || !strings.Contains(d.Says, "rebuild --swap") {
			t.Errorf("of %s it says %q", d.PostID, d.Says)
		}
	}
	if found := look(other.ID, settled); len(found.Differences) != 0 {
		t.Errorf("of the other user's connection it says %+v", found.Differences)
	}
	if found := look(lostQueued.ID, settled); checks(found)[lostQueued.ID] != "row" {
		t.Errorf("of the lost post alone it says %+v", found.Differences)
	}
}
