package delivery_test

import (
	"bytes"
	"errors"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/posts"
)

// cutter stands between a pool and Postgres. It swallows the answer to one statement and cuts the connection: the statement
// is done, and nobody hears of it.
type cutter struct {
	after atomic.Pointer[string] // a connection on which this was sent …
	cut   atomic.Pointer[string] // … loses the answer to this
	cuts  atomic.Int32
}

// unheard has the answer to a statement lost, once.
func (c *cutter) lose(after, cut string) { c.after.Store(&after); c.cut.Store(&cut) }

// between gives the system a pool behind a cutter.
func (r *system) between(c *cutter) {
	r.T.Helper()
	u, err := url.Parse(pgtest.URL(r.T))
	if err != nil {
		r.T.Fatal(err)
	}
	network, server := "tcp", u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.T.Fatal(err)
	}
	r.T.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial(network, server)
			if err != nil {
				_ = client.Close()
				continue
			}
			go c.carry(client, upstream)
		}
	}()
	u.Host = l.Addr().String()
	db, err := pg.Open(r.T.Context(), pg.Config{URL: u.String(), MaxConns: 8}, zap.NewNop())
	if err != nil {
		r.T.Fatal(err)
	}
	r.T.Cleanup(func() { _ = db.Close() })
	r.DB, r.Log = db, zap.NewNop()
	r.Account = r.Connect(testUser, "demo.user")
}

func (c *cutter) carry(client, server net.Conn) {
	var losing atomic.Bool
	end := func() { _ = client.Close(); _ = server.Close() }
	defer end()
	go func() {
		defer end()
		chunk, seen := make([]byte, 1<<16), false
		for {
			n, err := client.Read(chunk)
			if err != nil {
				return
			}
			if after, cut := c.after.Load(), c.cut.Load(); after != nil && cut != nil {
				seen = seen || bytes.Contains(chunk[:n], []byte(*after))
				if seen && bytes.Contains(chunk[:n], []byte(*cut)) && c.cut.CompareAndSwap(cut, nil) {
					losing.Store(true)
				}
			}
			if _, err := server.Write(chunk[:n]); err != nil {
				return
			}
		}
	}()
	chunk := make([]byte, 1<<16)
	for {
		n, err := server.Read(chunk)
		if err != nil {
			return
		}
		if losing.Load() {
			c.cuts.Add(1)
			return
		}
		if _, err := client.Write(chunk[:n]); err != nil {
			return
		}
	}
}

// A lease of which nothing was heard is taken over by its own process, once; another waits for its end.
func TestUnheardLease(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s, other := r.Idle(), r.Idle()
	p := r.readyPost(s, testUser, r.Account.ID, "leased")
	if err := s.Delivery.AcquireLease(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.Delivery.Store().Unacknowledged.Add(p.Lease, nil) // as if its answer had been lost
	row := r.Any(p.ID)
	if theirs := row; !errors.Is(other.Delivery.AcquireLease(t.Context(), &theirs), posts.ErrLost) || other.Delivery.Store().Unacknowledged.Has(&row) {
		t.Error("another process took a lease that stands")
	}
	if !s.Delivery.Store().Unacknowledged.Has(&row) {
		t.Error("its own process does not know it")
	}
	if err := s.Delivery.AcquireLease(t.Context(), &row); err != nil {
		t.Errorf("its own process cannot take it: %v", err)
	}
	if again := row; !errors.Is(s.Delivery.AcquireLease(t.Context(), &again), posts.ErrLost) {
		t.Error("a second worker of the process took the same lease")
	}
}

// Two wake-ups of a post may claim it in one batch, of which nothing is heard: whichever of them the row has, it is known.
func TestUnheardByTwo(t *testing.T) {
	t.Parallel()
	var u posts.Unacknowledged
	before := &posts.Post{ID: "post"}
	u.Add("first", before)
	u.Add("second", before)
	for _, token := range []string{"first", "second"} {
		row := &posts.Post{ID: "post", State: events.StatePublishing, Lease: token}
		if got, ok := u.Claimed(row); !ok || got != before {
			t.Errorf("the claim with the %s token is not known", token)
		}
		if _, ok := u.Claimed(row); ok {
			t.Errorf("the claim with the %s token was taken back twice", token)
		}
	}
	if u.Has(&posts.Post{ID: "post"}) {
		t.Error("a post without a lease has one of ours")
	}
}

// The answer to the commit of a claim is lost. The process knows that it made no call: the post goes out with the next wake-up,
// not after its outcome was asked for.
func TestUnheardClaim(t *testing.T) {
	t.Parallel()
	c := &cutter{}
	r := setup(t)
	r.between(c)
	r.Config.Lease, r.Config.SecondCallAfter = time.Hour, time.Hour // whoever waits for them waits too long
	r.Start()
	c.lose("state = 'publishing'", "commit") // only a claim sets it
	p := r.Schedule(1500*time.Millisecond, "claimed unheard")
	r.Once(r.Await(p.ID, events.FactPublished))
	if c.cuts.Load() != 1 {
		t.Errorf("%d answers were lost", c.cuts.Load())
	}
	if n := r.Emitted(p.ID, events.FactUnconfirmed); n != 0 {
		t.Errorf("it was told as unconfirmed %d times", n)
	}
	if n := r.places(p.ID); n != 1 {
		t.Errorf("it has %d places", n)
	}
}

// A post whose preparing loses the answer to its lease does not wait for the lease's end.
func TestUnheardLeaseDoesNotLast(t *testing.T) {
	t.Parallel()
	c := &cutter{}
	r := setup(t)
	r.between(c)
	r.Config.Lease = time.Hour
	s, _ := r.Start()
	p := r.Schedule(time.Hour, "prepared")
	c.lose("SET lease =", "SET lease =")
	if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET wake_at = now(), publish_at = now() + interval '1 minute' WHERE id = ?", p.ID); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_ = s.Delivery.Wake(t.Context(), bus.Delivery{}, p.ID) // its error says when to come again
	}
	r.Row(p.ID, events.StateReady)
	if c.cuts.Load() != 1 {
		t.Errorf("%d answers were lost", c.cuts.Load())
	}
}
