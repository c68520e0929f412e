package monitor

import (
	"context"
	"sync"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/posts"
)

// consumersWithin is how long the durables may take to say how far they are. One that may not be asked, by a NATS whose configuration
// is of before, is not known.
const consumersWithin = 2 * time.Second

// GetOperations says how the whole system does: what the gauges say, measured now, how late posts left, and how far every durable is behind.
func (m *Monitor) GetOperations(ctx context.Context, _ asks.GetOperations) (asks.Operations, error) {
	s, err := m.survey(ctx, m.Side)
	if err != nil {
		return asks.Operations{}, err
	}
	late, err := posts.RecentLateness(ctx, m.Side)
	if err != nil {
		return asks.Operations{}, err
	}
	o := asks.Operations{
		MeasuredAt: s.at, Lateness: histogram(late), Overdue: asks.Overdue{Posts: s.due.Overdue, Oldest: orNil(s.due.Oldest)},
		DeadLetters: s.dead, Behind: s.end - s.position, Skipped: s.skipped, Consumers: m.consumers(ctx),
	}
	for _, state := range posts.ActiveStates {
		o.Unsettled = append(o.Unsettled, asks.Unsettled{State: state, Posts: s.counts[state], Oldest: orNil(s.oldest[state])})
	}
	return o, nil
}

// consumers asks every durable how far it is behind.
func (m *Monitor) consumers(ctx context.Context) []asks.ConsumerLag {
	ctx, cancel := context.WithTimeout(ctx, consumersWithin)
	defer cancel()
	durables := events.Durables()
	lags := make([]asks.ConsumerLag, len(durables))
	var all sync.WaitGroup
	for i, d := range durables {
		lag := &lags[i]
		lag.Stream, lag.Name = d.Stream, d.Config.Durable
		all.Go(func() {
			c, err := m.Bus.JetStream().Consumer(ctx, lag.Stream, lag.Name)
			if err != nil {
				return // not known
			}
			info := c.CachedInfo()
			lag.Known, lag.Pending, lag.Unacked = true, info.NumPending, info.NumAckPending
		})
	}
	all.Wait()
	return lags
}

// bounds are those of the histogram; above the last there is one more bucket.
var bounds = []time.Duration{
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 5 * time.Second, time.Minute,
}

// histogram puts each post into the first bucket that has room for its lateness.
func histogram(late []time.Duration) asks.Lateness {
	h := asks.Lateness{Posts: len(late), Buckets: make([]asks.LatenessBucket, len(bounds)+1)}
	for i, bound := range bounds {
		h.Buckets[i].UpToMs = float64(bound) / float64(time.Millisecond)
	}
	for _, d := range late {
		i := 0
		for i < len(bounds) && d > bounds[i] {
			i++
		}
		h.Buckets[i].Posts++
	}
	return h
}

func orNil(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}
