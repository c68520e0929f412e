package threadssim

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

func isPost(m *media) bool  { return m.of.ReplyTo == "" && !m.of.Ghost }
func isReply(m *media) bool { return m.of.ReplyTo != "" }
func isGhost(m *media) bool { return m.of.Ghost }

// earliest is the smallest since that Threads takes: its own beginning.
const earliest = 1688540400

type listParams struct {
	since, until  time.Time
	before, after int64
	limit         int
}

// list answers an edge of the caller's own posts, newest first.
func list(belongs func(*media) bool) handler {
	return func(c *call) answer {
		p, err := readListParams(c.params, c.at)
		if err != nil {
			return badParam(err.Error())
		}
		shown := c.at.Add(-c.sim.opts.ListLag)
		mine := c.user.posts
		fits := func(m *media) bool {
			return belongs(m) && !m.deleted && !m.Committed.After(shown) &&
				(p.since.IsZero() || !m.Committed.Before(p.since)) && (p.until.IsZero() || !m.Committed.After(p.until))
		}

		var page []*media
		more := false
		take := func(m *media) (full bool) {
			if !fits(m) {
				return false
			}
			if len(page) == p.limit {
				more = true
				return true
			}
			page = append(page, m)
			return false
		}
		if p.before > 0 {
			// The page just above the cursor, so it is gathered upwards and turned around.
			for i := firstAfter(mine, p.before); i < len(mine) && !take(mine[i]); i++ {
			}
			for i, j := 0, len(page)-1; i < j; i, j = i+1, j-1 {
				page[i], page[j] = page[j], page[i]
			}
		} else {
			i := len(mine) - 1
			if p.after > 0 {
				i = firstAfter(mine, p.after-1) - 1
			}
			for ; i >= 0 && !take(mine[i]); i-- {
			}
		}
		return c.page(page, more)
	}
}

// page answers the posts with the fields asked for. Cursors come with every page that is not empty, next only with one
// that has a successor.
func (c *call) page(found []*media, more bool) answer {
	data := make([]any, 0, len(found))
	for _, m := range found {
		a := c.pick(c.mediaFields(m), mediaFieldNames, "id")
		if !a.ok() {
			return a
		}
		data = append(data, a.body)
	}
	if len(found) == 0 {
		// Even an empty page refuses a field that does not exist.
		if a := c.pick(nil, mediaFieldNames, "id"); !a.ok() {
			return a
		}
		return success(map[string]any{"data": data})
	}
	after := cursor(found[len(found)-1])
	paging := map[string]any{"cursors": map[string]string{"before": cursor(found[0]), "after": after}}
	if more {
		next := url.Values{}
		for name, v := range c.params {
			if name != "access_token" && name != "before" {
				next[name] = v
			}
		}
		next.Set("after", after)
		edge := map[string]string{"posts": "threads"}[c.op]
		if edge == "" {
			edge = c.op
		}
		paging["next"] = c.host + "/v1.0/" + c.path + "/" + edge + "?" + next.Encode()
	}
	return success(map[string]any{"data": data, "paging": paging})
}

// firstAfter finds where the posts younger than a cursor begin. Ids rise with the commits.
func firstAfter(all []*media, id int64) int {
	return sort.Search(len(all), func(i int) bool {
		n, _ := strconv.ParseInt(all[i].ID, 10, 64)
		return n > id
	})
}

// A cursor is opaque to clients; here it is the id in disguise, so it outlives the deletion of its post.
func cursor(m *media) string { return base64.RawURLEncoding.EncodeToString([]byte("m" + m.ID)) }

func parseCursor(s string) (int64, error) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimPrefix(string(raw), "m"), 10, 64)
}

func readListParams(params url.Values, now time.Time) (p listParams, err error) {
	p.limit = 25
	if v := params.Get("limit"); v != "" {
		if p.limit, err = strconv.Atoi(v); err != nil || p.limit < 0 || p.limit > 100 {
			return p, fmt.Errorf("limit must be between 0 and 100")
		}
	}
	if p.since, err = readTime(params.Get("since")); err != nil {
		return p, fmt.Errorf("since is not a valid time")
	}
	if p.until, err = readTime(params.Get("until")); err != nil {
		return p, fmt.Errorf("until is not a valid time")
	}
	switch {
	case !p.since.IsZero() && p.since.Unix() < earliest:
		return p, fmt.Errorf("since must be at least %d", earliest)
	case !p.until.IsZero() && p.until.After(now):
		return p, fmt.Errorf("until must not be in the future")
	case !p.since.IsZero() && !p.until.IsZero() && !p.since.Before(p.until):
		return p, fmt.Errorf("since must be before until")
	case params.Get("before") != "" && params.Get("after") != "":
		return p, fmt.Errorf("before and after must not be sent together")
	}
	for name, into := range map[string]*int64{"before": &p.before, "after": &p.after} {
		if v := params.Get(name); v != "" {
			if *into, err = parseCursor(v); err != nil {
				return p, fmt.Errorf("%s is not a cursor", name)
			}
		}
	}
	return p, nil
}

// readTime takes Unix seconds and two of the many forms the real Threads takes.
func readTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Unix(n, 0), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	return time.Parse(time.DateOnly, s)
}
