package gateway_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/services/gateway"
	"github.com/omni-write/threads/services/gateway/live"
)

func TestStreamEvents(t *testing.T) {
	t.Parallel()

	t.Run("tells the caller's facts, and nobody else's", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		l := h.listen(t, "")
		l.place()
		h.tell(t,
			fact("user_eve", acctA, events.FactPublished, "not ada's"),
			fact(ada, acctA, events.FactScheduled, "one"),
			events.NewAccountConnected(events.Connection{ID: acctB, UserID: "user_eve", Rev: 1}),
			events.NewAccountConnected(events.Connection{ID: acctB, UserID: ada, Rev: 2, Scopes: []string{}}))
		if e := l.must("post.scheduled"); e.text(t) != "one" || e.id == "" {
			t.Errorf("%+v", e)
		}
		if e := l.must("account.connected"); !strings.Contains(e.data, ada) {
			t.Errorf("%+v", e)
		}
	})

	t.Run("tells of one account, and of some facts, on request", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		ownsA(t, h)
		account := h.listen(t, "?accountId="+acctB)
		some := h.listen(t, "?facts=published,%20account.connected")
		account.place()
		some.place()
		h.tell(t, fact(ada, acctA, events.FactScheduled, "a"), fact(ada, acctB, events.FactScheduled, "b"), fact(ada, acctA, events.FactPublished, "c"))
		if e := account.must("post.scheduled"); e.text(t) != "b" {
			t.Errorf("%+v", e)
		}
		if e := some.must("post.published"); e.text(t) != "c" {
			t.Errorf("%+v", e)
		}
		// The same filters hold for what was missed.
		begin := account.id
		again := h.listen(t, "?accountId="+acctA+"&facts=published", "Last-Event-ID", begin)
		if e := again.must("post.published"); e.text(t) != "c" {
			t.Errorf("%+v", e)
		}
		h.do(t, http.MethodGet, "/api/threads/events?accountId=acct_of_eve", "").problem(t, http.StatusNotFound, "not_found")
		h.do(t, http.MethodGet, "/api/threads/events?facts=publshed", "").problem(t, 422, "invalid", "/facts")
		h.do(t, http.MethodGet, "/api/threads/events", "", "Authorization", "").problem(t, 401, "unauthorized", "/Authorization")
	})

	t.Run("goes on after the last id, without a gap and without a repeat", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		ownsA(t, h)
		other := serve(t, h.bus, func(c *gateway.Config) { c.AuthIssuer = issuerOf(t, h.token) })
		urls := []string{h.url, other}
		const all = 400
		told := make(chan struct{})
		first := h.listen(t, "")
		id := first.place()
		first.stop()
		go func() {
			defer close(told)
			for i := range all {
				_ = h.bus.Emit(context.Background(), fact("user_eve", acctA, events.FactScheduled, "x"),
					fact(ada, acctA, events.FactScheduled, fmt.Sprint(i)))
			}
		}()
		var got []string
		for round := 0; len(got) < all; round++ {
			c := *h
			c.url = urls[round%2] // a client may come back to another gateway
			how := []string{"Last-Event-ID", id}
			query := ""
			if round%3 == 0 {
				how, query = nil, "?lastEventId="+url.QueryEscape(id)
			}
			l := c.listen(t, query, how...)
			for range 1 + round*7%40 {
				e, ok := l.next()
				if !ok || e.name != "post.scheduled" {
					t.Fatalf("after %d: %+v %v", len(got), e, l.in.Err())
				}
				got, id = append(got, e.text(t)), e.id
				if len(got) == all {
					break
				}
			}
			l.stop()
		}
		<-told
		for i := range got {
			if got[i] != fmt.Sprint(i) {
				t.Fatalf("event %d is %s", i, got[i])
			}
		}
	})

	t.Run("gives signs of life, with the place up to which all is known", func(t *testing.T) {
		t.Parallel()
		h := setup(t, func(c *gateway.Config) { c.LiveHeartbeat = time.Second })
		ownsA(t, h)
		l := h.listen(t, "")
		begin := l.place()
		for i := range 30 { // nothing of ada's
			h.tell(t, fact("user_eve", acctA, events.FactScheduled, fmt.Sprint(i)))
		}
		for l.id == begin && l.in.Scan() {
			if id, found := strings.CutPrefix(l.in.Text(), "id: "); found {
				l.id = id
			}
		}
		h.tell(t, fact(ada, acctA, events.FactScheduled, "mine"))
		if e := h.listen(t, "", "Last-Event-ID", l.id).must("post.scheduled"); e.text(t) != "mine" {
			t.Errorf("%+v", e)
		}
	})

	t.Run("says when the place is lost, and goes on from now", func(t *testing.T) {
		t.Parallel()
		h := setup(t, func(c *gateway.Config) { c.LiveReplay = 5 })
		ownsA(t, h)
		js := h.bus.JetStream()
		h.tell(t, fact("user_eve", "acct_eve", events.FactScheduled, "stays"))
		l := h.listen(t, "")
		origin := l.place()
		lost := func(id, reason string) {
			t.Helper()
			l := h.listen(t, "", "Last-Event-ID", id)
			if e := l.must("reset"); !strings.Contains(e.data, `"`+reason+`"`) || e.id == "" {
				t.Errorf("%+v, want %s", e, reason)
			}
			h.tell(t, fact(ada, acctA, events.FactScheduled, "after"))
			if e := l.must("post.scheduled"); e.text(t) != "after" {
				t.Errorf("%+v", e)
			}
		}
		lost("17", "id_unknown")
		lost("zz-", "id_unknown")
		lost(strings.Split(origin, "-")[0]+"-zzzz", "events_replaced")
		for range 8 {
			h.tell(t, fact(ada, acctA, events.FactScheduled, "x"))
		}
		lost(origin, "too_much_missed")

		h.tell(t, fact(ada, acctA, events.FactScheduled, "erased"))
		var at string
		for e := range l.all() {
			if e.text(t) == "erased" {
				at = e.id
				break
			}
		}
		s, err := js.Stream(t.Context(), events.StreamEvents)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Purge(t.Context(), jetstream.WithPurgeSubject(events.FactsOf(acctA)[0])); err != nil {
			t.Fatal(err)
		}
		lost(at, "events_gone")

		// The stream is made anew: whoever listens is sent away, and hears on coming back that all is new.
		if err := js.DeleteStream(t.Context(), events.StreamEvents); err != nil {
			t.Fatal(err)
		}
		if err := bus.Declare(t.Context(), h.bus, bus.Topology{}); err != nil {
			t.Fatal(err)
		}
		for e := range l.all() {
			if e.name == "end" {
				break
			}
		}
		lost(at, "events_replaced")
	})

	t.Run("sends away who is too slow, and nobody waits for them", func(t *testing.T) {
		t.Parallel()
		// Who waited until the slow one's connection is given up would wait for an hour.
		h := setup(t, func(c *gateway.Config) { c.LiveBuffer, c.LiveWriteWithin = 8, time.Hour })
		ownsA(t, h)
		slow, quick := h.listen(t, ""), h.listen(t, "")
		begin := slow.place()
		quick.place()
		long := strings.Repeat("x", 300_000)
		const all = 80 // 24 MB: more than sockets hold
		read := make(chan struct{}, all)
		go func() {
			defer close(read)
			n := 0
			for range quick.all() {
				read <- struct{}{}
				if n++; n == all {
					break
				}
			}
		}()
		for n := range all { // the next when the quick one has this one, so that it is quick on any machine
			h.tell(t, fact(ada, acctA, events.FactScheduled, long))
			if _, ok := <-read; !ok {
				t.Fatalf("the quick one got %d: %v", n, quick.in.Err())
			}
		}
		n := 0
		for e := range slow.all() {
			if e.name == "post.scheduled" {
				n, begin = n+1, e.id
			}
		}
		if n >= all {
			t.Fatal("the slow one was not slow")
		}
		rest := h.listen(t, "", "Last-Event-ID", begin)
		for n < all {
			switch e, ok := rest.next(); {
			case ok && e.name == "post.scheduled":
				n++
			case ok && e.name != "end": // on a busy machine the gateway may lose NATS meanwhile, and says so
				t.Fatalf("got %+v, want post.scheduled", e)
			default:
				rest = h.listen(t, "", "Last-Event-ID", rest.id)
			}
		}
	})

	t.Run("bounds the streams of a user and of a process", func(t *testing.T) {
		t.Parallel()
		h := setup(t, func(c *gateway.Config) { c.LiveStreamsPerUser, c.LiveStreams = 2, 3 })
		one, two := h.listen(t, ""), h.listen(t, "")
		two.place()
		h.do(t, http.MethodGet, "/api/threads/events", "").problem(t, http.StatusTooManyRequests, "rate_limited")
		answer(t, h, func(q asks.RedeemTicket) (asks.TicketHolder, error) {
			return asks.TicketHolder{UserID: "user_" + q.Ticket, SignedInUntil: time.Now().Add(time.Hour)}, nil
		})
		eve := h.listen(t, "?ticket=eve", "Authorization", "")
		eve.place()
		h.do(t, http.MethodGet, "/api/threads/events?ticket=bob", "", "Authorization", "").problem(t, http.StatusServiceUnavailable, "unavailable")
		one.stop()
		waiting.Until(t, "the place is free again", func() bool { // the gateway hears of it when the connection falls
			l := h.dial(t, "")
			defer l.stop()
			return l.resp.StatusCode == http.StatusOK
		})
	})

	t.Run("takes a ticket, once, and ends with the sign-in behind it", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		var used atomic.Bool
		var issued asks.IssueTicket
		answer(t, h, func(q asks.IssueTicket) (asks.Ticket, error) { issued = q; return asks.Ticket{Ticket: "t1"}, nil })
		answer(t, h, func(q asks.RedeemTicket) (asks.TicketHolder, error) {
			if q.Ticket != "t1" || used.Swap(true) {
				return asks.TicketHolder{}, events.Faultf(events.Unauthorized, "Used.").At("/ticket", "ticket_invalid", "Used.")
			}
			return asks.TicketHolder{UserID: ada, SignedInUntil: time.Now().Add(500 * time.Millisecond)}, nil
		})
		h.do(t, http.MethodPost, "/api/auth/ticket", "").is(t, http.StatusOK, nil)
		if left := time.Until(issued.SignedInUntil); issued.UserID != ada || left < 50*time.Minute || left > time.Hour {
			t.Errorf("%+v", issued)
		}
		if r := h.do(t, http.MethodHead, "/api/threads/events?ticket=t1", "", "Authorization", ""); r.status != http.StatusOK || used.Load() {
			t.Errorf("a look at the headers: %d, used %t", r.status, used.Load())
		}
		l := h.listen(t, "?ticket=t1", "Authorization", "")
		l.place()
		h.tell(t, fact(ada, acctA, events.FactScheduled, "one"))
		l.must("post.scheduled")
		if e := l.must("end"); !strings.Contains(e.data, `"token_expired"`) {
			t.Errorf("%+v", e)
		}
		if e, ok := l.next(); ok {
			t.Errorf("after the end: %+v", e)
		}
		h.do(t, http.MethodGet, "/api/threads/events?ticket=t1", "", "Authorization", "").problem(t, 401, "unauthorized", "/ticket")
		h.do(t, http.MethodGet, "/api/threads/events?ticket=t1&ticket=t2", "").problem(t, 422, "invalid", "/ticket")
	})

	t.Run("outlives the server's time limits", func(t *testing.T) {
		t.Parallel()
		h := setup(t, func(c *gateway.Config) { c.LiveHeartbeat = time.Second })
		s, err := gateway.New(gateway.Config{
			PublicURL: "http://api.example", SuccessRedirectURI: "http://app.example", FailureRedirectURI: "http://app.example",
			AuthIssuer: issuerOf(t, h.token), StreamsConfig: live.StreamsConfig{LiveHeartbeat: time.Second},
		}, gateway.Deps{Bus: h.bus, Log: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewUnstartedServer(s.Handler())
		const limit = time.Hour
		srv.Config.ReadTimeout, srv.Config.WriteTimeout = limit, limit
		conns := &deadlines{Listener: srv.Listener}
		srv.Listener = conns
		srv.Start()
		t.Cleanup(srv.Close)
		h.url = srv.URL
		l := h.listen(t, "")
		l.place()
		read, write := conns.last()
		if !read.IsZero() || write.IsZero() || time.Until(write) > limit/2 {
			t.Errorf("a stream that has begun may read until %s and write until %s: those are not its own limits", read, write)
		}
		for l.in.Scan() && l.in.Text() != ": beat" {
		}
		if _, later := conns.last(); !later.After(write) {
			t.Errorf("after a beat it may write until %s, and could before until %s", later, write)
		}
		h.tell(t, fact(ada, acctA, events.FactScheduled, "still here"))
		l.must("post.scheduled")
	})

	t.Run("may be read by pages of the origins, with the id in a header", func(t *testing.T) {
		t.Parallel()
		h := setup(t, func(c *gateway.Config) { c.CORSOrigins = []string{"https://app.example"} })
		r := h.do(t, http.MethodOptions, "/api/threads/events", "", "Origin", "https://app.example", "Authorization", "",
			"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization,last-event-id")
		if !strings.Contains(strings.ToLower(r.header.Get("Access-Control-Allow-Headers")), "last-event-id") {
			t.Errorf("%v", r.header)
		}
		l := h.listen(t, "", "Origin", "https://app.example")
		if l.resp.Header.Get("Access-Control-Allow-Origin") != "https://app.example" {
			t.Errorf("%v", l.resp.Header)
		}
	})
}

// deadlines keeps the deadlines that were set last on a server's connection.
type deadlines struct {
	net.Listener

	mu          sync.Mutex
	read, write time.Time
}

func (d *deadlines) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	return deadlined{c, d}, err
}

