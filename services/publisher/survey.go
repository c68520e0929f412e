package publisher

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
)

const (
	// surveyEvery is how often a publisher looks at all posts, quotaSurveyEvery how often at all quotas.
	surveyEvery      = 10 * time.Second
	quotaSurveyEvery = time.Minute
)

// What the posts of the house are like. Every publisher measures the same; a dashboard takes the largest.
var (
	overduePosts = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_posts_overdue",
		Help: "Posts whose time has passed and that are not published, are not held up by something that their owner was told of, and are not asked for (threads_posts_unsettled has those).",
	})
	oldestOverdue = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_posts_oldest_overdue_seconds",
		Help: "How long the time of the oldest overdue post has passed; 0 when there is none.",
	})
	neglected = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_posts_neglected_seconds",
		Help: "How long the post that has waited longest for somebody to work on it has waited; 0 when there is none. More than PUBLISHER_STUCK_AFTER, while nothing moves, makes a publisher not ready.",
	})
	unsettledPosts = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "threads_posts_unsettled",
		Help: "Posts that are neither dormant nor final, by state: waiting, publishing, unconfirmed, concluding, parked.",
	}, []string{"state"})
	oldestUnsettled = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "threads_posts_unsettled_oldest_seconds",
		Help: "How long the time of the oldest post in each of those states has passed; 0 when there is none.",
	}, []string{"state"})
	waitingPosts = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "threads_posts_waiting",
		Help: "Posts that are held up, by the code of the reason that their owner was told.",
	}, []string{"code"})
	recorderBehind = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_recorder_behind",
		Help: "Facts on EVENTS that are not applied to Postgres yet.",
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
	surveyedAt = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_survey_timestamp_seconds",
		Help: "When the gauges of posts were last measured, unix time.",
	})
)

// unsettled are the states of posts in whose life something is going on. Their posts are few, and have an index.
var unsettled = []events.State{
	events.StateWaiting, events.StatePublishing, events.StateUnconfirmed, events.StateConcluding, events.StateParked,
}

// progress is what the last survey saw, for Ready.
type progress struct {
	mu        sync.Mutex
	surveyed  time.Time // when it last succeeded
	moved     time.Time // when this process last got on with a post
	neglected time.Time // since when the longest neglected post waits; zero: none
	position  uint64    // of the recorder
	behind    uint64
	stands    time.Time // since when the recorder is behind at that position
}

func (p *progress) move(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved = now
}

// stuck says what does not get on, or nil. What a survey sees is no older than after, or that is what is wrong.
func (p *progress) stuck(now time.Time, after time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := func(since time.Time) time.Duration { return now.Sub(since).Round(time.Second) }
	switch {
	case now.Sub(p.surveyed) > after:
		return fmt.Errorf("the posts could not be looked through for %s", took(p.surveyed))
	case p.behind > 0 && now.Sub(p.stands) > after:
		return fmt.Errorf("%d facts of EVENTS are not applied to Postgres, and have not become fewer for %s", p.behind, took(p.stands))
	case !p.neglected.IsZero() && now.Sub(p.neglected) > after && now.Sub(p.moved) > after:
		return fmt.Errorf("a post has been due for %s, and nothing moves", took(p.neglected))
	}
	return nil
}

