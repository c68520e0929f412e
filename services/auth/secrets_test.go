package auth

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// What must never be stored or logged is looked for everywhere after a day in the life of auth, its bad moments
// included: those are when URLs and answers find their way into errors.
func TestSecretsStayHome(t *testing.T) {
	w := setup(t)
	secrets := map[string]string{"app secret": threadssim.DefaultAppSecret}

	dance := func(user string) {
		ticket := must[events.Ticket](w, events.IssueTicket{UserID: user})
		begun := must[events.OAuthBegun](w, events.BeginOAuth{Ticket: ticket.Ticket})
		back := w.allow(begun, "ada")
		n := len(secrets)
		secrets[fmt.Sprint("ticket ", n)] = ticket.Ticket
		secrets[fmt.Sprint("state ", n)] = back.State
		secrets[fmt.Sprint("cookie ", n)] = back.Cookie
		secrets[fmt.Sprint("code ", n)] = back.Code
		_, _ = ask[events.Connection](w, back) // in good and in bad times
		_, _ = ask[events.Connection](w, back)
	}
	inject := func(op, kind string) {
		if err := w.sim.Inject(threadssim.Fault{Op: op, Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	dance("user_1")
	for _, op := range []string{threads.OpExchange, threads.OpExchangeLong, threads.OpMe, threads.OpDebugToken} {
		for _, kind := range []string{threadssim.Edge5xx, threadssim.DropResponse, threadssim.ErrorBeforeCommit} {
			inject(op, kind)
			dance("user_2")
			w.sim.ClearFaults()
		}
	}
	if err := w.sim.Revoke("ada", 0); err != nil {
		t.Fatal(err)
	}
	_, _ = ask[events.Profile](w, events.GetProfile{UserID: "user_1"})
	o, err := w.bus.Do(t.Context(), events.Disconnect{UserID: "user_1"}, bus.CommandOptions{ID: events.NewCommandID()}, 10*time.Second)
	if err != nil || !o.Done {
		t.Fatalf("%+v, %v", o, err)
	}
	for i, token := range w.wire.tokens {
		secrets[fmt.Sprint("token ", i)] = token
	}
	if len(secrets) < 60 {
		t.Fatalf("only %d secrets passed: the test looks for too little", len(secrets))
	}

	for where, text := range w.everythingWritten() {
		for name, secret := range secrets {
			if strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) {
				t.Errorf("the %s is in %s", name, where)
			}
		}
	}
}

// everythingWritten is every log line and every message of every stream, the buckets' among them, and the table's text.
func (w *world) everythingWritten() map[string]string {
	w.Helper()
	all := map[string]string{}
	for i, line := range w.logs.All() {
		all[fmt.Sprintf("log line %d (%s)", i, line.Message)] = fmt.Sprint(line.Message, line.ContextMap())
	}
	if len(all) == 0 {
		w.Fatal("nothing was logged: the test looks at the wrong logger")
	}
	js, stored := w.bus.JetStream(), 0
	for name := range js.StreamNames(w.Context()).Name() {
		stream, err := js.Stream(w.Context(), name)
		if err != nil {
			w.Fatal(err)
		}
		state := stream.CachedInfo().State
		for seq := max(state.FirstSeq, 1); seq <= state.LastSeq; seq++ {
			m, err := stream.GetMsg(w.Context(), seq)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue
			}
			if err != nil {
				w.Fatal(err)
			}
			all[fmt.Sprintf("message %d of %s", seq, name)] = fmt.Sprint(m.Subject, m.Header, string(m.Data))
			stored++
		}
	}
	if stored == 0 {
		w.Fatal("no stream has a message: the test looks at the wrong server")
	}
	var rows []string
	if err := w.db.NewRaw("SELECT row_to_json(t)::text FROM social_connections t UNION ALL SELECT row_to_json(t)::text FROM commands t").
		Scan(w.Context(), &rows); err != nil {
		w.Fatal(err)
	}
	all["the tables"] = strings.Join(rows, "\n")
	return all
}
