package delivery_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/maintenance"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

func (r *rig) reconciler(mend bool) maintenance.Reconciler {
	return maintenance.Reconciler{Bus: r.bus, DB: r.db, Threads: r.api, Vault: r.vault, SweepGrace: r.cfg.SweepGrace, ArmHorizon: r.cfg.ArmHorizon,
		Publisher: publisher.New(r.cfg, publisher.Deps{Bus: r.bus, DB: r.db, Threads: r.api, Vault: r.vault, Log: r.log}).Delivery,
		Mend:      mend, Since: time.Now().Add(-time.Hour), Limit: 100}
}

// token is the account's, for what is done at Threads behind our back.
func (r *rig) accountToken() threads.Token {
	r.t.Helper()
	token, err := r.account.Open(r.vault, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

func (r *rig) exec(query string, args ...any) {
	r.t.Helper()
	if _, err := r.db.NewRaw(query, args...).Exec(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
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
	r := newRig(t)
	_, stop := r.start()
	now := func(text string) events.Post {
		p, fault := r.do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: text}, PublishAt: time.Now()}, 10*time.Second)
		if fault != nil {
			t.Fatal(fault)
		}
		return p
	}
	fine, vanished, reworded, halfTold, forgotten := now("fine"), now("vanished"), now("reworded"), now("behind"), now("forgotten")
	untold, unarmed, asleep, queued := r.schedule(time.Hour, "untold"), r.schedule(time.Hour, "unarmed"), r.schedule(time.Hour, "asleep"), r.schedule(time.Hour, "queued")
	lost, taken := r.schedule(time.Minute, "container lost"), r.schedule(time.Minute, "published behind our back")
	r.row(lost.ID, events.StateReady)
	ready := r.row(taken.ID, events.StateReady)
	for _, p := range []events.Post{fine, vanished, reworded, halfTold, forgotten, untold, unarmed, asleep, queued, lost, taken} {
		for row := r.any(p.ID); row.ToldRev < row.Rev; row = r.any(p.ID) {
			clock.Sleep(t.Context(), 10*time.Millisecond)
		}
	}
	stop()

	ctx, token := t.Context(), r.accountToken()
	if err := accounts.Tell(ctx, r.db, r.bus.Emit, r.account.ID); err != nil {
		t.Fatal(err)
	}
	if err := r.api.Delete(ctx, token, *vanished.PostedTweetID); err != nil {
		t.Fatal(err)
	}
	container, err := r.api.CreateContainer(ctx, token, threads.Container{MediaType: "TEXT", Text: "elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	publish := func(container string) (mediaID string) {
		for {
			status, err := r.api.ContainerStatus(ctx, token, container)
			if err != nil {
				t.Fatal(err)
			}
			if status.Status == threads.StatusFinished {
				break
			}
			clock.Sleep(ctx, 10*time.Millisecond)
		}
		mediaID, err := r.api.Publish(ctx, token, container, nil)
		if err != nil {
			t.Fatal(err)
		}
		return mediaID
	}
	elsewhere := publish(container)
	takenMedia := publish(ready.ContainerID)

	r.exec("UPDATE posts SET text = 'other words' WHERE id = ?", reworded.ID)
	r.exec("UPDATE posts SET rev = rev - 1, told_rev = rev - 1 WHERE id = ?", halfTold.ID)
	r.exec("UPDATE posts SET media_id = '17999999999999999' WHERE id = ?", forgotten.ID)
	r.exec("UPDATE posts SET rev = rev + 1, fact = 'edited' WHERE id = ?", untold.ID)
	r.exec("UPDATE posts SET wake_at = NULL WHERE id = ?", asleep.ID)
	r.exec("UPDATE posts SET container_id = '17888888888888888', container_at = now() - interval '1 hour' WHERE id = ?", lost.ID)
	r.exec("UPDATE posts SET updated_at = updated_at - interval '1 minute'")
	alarms, err := r.bus.JetStream().Stream(ctx, events.StreamPostAlarms)
	if err != nil {
		t.Fatal(err)
	}
	if err := alarms.Purge(ctx, jetstream.WithPurgeSubject(events.PostAlarm(unarmed.ID))); err != nil {
		t.Fatal(err)
	}

	want := map[string]string{
		vanished.ID: "media, mend", reworded.ID: "text", halfTold.ID: "row", forgotten.ID: "row",
		*forgotten.PostedTweetID: "elsewhere",
		untold.ID:                "event, mend", unarmed.ID: "alarm, mend", asleep.ID: "alarm, mend",
		lost.ID: "container, mend", taken.ID: "container, mend", elsewhere: "elsewhere", takenMedia: "elsewhere",
	}
	look := func(mend bool) *maintenance.Reconciled {
		t.Helper()
		found, err := r.reconciler(mend).Run(ctx, r.account.ID)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	before, told := r.snapshots(), r.facts()
	dry := look(false)
	if got := checks(dry); !maps.Equal(got, want) {
		t.Errorf("it found\n%v, want\n%v", got, want)
	}
	if dry.Mended != 0 || r.facts() != told || !maps.EqualFunc(before, r.snapshots(), func(a, b events.Post) bool { return a.Rev == b.Rev && a.State == b.State }) {
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
	_, stop = r.start()
	for r.any(vanished.ID).DeletedAt.IsZero() {
		clock.Sleep(ctx, 10*time.Millisecond)
	}
	// The event comes from the row, with the sweep, once the change is some seconds old.
	r.exec("UPDATE posts SET updated_at = updated_at - interval '1 minute' WHERE id = ?", vanished.ID)
	for row := r.any(vanished.ID); row.ToldRev < row.Rev; row = r.any(vanished.ID) {
		clock.Sleep(ctx, 10*time.Millisecond)
	}
	r.await(untold.ID, events.FactEdited)
	found := r.await(taken.ID, events.FactPublished)
	if *found.PostedTweetID != takenMedia {
		t.Errorf("the post that was live is %s, the row found %s", takenMedia, *found.PostedTweetID)
	}
	for row := r.any(asleep.ID); row.WakeAt.Before(time.Now().Add(30 * time.Minute)); row = r.any(asleep.ID) {
		clock.Sleep(ctx, 10*time.Millisecond)
	}
	r.exec("UPDATE posts SET publish_at = now() + interval '1 second', wake_at = now() - interval '1 hour', armed_at = NULL WHERE id = ?", lost.ID)
	r.await(lost.ID, events.FactPublished)
	for {
		if _, err := alarms.GetLastMsgForSubject(ctx, events.PostAlarm(unarmed.ID)); err == nil {
			break
		}
		clock.Sleep(ctx, 10*time.Millisecond)
	}
	for _, text := range []string{"published behind our back", "container lost", "vanished", "fine"} {
		if n, _ := r.arrivals(text); n != 1 {
			t.Errorf("Threads has %q %d times", text, n)
		}
	}
	stop()
	r.exec("UPDATE posts SET updated_at = updated_at - interval '1 minute'")
	if got, want := checks(look(false)), map[string]string{reworded.ID: "text", halfTold.ID: "row", forgotten.ID: "row",
		elsewhere: "elsewhere", *forgotten.PostedTweetID: "elsewhere"}; !maps.Equal(got, want) {
		t.Errorf("after the mending it found\n%v, want\n%v", got, want)
	}
}

// any is the row, whatever its state.
func (r *rig) any(id string) posts.Post {
	r.t.Helper()
	p, err := posts.NewStore(r.db, 0, 0).Get(r.t.Context(), r.db, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return *p
}

// facts is how many there are on EVENTS.
func (r *rig) facts() uint64 {
	r.t.Helper()
	s, err := r.bus.JetStream().Stream(r.t.Context(), events.StreamEvents)
	if err != nil {
		r.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// What cannot be known is not mended: a token that Threads refuses, a list that cannot be read, an outcome nobody knows.
func TestReconcileDecidesNothingUnknown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, stop := r.start()
	p, fault := r.do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "live"}, PublishAt: time.Now()}, 10*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	for row := r.any(p.ID); row.ToldRev < row.Rev; row = r.any(p.ID) {
		clock.Sleep(t.Context(), 10*time.Millisecond)
	}
	stop()
	if err := r.api.Delete(t.Context(), r.accountToken(), *p.PostedTweetID); err != nil {
		t.Fatal(err)
	}
	r.exec("UPDATE posts SET updated_at = updated_at - interval '1 minute'")
	look := func(says string) {
		t.Helper()
		facts := r.facts()
		found, err := r.reconciler(true).Run(context.Background(), p.ID)
		if err != nil {
			t.Fatal(err)
		}
		if found.Mended != 0 || r.facts() != facts || len(found.Differences) != 1 || !strings.Contains(found.Differences[0].Says, says) {
			t.Errorf("want only %q, got %+v", says, found)
		}
	}
	r.exec("UPDATE posts SET reply_to = '17777777777777777' WHERE id = ?", p.ID) // and the account may not read replies
	look("cannot be read")
	r.exec("UPDATE posts SET reply_to = NULL, state = 'parked' WHERE id = ?", p.ID)
	r.exec("UPDATE posts SET media_id = NULL WHERE id = ?", p.ID)
	found, err := r.reconciler(true).Run(t.Context(), p.ID)
	if err != nil || found.Mended != 0 {
		t.Errorf("of a parked post: %+v, %v", found, err)
	}
	r.exec("UPDATE posts SET state = 'published', media_id = ? WHERE id = ?", *p.PostedTweetID, p.ID)
	if err := r.sim.Revoke("demo.user", 460); err != nil {
		t.Fatal(err)
	}
	look("could not be asked")
	if _, err := r.reconciler(true).Run(t.Context(), "post_nowhere"); err == nil {
		t.Error("it knows a post that is not")
	}
}
