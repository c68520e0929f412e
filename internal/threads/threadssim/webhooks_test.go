package threadssim_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// event is a webhook as the app gets it.
type event struct {
	raw, signature string
	body           map[string]any
}

func (e event) str(key string) string { s, _ := e.body[key].(string); return s }

func (e event) value() map[string]any {
	values, _ := e.body["values"].(map[string]any)
	v, _ := values["value"].(map[string]any)
	return v
}

// app is an app with a webhook and the two callbacks.
type app struct {
	t      *testing.T
	server *httptest.Server
	events chan event
	status atomic.Int32 // what webhooks are answered
	forms  chan url.Values
	answer atomic.Value // what callbacks are answered
}

func newApp(t *testing.T) *app {
	a := &app{t: t, events: make(chan event, 100), forms: make(chan url.Values, 100)}
	a.status.Store(http.StatusOK)
	a.answer.Store(`{"url":"https://app.example/status","confirmation_code":"abc"}`)
	a.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet:
			if q := r.URL.Query(); q.Get("hub.mode") == "subscribe" && q.Get("hub.verify_token") == "shared" {
				_, _ = io.WriteString(w, q.Get("hub.challenge"))
			} else {
				w.WriteHeader(http.StatusForbidden)
			}
		case r.URL.Path == "/hook":
			raw, _ := io.ReadAll(r.Body)
			e := event{raw: string(raw), signature: r.Header.Get("X-Hub-Signature-256")}
			_ = json.Unmarshal(raw, &e.body)
			w.WriteHeader(int(a.status.Load()))
			a.events <- e
		default:
			_ = r.ParseForm()
			a.forms <- r.PostForm
			_, _ = io.WriteString(w, a.answer.Load().(string))
		}
	}))
	t.Cleanup(a.server.Close)
	return a
}

// next waits for an event.
func (a *app) next() event {
	a.t.Helper()
	select {
	case e := <-a.events:
		return e
	case <-time.After(waiting.Limit):
		a.t.Fatal("no webhook came")
		return event{}
	}
}

func (w *world) ctl(method, path, body string) reply {
	w.t.Helper()
	return w.send(method, path, "application/json", body)
}

func (w *world) subscribe(a *app, fields string) string {
	w.t.Helper()
	r := fine(w.t, w.ctl(http.MethodPost, "/_sim/webhooks",
		`{"callback_url":"`+a.server.URL+`/hook","verify_token":"shared","fields":[`+fields+`]}`))
	d, _ := r.body["data"].(map[string]any)
	id, _ := d["id"].(string)
	return id
}

// await asks until the delivery log shows a thing that was promised.
func (w *world) await(what string, there func([]threadssim.Delivery) bool) {
	w.t.Helper()
	waiting.Until(w.t, what, func() bool { return there(w.sim.Deliveries()) })
}

func TestWebhookSubscription(t *testing.T) {
	t.Parallel()
	w, a := setup(t, threadssim.Options{}), newApp(t)
	ask := func(address, token, fields string) reply {
		return w.ctl(http.MethodPost, "/_sim/webhooks", `{"callback_url":"`+address+`","verify_token":"`+token+`","fields":[`+fields+`]}`)
	}
	for what, r := range map[string]reply{
		"a wrong verify token": ask(a.server.URL+"/hook", "other", `"publish"`),
		"an unknown field":     ask(a.server.URL+"/hook", "shared", `"likes"`),
		"no field":             ask(a.server.URL+"/hook", "shared", ``),
		"a far address":        ask("https://example.org/hook", "shared", `"publish"`),
		"no address":           ask("ftp://127.0.0.1", "shared", `"publish"`),
	} {
		if r.status != http.StatusBadRequest {
			t.Errorf("%s: got %d %s", what, r.status, r.raw)
		}
	}
	id := w.subscribe(a, `"publish"`)
	has(t, w.ctl(http.MethodGet, "/_sim/webhooks", ""), id)
	fine(t, w.ctl(http.MethodDelete, "/_sim/webhooks/"+id, ""))
	hasNot(t, w.ctl(http.MethodGet, "/_sim/webhooks", ""), id)
	w.publish("media_type", "TEXT", "text", "nobody listens")
	if n := len(w.sim.Deliveries()); n != 0 {
		t.Errorf("%d deliveries without a subscription", n)
	}
}

