package delivery_test

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
)

// More resolves at once than the pool has connections: each has its outcome, and the database goes on to answer.
func TestResolvesAtOnce(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()
	var posts []events.Post
	var media []string
	for i := range 2 * r.DB.Stats().MaxOpenConnections {
		text := fmt.Sprint("parked ", i)
		posts = append(posts, r.Schedule(time.Hour, text))
		media = append(media, r.Say("demo.user", text, time.Minute))
	}
	if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET state = 'parked', wake_at = NULL, rev = rev + 1, fact = 'parked'"); err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	for i, p := range posts {
		g.Go(func() error {
			cmd := events.ResolvePost{PostID: p.ID, UserID: testUser, Published: true, MediaID: media[i]}
			o, err := r.Bus.Do(t.Context(), cmd, bus.CommandOptions{ID: events.NewCommandID()}, 20*time.Second)
			if err == nil && (!o.Done || o.Fault != nil) {
				err = fmt.Errorf("%s was answered %+v", p.Text, o)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, p := range posts {
		r.Row(p.ID, events.StatePublished)
	}
}
