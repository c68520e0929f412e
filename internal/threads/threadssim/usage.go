package threadssim

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// hourly counts the calls of the last 24 hours, to the hour.
type hourly struct {
	hours [24]int
	hour  int64 // the one that calls are counted in
	total int
}

func (h *hourly) add(now time.Time) {
	h.turn(now)
	h.hours[h.hour%24]++
	h.total++
}

func (h *hourly) sum(now time.Time) int {
	h.turn(now)
	return h.total
}

// turn empties the hours that left the window. A clock set back begins anew.
func (h *hourly) turn(now time.Time) {
	hour := now.Unix() / 3600
	if hour < h.hour || hour >= h.hour+24 {
		*h = hourly{hour: hour}
	}
	for ; h.hour < hour; h.hour++ {
		next := (h.hour + 1) % 24
		h.total -= h.hours[next]
		h.hours[next] = 0
	}
}

// overBudget counts the call and says whether the account has used up its calls of the day.
func (c *call) overBudget() bool {
	c.store.appCalls.add(c.at)
	if c.user == nil {
		return false
	}
	c.user.calls.add(c.at)
	return c.knobs.CallBudget > 0 && c.user.calls.sum(c.at) > c.knobs.CallBudget
}

// throttled is not captured for Threads: code and status are Graph's.
func throttled(k Throttle) answer {
	a := refuse(http.StatusBadRequest, oauthException, 4, 0, "Application request limit reached")
	switch k.Code {
	case 17:
		a = refuse(http.StatusBadRequest, oauthException, 17, 0, "User request limit reached")
	case http.StatusTooManyRequests:
		a.status = http.StatusTooManyRequests
	}
	if k.RetryAfter > 0 {
		seconds := math.Ceil(time.Duration(k.RetryAfter).Seconds())
		a.header = map[string]string{"Retry-After": strconv.FormatFloat(seconds, 'f', -1, 64)}
	}
	return a
}

// counted adds Graph's usage headers when the knobs ask for them. Which of them Threads sends is not known.
func (c *call) counted(a answer) answer {
	shows := c.knobs.UsageHeaders
	if shows == "none" {
		return a
	}
	budget := c.knobs.CallBudget
	if budget == 0 {
		budget = documentedBudget
	}
	percent := func(n int) int { return min(n*100/budget, 100) }
	header := map[string]string{}
	for name, value := range a.header {
		header[name] = value
	}
	if shows == "app" || shows == "both" {
		n := percent(c.store.appCalls.sum(c.at))
		header["X-App-Usage"] = fmt.Sprintf(`{"call_count":%d,"total_cputime":%d,"total_time":%d}`, n, n, n)
	}
	if (shows == "business" || shows == "both") && c.user != nil {
		n := percent(c.user.calls.sum(c.at))
		wait := 0
		if n >= 100 {
			wait = 60
		}
		raw, _ := json.Marshal(map[string]any{c.user.ID: []map[string]any{{ // strings and numbers always encode
			"type": "threads", "call_count": n, "total_cputime": n, "total_time": n, "estimated_time_to_regain_access": wait,
		}}})
		header["X-Business-Use-Case-Usage"] = string(raw)
	}
	a.header = header
	return a
}

// documentedBudget are the calls a day of an account that nobody looks at: 4800 times 10 impressions.
//
// https://developers.facebook.com/documentation/threads/overview
const documentedBudget = 48000