func TestWebhookEvents(t *testing.T) {
	t.Parallel()
	w, a := setup(t, threadssim.Options{}), newApp(t)
	wide := w.as("demo.user", allScopes...)
	w.person(threadssim.Person{Username: "ann"})
	sub := w.subscribe(a, `"publish","delete","replies","mentions"`)

	id := wide.publish("media_type", "TEXT", "text", "hello", "enable_reply_approvals", "true")
	e := a.next()
	mac := hmac.New(sha256.New, []byte(threadssim.DefaultAppSecret))
	mac.Write([]byte(e.raw))
	if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); e.signature != want {
		t.Errorf("signature %s, want %s", e.signature, want)
	}
	if e.str("topic") != "interaction" || e.str("target_id") != id || e.str("subscription_id") != sub || e.str("app_id") != threadssim.DefaultAppID ||
		e.body["time"] != float64(1793610000) || e.body["has_uid_field"] != false {
		t.Errorf("the envelope is %s", e.raw)
	}
	if v := e.value(); v["id"] != id || v["media_type"] != "TEXT_POST" || v["username"] != "demo.user" || v["text"] != nil || len(v) != 5 {
		t.Errorf("the value is %v", v)
	}
	if !strings.Contains(e.raw, `http:\/\/`) {
		t.Errorf("slashes are not escaped: %s", e.raw)
	}

	reply := w.says("ann", "text", "schön 🎉/", "reply_to_id", id)
	if n := len(w.sim.Deliveries()); n != 1 {
		t.Errorf("a reply that waits was told about: %d deliveries", n)
	}
	fine(t, wide.post("/"+reply+"/manage_pending_reply", "approve", "true"))
	e = a.next()
	if !strings.Contains(e.raw, `sch\u00f6n \ud83c\udf89\/`) {
		t.Errorf("the text is not escaped as Meta does: %s", e.raw)
	}
	root, _ := e.value()["root_post"].(map[string]any)
	if e.str("topic") != "moderate" || e.str("target_id") != reply || e.value()["text"] != "schön 🎉/" || root["username"] != "demo.user" {
		t.Errorf("the reply is %s", e.raw)
	}

	mention := w.says("ann", "text", "hi @demo.user")
	if e = a.next(); e.str("target_id") != w.userID || e.value()["id"] != mention || e.value()["is_reply"] != false {
		t.Errorf("the mention is %s", e.raw)
	}
	fine(t, wide.delete("/"+id))
	owner, _ := a.nextOf(t, "delete").value()["owner"].(map[string]any)
	if owner["owner_id"] != w.userID {
		t.Errorf("the owner of the deleted post is %v", owner)
	}

	t.Run("private people's replies and mentions stay private", func(t *testing.T) {
		yes := true
		w.person(threadssim.Person{Username: "demo.user", Private: &yes})
		w.says("ann", "text", "hi again @demo.user")
		own := wide.publish("media_type", "TEXT", "text", "still told")
		if e := a.next(); e.value()["id"] != own {
			t.Errorf("got %s", e.raw)
		}
	})
	t.Run("nothing after the token died", func(t *testing.T) {
		if err := w.sim.Revoke("demo.user", 458); err != nil {
			t.Fatal(err)
		}
		before := len(w.sim.Deliveries())
		w.says("demo.user", "text", "by hand")
		if n := len(w.sim.Deliveries()); n != before {
			t.Errorf("%d deliveries more", n-before)
		}
	})
}

func (a *app) nextOf(t *testing.T, field string) event {
	t.Helper()
	e := a.next()
	values, _ := e.body["values"].(map[string]any)
	if values["field"] != field {
		t.Errorf("got %v, want %s", values["field"], field)
	}
	return e
}

