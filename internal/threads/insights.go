package threads

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The metrics of a post, over its whole life.
//
// https://developers.facebook.com/documentation/threads/reference/insights
var MediaMetrics = []string{"views", "likes", "replies", "reposts", "quotes", "shares"}

// AccountMetrics are those of an account that need no breakdown; follower_demographics is the one that does.
var AccountMetrics = []string{"views", "likes", "replies", "reposts", "quotes", "clicks", "followers_count"}

// Metric is one figure, in whichever of Threads' shapes it came. What a shape does not have is zero.
type Metric struct {
	Name   string // an open list
	Period string // lifetime, day
	Title  string
	// Total is the figure where there is one for the whole time; HasTotal tells a 0 from none.
	Total    float64
	HasTotal bool
	// Days are figures by day; of a post there is one, without an end.
	Days []DayValue
	// Links are clicks by address. Threads leaves them out when there were none.
	Links []LinkValue
	// Breakdown is a total by country, city, age or gender.
	Breakdown []BreakdownValue
}

// DayValue is the figure of the day that ends at End, midnight in California.
type DayValue struct {
	Value float64
	End   time.Time
}

// LinkValue is the figure of one address.
type LinkValue struct {
	URL   string
	Value float64
}

// BreakdownValue is the figure of one group, such as US.
type BreakdownValue struct {
	Group string
	Value float64
}

// MediaInsights reads figures of a post of the owner; none come for a repost.
//
// https://developers.facebook.com/documentation/threads/insights
func (c *Client) MediaInsights(ctx context.Context, token Token, mediaID string, metrics ...string) ([]Metric, error) {
	q := call{
		op: OpMediaInsights, method: http.MethodGet, path: "/v1.0/" + mediaID + "/insights",
		query: url.Values{"metric": {strings.Join(metrics, ",")}}, token: token,
	}
	if !isID(mediaID) {
		return nil, c.badID(q, mediaID)
	}
	return c.metrics(ctx, q)
}

// InsightsQuery says which figures of an account, and of which time. Zero times are Threads' own: yesterday to today.
// Figures begin on 13 April 2024.
type InsightsQuery struct {
	Metrics      []string
	Since, Until time.Time
	// Breakdown is country, city, age or gender; follower_demographics needs it, and 100 followers.
	Breakdown string
}

// AccountInsights reads figures of the owner's account.
//
// https://developers.facebook.com/documentation/threads/insights
func (c *Client) AccountInsights(ctx context.Context, token Token, i InsightsQuery) ([]Metric, error) {
	query := url.Values{"metric": {strings.Join(i.Metrics, ",")}}
	if !i.Since.IsZero() {
		query.Set("since", strconv.FormatInt(i.Since.Unix(), 10))
	}
	if !i.Until.IsZero() {
		query.Set("until", strconv.FormatInt(i.Until.Unix(), 10))
	}
	if i.Breakdown != "" {
		query.Set("breakdown", i.Breakdown)
	}
	return c.metrics(ctx, call{op: OpAccountInsights, method: http.MethodGet, path: "/v1.0/me/threads_insights", query: query, token: token})
}

type wireMetric struct {
	Name   string `json:"name"`
	Period string `json:"period"`
	Title  string `json:"title"`
	Values []struct {
		Value number    `json:"value"`
		End   timestamp `json:"end_time"`
	} `json:"values"`
	Total *struct {
		Value      *number `json:"value"`
		Breakdowns []struct {
			Results []struct {
				Dimensions []string `json:"dimension_values"`
				Value      number   `json:"value"`
			} `json:"results"`
		} `json:"breakdowns"`
	} `json:"total_value"`
	Links []struct {
		Value number `json:"value"`
		URL   string `json:"link_url"`
	} `json:"link_total_values"`
}

func (c *Client) metrics(ctx context.Context, q call) ([]Metric, error) {
	var answer struct {
		Data []wireMetric `json:"data"`
	}
	if err := c.do(ctx, q, &answer); err != nil {
		return nil, err
	}
	all := make([]Metric, len(answer.Data))
	for i, w := range answer.Data {
		all[i] = w.metric()
	}
	return all, nil
}

func (w wireMetric) metric() Metric {
	m := Metric{Name: w.Name, Period: w.Period, Title: w.Title}
	for _, v := range w.Values {
		m.Days = append(m.Days, DayValue{float64(v.Value), time.Time(v.End)})
	}
	if len(w.Values) == 1 && w.Period == "lifetime" {
		m.Total, m.HasTotal = float64(w.Values[0].Value), true
	}
	if w.Total != nil {
		if w.Total.Value != nil {
			m.Total, m.HasTotal = float64(*w.Total.Value), true
		}
		for _, b := range w.Total.Breakdowns {
			for _, r := range b.Results {
				m.Breakdown = append(m.Breakdown, BreakdownValue{strings.Join(r.Dimensions, ", "), float64(r.Value)})
			}
		}
	}
	for _, l := range w.Links {
		m.Links = append(m.Links, LinkValue{l.URL, float64(l.Value)})
	}
	return m
}
