package asks

import "time"

// GetAccountInsights asks for the figures of an account. Answer: Insights.
type GetAccountInsights struct {
	UserID    string    `json:"userId"`
	AccountID string    `json:"accountId,omitempty"`
	Metrics   []string  `json:"metrics,omitempty"`   // none: all that need no breakdown
	Since     time.Time `json:"since,omitzero"`      // zero: a day before until
	Until     time.Time `json:"until,omitzero"`      // zero: now
	Breakdown string    `json:"breakdown,omitempty"` // country, city, age, gender
	Snapshots int       `json:"snapshots,omitempty"` // the latest so many of those that were kept
}

// GetPostInsights asks for the figures of a post, by our id or by Threads' media id. Answer: Insights.
type GetPostInsights struct {
	UserID    string   `json:"userId"`
	AccountID string   `json:"accountId,omitempty"`
	ID        string   `json:"id"`
	Metrics   []string `json:"metrics,omitempty"` // none: all
	Snapshots int      `json:"snapshots,omitempty"`
}

// Insights are figures as Threads tells them, and as they were before.
type Insights struct {
	AccountID string     `json:"accountId"`
	PostID    string     `json:"postId,omitempty"` // ours, where we have the post
	MediaID   string     `json:"mediaId,omitempty"`
	ReadAt    time.Time  `json:"readAt"`
	Since     *time.Time `json:"since,omitempty"`
	Until     *time.Time `json:"until,omitempty"`
	Metrics   []Metric   `json:"metrics"`
	// Snapshots are the figures that were kept, the oldest first. Those of an account are of a day each.
	Snapshots []InsightSnapshot `json:"snapshots"`
}

// Metric is one figure, in whichever of Threads' shapes it came.
type Metric struct {
	Name   string `json:"name"`
	Period string `json:"period,omitempty"` // lifetime, day
	Title  string `json:"title,omitempty"`
	// Total is the figure where there is one for the whole time.
	Total     *float64      `json:"total,omitempty"`
	Days      []MetricDay   `json:"days,omitempty"`
	Links     []MetricLink  `json:"links,omitempty"`
	Breakdown []MetricGroup `json:"breakdown,omitempty"`
}

// MetricDay is the figure of the day that ends at End.
type MetricDay struct {
	Value float64    `json:"value"`
	End   *time.Time `json:"end,omitempty"`
}

// MetricLink is the figure of one address.
type MetricLink struct {
	URL   string  `json:"url"`
	Value float64 `json:"value"`
}

// MetricGroup is the figure of one group, such as US.
type MetricGroup struct {
	Group string  `json:"group"`
	Value float64 `json:"value"`
}

// InsightSnapshot is figures as they were at a moment, by the names of their metrics. A metric that comes by day or by
// link is its sum.
type InsightSnapshot struct {
	At     time.Time          `json:"at"`
	Values map[string]float64 `json:"values"`
}

// Subject is threads.ask.insights.account.
func (GetAccountInsights) Subject() string { return ask("insights", "account") }

// Subject is threads.ask.insights.post.
func (GetPostInsights) Subject() string { return ask("insights", "post") }