func (d *deadlines) last() (read, write time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.read, d.write
}

type deadlined struct {
	net.Conn
	of *deadlines
}

func (c deadlined) SetReadDeadline(at time.Time) error {
	c.of.mu.Lock()
	c.of.read = at
	c.of.mu.Unlock()
	return c.Conn.SetReadDeadline(at)
}

func (c deadlined) SetWriteDeadline(at time.Time) error {
	c.of.mu.Lock()
	c.of.write = at
	c.of.mu.Unlock()
	return c.Conn.SetWriteDeadline(at)
}

func TestStreamsEndCleanly(t *testing.T) {
	t.Parallel()

	t.Run("when the gateway stops", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		warnings, warned := observer.New(zap.WarnLevel) // of requests that were cut short
		s, err := gateway.New(gateway.Config{
			PublicURL: "http://api.example", SuccessRedirectURI: "http://app.example", FailureRedirectURI: "http://app.example",
			AuthIssuer: issuerOf(t, h.token),
		}, gateway.Deps{Bus: h.bus, Log: zap.New(warnings), Listener: l})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		h.url = "http://" + l.Addr().String()
		stream := h.listen(t, "")
		stream.place()
		stop()
		if e := stream.must("end"); !strings.Contains(e.data, `"restarting"`) {
			t.Errorf("%+v", e)
		}
		if err := <-ended; err != nil || warned.Len() != 0 {
			t.Errorf("%v, %v", err, warned.All())
		}
	})

	t.Run("when the token expires", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		h.token = tokenFor(t, h, 10*time.Second) // the stream must be open by then
		l := h.listen(t, "")
		if e := l.must("end"); !strings.Contains(e.data, `"token_expired"`) {
			t.Errorf("%+v", e)
		}
	})
}

