// Package monitor measures what the posts of all publishers are like, for the metrics and for whether a publisher is ready.
package monitor

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher/projector"
)

const (
	// measureEvery is how often a publisher looks at all posts, quotasEvery how often at all quotas.
	measureEvery = 10 * time.Second
	quotasEvery  = time.Minute
)

// What the posts are like. Every publisher measures the same; a dashboard takes the largest.
var (
	overduePosts = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_posts_overdue",
		Help: "Posts whose time has passed and that are not published, are not held up by something that their owner was told of, and are not asked for (threads_posts_unsettled has those).",
	})
	oldestOverdue = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_posts_oldest_overdue_seconds",
		Help: "How long the time of the oldest overdue post has passed; 0 when there is none.",
	})
	stalledFor = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_posts_neglected_seconds",
		Help: "How long the post that has waited longest for somebody to work on it has waited; 0 when there is none. More than PUBLISHER_STUCK_AFTER, while nothing moves, makes a publisher not ready.",
	})
	activePosts = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "threads_posts_unsettled",
		Help: "Posts that are neither dormant nor final, by state: waiting, publishing, unconfirmed, concluding, parked.",
	}, []string{"state"})
	oldestActive = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "threads_posts_unsettled_oldest_seconds",
		Help: "How long the time of the oldest post in each of those states has passed; 0 when there is none.",
	}, []string{"state"})
	waitingPosts = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "threads_posts_waiting",
		Help: "Posts that are held up, by the code of the reason that their owner was told.",
	}, []string{"code"})
	projectorBehind = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_recorder_behind",
		Help: "Facts on EVENTS that are not applied to Postgres yet.",
	})
	skippedEvents = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_facts_set_aside",
		Help: "Facts on EVENTS that could not be read or written to Postgres, and wait for a rebuild, or for somebody to look.",
	})
	deadLetters = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_dead_letters",
		Help: "Messages on DEAD: set aside, and waiting for somebody to look.",
	})
	quotaHeadroom = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "threads_quota_headroom",
		Help: "How many places of a quota (posts, replies, deletes; in any 24 hours) the account has left that has fewest.",
	}, []string{"quota"})
	clockAhead = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_clock_ahead_of_postgres_seconds",
		Help: "By how much this publisher's clock is ahead of Postgres'; negative: behind. Posts go out by the publisher's.",
	})
	measuredAt = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_survey_timestamp_seconds",
		Help: "When the gauges of posts were last measured, unix time.",
	})
)

// Monitor measures, and knows whether the posts of this process get on.
type Monitor struct {
	Deps

	mu       sync.Mutex
	measured time.Time // when it was last measured
	moved    time.Time // when this process last got on with a post
	stalled  time.Time // since when the post waits that has waited longest; zero: none
	position uint64    // of the projector
	behind   uint64
	stands   time.Time // since when the projector is behind at that position
}

// Deps is what a monitor works with.
type Deps struct {
	DB        *bun.DB
	Side      *bun.DB // for questions; nil: DB
	Bus       *bus.Bus
	Store     *posts.Store
	Projector *projector.Projector
	Log       *zap.Logger
	Now       func() time.Time

	SweepGrace time.Duration // how long after its wake-up time a post counts as overdue
	StuckAfter time.Duration // how long nothing may move while posts are due
}

// New makes a monitor. It does no I/O.
func New(d Deps) *Monitor {
	d.Side = cmp.Or(d.Side, d.DB)
	return &Monitor{Deps: d}
}

// Moved notes that this process got on with a post.
func (m *Monitor) Moved() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.moved = m.Now()
}

// Stuck says what does not get on, or nil. What was measured is no older than StuckAfter, or that is what is wrong.
func (m *Monitor) Stuck() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, after := m.Now(), m.StuckAfter
	took := func(since time.Time) time.Duration { return now.Sub(since).Round(time.Second) }
	switch {
	case now.Sub(m.measured) > after:
		return fmt.Errorf("the posts could not be looked through for %s", took(m.measured))
	case m.behind > 0 && now.Sub(m.stands) > after:
		return fmt.Errorf("%d events are not applied to Postgres, and have not become fewer for %s", m.behind, took(m.stands))
	case !m.stalled.IsZero() && now.Sub(m.stalled) > after && now.Sub(m.moved) > after:
		return fmt.Errorf("a post has been due for %s, and nothing moves", took(m.stalled))
	}
	return nil
}

// Run measures again and again until ctx ends.
func (m *Monitor) Run(ctx context.Context) error {
	m.mu.Lock()
	m.measured, m.moved = m.Now(), m.Now() // nothing is late at the start
	m.mu.Unlock()
	var quotas time.Time
	for {
		err := m.Measure(ctx)
		if err == nil && m.Now().Sub(quotas) >= quotasEvery {
			quotas = m.Now()
			err = m.MeasureQuotas(ctx)
		}
		if err != nil && ctx.Err() == nil {
			m.Log.Warn("the posts are not measured this time", zap.Error(err))
		}
		if !clock.Sleep(ctx, min(measureEvery, m.StuckAfter/4)) {
			return nil
		}
	}
}

