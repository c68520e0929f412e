package engagement

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/draft"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// earliestInsights is where Threads' insights begin; it refuses an earlier since (threads-api §6.2).
var earliestInsights = time.Unix(1712991600, 0).UTC()

const (
	// defaultSnapshots are answered when nobody says how many; maxSnapshots keep an answer well under what NATS carries.
	defaultSnapshots = 90
	maxSnapshots     = 1000
	maxMetrics       = 20
)

// GetAccountInsights answers with the insights of an account, read from Threads now, and as they were before. Only those of the
// default time and metrics are saved as snapshots: those of other times would not compare.
func (s *Service) GetAccountInsights(ctx context.Context, q asks.GetAccountInsights) (asks.Insights, error) {
	now := s.now()
	if fault := checkInsights(q.Metrics, q.Snapshots); fault != nil {
		return asks.Insights{}, fault
	}
	if fault := checkSpan(q.Since, q.Until, q.Breakdown, q.Metrics, now); fault != nil {
		return asks.Insights{}, fault
	}
	account, err := accounts.Resolve(ctx, s.side, q.UserID, q.AccountID)
	if err != nil {
		return asks.Insights{}, err
	}
	ask := threads.InsightsQuery{Metrics: q.Metrics, Since: q.Since, Until: q.Until, Breakdown: q.Breakdown}
	if q.Breakdown != "" && len(q.Metrics) == 0 {
		ask.Metrics = []string{demographics}
	}
	key := fmt.Sprint("insights ", account.ID, account.Rev, ask)
	compares := len(q.Metrics) == 0 && q.Since.IsZero() && q.Until.IsZero() && q.Breakdown == ""
	of := subject{account.ID, ""}
	read := func(ctx context.Context, a ownercalls.Access) ([]threads.Metric, error) {
		return s.api.AccountInsights(ctx, a.Token, ask)
	}
	metrics, at, err := s.readInsights(ctx, account, key, of, compares, read)
	if err != nil {
		return asks.Insights{}, err
	}
	i := asks.Insights{
		AccountID: account.ID, ReadAt: at.UTC(), Since: posts.OptionalTime(q.Since), Until: posts.OptionalTime(q.Until), Metrics: metrics,
	}
	i.Snapshots, err = snapshots(ctx, s.side, of, q.Snapshots)
	return i, err
}

// GetPostInsights answers with the insights of a post over its whole life, and as they were before.
func (s *Service) GetPostInsights(ctx context.Context, q asks.GetPostInsights) (asks.Insights, error) {
	if fault := checkInsights(q.Metrics, q.Snapshots); fault != nil {
		return asks.Insights{}, fault
	}
	post, err := s.resolveTarget(ctx, q.UserID, q.AccountID, q.ID)
	if err != nil {
		return asks.Insights{}, err
	}
	of := subject{post.account.ID, post.mediaID}
	key := fmt.Sprint("insights ", post.account.ID, post.account.Rev, post.mediaID, q.Metrics)
	read := func(ctx context.Context, a ownercalls.Access) ([]threads.Metric, error) {
		return s.api.MediaInsights(ctx, a.Token, post.mediaID, q.Metrics...)
	}
	metrics, at, err := s.readInsights(ctx, post.account, key, of, len(q.Metrics) == 0, read)
	if err != nil {
		return asks.Insights{}, err
	}
	i := asks.Insights{
		AccountID: post.account.ID, PostID: post.postID, MediaID: post.mediaID, ReadAt: at.UTC(), Metrics: metrics,
	}
	i.Snapshots, err = snapshots(ctx, s.side, of, q.Snapshots)
	return i, err
}

// demographics is the metric that comes by groups, and only so.
const demographics = "follower_demographics"

func checkInsights(metrics []string, snapshots int) *events.Fault {
	f := events.Faultf(events.Invalid, "These figures cannot be asked for so; see errors for each field.")
	odd := func(name string) bool {
		return name == "" || len(name) > 40 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != ""
	}
	if len(metrics) > maxMetrics || slices.ContainsFunc(metrics, odd) {
		words := fmt.Sprintf("metrics is up to %d names of Threads' metrics, such as views.", maxMetrics)
		f.At("/metrics", "metrics_invalid", words)
	}
	if snapshots < 0 || snapshots > maxSnapshots {
		f.At("/snapshots", "out_of_range", fmt.Sprintf("Up to %d snapshots are shown at once; choose a number in that range.", maxSnapshots))
	}
	return draft.FieldErrors(f)
}

func checkSpan(since, until time.Time, breakdown string, metrics []string, now time.Time) *events.Fault {
	f := events.Faultf(events.Invalid, "These figures cannot be asked for so; see errors for each field.")
	if !since.IsZero() && since.Before(earliestInsights) {
		f.At("/since", "too_early", "Threads has figures since 13 April 2024; choose a later time.")
	}
	if until.After(now) {
		f.At("/until", "time_in_future", "There are no figures of the future; leave until out for now.")
	}
	if !since.IsZero() && !since.Before(timeOr(until, now)) {
		f.At("/since", "span_empty", "The time in since does not lie before the one in until; choose an earlier one.")
	}
	wanted := slices.Contains(metrics, demographics)
	if wanted && breakdown == "" {
		f.At("/breakdown", "missing", "The metric "+demographics+" needs a breakdown; choose country, city, age or gender.")
	}
	if breakdown != "" && !slices.Contains([]string{"country", "city", "age", "gender"}, breakdown) {
		f.At("/breakdown", "breakdown_unknown", "A breakdown is by country, city, age or gender; choose one of them.")
	}
	return draft.FieldErrors(f)
}

