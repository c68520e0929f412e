package webhooks

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/vault"
	"github.com/omni-write/threads/internal/vault/vaulttest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	ada  = "user_ada"
	acct = "acct_01jbkq4t00e7x8v5n2m3k9w0ra"
)

// system is webhooks on real NATS and Postgres, with receivers on this machine.
type system struct {
	*testing.T
	cfg   Config
	bus   *bus.Bus
	db    *bun.DB
	vault *vault.Vault
	ahead atomic.Int64 // of the clock, in nanoseconds
}

func setup(t *testing.T) *system {
	t.Helper()
	t.Parallel()
	vault := vaulttest.New(t)
	return &system{
		T: t, bus: bustest.New(t), db: pgtest.New(t), vault: vault,
		cfg: Config{
			FirstRetry: 20 * time.Millisecond, LongestRetry: 100 * time.Millisecond, GiveUpAfter: time.Hour, DisableAfter: time.Hour,
			Timeout: 2 * time.Second, Overlap: time.Hour, Keep: time.Hour, LookEvery: 20 * time.Millisecond, AllowLoopback: true,
		},
	}
}

func (sys *system) service() *Service {
	return New(sys.cfg, Deps{Bus: sys.bus, DB: sys.db, Vault: sys.vault, Log: bustest.Log(sys.T), Now: func() time.Time { return time.Now().Add(time.Duration(sys.ahead.Load())) }})
}

// run runs the webhooks until the test ends or stop is called.
func (sys *system) run() (stop func()) {
	sys.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := sys.service()
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			sys.Errorf("webhooks ended with %v", err)
		}
	})
	sys.Cleanup(stop)
	waiting.Until(sys, "it answers", func() bool {
		_, err := bus.Ask[asks.WebhookList](waiting.Context(sys), sys.bus, asks.ListWebhooks{UserID: "nobody"})
		return err == nil
	})
	return stop
}

func ask[A any](sys *system, q asks.Question) A {
	sys.Helper()
	a, err := bus.Ask[A](waiting.Context(sys), sys.bus, q)
	if err != nil {
		sys.Fatalf("%s: %v", q.Subject(), err)
	}
	return a
}

func wantFault(sys *system, q asks.Question, code events.Code, pointer string) {
	sys.Helper()
	_, err := bus.Ask[json.RawMessage](waiting.Context(sys), sys.bus, q)
	f, ok := errors.AsType[*events.Fault](err)
	if !ok || f.Code != code || pointer != "" && (len(f.Details) != 1 || f.Details[0].Pointer != pointer) {
		sys.Errorf("%s %+v: got %v, want %s %s", q.Subject(), q, err, code, pointer)
	}
}

// emit emits an event of a user's post and returns its event id.
func (sys *system) emit(user, account, text string, fact events.PostFact) string {
	sys.Helper()
	ev := events.NewPostEvent(fact, events.Post{ID: events.NewPostID(), UserID: user, AccountID: account, Text: text, Rev: 1})
	if err := sys.bus.Emit(sys.Context(), ev); err != nil {
		sys.Fatal(err)
	}
	return ev.EventID()
}

// got is a delivery as it arrived.
type got struct {
	header http.Header
	body   []byte
}

func (g got) text() string {
	var p struct {
		Data struct{ Post struct{ Text string } }
	}
	_ = json.Unmarshal(g.body, &p)
	return p.Data.Post.Text
}

// signedBy checks the signature as a receiver does that has never seen our code, and says which of the signatures it was.
func (g got) signedBy(t *testing.T, secret string) int {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) != 32 || !strings.HasPrefix(secret, "whsec_") {
		t.Fatalf("%q is no secret: %v", secret, err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(g.header.Get("webhook-id") + "." + g.header.Get("webhook-timestamp") + "."))
	mac.Write(g.body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return slices.Index(strings.Split(g.header.Get("webhook-signature"), " "), want)
}

// receiver is an address of a user's.
type receiver struct {
	URL string
	got chan got
}

// receive answers deliveries with what fn says; nil is 204.
func receive(t *testing.T, fn func(n int, rw http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	rec := &receiver{got: make(chan got, 1000)}
	var mu sync.Mutex
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		n++
		call := n
		mu.Unlock()
		rec.got <- got{r.Header.Clone(), body}
		if fn == nil {
			rw.WriteHeader(http.StatusNoContent)
			return
		}
		fn(call, rw, r)
	}))
	t.Cleanup(srv.Close)
	rec.URL = srv.URL
	return rec
}

func (r *receiver) next(t *testing.T) got {
	t.Helper()
	select {
	case g := <-r.got:
		return g
	case <-time.After(waiting.Limit):
		t.Fatal("nothing was delivered")
		return got{}
	}
}

func (r *receiver) wantNone(t *testing.T) {
	t.Helper()
	select {
	case g := <-r.got:
		t.Errorf("delivered too: %s", g.body)
	default:
	}
}

// awaitOutcome waits until a delivery is not waiting any more.
func (sys *system) awaitOutcome(hook, event string) asks.WebhookDelivery {
	sys.Helper()
	var found asks.WebhookDelivery
	waiting.Until(sys, "the delivery has its outcome", func() bool {
		for _, d := range ask[asks.WebhookDeliveries](sys, asks.ListDeliveries{UserID: ada, ID: hook}).Deliveries {
			if d.EventID == event && d.Status != statusWaiting {
				found = d
				return true
			}
		}
		return false
	})
	return found
}