func TestStreamSurvivesNATS(t *testing.T) {
	t.Parallel()
	h := setup(t)
	node := bustest.NewNode(t, t.TempDir())
	h.bus = bustest.Connect(t, node, "gateway")
	h.url = serve(t, h.bus, func(c *gateway.Config) { c.AuthIssuer = issuerOf(t, h.token) })
	l := h.listen(t, "")
	l.place()
	h.tell(t, fact(ada, acctA, events.FactScheduled, "before"))
	l.must("post.scheduled")
	node.Restart()
	waiting.Until(t, "the gateway is connected again", func() bool { return h.bus.Healthy(t.Context()) == nil })
	h.tell(t, fact(ada, acctA, events.FactScheduled, "after"))
	if e := l.must("post.scheduled"); e.text(t) != "after" {
		t.Errorf("%+v", e)
	}
}

func TestRecentEvents(t *testing.T) {
	t.Parallel()
	h := setup(t)
	ownsA(t, h)
	recent := func(query string) (past live.PastEvents) {
		t.Helper()
		h.do(t, http.MethodGet, "/api/threads/events/recent"+query, "").is(t, http.StatusOK, &past)
		return past
	}
	if past := recent(""); past.Events == nil || len(past.Events) != 0 || past.LastEventID == "" {
		t.Errorf("before anything happened: %+v", past)
	}
	// Older than the first look back reaches: it is looked further.
	h.tell(t, fact(ada, acctB, events.FactPublished, "oldest"))
	for i := range 300 {
		h.tell(t, fact("user_eve", acctA, events.FactScheduled, fmt.Sprint("not ada's ", i)))
	}
	for i := range 3 {
		h.tell(t, fact(ada, acctA, events.FactScheduled, fmt.Sprint("ada's ", i)))
	}
	texts := func(past live.PastEvents) (all []string) {
		for _, e := range past.Events {
			all = append(all, e.Name+" "+event{data: string(e.Data)}.text(t))
			if e.At.IsZero() || e.ID == "" {
				t.Errorf("%+v", e)
			}
		}
		return all
	}
	past := recent("")
	if got := texts(past); !slices.Equal(got, []string{"post.scheduled ada's 2", "post.scheduled ada's 1", "post.scheduled ada's 0", "post.published oldest"}) {
		t.Errorf("%v", got)
	}
	for query, want := range map[string]int{"?limit=2": 2, "?facts=published": 1, "?accountId=" + acctB: 1, "?facts=failed": 0} {
		if got := texts(recent(query)); len(got) != want {
			t.Errorf("%s: %v", query, got)
		}
	}
	// A stream goes on where this ends.
	h.tell(t, fact(ada, acctA, events.FactPublished, "after"))
	l := h.listen(t, "", "Last-Event-ID", past.LastEventID)
	if e := l.must("post.published"); e.text(t) != "after" {
		t.Errorf("%+v", e)
	}
	// What is large ends an answer before its number does.
	for range 12 {
		h.tell(t, fact(ada, acctA, events.FactScheduled, strings.Repeat("x", 400_000)))
	}
	if n := len(recent("").Events); n != 10 {
		t.Errorf("%d events of 400 kB", n)
	}
	h.do(t, http.MethodGet, "/api/threads/events/recent?accountId=acct_of_eve", "").problem(t, http.StatusNotFound, "not_found")
	h.do(t, http.MethodGet, "/api/threads/events/recent?facts=publshed", "").problem(t, 422, "invalid", "/facts")
	h.do(t, http.MethodGet, "/api/threads/events/recent?limit=201", "").problem(t, 422, "invalid", "/limit")
}
