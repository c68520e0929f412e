package delivery_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
)

// mediaHost is a host of pictures whose size it does not tell, and how often it was asked.
func (r *system) mediaHost() (address string, asked *atomic.Int64) {
	r.T.Helper()
	asked = new(atomic.Int64)
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		for chunk := make([]byte, 64<<10); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	r.T.Cleanup(host.Close)
	at, err := url.Parse(host.URL)
	if err != nil {
		r.T.Fatal(err)
	}
	port, err := strconv.ParseUint(at.Port(), 10, 16)
	if err != nil {
		r.T.Fatal(err)
	}
	r.Config.MediaNetworks, r.Config.MediaPorts = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, []uint16{uint16(port)}
	return host.URL, asked
}

func pictures(host string, n int) (d events.Draft) {
	d.Text = "look"
	for i := range n {
		d.Media = append(d.Media, events.Media{Type: events.Image, URL: fmt.Sprintf("%s/%d.jpg", host, i)})
	}
	return d
}

// What is fetched for one user has a budget, in files and in bytes, and it is nobody else's.
func TestFetchesHaveABudget(t *testing.T) {
	t.Parallel()

	t.Run("of files", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		host, asked := r.mediaHost()
		r.Config.FetchesPerMinute, r.Config.FetchedPerMinute = 20, 0
		r.Start()
		look := func(user string) error {
			_, err := bus.Ask[asks.Validation](t.Context(), r.Bus, asks.ValidatePost{UserID: user, Draft: pictures(host, 20), Fetch: true})
			return err
		}
		var f *events.Fault
		for range 20 {
			before := asked.Load()
			if err := look(testUser); err != nil {
				if !errors.As(err, &f) || f.Code != events.RateLimited || f.RetryAfter < 1 || asked.Load() != before {
					t.Errorf("%v, after %d of %d fetches", err, asked.Load()-before, before)
				}
				break
			}
		}
		if f == nil {
			t.Error("never told to wait")
		}
		if err := look("user_2"); err != nil {
			t.Errorf("another user: %v", err)
		}
		if _, err := bus.Ask[asks.Validation](t.Context(), r.Bus, asks.ValidatePost{UserID: testUser, Draft: pictures(host, 20)}); err != nil {
			t.Errorf("without media: %v", err)
		}
	})

	t.Run("of bytes", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		host, asked := r.mediaHost()
		r.Config.FetchesPerMinute, r.Config.FetchedPerMinute = 0, 20<<20 // what one file may take at most
		r.Start()
		v, err := bus.Ask[asks.Validation](t.Context(), r.Bus, asks.ValidatePost{UserID: testUser, Draft: pictures(host, 20), Fetch: true})
		if err != nil {
			t.Fatal(err)
		}
		left := 0
		for _, m := range v.Media {
			if !m.Fetched && len(m.Problems) == 1 && m.Problems[0].Code == "not_looked_at" {
				left++
			}
		}
		if left == 0 || int(asked.Load())+left != 20 {
			t.Errorf("%d files were left alone, %d fetched", left, asked.Load())
		}
	})
}

func TestTheQueueOfAnAccountHasALimit(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Config.QueuedPerAccount = 3
	r.Connect("user_2", "other.user")
	r.Start()
	schedule := func(user, text string) (events.Post, *events.Fault) {
		return r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: user, Draft: events.Draft{Text: text}, PublishAt: time.Now().Add(time.Hour)}, 5*time.Second)
	}
	var last events.Post
	for _, text := range []string{"one", "two", "three"} {
		p, fault := schedule(testUser, text)
		if fault != nil {
			t.Fatal(fault)
		}
		last = p
	}
	full := func(fault *events.Fault) bool {
		return fault != nil && fault.Code == events.Conflict && len(fault.Details) == 1 && fault.Details[0].Code == "queue_full" && fault.Details[0].Pointer == "/accountId"
	}
	if _, fault := schedule(testUser, "four"); !full(fault) {
		t.Errorf("a fourth: %v", fault)
	}
	if _, fault := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "now"}, PublishAt: time.Now()}, 5*time.Second); !full(fault) {
		t.Errorf("one for now: %v", fault)
	}
	v, err := bus.Ask[asks.Validation](t.Context(), r.Bus, asks.ValidatePost{UserID: testUser, Draft: events.Draft{Text: "four"}, PublishAt: time.Now().Add(time.Hour)})
	if err != nil || v.Valid || len(v.Errors) != 1 || v.Errors[0].Code != "queue_full" {
		t.Errorf("validation: %+v, %v", v, err)
	}
	if _, fault := schedule("user_2", "mine"); fault != nil {
		t.Errorf("another account: %v", fault)
	}
	if _, fault := r.Do(events.CancelPost{PostID: last.ID, UserID: testUser}, 5*time.Second); fault != nil {
		t.Fatal(fault)
	}
	if _, fault := schedule(testUser, "four"); fault != nil {
		t.Errorf("with room again: %v", fault)
	}
}
