package auth

import (
	"testing"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/testkit/secretcheck"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// What must never be stored or logged is looked for everywhere after a day in the life of auth, its bad moments
// included: those are when URLs and answers find their way into errors.
func TestSecretsStayHome(t *testing.T) {
	w := setup(t)
	var secrets secretcheck.Secrets
	secrets.Add("app secret", threadssim.DefaultAppSecret)

	flow := func(user string) {
		ticket := must[asks.Ticket](w, asks.IssueTicket{UserID: user})
		begun := must[asks.OAuthBegun](w, asks.BeginOAuth{Ticket: ticket.Ticket})
		back := w.allow(begun, "ada")
		secrets.Add("ticket", ticket.Ticket)
		secrets.Add("state", back.State)
		secrets.Add("cookie", back.Cookie)
		secrets.Add("code", back.Code)
		_, _ = ask[events.Connection](w, back) // in good and in bad times
		_, _ = ask[events.Connection](w, back)

		// And a flow that its beginner confirms.
		begun = w.beginConfirmed(user, nil)
		back = w.allow(begun, "ada")
		secrets.Add("state", back.State)
		secrets.Add("cookie", back.Cookie)
		secrets.Add("code", back.Code)
		if returned, err := ask[asks.OAuthReturned](w, asks.ReturnOAuth(back)); err == nil {
			secrets.Add("connect code", returned.Code)
			_, _ = ask[events.Connection](w, asks.ConfirmOAuth{Code: returned.Code, UserID: user})
			_, _ = ask[events.Connection](w, asks.ConfirmOAuth{Code: returned.Code, UserID: user})
			left := must[asks.OAuthReturned](w, asks.ReturnOAuth(w.allow(w.beginConfirmed(user, nil), "ada"))) // nobody confirms it
			secrets.Add("connect code", left.Code)
		}
	}
	inject := func(op, kind string) {
		if err := w.sim.Inject(threadssim.Fault{Op: op, Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	flow("user_1")
	for _, op := range []string{threads.OpExchange, threads.OpExchangeLong, threads.OpMe, threads.OpDebugToken} {
		for _, kind := range []string{threadssim.Edge5xx, threadssim.DropResponse, threadssim.ErrorBeforeCommit} {
			inject(op, kind)
			flow("user_2")
			w.sim.ClearFaults()
		}
	}
	if err := w.sim.Revoke("ada", 0); err != nil {
		t.Fatal(err)
	}
	_, _ = ask[asks.Profile](w, asks.GetProfile{UserID: "user_1"})
	o, err := w.bus.Do(t.Context(), events.Disconnect{UserID: "user_1"}, bus.CommandOptions{ID: events.NewCommandID()}, waiting.Limit)
	if err != nil || !o.Done {
		t.Fatalf("%+v, %v", o, err)
	}
	for _, token := range w.wire.tokens {
		secrets.Add("token", token)
	}
	if n := secrets.Len(); n < 60 {
		t.Fatalf("only %d secrets passed: the test looks for too little", n)
	}

	for _, found := range secrets.Find(w.everythingWritten()) {
		t.Error(found)
	}
}

// everythingWritten is every log line, every message of every stream, the buckets' among them, and every table.
func (w *env) everythingWritten() secretcheck.Places {
	w.Helper()
	all := secretcheck.Places{}
	gather := func(in secretcheck.Places, err error) {
		w.Helper()
		if err != nil {
			w.Fatal(err)
		}
		if len(in) == 0 {
			w.Fatal("nothing to look through: the test looks at the wrong place")
		}
		all.Add(in)
	}
	gather(secretcheck.Logs(w.logs.All()))
	gather(secretcheck.NATS(w.Context(), w.bus.JetStream()))
	gather(secretcheck.Postgres(w.Context(), w.db))
	return all
}
