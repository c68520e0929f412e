package threadssim

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// earliestInsights is the first moment there are figures for.
const earliestInsights = 1712991600

var (
	mediaMetrics = []string{"views", "likes", "replies", "reposts", "quotes", "shares"}
	userMetrics  = []string{
		"views", "likes", "replies", "reposts", "quotes", "clicks", "followers_count", "follower_demographics",
	}
	breakdowns = []string{"country", "city", "age", "gender"}
)

// grown is a figure that nobody counts: it belongs to an id, rises quickly at first and comes to rest below most after
// some days.
func grown(id, metric string, most int, age time.Duration) int {
	if age <= 0 {
		return 0
	}
	end := 1 + share(id, metric, most)
	pace := 6 + share(id, metric+" pace", 30) // hours
	return int(float64(end) * (1 - math.Exp(-age.Hours()/float64(pace))))
}

// figure is a metric of a post at a moment. Replies are those that are there; reposts and quotes those that are there and
// some that nobody can see.
func (c *call) figure(m *media, metric string, at time.Time) int {
	age := at.Sub(m.Committed)
	switch {
	case age < 0 || m.RepostOf != "":
		return 0
	case metric == "replies":
		return c.sim.replyCount(m)
	}
	most := map[string]int{"views": 4000, "likes": 300, "reposts": 20, "quotes": 8, "shares": 30, "clicks": 120}[metric]
	n := grown(m.ID, metric, most, age)
	switch metric {
	case "reposts":
		n += m.reposts
	case "quotes":
		n += m.quotes
	}
	return n
}

func (c *call) likes(m *media) int { return c.figure(m, "likes", c.at) }

// earned is what all posts of a person gained between two moments.
func (c *call) earned(u *user, metric string, since, until time.Time) int {
	n := 0
	for _, m := range u.posts {
		switch {
		case m.deleted || !isPost(m):
		case metric == "replies":
			for _, reply := range m.answers { // of a person only the top-level ones count
				if c.sim.public(reply) && !reply.Committed.Before(since) && reply.Committed.Before(until) {
					n++
				}
			}
		default:
			n += c.figure(m, metric, until) - c.figure(m, metric, since)
		}
	}
	return n
}

// metrics reads the list asked for.
func (c *call) metrics(may []string) ([]string, answer, bool) {
	list := readList(c.params.Get("metric"))
	for i, name := range list {
		list[i] = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains(may, list[i]) {
			return nil, badParam("metric must be one of {" + strings.Join(may, ", ") + "}"), false
		}
	}
	if len(list) == 0 {
		return nil, badParam("metric is required"), false
	}
	return list, answer{}, true
}

// insight is one metric; every kind has the same frame around a value of another shape.
func insight(id, name, period string) map[string]any {
	title := strings.ReplaceAll(name, "_", " ")
	return map[string]any{
		"name": name, "period": period, "title": strings.ToUpper(title[:1]) + title[1:],
		"description": "The number of " + title + ", made up by the simulator.",
		"id":          id + "/insights/" + name + "/" + period,
	}
}

// mediaInsights answers the figures of one of the caller's posts. A repost has none.
func mediaInsights(c *call) answer {
	m := c.own(c.path)
	if m == nil {
		return noSuchObject(c.path)
	}
	if a, ok := c.needs(threads.ScopeManageInsights); !ok {
		return a
	}
	list, a, ok := c.metrics(mediaMetrics)
	if !ok {
		return a
	}
	found := []any{}
	for _, name := range list {
		if m.RepostOf != "" {
			break
		}
		one := insight(m.ID, name, "lifetime")
		one["values"] = []any{map[string]any{"value": c.figure(m, name, c.at)}}
		found = append(found, one)
	}
	return success(map[string]any{"data": found})
}

// accountInsights answers the figures of the caller's profile. Each metric has a shape of its own.
func accountInsights(c *call) answer {
	list, a, ok := c.metrics(userMetrics)
	if !ok {
		return a
	}
	since, until, err := c.insightsTime()
	if err != nil {
		return badParam(err.Error())
	}
	found := make([]any, 0, len(list))
	for _, name := range list {
		one := insight(c.user.ID, name, "day")
		switch name {
		case "views":
			one["values"] = c.viewsByDay(since, until)
		case "clicks":
			if links := c.clicks(since, until); len(links) > 0 {
				one["link_total_values"] = links
			}
		case "followers_count":
			one["total_value"] = map[string]any{"value": c.user.followers(c.at)}
		case "follower_demographics":
			total, a, ok := c.demographics()
			if !ok {
				return a
			}
			one = insight(c.user.ID, name, "lifetime")
			one["total_value"] = total
		default:
			one["total_value"] = map[string]any{"value": c.earned(c.user, name, since, until)}
		}
		found = append(found, one)
	}
	return success(map[string]any{"data": found})
}

