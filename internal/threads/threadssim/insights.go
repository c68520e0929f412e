package threadssim

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a day ends at midnight in California, also where no zone files are

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

// figures are what is made up about posts and people, at a moment.
type figures struct {
	store *store
	at    time.Time
}

func (c *call) figures() figures { return figures{c.store, c.at} }

// of is a metric of a post at a moment. Replies are those that are there; reposts and quotes those that are there and
// some that nobody can see.
func (f figures) of(m *media, metric string, at time.Time) int {
	age := at.Sub(m.Committed)
	switch {
	case age < 0 || m.RepostOf != "":
		return 0
	case metric == "replies":
		return f.store.replyCount(m)
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

func (f figures) likes(m *media) int { return f.of(m, "likes", f.at) }

// earned is what all posts of a person gained between two moments.
func (f figures) earned(u *user, metric string, since, until time.Time) int {
	n := 0
	for _, m := range u.posts {
		switch {
		case m.deleted || !isPost(m):
		case metric == "replies":
			for _, reply := range m.answers { // of a person only the top-level ones count
				if f.store.public(reply) && !reply.Committed.Before(since) && reply.Committed.Before(until) {
					n++
				}
			}
		default:
			n += f.of(m, metric, until) - f.of(m, metric, since)
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

// descriptions are what Threads says about its metrics. The sentences about a profile's clicks and demographics and those
// about a post were not all seen, and follow the others.
var (
	mediaDescriptions = map[string]string{
		"views":   "The number of times your post was viewed.",
		"likes":   "The number of likes on your post.",
		"replies": "The number of replies on your post.",
		"reposts": "The number of times your post was reposted.",
		"quotes":  "The number of times your post was quoted.",
		"shares":  "The number of times your post was shared.",
	}
	userDescriptions = map[string]string{
		"views":                 "The number of times your profile was viewed.",
		"likes":                 "The number of likes on your posts.",
		"replies":               "The number of replies on your posts.",
		"reposts":               "The number of times your posts were reposted.",
		"quotes":                "The number of times your posts were quoted.",
		"clicks":                "The number of times people clicked on links you shared.",
		"followers_count":       "This is your total number of followers on Threads.",
		"follower_demographics": "This is how your followers on Threads are distributed.",
	}
)

// mediaInsight is the frame around a metric of a post.
func mediaInsight(id, name string) map[string]any {
	return map[string]any{
		"name": name, "period": "lifetime", "title": strings.ToUpper(name[:1]) + name[1:],
		"description": mediaDescriptions[name], "id": id + "/insights/" + name + "/lifetime",
	}
}

// userInsight is the frame around a metric of a profile. Every one is called daily, even one that is not, and has its bare
// name for a title.
func userInsight(id, name string) map[string]any {
	return map[string]any{
		"name": name, "period": "day", "title": name,
		"description": userDescriptions[name], "id": id + "/insights/" + name + "/day",
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
		one := mediaInsight(m.ID, name)
		one["values"] = []any{map[string]any{"value": c.figures().of(m, name, c.at)}}
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
	paging := c.insightsPaging(since, until)
	since, until = earlier(since, c.at), earlier(until, c.at) // no figures come from the future
	found := make([]any, 0, len(list))
	for _, name := range list {
		one := userInsight(c.user.ID, name)
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
			one["total_value"] = total
		default:
			one["total_value"] = map[string]any{"value": c.figures().earned(c.user, name, since, until)}
		}
		found = append(found, one)
	}
	return success(map[string]any{"data": found, "paging": paging})
}

// insightsPaging are the addresses of the spans of the same length before and after this one. They come with every
// metric, even with one that knows no span, and name the account by its id.
func (c *call) insightsPaging(since, until time.Time) map[string]any {
	from, to := since.Unix(), until.Unix()
	span := to - from
	page := func(from, to int64) string {
		again := c.again()
		again.Set("pretty", "0")
		again.Set("since", strconv.FormatInt(from, 10))
		again.Set("until", strconv.FormatInt(to, 10))
		return c.host + "/v1.0/" + c.user.ID + "/threads_insights?" + again.Encode()
	}
	return map[string]any{"previous": page(from-1-span, from-1), "next": page(to+1, to+1+span)}
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
	return since, until, nil
}

// maxInsightDays bounds the work of one call.
const maxInsightDays = 750

// pacific is where Threads' days end at midnight: at 07:00 UTC in summer and at 08:00 in winter.
var pacific = func() *time.Location {
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		panic(err) // the zones are part of the program
	}
	return zone
}()

// viewsByDay are the profile's views, a value for each day that ended in the span, and for the one still open.
func (c *call) viewsByDay(since, until time.Time) []any {
	list := []any{}
	year, month, day := since.In(pacific).Date()
	end := time.Date(year, month, day+1, 0, 0, 0, 0, pacific)
	for from := since; from.Before(until) && len(list) < maxInsightDays; from, end = end, end.AddDate(0, 0, 1) {
		seen := c.figures().earned(c.user, "views", from, earlier(end, until)) / 5
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
		if n := c.figures().of(m, "clicks", until) - c.figures().of(m, "clicks", since); n > 0 {
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

// demographics are the followers by one of the breakdowns, in the shape that was seen: the documentation shows none.
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
		"age":     {"13-17", "18-24", "25-34", "35-44", "45-54", "55-64", "65+"},
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
