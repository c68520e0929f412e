package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// sign makes Meta's signature of a body.
func sign(body, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func (w *env) receive(body string) (asks.WebhookReceived, error) {
	w.Helper()
	return ask[asks.WebhookReceived](w, asks.ReceiveWebhook{Body: []byte(body), Signature: sign(body, threadssim.DefaultAppSecret)})
}

// storedEvents is how many events lie on EVENTS.
func (w *env) storedEvents() uint64 {
	w.Helper()
	s, err := w.bus.JetStream().Stream(w.Context(), events.StreamEvents)
	if err != nil {
		w.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func TestReceiveWebhook(t *testing.T) {
	w := setup(t)
	mine := w.connect("user_1", "demo.user")
	too := w.connect("user_2", "demo.user")  // the same Threads account, of another user of ours
	other := w.connect("user_3", "somebody") // has nothing to do with it
	id := mine.ProviderUserID

	sent := fmt.Sprint(time.Now().Unix())
	reply := `{"app_id":"1","topic":"moderate","target_id":"18060000000000021","time":` + sent + `,"subscription_id":"2","has_uid_field":false,` +
		`"values":{"field":"replies","value":{"id":"18060000000000021","username":"ann","text":"caf\u00e9 \ud83d\ude00","media_type":"TEXT_POST",` +
		`"permalink":"https:\/\/www.threads.com\/@ann\/post\/D","timestamp":"2026-11-02T09:00:03+0000","replied_to":{"id":"18060000000000017"},` +
		`"root_post":{"id":"18060000000000017","owner_id":"` + id + `","username":"demo.user"}}}}`
	got, err := w.receive(reply)
	if err != nil || got.Facts != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	want := events.Words{Username: "ann", Text: "café 😀", MediaType: "TEXT_POST", Permalink: "https://www.threads.com/@ann/post/D",
		RepliedTo: "18060000000000017", RootID: "18060000000000017"}
	for _, a := range []events.Connection{mine, too} {
		ev := bustest.Await(t, w.bus, func(ev events.ReplyReceived) bool { return ev.AccountID == a.ID })
		if ev.UserID != a.UserID || ev.Words != want || ev.MediaID != "18060000000000021" || !ev.At.Equal(time.Date(2026, 11, 2, 9, 0, 3, 0, time.UTC)) {
			t.Errorf("%+v", ev)
		}
	}

	t.Run("twice is once, long after JetStream has forgotten the id", func(t *testing.T) {
		before := w.storedEvents()
		array := strings.Replace(strings.Replace(reply, `"values":{`, `"values":[{`, 1), `}}}}`, `}}}]}`, 1)
		for _, body := range []string{reply, array, "[" + reply + "," + array + "]"} {
			if got, err := w.receive(body); err != nil || got.Facts != 0 {
				t.Errorf("%+v, %v", got, err)
			}
		}
		if after := w.storedEvents(); after != before {
			t.Errorf("%d facts more", after-before)
		}
	})

	t.Run("several at once, in any order, of which one is of no use", func(t *testing.T) {
		part := func(field, media, more string) string {
			return fmt.Sprintf(`{"topic":"x","target_id":%q,"time":%s,"values":{"field":%q,"value":{"id":%q%s}}}`, id, sent, field, media, more)
		}
		body := "[" + strings.Join([]string{
			part("delete", "18060000000000031", `,"owner":{"owner_id":"`+id+`"},"deleted_at":"2026-11-02T10:00:00+0000"`),
			part("publish", "18060000000000031", `,"username":"Demo.User","media_type":"IMAGE","permalink":"https://x"`),
			part("of_tomorrow", "1", ""),
			part("publish", "18060000000000032", `,"username":"nobody.here"`),
			part("mentions", "18060000000000033", `,"username":"bob","text":"hi @demo.user"`),
			part("publish", "", `,"username":"demo.user"`),
			`{"values":7}`,
		}, ",") + "]"
		if got, err := w.receive(body); err != nil || got.Facts != 6 {
			t.Fatalf("%+v, %v", got, err)
		}
		bustest.Await(t, w.bus, func(ev events.DeletedOnThreads) bool {
			return ev.AccountID == mine.ID && ev.MediaID == "18060000000000031" && ev.At.Hour() == 10
		})
		bustest.Await(t, w.bus, func(ev events.PublishedOnThreads) bool {
			return ev.AccountID == too.ID && ev.MediaType == "IMAGE" && ev.Permalink == "https://x"
		})
		bustest.Await(t, w.bus, func(ev events.Mentioned) bool { return ev.AccountID == mine.ID && ev.Username == "bob" })
	})

	t.Run("a reply within somebody else's conversation is whose post was replied to", func(t *testing.T) {
		_, err := w.db.NewRaw(`INSERT INTO posts (id, user_id, account_id, text, content_hash, publish_at, publish_within, state, media_id, created_at, updated_at, rev, fact)
			VALUES ('post_1', 'user_3', ?, '', '', now(), 1, 'published', '18060000000000041', now(), now(), 1, 'published')`, other.ID).Exec(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		body := `{"time":` + sent + `,"values":{"field":"replies","value":{"id":"18060000000000042","username":"ann","replied_to":{"id":"18060000000000041"},"root_post":{"id":"9","owner_id":"8"}}}}`
		if got, err := w.receive(body); err != nil || got.Facts != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		bustest.Await(t, w.bus, func(ev events.ReplyReceived) bool { return ev.AccountID == other.ID && ev.UserID == "user_3" })
	})

	t.Run("what Meta did not sign, byte for byte, is nothing", func(t *testing.T) {
		before := w.storedEvents()
		body := strings.ReplaceAll(reply, "18060000000000021", "18060000000000099")
		var decoded any
		if err := json.Unmarshal([]byte(body), &decoded); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(decoded)
		if err != nil {
			t.Fatal(err)
		}
		good := sign(body, threadssim.DefaultAppSecret)
		for name, q := range map[string]asks.ReceiveWebhook{
			"none":          {Body: []byte(body)},
			"another's":     {Body: []byte(body), Signature: sign(body, "guess")},
			"no secret's":   {Body: []byte(body), Signature: sign(body, "")},
			"of other text": {Body: bytes.Replace([]byte(body), []byte("ann"), []byte("eve"), 1), Signature: good},
			"encoded anew":  {Body: again, Signature: good},
			"sha1":          {Body: []byte(body), Signature: "sha1=" + strings.TrimPrefix(good, "sha256=")},
		} {
			_, err := ask[asks.WebhookReceived](w, q)
			t.Run(name, func(t *testing.T) { refusedAs(t, err, events.Unauthorized, "") })
		}
		if after := w.storedEvents(); after != before {
			t.Errorf("%d facts more", after-before)
		}
	})

	t.Run("what is older than what is known again, from the future, or of no time, is nothing", func(t *testing.T) {
		before := w.storedEvents()
		for name, when := range map[string]string{
			"four days old":     fmt.Sprint(time.Now().Add(-4 * 24 * time.Hour).Unix()),
			"just too old":      fmt.Sprint(time.Now().Add(-timelyFor - time.Minute).Unix()),
			"of the last month": "1793610004",
			"of long ago":       "1",
			"from the future":   fmt.Sprint(time.Now().Add(2 * time.Hour).Unix()),
		} {
			old := strings.Replace(strings.ReplaceAll(reply, "18060000000000021", "18060000000000077"), `"time":`+sent, `"time":`+when, 1)
			if got, err := w.receive(old); err != nil || got.Facts != 0 {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		undated := strings.NewReplacer("18060000000000021", "18060000000000077", `"time":`+sent+`,`, "", `"timestamp":"2026-11-02T09:00:03+0000",`, "").Replace(reply)
		if got, err := w.receive(undated); err != nil || got.Facts != 0 {
			t.Errorf("without a time: %+v, %v", got, err)
		}
		// One that is too old costs none of the others that came with it.
		fresh := strings.ReplaceAll(reply, "18060000000000021", "18060000000000078")
		old := strings.Replace(strings.ReplaceAll(reply, "18060000000000021", "18060000000000079"), `"time":`+sent, `"time":1793610004`, 1)
		if got, err := w.receive("[" + old + "," + fresh + "]"); err != nil || got.Facts != 2 {
			t.Errorf("%+v, %v", got, err)
		}
		if after := w.storedEvents(); after != before+2 {
			t.Errorf("%d facts more", after-before)
		}
	})

	t.Run("what nobody understands is taken, and is nothing", func(t *testing.T) {
		for _, body := range []string{`{}`, `[]`, `null`, `"x"`, `{"values":[]}`, `not JSON`, ``} {
			if got, err := w.receive(body); err != nil || got.Facts != 0 {
				t.Errorf("%q: %+v, %v", body, got, err)
			}
		}
	})

	t.Run("of an account that was taken away nothing is told", func(t *testing.T) {
		if _, err := w.db.NewRaw("UPDATE social_connections SET status = 'disconnected' WHERE id = ?", too.ID).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := w.receive(strings.ReplaceAll(reply, "18060000000000021", "18060000000000055")); err != nil || got.Facts != 1 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestVerifyWebhook(t *testing.T) {
	t.Parallel()
	w := prepare(t)
	w.svc.cfg.WebhookVerifyToken = "shared"
	w.run()
	verified, err := ask[asks.WebhookVerified](w, asks.VerifyWebhook{Mode: "subscribe", VerifyToken: "shared", Challenge: "1158201444"})
	if err != nil || verified.Challenge != "1158201444" {
		t.Errorf("%+v, %v", verified, err)
	}
	for _, q := range []asks.VerifyWebhook{{Mode: "subscribe", VerifyToken: "guess"}, {Mode: "unsubscribe", VerifyToken: "shared"}, {Mode: "subscribe"}} {
		_, err := ask[asks.WebhookVerified](w, q)
		refusedAs(t, err, events.Unauthorized, "")
	}
	none := setupQuietly(t)
	_, err = ask[asks.WebhookVerified](none, asks.VerifyWebhook{Mode: "subscribe", VerifyToken: ""})
	refusedAs(t, err, events.Unauthorized, "")
}

func setupQuietly(t *testing.T) *env {
	t.Helper()
	w := prepare(t)
	w.run()
	return w
}

// The simulator sends what Meta sends.
func TestWebhooksOfTheSimulator(t *testing.T) {
	w := setup(t)
	mine := must[events.Connection](w, w.allow(w.begin("user_1"), "demo.user", threads.ScopeBasic, threads.ScopeManageMentions))
	hook := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = fmt.Fprint(rw, r.URL.Query().Get("hub.challenge"))
			return
		}
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		_, err := ask[asks.WebhookReceived](w, asks.ReceiveWebhook{Body: body.Bytes(), Signature: r.Header.Get("X-Hub-Signature-256")})
		if err != nil {
			t.Error(err)
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(hook.Close)
	call := func(path, body, kind string) {
		t.Helper()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		req.Header.Set("Content-Type", kind)
		req.Host = "localhost" // a stranger's name is turned away
		rec := httptest.NewRecorder()
		w.sim.ServeHTTP(rec, req)
		if rec.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	call("/_sim/webhooks", `{"callback_url":"`+hook.URL+`","verify_token":"x","fields":["publish","delete","replies","mentions"]}`, "application/json")
	call("/_sim/people", `{"username":"ann"}`, "application/json")
	call("/_sim/people/ann/posts", url.Values{"text": {"good morning, @demo.user"}}.Encode(), "application/x-www-form-urlencoded")
	ev := bustest.Await(t, w.bus, func(ev events.Mentioned) bool { return ev.AccountID == mine.ID })
	if ev.Username != "ann" || ev.Text != "good morning, @demo.user" || ev.At.IsZero() {
		t.Errorf("%+v", ev)
	}
	waiting.Until(w, "the simulator knows that it was taken", func() bool {
		all := w.sim.Deliveries()
		return len(all) == 1 && all[0].Outcome == threadssim.DeliveryTaken
	})
}

func TestLiveQuestions(t *testing.T) {
	w := setup(t)
	mine := w.connect("user_1", "demo.user")
	until := time.Now().Add(time.Minute).UTC().Truncate(time.Second)
	ticket := must[asks.Ticket](w, asks.IssueTicket{UserID: "user_1", SignedInUntil: until})
	holder := must[asks.TicketHolder](w, asks.RedeemTicket{Ticket: ticket.Ticket})
	if holder.UserID != "user_1" || !holder.SignedInUntil.Equal(until) {
		t.Errorf("%+v", holder)
	}
	_, err := ask[asks.TicketHolder](w, asks.RedeemTicket{Ticket: ticket.Ticket})
	refusedAs(t, err, events.Unauthorized, "ticket_invalid")
	if _, err := w.db.NewRaw("UPDATE social_connections SET status = 'disconnected'").Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]string{"user_1": mine.ID, "user_2": ""} {
		if ids := must[asks.AccountIDs](w, asks.ListAccountIDs{UserID: user}).IDs; strings.Join(ids, ",") != want {
			t.Errorf("%s has %v", user, ids)
		}
	}
}