func TestWebhookRetries(t *testing.T) {
	t.Parallel()
	w, a := setup(t, threadssim.Options{}), newApp(t)
	w.subscribe(a, `"publish"`)
	a.status.Store(http.StatusInternalServerError)
	w.publish("media_type", "TEXT", "text", "x")
	first, second := a.next(), a.next() // the second at once
	if first.raw != second.raw || first.signature != second.signature {
		t.Error("the attempts differ")
	}
	attempts := func(n int) func([]threadssim.Delivery) bool {
		return func(all []threadssim.Delivery) bool { return len(all) == 1 && len(all[0].Attempts) == n }
	}
	w.await("two attempts", attempts(2))
	a.status.Store(http.StatusOK)
	if err := w.sim.Advance(11 * time.Second); err != nil {
		t.Fatal(err)
	}
	a.next()
	w.await("taken", func(all []threadssim.Delivery) bool { return all[0].Outcome == threadssim.DeliveryTaken })

	a.status.Store(http.StatusBadGateway)
	w.publish("media_type", "TEXT", "text", "y")
	for n := range 10 {
		a.next()
		w.await("the next attempt", func(all []threadssim.Delivery) bool { return len(all[1].Attempts) > n })
		if err := w.sim.Advance(16 * time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	w.await("given up", func(all []threadssim.Delivery) bool { return all[1].Outcome == threadssim.DeliveryGivenUp })
}

func TestWebhookKnobs(t *testing.T) {
	t.Parallel()
	w, a := setup(t, threadssim.Options{}), newApp(t)
	w.subscribe(a, `"publish"`)
	knob := func(change func(*threadssim.Knobs)) { // these, and no others
		t.Helper()
		w.sim.ResetKnobs()
		if err := w.sim.SetKnobs(change); err != nil {
			t.Fatal(err)
		}
	}
	advance := func(d time.Duration) {
		t.Helper()
		if err := w.sim.Advance(d); err != nil {
			t.Fatal(err)
		}
	}
	post := func() string { return w.publish("media_type", "TEXT", "text", "x") }

	knob(func(k *threadssim.Knobs) {
		k.WebhookValuesArray = true
		k.ProcessingTime = threadssim.ProcessingTimes{}
	})
	id := post()
	list, _ := a.next().body["values"].([]any)
	if len(list) != 1 {
		t.Fatalf("values is no array of one: %v", list)
	}
	one, _ := list[0].(map[string]any)
	if v, _ := one["value"].(map[string]any); one["field"] != "publish" || v["id"] != id {
		t.Errorf("got %v", one)
	}

	knob(func(k *threadssim.Knobs) { k.WebhookDup = 1 })
	post()
	if x, y := a.next(), a.next(); x.raw != y.raw {
		t.Error("the second delivery differs")
	}

	knob(func(k *threadssim.Knobs) { k.WebhookDelay = threadssim.Always(time.Hour) })
	late := post()
	knob(func(*threadssim.Knobs) {})
	early := post()
	if e := a.next(); e.value()["id"] != early {
		t.Errorf("the late one came first: %s", e.raw)
	}
	advance(time.Hour)
	if e := a.next(); e.value()["id"] != late {
		t.Errorf("got %s", e.raw)
	}

	knob(func(k *threadssim.Knobs) { k.WebhookReorder = 1 })
	held := post()
	knob(func(*threadssim.Knobs) {})
	passes := post()
	if e := a.next(); e.value()["id"] != passes {
		t.Errorf("nothing passed the one held back: %s", e.raw)
	}
	advance(time.Minute)
	if e := a.next(); e.value()["id"] != held {
		t.Errorf("got %s", e.raw)
	}

	knob(func(k *threadssim.Knobs) { k.WebhookDrop = 1 })
	post()
	all := w.sim.Deliveries()
	if last := all[len(all)-1]; last.Outcome != threadssim.DeliveryLost || len(last.Attempts) != 0 {
		t.Errorf("the delivery is %+v", last)
	}
}

// TestCloseEndsDeliveries waits for a delivery that hangs, and for the hooks of a restarted simulator.
func TestCloseEndsDeliveries(t *testing.T) {
	t.Parallel()
	arrived, over := make(chan struct{}, 10), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, r.URL.Query().Get("hub.challenge"))
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-over
	}))
	defer slow.Close()
	defer close(over)
	journal := filepath.Join(t.TempDir(), "journal")
	w := setup(t, threadssim.Options{Journal: journal})
	fine(t, w.ctl(http.MethodPost, "/_sim/webhooks", `{"callback_url":"`+slow.URL+`","verify_token":"x","fields":["publish"]}`))
	w.publish("media_type", "TEXT", "text", "x")
	<-arrived
	began := time.Now()
	if err := w.sim.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("closing took %s", took)
	}
	again, err := threadssim.New(threadssim.Options{Journal: journal, Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	if hooks := again.Hooks(); len(hooks) != 1 || hooks[0].CallbackURL != slow.URL {
		t.Errorf("the hooks are %v", hooks)
	}
	if n := len(again.Deliveries()); n != 0 {
		t.Errorf("a restart told %d old events again", n)
	}
}

func TestCallbacks(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	w := setup(t, threadssim.Options{UninstallURL: a.server.URL + "/uninstall"})

	check := func(form url.Values) {
		t.Helper()
		signature, payload, _ := strings.Cut(form.Get("signed_request"), ".")
		mac := hmac.New(sha256.New, []byte(threadssim.DefaultAppSecret))
		mac.Write([]byte(payload))
		if got, err := base64.RawURLEncoding.DecodeString(signature); err != nil || !hmac.Equal(got, mac.Sum(nil)) {
			t.Errorf("the signature does not fit (%v)", err)
		}
		raw, _ := base64.RawURLEncoding.DecodeString(payload)
		var p map[string]any
		if json.Unmarshal(raw, &p) != nil || p["user_id"] != w.userID || p["algorithm"] != "HMAC-SHA256" || p["issued_at"] != float64(1793610000) {
			t.Errorf("the payload is %s", raw)
		}
	}

	fine(t, w.get("/me"))
	has(t, w.ctl(http.MethodPost, "/_sim/users/demo.user/uninstall", ""), `"status":200`)
	check(<-a.forms)
	refused(t, w.get("/me"), 400, "190/458")

	has(t, w.ctl(http.MethodPost, "/_sim/users/demo.user/data-deletion", ""), "no address")
	for _, bad := range []string{`{"data_deletion_url":"https://example.org"}`, `{}`, `{"other":"x"}`} {
		if r := w.ctl(http.MethodPost, "/_sim/callbacks", bad); r.status != http.StatusBadRequest {
			t.Errorf("%s: got %d", bad, r.status)
		}
	}
	fine(t, w.ctl(http.MethodPost, "/_sim/callbacks", `{"data_deletion_url":"`+a.server.URL+`/erase"}`))
	w.token, _ = w.grant("demo.user")
	has(t, w.ctl(http.MethodPost, "/_sim/users/demo.user/data-deletion", ""), `"confirmation_code":"abc"`, `"status_url":"https://app.example/status"`)
	check(<-a.forms)
	refused(t, w.get("/me"), 400, "190/458")
	a.answer.Store(`thanks`)
	has(t, w.ctl(http.MethodPost, "/_sim/users/demo.user/data-deletion", ""), "must answer with url and confirmation_code")
	has(t, w.ctl(http.MethodGet, "/_sim/callbacks", ""), `"uninstall_url":"`+a.server.URL, `"kind":"data_deletion"`)
	if n := len(w.sim.CallbackAnswers()); n != 4 {
		t.Errorf("%d answers, want 4", n)
	}
	if r := w.ctl(http.MethodPost, "/_sim/users/nobody/uninstall", ""); r.status != http.StatusBadRequest {
		t.Errorf("got %d %s", r.status, r.raw)
	}
}