// timeOr is t, or the other where t is zero.
func timeOr(t, other time.Time) time.Time {
	if t.IsZero() {
		return other
	}
	return t
}

// subject is what insights are about: a post, or the account itself where there is no media id.
type subject struct{ accountID, mediaID string }

// readInsights reads metrics, at most ReadsKept old, and saves them as a snapshot where keep says so.
func (s *Service) readInsights(ctx context.Context, account accounts.Account, key string, of subject, keep bool,
	read func(context.Context, ownercalls.Access) ([]threads.Metric, error)) ([]asks.Metric, time.Time, error) {
	if metrics, at, ok := recently[[]asks.Metric](s.recentReads, key, s.now()); ok {
		if err := account.MayUse(threads.ScopeManageInsights); err != nil {
			return nil, at, err
		}
		return metrics, at, nil
	}
	fresh, err := ownercalls.Do(ctx, s.calls, account, threads.ScopeManageInsights, read)
	if err != nil {
		return nil, time.Time{}, err
	}
	at := s.now()
	metrics := metricsOf(fresh)
	s.recentReads.put(key, metrics, at)
	if keep {
		if err := saveSnapshot(ctx, s.side, of, at, metrics); err != nil {
			return nil, at, err
		}
	}
	return metrics, at, nil
}

func metricsOf(list []threads.Metric) []asks.Metric {
	metrics := make([]asks.Metric, len(list))
	for i, m := range list {
		metrics[i] = asks.Metric{Name: m.Name, Period: m.Period, Title: m.Title}
		if m.HasTotal {
			metrics[i].Total = new(m.Total)
		}
		for _, d := range m.Days {
			metrics[i].Days = append(metrics[i].Days, asks.MetricDay{Value: d.Value, End: posts.OptionalTime(d.End)})
		}
		for _, l := range m.Links {
			metrics[i].Links = append(metrics[i].Links, asks.MetricLink{URL: l.URL, Value: l.Value})
		}
		for _, g := range m.Breakdown {
			metrics[i].Breakdown = append(metrics[i].Breakdown, asks.MetricGroup{Group: g.Group, Value: g.Value})
		}
	}
	return metrics
}

// valuesOf is metrics as one number each: the total, or else the sum of the days or of the links.
func valuesOf(metrics []asks.Metric) map[string]float64 {
	values := map[string]float64{}
	for _, m := range metrics {
		sum := 0.0
		switch {
		case m.Total != nil:
			sum = *m.Total
		case len(m.Breakdown) > 0:
			continue
		default:
			for _, d := range m.Days {
				sum += d.Value
			}
			for _, l := range m.Links {
				sum += l.Value
			}
		}
		values[m.Name] = sum
	}
	return values
}

// snapshot is insights as they were at a moment.
type snapshot struct {
	bun.BaseModel `bun:"table:insight_snapshots"`

	AccountID string             `bun:"account_id"`
	MediaID   string             `bun:"media_id"`
	Hour      time.Time          `bun:"hour"`
	At        time.Time          `bun:"at"`
	Metrics   map[string]float64 `bun:"metrics,type:jsonb"`
}

// saveSnapshot saves insights: the latest of each hour, so that a page that is open all day does not fill the table.
func saveSnapshot(ctx context.Context, db bun.IDB, of subject, at time.Time, metrics []asks.Metric) error {
	values := valuesOf(metrics)
	if len(values) == 0 {
		return nil // a repost has none
	}
	at = at.UTC()
	one := snapshot{AccountID: of.accountID, MediaID: of.mediaID, Hour: at.Truncate(time.Hour), At: at, Metrics: values}
	_, err := db.NewInsert().Model(&one).On("CONFLICT (account_id, media_id, hour) DO UPDATE").
		Set("at = EXCLUDED.at, metrics = EXCLUDED.metrics").Where("snapshot.at < EXCLUDED.at").Exec(ctx)
	if err != nil {
		return fmt.Errorf("save insights: %w", err)
	}
	return nil
}

// snapshots reads the latest snapshots, the oldest first.
func snapshots(ctx context.Context, db bun.IDB, of subject, limit int) ([]asks.InsightSnapshot, error) {
	if limit == 0 {
		limit = defaultSnapshots
	}
	var rows []snapshot
	err := db.NewSelect().Model(&rows).Column("at", "metrics").
		Where("account_id = ? AND media_id = ?", of.accountID, of.mediaID).
		Order("hour DESC").Limit(int64(limit)).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read saved insights: %w", err)
	}
	out := make([]asks.InsightSnapshot, len(rows))
	for i, r := range rows {
		out[len(rows)-1-i] = asks.InsightSnapshot{At: r.At.UTC(), Values: r.Metrics}
	}
	return out, nil
}

// deleteSnapshots deletes the snapshots from before a time.
func deleteSnapshots(ctx context.Context, db bun.IDB, before time.Time) error {
	if _, err := db.NewDelete().Model((*snapshot)(nil)).Where("at < ?", before).Exec(ctx); err != nil {
		return fmt.Errorf("delete old insights: %w", err)
	}
	return nil
}