// survey is what the posts, the rows and DEAD are like at a moment.
type survey struct {
	at     time.Time
	counts map[events.State]int // of the active states
	oldest map[events.State]time.Time
	codes  map[string]int // of those that wait
	due    posts.OverdueCount

	position, end uint64 // of the projector, and of EVENTS
	skipped       int
	dead          uint64
}

// survey looks once.
func (m *Monitor) survey(ctx context.Context, db bun.IDB) (s survey, err error) {
	groups, err := posts.CountActive(ctx, db)
	if err != nil {
		return s, err
	}
	s = survey{at: m.Now(), counts: map[events.State]int{}, oldest: map[events.State]time.Time{}, codes: map[string]int{}}
	if s.due, err = posts.CountOverdue(ctx, db, s.at, m.SweepGrace); err != nil {
		return s, err
	}
	if s.position, s.end, err = m.Projector.Behind(ctx); err != nil {
		return s, err
	}
	if s.skipped, _, err = projector.CountSkipped(ctx, db); err != nil {
		return s, err
	}
	dead, err := m.Bus.JetStream().Stream(ctx, events.StreamDead)
	if err != nil {
		return s, fmt.Errorf("look at DEAD: %w", err)
	}
	s.dead = dead.CachedInfo().State.Msgs
	for _, g := range groups {
		s.counts[g.State] += g.Posts
		if at := s.oldest[g.State]; at.IsZero() || g.Oldest.Before(at) {
			s.oldest[g.State] = g.Oldest
		}
		if g.State == events.StateWaiting {
			s.codes[g.Code] += g.Posts
		}
	}
	// A post that is being worked on is overdue too. One whose outcome is asked for may be live, and has figures of its own.
	for _, state := range []events.State{events.StatePublishing, events.StateConcluding} {
		s.due.Overdue += s.counts[state]
		if at := s.oldest[state]; !at.IsZero() && (s.due.Oldest.IsZero() || at.Before(s.due.Oldest)) {
			s.due.Oldest = at
		}
	}
	return s, nil
}

// Measure measures the posts once.
func (m *Monitor) Measure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, measureEvery)
	defer cancel()
	if err := m.measureClock(ctx); err != nil {
		return err
	}
	s, err := m.survey(ctx, m.DB)
	if err != nil {
		return err
	}
	for _, state := range posts.ActiveStates {
		activePosts.WithLabelValues(string(state)).Set(float64(s.counts[state]))
		oldestActive.WithLabelValues(string(state)).Set(age(s.at, s.oldest[state]))
	}
	waitingPosts.Reset()
	for code, n := range s.codes {
		waitingPosts.WithLabelValues(code).Set(float64(n))
	}
	overduePosts.Set(float64(s.due.Overdue))
	oldestOverdue.Set(age(s.at, s.due.Oldest))
	stalledFor.Set(age(s.at, s.due.Stalled))
	projectorBehind.Set(float64(s.end - s.position))
	skippedEvents.Set(float64(s.skipped))
	deadLetters.Set(float64(s.dead))
	measuredAt.Set(float64(s.at.Unix()))

	m.mu.Lock()
	defer m.mu.Unlock()
	if m.behind = s.end - s.position; m.behind == 0 || s.position != m.position {
		m.stands = s.at
	}
	m.measured, m.stalled, m.position = s.at, s.due.Stalled, s.position
	return nil
}

// measureClock compares our clock with Postgres', as far as the time that the question took allows.
func (m *Monitor) measureClock(ctx context.Context) error {
	asked := m.Now()
	its, err := m.Store.Now(ctx, m.DB)
	if err != nil {
		return err
	}
	half := m.Now().Sub(asked) / 2
	ahead := asked.Add(half).Sub(its)
	if ahead.Abs() <= half {
		ahead = 0
	}
	clockAhead.Set(ahead.Seconds())
	return nil
}

// MeasureQuotas measures how much the accounts have left of their quotas, once.
func (m *Monitor) MeasureQuotas(ctx context.Context) error {
	most, err := posts.MostUsed(ctx, m.DB, m.Now())
	if err != nil {
		return err
	}
	for _, q := range []posts.Quota{posts.QuotaPosts, posts.QuotaReplies, posts.QuotaDeletes} {
		quotaHeadroom.WithLabelValues(string(q)).Set(float64(max(q.Total()-most[q], 0)))
	}
	return nil
}

// age is how long ago something was, in seconds; 0 when it never was, or is yet to come.
func age(now, at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return max(now.Sub(at).Seconds(), 0)
}