// insightsTime is yesterday to today unless the call says otherwise.
func (c *call) insightsTime() (since, until time.Time, err error) {
	if since, err = readTime(c.params.Get("since")); err != nil {
		return since, until, fmt.Errorf("since is not a valid time")
	}
	if until, err = readTime(c.params.Get("until")); err != nil {
		return since, until, fmt.Errorf("until is not a valid time")
	}
	if until.IsZero() {
		until = c.at
	}
	if since.IsZero() {
		since = until.Add(-24 * time.Hour)
	}
	switch {
	case since.Unix() < earliestInsights:
		return since, until, fmt.Errorf("since must be at least %d", earliestInsights)
	case !since.Before(until):
		return since, until, fmt.Errorf("since must be before until")
	}
	return since, earlier(until, c.at), nil
}

// maxInsightDays bounds the work of one call.
const maxInsightDays = 750

// dayEnds is the hour at which Threads closes its days: midnight at the Pacific, without its summer time.
const dayEnds = 8 * time.Hour

// viewsByDay are the profile's views, a value for each day that ended in the span, and for the one still open.
func (c *call) viewsByDay(since, until time.Time) []any {
	list := []any{}
	end := since.Add(-dayEnds).Truncate(24 * time.Hour).Add(24*time.Hour + dayEnds)
	for from := since; from.Before(until) && len(list) < maxInsightDays; from, end = end, end.Add(24*time.Hour) {
		seen := c.earned(c.user, "views", from, earlier(end, until)) / 5
		visits := share(c.user.ID, end.Format(time.DateOnly), 40)
		list = append(list, map[string]any{"value": seen + visits, "end_time": stamp(end)})
	}
	return list
}

// clicks are counted for each link that the caller's posts carry. Without any the key is missing.
func (c *call) clicks(since, until time.Time) []any {
	totals, order := map[string]int{}, []string{}
	for _, m := range c.user.posts {
		if m.deleted || m.of.Link == "" {
			continue
		}
		if n := c.figure(m, "clicks", until) - c.figure(m, "clicks", since); n > 0 {
			if totals[m.of.Link] == 0 {
				order = append(order, m.of.Link)
			}
			totals[m.of.Link] += n
		}
	}
	list := make([]any, 0, len(order))
	for _, link := range order {
		list = append(list, map[string]any{"value": totals[link], "link_url": link})
	}
	return list
}

// demographics are the followers by one of the breakdowns, in the shape of Instagram's metric of that name: the shape of
// Threads' own is not documented.
func (c *call) demographics() (map[string]any, answer, bool) {
	by := c.params.Get("breakdown")
	followers := c.user.followers(c.at)
	switch {
	case !slices.Contains(breakdowns, by):
		return nil, badParam("breakdown must be exactly one of {" + strings.Join(breakdowns, ", ") + "}"), false
	case followers < discoverable:
		return nil, named("FEATURE_NOT_AVAILABLE", "follower_demographics needs at least 100 followers"), false
	}
	values := map[string][]string{
		"country": {"US", "GB", "DE", "BR", "JP"},
		"city":    {"New York, New York", "London, England", "Berlin, Berlin", "São Paulo, São Paulo", "Tokyo, Tokyo"},
		"age":     {"18-24", "25-34", "35-44", "45-54", "55-64"},
		"gender":  {"F", "M", "U"},
	}[by]
	total := 0
	for _, v := range values {
		total += 1 + share(c.user.ID, v, 20)
	}
	results, left := make([]any, 0, len(values)), followers
	for i, v := range values {
		n := followers * (1 + share(c.user.ID, v, 20)) / total
		if i == len(values)-1 {
			n = left
		}
		left -= n
		results = append(results, map[string]any{"dimension_values": []string{v}, "value": n})
	}
	return map[string]any{"breakdowns": []any{
		map[string]any{"dimension_keys": []string{by}, "results": results},
	}}, answer{}, true
}
