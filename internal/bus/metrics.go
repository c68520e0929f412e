package bus

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/clock"
)

// What became of messages, as metrics say it.
const (
	handledDone    = "done"
	handledRefused = "refused" // a command whose outcome is a fault
	handledAgain   = "again"   // given back on purpose: it comes again after a while
	handledRetry   = "retry"   // something failed
	handledDead    = "dead"    // copied to DEAD
)

// lagEvery is how often it is looked how far a durable is behind.
const lagEvery = 10 * time.Second

var (
	handleSeconds = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "threads_message_handle_seconds",
		Help:    "How long messages were in hand, by durable consumer and by what became of them: done, refused, again, retry or dead.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 120},
	}, []string{"consumer", "outcome"})
	lagPending = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "threads_consumer_pending",
		Help: "Messages that a durable consumer has not delivered to anybody yet.",
	}, []string{"consumer"})
	lagUnacked = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "threads_consumer_unacked",
		Help: "Messages of a durable consumer that are in somebody's hand, or put off.",
	}, []string{"consumer"})
	oldestInHand = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "threads_message_oldest_seconds",
		Help: "How long this process has had its oldest message of a durable consumer in hand.",
	}, []string{"consumer"})
)

func (v verdict) outcome() string {
	switch {
	case v.action == actionDeadLetter:
		return handledDead
	case v.action == actionNak && v.quiet:
		return handledAgain
	case v.action == actionNak:
		return handledRetry
	case v.fault != nil:
		return handledRefused
	}
	return handledDone
}

// watch measures how far the durable is behind, until ctx ends.
func (c *consumer) watch(ctx context.Context, durable jetstream.Consumer) {
	for {
		oldestInHand.WithLabelValues(c.durable).Set(c.oldest(time.Now()).Seconds())
		if info, err := durable.Info(ctx); err == nil {
			lagPending.WithLabelValues(c.durable).Set(float64(info.NumPending))
			lagUnacked.WithLabelValues(c.durable).Set(float64(info.NumAckPending))
		} else if ctx.Err() == nil {
			c.bus.log.Debug("how far a durable is behind is not known", zap.String("consumer", c.durable), zap.Error(err))
		}
		if !clock.Sleep(ctx, lagEvery) {
			return
		}
	}
}

// oldest is how long the oldest message has been in hand.
func (c *consumer) oldest(now time.Time) (age time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, since := range c.held {
		age = max(age, now.Sub(since))
	}
	return age
}
