package threads

import (
	"context"
	"errors"
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

// MediaInsights reads figures of a post of the owner, those of MediaMetrics when none are named; none come for a repost.
//
// https://developers.facebook.com/documentation/threads/insights
func (c *Client) MediaInsights(ctx context.Context, token Token, mediaID string, metrics ...string) ([]Metric, error) {
	if len(metrics) == 0 {
		metrics = MediaMetrics
	}
	q := reading(token, OpMediaInsights, mediaID+"/insights", url.Values{"metric": {strings.Join(metrics, ",")}})
	if !isID(mediaID) {
		return nil, c.badID(q, mediaID)
	}
	return c.metrics(ctx, q)
}

// InsightsQuery says which figures of an account, and of which time. Zero times are Threads' own: yesterday to today.
// Figures begin on 13 April 2024.
type InsightsQuery struct {
	Metrics      []string // none: AccountMetrics
	Since, Until time.Time
	// Breakdown is country, city, age or gender; follower_demographics needs it, and 100 followers.
	Breakdown string
}

// AccountInsights reads figures of the owner's account.
//
// https://developers.facebook.com/documentation/threads/insights
func (c *Client) AccountInsights(ctx context.Context, token Token, i InsightsQuery) ([]Metric, error) {
	if len(i.Metrics) == 0 {
		i.Metrics = AccountMetrics
	}
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
	return c.metrics(ctx, reading(token, OpAccountInsights, "me/threads_insights", query))
}

// wireMetric is a metric on the wire. Every shape is a decoration: a metric of tomorrow must not hide those of today.
type wireMetric struct {
	Name   string                  `json:"name"`
	Period string                  `json:"period"`
	Title  decoration[string]      `json:"title"`
	Values decoration[[]wireDay]   `json:"values"`
	Total  decoration[wireTotal]   `json:"total_value"`
	Links  decoration[[]wireClick] `json:"link_total_values"`
}

type wireDay struct {
	Value figure                `json:"value"`
	End   decoration[timestamp] `json:"end_time"`
}

// wireTotal has its breakdowns in the form of Instagram's metric of the same name: Threads shows none.
type wireTotal struct {
	Value      figure                      `json:"value"`
	Breakdowns decoration[[]wireBreakdown] `json:"breakdowns"`
}

type wireBreakdown struct {
	Results []struct {
		Dimensions []string `json:"dimension_values"`
		Value      figure   `json:"value"`
	} `json:"results"`
}

type wireClick struct {
	Value figure `json:"value"`
	URL   string `json:"link_url"`
}

// figure is a number that may come quoted, or be no number at all.
type figure struct {
	is    float64
	known bool
}

func (v *figure) UnmarshalJSON(b []byte) error {
	v.is, v.known = parseNumber(b)
	return nil
}

func (c *Client) metrics(ctx context.Context, q call) ([]Metric, error) {
	var answer struct {
		Data []wireMetric `json:"data"`
	}
	if err := c.do(ctx, q, &answer); err != nil {
		return nil, err
	}
	if answer.Data == nil {
		return nil, c.unanswered(q, http.StatusOK, errors.New("answer without figures"))
	}
	all := make([]Metric, len(answer.Data))
	for i, w := range answer.Data {
		all[i] = w.metric()
	}
	return all, nil
}

func (w wireMetric) metric() Metric {
	m := Metric{Name: w.Name, Period: w.Period, Title: w.Title.is}
	for _, v := range w.Values.is {
		if v.Value.known {
			m.Days = append(m.Days, DayValue{v.Value.is, time.Time(v.End.is)})
		}
	}
	if len(m.Days) == 1 && w.Period == "lifetime" {
		m.Total, m.HasTotal = m.Days[0].Value, true
	}
	if total := w.Total.is.Value; total.known {
		m.Total, m.HasTotal = total.is, true
	}
	for _, b := range w.Total.is.Breakdowns.is {
		for _, r := range b.Results {
			if r.Value.known {
				m.Breakdown = append(m.Breakdown, BreakdownValue{strings.Join(r.Dimensions, ", "), r.Value.is})
			}
		}
	}
	for _, l := range w.Links.is {
		if l.Value.known {
			m.Links = append(m.Links, LinkValue{l.URL, l.Value.is})
		}
	}
	return m
}
