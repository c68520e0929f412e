package webhooks

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/waiting"
)

func TestDelivers(t *testing.T) {
	w := setup(t)
	w.run()
	_, err := w.db.NewRaw(`INSERT INTO social_connections (id, provider_user_id, user_id, created_at, updated_at, status, granted_at, rev, fact, token_issued_at)
		VALUES (?, '1', ?, now(), now(), 'active', now(), 1, 'connected', now())`, acct, ada).Exec(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, some := receive(t, nil), receive(t, nil)
	hook := must[events.Webhook](w, events.CreateWebhook{UserID: ada, URL: all.URL + "/hook?x=1"})
	must[events.Webhook](w, events.CreateWebhook{UserID: ada, URL: some.URL, Facts: []string{"published", "post.failed"}, AccountID: acct})
	must[events.Webhook](w, events.CreateWebhook{UserID: "user_eve", URL: all.URL})

	w.tell(ada, "acct_other", "not of this account", events.FactPublished)
	w.tell(ada, acct, "not this fact", events.FactScheduled)
	id := w.tell(ada, acct, "both", events.FactPublished)
	if g := some.next(t); g.text() != "both" {
		t.Errorf("%s", g.body)
	}
	some.quiet(t)
	texts := map[string]got{}
	for len(texts) < 3 {
		g := all.next(t)
		if texts[g.text()].body != nil {
			t.Errorf("twice: %s", g.body)
		}
		texts[g.text()] = g
	}
	g := texts["both"]
	var p events.WebhookPayload
	if err := json.Unmarshal(g.body, &p); err != nil || p.Type != "post.published.v1" || time.Since(p.Timestamp) > time.Minute {
		t.Errorf("%s, %v", g.body, err)
	}
	if g.header.Get("Webhook-Id") != id || g.header.Get("Content-Type") != "application/json" || g.signedBy(t, hook.Secret) != 0 {
		t.Errorf("%v", g.header)
	}
	d := w.settled(hook.ID, id)
	if d.Status != statusDelivered || d.Attempts != 1 || d.NextTry != nil || len(d.Log) != 1 || *d.Log[0].StatusCode != 204 {
		t.Errorf("%+v", d)
	}

	t.Run("the same fact told again is not delivered again", func(t *testing.T) {
		row := newDelivery(hook.ID, id, "post.published.v1", []byte("{}"), time.Now())
		if err := w.service().insert(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		if again := w.settled(hook.ID, id); again.Attempts != 1 {
			t.Errorf("%+v", again)
		}
	})

	t.Run("the secret is shown once, and lies sealed", func(t *testing.T) {
		for _, h := range must[events.WebhookList](w, events.ListWebhooks{UserID: ada}).Webhooks {
			if h.Secret != "" {
				t.Errorf("%+v", h)
			}
		}
		if h := must[events.Webhook](w, events.GetWebhook{UserID: ada, ID: hook.ID}); h.Secret != "" || h.URL != hook.URL {
			t.Errorf("%+v", h)
		}
		var sealed []byte
		if err := w.db.NewSelect().Table("webhook_endpoints").Column("secret").Where("id = ?", hook.ID).Scan(t.Context(), &sealed); err != nil {
			t.Fatal(err)
		}
		raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(hook.Secret, "whsec_"))
		if bytes.Contains(sealed, raw) || bytes.Contains(sealed, []byte(hook.Secret[6:])) || len(sealed) == 0 {
			t.Error("the secret can be read in the table")
		}
	})

	t.Run("a test is a delivery like any other", func(t *testing.T) {
		sent := must[events.WebhookDelivery](w, events.TestWebhook{UserID: ada, ID: hook.ID})
		g := all.next(t)
		if g.header.Get("Webhook-Id") != sent.EventID || !strings.Contains(string(g.body), events.TypeWebhookTest) || g.signedBy(t, hook.Secret) != 0 {
			t.Errorf("%+v %s", sent, g.body)
		}
	})

	t.Run("a resend is the same once more", func(t *testing.T) {
		must[events.WebhookDelivery](w, events.ResendDelivery{UserID: ada, ID: hook.ID, DeliveryID: d.ID})
		again := all.next(t)
		if again.header.Get("Webhook-Id") != id || !bytes.Equal(again.body, g.body) {
			t.Errorf("%s", again.body)
		}
		waiting.Until(w, "both are in the log", func() bool { return w.settled(hook.ID, id).Attempts == 2 })
	})

	t.Run("a new secret signs beside the old one, for a while", func(t *testing.T) {
		turned := must[events.Webhook](w, events.RotateWebhook{UserID: ada, ID: hook.ID})
		if turned.Secret == hook.Secret || turned.OldSecretUntil == nil {
			t.Errorf("%+v", turned)
		}
		must[events.WebhookDelivery](w, events.TestWebhook{UserID: ada, ID: hook.ID})
		if g := all.next(t); g.signedBy(t, turned.Secret) != 0 || g.signedBy(t, hook.Secret) != 1 {
			t.Errorf("%v", g.header)
		}
		if _, err := w.db.NewRaw("UPDATE webhook_endpoints SET old_until = now() - interval '1 second'").Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		must[events.WebhookDelivery](w, events.TestWebhook{UserID: ada, ID: hook.ID})
		if g := all.next(t); g.signedBy(t, turned.Secret) != 0 || g.signedBy(t, hook.Secret) != -1 {
			t.Errorf("%v", g.header)
		}
	})

	t.Run("a paused one gets nothing, a deleted one neither", func(t *testing.T) {
		paused := events.WebhookPaused
		must[events.Webhook](w, events.UpdateWebhook{UserID: ada, ID: hook.ID, Status: &paused})
		refused(w, events.TestWebhook{UserID: ada, ID: hook.ID}, events.Conflict, "")
		w.tell(ada, acct, "while paused", events.FactPublished)
		some.next(t) // so it was looked at
		active := events.WebhookActive
		must[events.Webhook](w, events.UpdateWebhook{UserID: ada, ID: hook.ID, Status: &active})
		w.tell(ada, acct, "active again", events.FactPublished)
		if g := all.next(t); g.text() != "active again" {
			t.Errorf("%s", g.body)
		}
		must[events.Webhook](w, events.DeleteWebhook{UserID: ada, ID: hook.ID})
		refused(w, events.GetWebhook{UserID: ada, ID: hook.ID}, events.NotFound, "")
		some.next(t)
		w.tell(ada, acct, "after the end", events.FactPublished)
		some.next(t)
		all.quiet(t)
	})
}

func TestRetries(t *testing.T) {
	t.Run("until it works, across a restart, under the same id", func(t *testing.T) {
		w := setup(t)
		stop := w.run()
		up := make(chan struct{})
		rec := receive(t, func(_ int, rw http.ResponseWriter, _ *http.Request) {
			select {
			case <-up:
			default:
				rw.WriteHeader(http.StatusInternalServerError)
			}
		})
		hook := must[events.Webhook](w, events.CreateWebhook{UserID: ada, URL: rec.URL})
		id := w.tell(ada, acct, "insisted on", events.FactPublished)
		first := rec.next(t)
		if second := rec.next(t); second.header.Get("Webhook-Id") != id || !bytes.Equal(first.body, second.body) {
			t.Errorf("%v", second.header)
		}
		if h := must[events.Webhook](w, events.GetWebhook{UserID: ada, ID: hook.ID}); h.FailingSince == nil {
			t.Errorf("%+v", h)
		}
		stop()
		for len(rec.got) > 0 {
			<-rec.got
		}
		close(up)
		w.run()
		if g := rec.next(t); g.header.Get("Webhook-Id") != id || g.signedBy(t, hook.Secret) != 0 {
			t.Errorf("%v", g.header)
		}
		d := w.settled(hook.ID, id)
		if d.Status != statusDelivered || d.Attempts < 3 || len(d.Log) != d.Attempts || *d.Log[0].StatusCode != 500 || *d.Log[d.Attempts-1].StatusCode != 200 {
			t.Errorf("%+v", d)
		}
		if h := must[events.Webhook](w, events.GetWebhook{UserID: ada, ID: hook.ID}); h.FailingSince != nil {
			t.Errorf("%+v", h)
		}
	})

	t.Run("end after the days of trying, and a webhook that never works is disabled", func(t *testing.T) {
		w := setup(t)
		w.cfg.GiveUpAfter, w.cfg.DisableAfter = time.Second, 1500*time.Millisecond
		w.run()
		rec := receive(t, func(_ int, rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
		hook := must[events.Webhook](w, events.CreateWebhook{UserID: ada, URL: rec.URL})
		id := w.tell(ada, acct, "in vain", events.FactPublished)
		if d := w.settled(hook.ID, id); d.Status != statusFailed || d.NextTry != nil || d.Attempts < 2 {
			t.Errorf("%+v", d)
		}
		waiting.Until(w, "it is disabled", func() bool {
			h := must[events.Webhook](w, events.GetWebhook{UserID: ada, ID: hook.ID})
			if h.Status == events.WebhookActive {
				w.tell(ada, acct, "again in vain", events.FactPublished)
			}
			return h.Status == events.WebhookDisabled && h.Reason != ""
		})
		active := events.WebhookActive
		h := must[events.Webhook](w, events.UpdateWebhook{UserID: ada, ID: hook.ID, Status: &active})
		if h.Status != active || h.Reason != "" || h.FailingSince != nil {
			t.Errorf("%+v", h)
		}
	})

	t.Run("stop where the address says that it is gone", func(t *testing.T) {
		w := setup(t)
		w.run()
		rec := receive(t, func(_ int, rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusGone) })
		hook := must[events.Webhook](w, events.CreateWebhook{UserID: ada, URL: rec.URL})
		w.tell(ada, acct, "x", events.FactPublished)
		waiting.Until(w, "it is disabled", func() bool {
			return must[events.Webhook](w, events.GetWebhook{UserID: ada, ID: hook.ID}).Status == events.WebhookDisabled
		})
	})
}

// However many are dead, and however slowly they die, one that works gets its facts at once.
func TestTheDeadDelayNobody(t *testing.T) {
	w := setup(t)
	w.cfg.Timeout = 3 * time.Second
	w.run()
	var dead []*receiver
	for range maxWebhooks {
		d := receive(t, func(_ int, _ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
		})
		dead = append(dead, d)
		must[events.Webhook](w, events.CreateWebhook{UserID: "user_dead", URL: d.URL})
	}
	well := receive(t, nil)
	must[events.Webhook](w, events.CreateWebhook{UserID: ada, URL: well.URL})
	for range 50 { // a thousand deliveries
		w.tell("user_dead", acct, "x", events.FactPublished)
	}
	for _, d := range dead {
		d.next(t)
	}
	for i := range 20 {
		began := time.Now()
		w.tell(ada, acct, fmt.Sprint(i), events.FactPublished)
		if g := well.next(t); g.text() != fmt.Sprint(i) {
			t.Fatalf("%s", g.body)
		}
		if took := time.Since(began); took > time.Second {
			t.Fatalf("the %dth was delivered after %s", i, took)
		}
	}
}

func TestOwners(t *testing.T) {
	w := setup(t)
	w.run()
	rec := receive(t, nil)
	made := must[events.Webhook](w, events.CreateWebhook{UserID: ada, Key: "k1", URL: rec.URL, Facts: []string{"published"}})
	if made.Secret == "" || !slices.Equal(made.Facts, []string{"post.published"}) {
		t.Errorf("%+v", made)
	}
	for _, q := range []events.Question{
		events.GetWebhook{UserID: "user_eve", ID: made.ID}, events.DeleteWebhook{UserID: "user_eve", ID: made.ID},
		events.RotateWebhook{UserID: "user_eve", ID: made.ID}, events.TestWebhook{UserID: "user_eve", ID: made.ID},
		events.ListDeliveries{UserID: "user_eve", ID: made.ID}, events.UpdateWebhook{UserID: "user_eve", ID: made.ID, URL: &rec.URL},
		events.GetWebhook{UserID: ada, ID: "whk_\x00"}, events.ResendDelivery{UserID: ada, ID: made.ID, DeliveryID: events.DeliveryIDFor("a", "b")},
		events.ResendDelivery{UserID: ada, ID: made.ID, DeliveryID: "x"},
		events.CreateWebhook{UserID: ada, URL: rec.URL, AccountID: "acct_of_eve"},
	} {
		refused(w, q, events.NotFound, "")
	}
	refused(w, events.CreateWebhook{UserID: ada, URL: "http://example.com"}, events.Invalid, "/url")
	refused(w, events.CreateWebhook{UserID: ada, URL: rec.URL, Facts: []string{"published", "publshed"}}, events.Invalid, "/facts/1")
	refused(w, events.CreateWebhook{UserID: ada, URL: rec.URL, Description: strings.Repeat("é", 201)}, events.Invalid, "/description")
	refused(w, events.ListDeliveries{UserID: ada, ID: made.ID, Limit: 201}, events.Invalid, "/limit")
	refused(w, events.ListDeliveries{UserID: ada, ID: made.ID, After: "zz"}, events.Invalid, "/after")

	t.Run("a repeat under the key makes nothing, and tells no secret", func(t *testing.T) {
		again := must[events.Webhook](w, events.CreateWebhook{UserID: ada, Key: "k1", URL: rec.URL, Facts: []string{"post.published"}})
		if again.ID != made.ID || again.Secret != "" {
			t.Errorf("%+v", again)
		}
		refused(w, events.CreateWebhook{UserID: ada, Key: "k1", URL: rec.URL + "/other"}, events.KeyReused, "")
		for i := range maxWebhooks - 1 {
			must[events.Webhook](w, events.CreateWebhook{UserID: ada, URL: fmt.Sprintf("%s/%d", rec.URL, i), Facts: []string{"failed"}})
		}
		refused(w, events.CreateWebhook{UserID: ada, URL: rec.URL}, events.Conflict, "")
	})

	t.Run("the log has pages, and an end", func(t *testing.T) {
		for i := range 7 {
			w.tell(ada, acct, fmt.Sprint(i), events.FactPublished)
		}
		for range 7 {
			rec.next(t)
		}
		seen := map[string]bool{}
		page := events.WebhookDeliveries{}
		for pages := 0; pages == 0 || page.Next != ""; pages++ {
			page = must[events.WebhookDeliveries](w, events.ListDeliveries{UserID: ada, ID: made.ID, Limit: 3, After: page.Next})
			for _, d := range page.Deliveries {
				seen[d.ID] = true
			}
			if pages > 3 {
				t.Fatal("it has no end")
			}
		}
		if len(seen) != 7 {
			t.Errorf("%d of 7", len(seen))
		}
		w.now = func() time.Time { return time.Now().Add(2 * time.Hour) }
		if err := w.service().forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := must[events.WebhookDeliveries](w, events.ListDeliveries{UserID: ada, ID: made.ID}).Deliveries; len(left) != 0 {
			t.Errorf("%d are kept too long", len(left))
		}
	})
}

// A webhook can be deleted while a delivery to it is being noted: neither waits for the other in a circle.
func TestDeletedWhileNoted(t *testing.T) {
	w := setup(t)
	s := w.service()
	made, err := s.CreateWebhook(t.Context(), events.CreateWebhook{UserID: "user_1", Key: "k", URL: "http://127.0.0.1:1/"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.insert(t.Context(), newDelivery(made.ID, "evt_1", "post.published.v1", []byte("{}"), time.Now())); err != nil {
		t.Fatal(err)
	}
	noting, err := w.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = noting.Rollback() })
	exec := func(statement string) {
		t.Helper()
		if _, err := noting.ExecContext(t.Context(), statement, made.ID); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	exec("UPDATE webhook_deliveries SET attempts = attempts + 1 WHERE endpoint_id = ?")
	deleted := make(chan error, 1)
	go func() {
		_, err := s.DeleteWebhook(context.WithoutCancel(t.Context()), events.DeleteWebhook{UserID: "user_1", ID: made.ID})
		deleted <- err
	}()
	waiting.Until(w, "it waits for the note", func() bool {
		var waiting bool
		err := w.db.NewRaw("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(t.Context(), &waiting)
		return err == nil && waiting
	})
	exec("UPDATE webhook_endpoints SET failing_since = now() WHERE id = ?")
	if err := noting.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-deleted; err != nil {
		t.Error(err)
	}
}

func TestWaits(t *testing.T) {
	t.Parallel()
	s := &Service{cfg: Config{FirstRetry: 5 * time.Second, LongestRetry: 12 * time.Hour}}
	for n, want := range map[int]time.Duration{1: 5 * time.Second, 2: 20 * time.Second, 3: 80 * time.Second, 8: 12 * time.Hour, 500: 12 * time.Hour} {
		for range 100 {
			if got := s.wait(n, ""); got < want*4/5 || got > want*6/5 {
				t.Fatalf("after %d failures %s, want about %s", n, got, want)
			}
		}
	}
	if got := s.wait(1, "3600"); got != time.Hour {
		t.Errorf("asked for an hour, waits %s", got)
	}
	if got := s.wait(1, "999999999"); got > 15*time.Hour {
		t.Errorf("waits %s", got)
	}
}

func TestWants(t *testing.T) {
	t.Parallel()
	made := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	h := hook{UserID: ada, CreatedAt: made, Facts: []string{"post.published"}}
	if !h.wants(ada, acct, "post.published.v1", made) || !h.wants(ada, acct, "post.published.v2", made.Add(-time.Second)) {
		t.Error("does not get what is its own")
	}
	if h.wants(ada, acct, "post.published.v1", made.Add(-time.Minute)) {
		t.Error("gets what was told before it was made")
	}
	if h.wants("", acct, "post.published.v1", made) || h.wants("user_eve", acct, "post.published.v1", made) || h.wants(ada, acct, "post.failed.v1", made) {
		t.Error("gets what is not its own")
	}
	h.Facts = nil
	if !h.wants(ada, acct, "post.failed.v1", made) || h.wants(ada, acct, "post.imported.v1", made) {
		t.Error("without facts it should get all, but for what an import tells")
	}
	h.Facts = []string{"post.imported"}
	if !h.wants(ada, acct, "post.imported.v1", made) {
		t.Error("does not get what an import tells, although it is asked for")
	}
}
