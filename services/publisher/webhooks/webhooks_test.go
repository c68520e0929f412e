package webhooks

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

func TestDelivers(t *testing.T) {
	sys := setup(t)
	sys.run()
	_, err := sys.db.NewRaw(`INSERT INTO social_connections (id, provider_user_id, user_id, created_at, updated_at, status, granted_at, rev, fact, token_issued_at)
		VALUES (?, '1', ?, now(), now(), 'active', now(), 1, 'connected', now())`, acct, ada).Exec(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, some := receive(t, nil), receive(t, nil)
	hook := ask[asks.Webhook](sys, asks.CreateWebhook{UserID: ada, URL: all.URL + "/hook?x=1"})
	ask[asks.Webhook](sys, asks.CreateWebhook{UserID: ada, URL: some.URL, Facts: []string{"published", "post.failed"}, AccountID: acct})
	ask[asks.Webhook](sys, asks.CreateWebhook{UserID: "user_eve", URL: all.URL})

	sys.emit(ada, "acct_other", "not of this account", events.FactPublished)
	sys.emit(ada, acct, "not this fact", events.FactScheduled)
	id := sys.emit(ada, acct, "both", events.FactPublished)
	if g := some.next(t); g.text() != "both" {
		t.Errorf("%s", g.body)
	}
	some.wantNone(t)
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
	d := sys.awaitOutcome(hook.ID, id)
	if d.Status != statusDelivered || d.Attempts != 1 || d.NextTry != nil || len(d.Log) != 1 || *d.Log[0].StatusCode != 204 {
		t.Errorf("%+v", d)
	}

	t.Run("the same fact told again is not delivered again", func(t *testing.T) {
		row := newDelivery(hook.ID, id, "post.published.v1", []byte("{}"), time.Now())
		if err := sys.service().insert(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		if again := sys.awaitOutcome(hook.ID, id); again.Attempts != 1 {
			t.Errorf("%+v", again)
		}
	})

	t.Run("the secret is shown once, and lies sealed", func(t *testing.T) {
		for _, h := range ask[asks.WebhookList](sys, asks.ListWebhooks{UserID: ada}).Webhooks {
			if h.Secret != "" {
				t.Errorf("%+v", h)
			}
		}
		if h := ask[asks.Webhook](sys, asks.GetWebhook{UserID: ada, ID: hook.ID}); h.Secret != "" || h.URL != hook.URL {
			t.Errorf("%+v", h)
		}
		var sealed []byte
		if err := sys.db.NewSelect().Table("webhook_endpoints").Column("secret").Where("id = ?", hook.ID).Scan(t.Context(), &sealed); err != nil {
			t.Fatal(err)
		}
		raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(hook.Secret, "whsec_"))
		if bytes.Contains(sealed, raw) || bytes.Contains(sealed, []byte(hook.Secret[6:])) || len(sealed) == 0 {
			t.Error("the secret can be read in the table")
		}
	})

	t.Run("a test is a delivery like any other", func(t *testing.T) {
		sent := ask[asks.WebhookDelivery](sys, asks.TestWebhook{UserID: ada, ID: hook.ID})
		g := all.next(t)
		if g.header.Get("Webhook-Id") != sent.EventID || !strings.Contains(string(g.body), events.TypeWebhookTest) || g.signedBy(t, hook.Secret) != 0 {
			t.Errorf("%+v %s", sent, g.body)
		}
	})

	t.Run("a resend is the same once more", func(t *testing.T) {
		ask[asks.WebhookDelivery](sys, asks.ResendDelivery{UserID: ada, ID: hook.ID, DeliveryID: d.ID})
		again := all.next(t)
		if again.header.Get("Webhook-Id") != id || !bytes.Equal(again.body, g.body) {
			t.Errorf("%s", again.body)
		}
		waiting.Until(sys, "both are in the log", func() bool { return sys.awaitOutcome(hook.ID, id).Attempts == 2 })
	})

	t.Run("a new secret signs beside the old one, for a while", func(t *testing.T) {
		turned := ask[asks.Webhook](sys, asks.RotateWebhook{UserID: ada, ID: hook.ID})
		if turned.Secret == hook.Secret || turned.OldSecretUntil == nil {
			t.Errorf("%+v", turned)
		}
		ask[asks.WebhookDelivery](sys, asks.TestWebhook{UserID: ada, ID: hook.ID})
		if g := all.next(t); g.signedBy(t, turned.Secret) != 0 || g.signedBy(t, hook.Secret) != 1 {
			t.Errorf("%v", g.header)
		}
		if _, err := sys.db.NewRaw("UPDATE webhook_endpoints SET old_until = now() - interval '1 second'").Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		ask[asks.WebhookDelivery](sys, asks.TestWebhook{UserID: ada, ID: hook.ID})
		if g := all.next(t); g.signedBy(t, turned.Secret) != 0 || g.signedBy(t, hook.Secret) != -1 {
			t.Errorf("%v", g.header)
		}
	})

	t.Run("a paused one gets nothing, a deleted one neither", func(t *testing.T) {
		paused := asks.WebhookPaused
		ask[asks.Webhook](sys, asks.UpdateWebhook{UserID: ada, ID: hook.ID, Status: &paused})
		wantFault(sys, asks.TestWebhook{UserID: ada, ID: hook.ID}, events.Conflict, "")
		sys.emit(ada, acct, "while paused", events.FactPublished)
		some.next(t) // so it was looked at
		active := asks.WebhookActive
		ask[asks.Webhook](sys, asks.UpdateWebhook{UserID: ada, ID: hook.ID, Status: &active})
		sys.emit(ada, acct, "active again", events.FactPublished)
		if g := all.next(t); g.text() != "active again" {
			t.Errorf("%s", g.body)
		}
		ask[asks.Webhook](sys, asks.DeleteWebhook{UserID: ada, ID: hook.ID})
		wantFault(sys, asks.GetWebhook{UserID: ada, ID: hook.ID}, events.NotFound, "")
		some.next(t)
		sys.emit(ada, acct, "after the end", events.FactPublished)
		some.next(t)
		all.wantNone(t)
	})
}

func TestRetries(t *testing.T) {
	t.Run("until it works, across a restart, under the same id", func(t *testing.T) {
		sys := setup(t)
		stop := sys.run()
		up := make(chan struct{})
		rec := receive(t, func(_ int, rw http.ResponseWriter, _ *http.Request) {
			select {
			case <-up:
			default:
				rw.WriteHeader(http.StatusInternalServerError)
			}
		})
		hook := ask[asks.Webhook](sys, asks.CreateWebhook{UserID: ada, URL: rec.URL})
		id := sys.emit(ada, acct, "insisted on", events.FactPublished)
		first := rec.next(t)
		if second := rec.next(t); second.header.Get("Webhook-Id") != id || !bytes.Equal(first.body, second.body) {
			t.Errorf("%v", second.header)
		}
		if h := ask[asks.Webhook](sys, asks.GetWebhook{UserID: ada, ID: hook.ID}); h.FailingSince == nil {
			t.Errorf("%+v", h)
		}
		stop()
		for len(rec.got) > 0 {
			<-rec.got
		}
		close(up)
		sys.run()
		if g := rec.next(t); g.header.Get("Webhook-Id") != id || g.signedBy(t, hook.Secret) != 0 {
			t.Errorf("%v", g.header)
		}
		d := sys.awaitOutcome(hook.ID, id)
		if d.Status != statusDelivered || d.Attempts < 3 || len(d.Log) != d.Attempts || *d.Log[0].StatusCode != 500 || *d.Log[d.Attempts-1].StatusCode != 200 {
			t.Errorf("%+v", d)
		}
		if h := ask[asks.Webhook](sys, asks.GetWebhook{UserID: ada, ID: hook.ID}); h.FailingSince != nil {
			t.Errorf("%+v", h)
		}
	})

	t.Run("end after the days of trying, and a webhook that never works is disabled", func(t *testing.T) {
		sys := setup(t)
		sys.cfg.GiveUpAfter, sys.cfg.DisableAfter = time.Second, 1500*time.Millisecond
		sys.run()
		rec := receive(t, func(_ int, rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
		hook := ask[asks.Webhook](sys, asks.CreateWebhook{UserID: ada, URL: rec.URL})
		id := sys.emit(ada, acct, "in vain", events.FactPublished)
		if d := sys.awaitOutcome(hook.ID, id); d.Status != statusFailed || d.NextTry != nil || d.Attempts < 2 {
			t.Errorf("%+v", d)
		}
		waiting.Until(sys, "it is disabled", func() bool {
			h := ask[asks.Webhook](sys, asks.GetWebhook{UserID: ada, ID: hook.ID})
			if h.Status == asks.WebhookActive {
				sys.emit(ada, acct, "again in vain", events.FactPublished)
			}
			return h.Status == asks.WebhookDisabled && h.Reason != ""
		})
		active := asks.WebhookActive
		h := ask[asks.Webhook](sys, asks.UpdateWebhook{UserID: ada, ID: hook.ID, Status: &active})
		if h.Status != active || h.Reason != "" || h.FailingSince != nil {
			t.Errorf("%+v", h)
		}
	})

	t.Run("stop where the address says that it is gone", func(t *testing.T) {
		sys := setup(t)
		sys.run()
		rec := receive(t, func(_ int, rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusGone) })
		hook := ask[asks.Webhook](sys, asks.CreateWebhook{UserID: ada, URL: rec.URL})
		sys.emit(ada, acct, "x", events.FactPublished)
		waiting.Until(sys, "it is disabled", func() bool {
			return ask[asks.Webhook](sys, asks.GetWebhook{UserID: ada, ID: hook.ID}).Status == asks.WebhookDisabled
		})
	})
}

// However many webhooks do not answer, a healthy one gets its events: the attempts of the others hang until the test ends.
func TestFailingWebhooksDelayNoOther(t *testing.T) {
	for name, known := range map[string]bool{"that are not known to fail yet": false, "that are known to fail": true} {
		t.Run(name, func(t *testing.T) {
			sys := setup(t)
			sys.cfg.Timeout = time.Hour
			sys.run()
			end := make(chan struct{})
			defer close(end) // before the receivers are closed, which waits for their requests
			var hanging []*receiver
			for range maxWebhooks {
				rec := receive(t, func(_ int, _ http.ResponseWriter, r *http.Request) {
					select {
					case <-r.Context().Done():
					case <-end:
					}
				})
				hanging = append(hanging, rec)
				ask[asks.Webhook](sys, asks.CreateWebhook{UserID: "user_failing", URL: rec.URL})
			}
			if known {
				if _, err := sys.db.NewRaw("UPDATE webhook_endpoints SET failing_since = now()").Exec(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			healthy := receive(t, nil)
			ask[asks.Webhook](sys, asks.CreateWebhook{UserID: ada, URL: healthy.URL})
			for range 50 { // a thousand deliveries
				sys.emit("user_failing", acct, "x", events.FactPublished)
			}
			for _, rec := range hanging {
				rec.next(t)
			}
			for i := range 20 {
				sys.emit(ada, acct, fmt.Sprint(i), events.FactPublished)
				if g := healthy.next(t); g.text() != fmt.Sprint(i) {
					t.Fatalf("%s", g.body)
				}
			}
		})
	}
}

func TestLimitHoldsWhenManyComeAtOnce(t *testing.T) {
	sys := setup(t)
	sys.run()
	rec := receive(t, nil)
	var (
		wg   sync.WaitGroup
		made atomic.Int32
	)
	for i := range 2 * maxWebhooks {
		wg.Go(func() {
			_, err := bus.Ask[asks.Webhook](t.Context(), sys.bus, asks.CreateWebhook{UserID: ada, URL: fmt.Sprintf("%s/%d", rec.URL, i)})
			if err == nil {
				made.Add(1)
			} else if f, ok := errors.AsType[*events.Fault](err); !ok || f.Code != events.Conflict {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if list := ask[asks.WebhookList](sys, asks.ListWebhooks{UserID: ada}); made.Load() != maxWebhooks || len(list.Webhooks) != maxWebhooks {
		t.Errorf("%d were made, %d are there, and %d is the most", made.Load(), len(list.Webhooks), maxWebhooks)
	}
}

func TestOwners(t *testing.T) {
	sys := setup(t)
	sys.run()
	rec := receive(t, nil)
	made := ask[asks.Webhook](sys, asks.CreateWebhook{UserID: ada, Key: "k1", URL: rec.URL, Facts: []string{"published"}})
	if made.Secret == "" || !slices.Equal(made.Facts, []string{"post.published"}) {
		t.Errorf("%+v", made)
	}
	for _, q := range []asks.Question{
		asks.GetWebhook{UserID: "user_eve", ID: made.ID}, asks.DeleteWebhook{UserID: "user_eve", ID: made.ID},
		asks.RotateWebhook{UserID: "user_eve", ID: made.ID}, asks.TestWebhook{UserID: "user_eve", ID: made.ID},
		asks.ListDeliveries{UserID: "user_eve", ID: made.ID}, asks.UpdateWebhook{UserID: "user_eve", ID: made.ID, URL: &rec.URL},
		asks.GetWebhook{UserID: ada, ID: "whk_\x00"}, asks.ResendDelivery{UserID: ada, ID: made.ID, DeliveryID: events.DeliveryIDFor("a", "b")},
		asks.ResendDelivery{UserID: ada, ID: made.ID, DeliveryID: "x"},
		asks.CreateWebhook{UserID: ada, URL: rec.URL, AccountID: "acct_of_eve"},
	} {
		wantFault(sys, q, events.NotFound, "")
	}
	wantFault(sys, asks.CreateWebhook{UserID: ada, URL: "http://example.com"}, events.Invalid, "/url")
	wantFault(sys, asks.CreateWebhook{UserID: ada, URL: rec.URL, Facts: []string{"published", "publshed"}}, events.Invalid, "/facts/1")
	wantFault(sys, asks.CreateWebhook{UserID: ada, URL: rec.URL, Description: strings.Repeat("é", 201)}, events.Invalid, "/description")
	wantFault(sys, asks.ListDeliveries{UserID: ada, ID: made.ID, Limit: 201}, events.Invalid, "/limit")
	wantFault(sys, asks.ListDeliveries{UserID: ada, ID: made.ID, After: "zz"}, events.Invalid, "/after")

	t.Run("a repeat under the key makes nothing, and tells no secret", func(t *testing.T) {
		again := ask[asks.Webhook](sys, asks.CreateWebhook{UserID: ada, Key: "k1", URL: rec.URL, Facts: []string{"post.published"}})
		if again.ID != made.ID || again.Secret != "" {
			t.Errorf("%+v", again)
		}
		wantFault(sys, asks.CreateWebhook{UserID: ada, Key: "k1", URL: rec.URL + "/other"}, events.KeyReused, "")
		for i := range maxWebhooks - 1 {
			ask[asks.Webhook](sys, asks.CreateWebhook{UserID: ada, URL: fmt.Sprintf("%s/%d", rec.URL, i), Facts: []string{"failed"}})
		}
		wantFault(sys, asks.CreateWebhook{UserID: ada, URL: rec.URL}, events.Conflict, "")
	})

	t.Run("the log has pages, and an end", func(t *testing.T) {
		for i := range 7 {
			sys.emit(ada, acct, fmt.Sprint(i), events.FactPublished)
		}
		for range 7 {
			rec.next(t)
		}
		seen := map[string]bool{}
		page := asks.WebhookDeliveries{}
		for pages := 0; pages == 0 || page.Next != ""; pages++ {
			page = ask[asks.WebhookDeliveries](sys, asks.ListDeliveries{UserID: ada, ID: made.ID, Limit: 3, After: page.Next})
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
		sys.ahead.Store(int64(2 * time.Hour))
		if err := sys.service().deleteOld(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := ask[asks.WebhookDeliveries](sys, asks.ListDeliveries{UserID: ada, ID: made.ID}).Deliveries; len(left) != 0 {
			t.Errorf("%d are kept too long", len(left))
		}
	})
}

// A webhook can be deleted while the outcome of a delivery to it is being saved: the two do not deadlock.
func TestDeletedWhileOutcomeIsSaved(t *testing.T) {
	sys := setup(t)
	s := sys.service()
	made, err := s.CreateWebhook(t.Context(), asks.CreateWebhook{UserID: "user_1", Key: "k", URL: "http://127.0.0.1:1/"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.insert(t.Context(), newDelivery(made.ID, "evt_1", "post.published.v1", []byte("{}"), time.Now())); err != nil {
		t.Fatal(err)
	}
	saving, err := sys.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = saving.Rollback() })
	exec := func(statement string) {
		t.Helper()
		if _, err := saving.ExecContext(t.Context(), statement, made.ID); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	exec("UPDATE webhook_deliveries SET attempts = attempts + 1 WHERE endpoint_id = ?")
	deleted := make(chan error, 1)
	go func() {
		_, err := s.DeleteWebhook(context.WithoutCancel(t.Context()), asks.DeleteWebhook{UserID: "user_1", ID: made.ID})
		deleted <- err
	}()
	waiting.Until(sys, "it waits for the outcome to be saved", func() bool {
		var waiting bool
		err := sys.db.NewRaw("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(t.Context(), &waiting)
		return err == nil && waiting
	})
	exec("UPDATE webhook_endpoints SET failing_since = now() WHERE id = ?")
	if err := saving.Commit(); err != nil {
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
			if got := s.retryDelay(n, ""); got < want*4/5 || got > want*6/5 {
				t.Fatalf("after %d failures %s, want about %s", n, got, want)
			}
		}
	}
	if got := s.retryDelay(1, "3600"); got != time.Hour {
		t.Errorf("asked for an hour, waits %s", got)
	}
	if got := s.retryDelay(1, "999999999"); got > 15*time.Hour {
		t.Errorf("waits %s", got)
	}
}

func TestWants(t *testing.T) {
	t.Parallel()
	made := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	h := webhook{UserID: ada, CreatedAt: made, Facts: []string{"post.published"}}
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
