package delivery

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/omni-write/threads/events"
)

// What this process does. What the posts of all publishers are like is in package monitor.
var (
	lateness = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "threads_publish_lateness_seconds",
		Help: "How long after its time the publish call of a post left. notice: ahead, or short when the post was asked for at less notice than it takes to prepare; held: yes when it had to wait for something that its owner was told of (a quota, a pause, a reconnect, an outage of Threads) or needed more than one call.",
		// A post is never early; the first bucket is as near as a clock comes.
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400},
	}, []string{"notice", "held"})
	eventsEmitted = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "threads_post_facts_total",
		Help: "Events of posts that this process emitted, by fact. After a crash one may count twice; on EVENTS it stands once.",
	}, []string{"fact"})
	postsFailed = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "threads_posts_failed_total",
		Help: "Posts that this process emitted as failed, by the code of the reason.",
	}, []string{"code"})
	callsInFlight = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_publish_calls_in_flight",
		Help: "Publish calls of this process that Threads has not answered yet.",
	})
	callPlaces = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_publish_calls_limit",
		Help: "How many publish calls this process may have in flight (PUBLISHER_CALLS_IN_FLIGHT).",
	})
	sweepRepairs = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "threads_sweep_repairs_total",
		Help: "What the sweep put right: woken (an overdue post on which nobody worked; also those of an account that came back), told (a change that a crash had kept from being emitted), gone (a post that Threads had reported as deleted before its id was known). A few after a crash or a reconnect are what it is for; a steady rate is a defect.",
	}, []string{"repair"})
	sweepFailures = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "threads_sweep_failures_total",
		Help: "Posts that a pass of the sweep (wake, arm, gone, tell) could not put right; each is left out for a while, and the log says why.",
	}, []string{"pass"})
	sweepArmed = promauto.NewCounter(prometheus.CounterOpts{
		Name: "threads_sweep_armed_total",
		Help: "Alarms that the sweep set, for posts that came within the horizon or had none.",
	})
	lastTick = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_post_alarms_last_tick_timestamp_seconds",
		Help: "When this process last heard the tick of POST_ALARMS, unix time. It comes every 15 s to one of the publishers: the largest of theirs shows that JetStream's alarm clock goes.",
	})
)

func countEmitted(ev events.PostEvent) {
	eventsEmitted.WithLabelValues(string(ev.Fact())).Inc()
	if reason := ev.Snapshot().Reason; ev.Fact() == events.FactFailed && reason != nil {
		postsFailed.WithLabelValues(string(reason.Code)).Inc()
	}
}