// survey measures the posts of the house again and again.
func (s *Service) survey(ctx context.Context) error {
	s.progress.mu.Lock()
	s.progress.surveyed, s.progress.moved = s.now(), s.now() // nothing is late at the start
	s.progress.mu.Unlock()
	callPlaces.Set(float64(cap(s.calls.slots)))
	var quotas time.Time
	for {
		err := s.surveyOnce(ctx)
		if err == nil && s.now().Sub(quotas) >= quotaSurveyEvery {
			quotas = s.now()
			err = s.surveyQuotas(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("the posts are not measured this time", errField(err))
		}
		if !pause(ctx, min(surveyEvery, s.cfg.StuckAfter/4)) {
			return nil
		}
	}
}

func (s *Service) surveyOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, surveyEvery)
	defer cancel()
	var groups []struct {
		State  events.State `bun:"state"`
		Code   string       `bun:"code"`
		Posts  int          `bun:"posts"`
		Oldest time.Time    `bun:"oldest"`
	}
	err := s.db.NewSelect().Model((*posts.Post)(nil)).Column("state").
		ColumnExpr("coalesce(reason->>'code', '') AS code, count(*) AS posts, min(publish_at) AS oldest").
		// The words of the index, or Postgres does not see that they are the same.
		Where("state IN ('waiting', 'publishing', 'unconfirmed', 'concluding', 'parked')").
		GroupExpr("1, 2").Scan(ctx, &groups)
	if err != nil {
		return fmt.Errorf("count the unsettled posts: %w", err)
	}
	var due struct {
		Overdue   int       `bun:"overdue"`
		Oldest    time.Time `bun:"oldest"`
		Neglected time.Time `bun:"neglected"`
	}
	if err := s.surveyClock(ctx); err != nil {
		return err
	}
	now := s.now()
	err = s.db.NewSelect().Model((*posts.Post)(nil)).
		ColumnExpr("count(*) FILTER (WHERE publish_at < ?0 AND state IN ('scheduled', 'ready')) AS overdue", now).
		ColumnExpr("min(publish_at) FILTER (WHERE publish_at < ?0 AND state IN ('scheduled', 'ready')) AS oldest", now).
		ColumnExpr("min(wake_at) FILTER (WHERE lease IS NULL OR lease_until < now()) AS neglected").
		Where("wake_at < ?", now.Add(-s.cfg.SweepGrace)).Scan(ctx, &due)
	if err != nil {
		return fmt.Errorf("count the overdue posts: %w", err)
	}
	position, end, err := s.projector.Behind(ctx)
	if err != nil {
		return err
	}
	dead, err := s.bus.JetStream().Stream(ctx, events.StreamDead)
	if err != nil {
		return fmt.Errorf("look at DEAD: %w", err)
	}

	counts, oldest, codes := map[events.State]int{}, map[events.State]time.Time{}, map[string]int{}
	for _, g := range groups {
		counts[g.State] += g.Posts
		if was := oldest[g.State]; was.IsZero() || g.Oldest.Before(was) {
			oldest[g.State] = g.Oldest
		}
		if g.State == events.StateWaiting {
			codes[g.Code] += g.Posts
		}
	}
	for _, state := range unsettled {
		unsettledPosts.WithLabelValues(string(state)).Set(float64(counts[state]))
		oldestUnsettled.WithLabelValues(string(state)).Set(age(now, oldest[state]))
	}
	waitingPosts.Reset()
	for code, n := range codes {
		waitingPosts.WithLabelValues(code).Set(float64(n))
	}
	// A post in hand is overdue too. One whose outcome is asked for may be live, and has gauges of its own.
	for _, state := range []events.State{events.StatePublishing, events.StateConcluding} {
		due.Overdue += counts[state]
		if at := oldest[state]; !at.IsZero() && (due.Oldest.IsZero() || at.Before(due.Oldest)) {
			due.Oldest = at
		}
	}
	overduePosts.Set(float64(due.Overdue))
	oldestOverdue.Set(age(now, due.Oldest))
	neglected.Set(age(now, due.Neglected))
	recorderBehind.Set(float64(end - position))
	deadLetters.Set(float64(dead.CachedInfo().State.Msgs))
	surveyedAt.Set(float64(now.Unix()))

	p := &s.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.behind = end - position; p.behind == 0 || position != p.position {
		p.stands = now
	}
	p.surveyed, p.neglected, p.position = now, due.Neglected, position
	return nil
}

// surveyClock compares our clock with Postgres', as far as the time that the question took allows.
func (s *Service) surveyClock(ctx context.Context) error {
	asked := s.now()
	its, err := s.store.Now(ctx, s.db)
	if err != nil {
		return err
	}
	half := s.now().Sub(asked) / 2
	ahead := asked.Add(half).Sub(its)
	if ahead.Abs() <= half {
		ahead = 0
	}
	clockAhead.Set(ahead.Seconds())
	return nil
}

func (s *Service) surveyQuotas(ctx context.Context) error {
	var most []struct {
		Quota posts.Quota `bun:"quota"`
		Used  int         `bun:"used"`
	}
	perAccount := s.db.NewSelect().Model((*posts.QuotaUse)(nil)).Column("quota").ColumnExpr("count(*) AS used").
		Where("at > ?", s.now().Add(-posts.QuotaWindow)).Group("account_id", "quota")
	err := s.db.NewSelect().TableExpr("(?) AS per_account", perAccount).Column("quota").ColumnExpr("max(used) AS used").
		Group("quota").Scan(ctx, &most)
	if err != nil {
		return fmt.Errorf("measure the quotas: %w", err)
	}
	for _, q := range []posts.Quota{posts.QuotaPosts, posts.QuotaReplies, posts.QuotaDeletes} {
		quotaHeadroom.WithLabelValues(string(q)).Set(float64(q.Total()))
	}
	for _, m := range most {
		quotaHeadroom.WithLabelValues(string(m.Quota)).Set(float64(max(m.Quota.Total()-m.Used, 0)))
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
