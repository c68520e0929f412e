package threadssim

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
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
	oldestFirst   bool
}

// own answers an edge of the caller's own posts, newest first.
func own(belongs func(*media) bool) handler {
	return func(c *call) answer { return listing{c}.list(c.user.posts, nil, belongs) }
}

// listing is a call that answers a list of posts.
type listing struct{ *call }

// list answers one page of those among some posts that belong, are listed and fall into the time asked for. The posts
// come in the order of their commits, which is that of their ids.
func (c listing) list(among []*media, fields known, belongs func(*media) bool) answer {
	p, err := readListParams(c.params, c.at)
	if err != nil {
		return badParam(err.Error())
	}
	return c.page(p, c.among(among, p, belongs), fields)
}

// among are the posts that belong on a list, in the order they are shown.
func (c listing) among(all []*media, p listParams, belongs func(*media) bool) []*media {
	var found []*media
	for _, m := range all {
		if !m.deleted && m.listed(c.at) && belongs(m) &&
			(p.since.IsZero() || !m.Committed.Before(p.since)) && (p.until.IsZero() || !m.Committed.After(p.until)) {
			found = append(found, m)
		}
	}
	if !p.oldestFirst {
		slices.Reverse(found)
	}
	return found
}

// page cuts the page asked for out of a list. Cursors come with every page that is not empty, next and previous only
// where there is something.
func (c listing) page(p listParams, all []*media, fields known) answer {
	if fields == nil {
		fields = mediaFields
	}
	asked, a, ok := c.selection(fields, "id")
	if !ok {
		return a // even an empty list refuses a field that does not exist
	}
	from, to := 0, min(p.limit, len(all))
	switch {
	case p.after > 0:
		from = p.past(all, p.after)
		to = min(from+p.limit, len(all))
	case p.before > 0:
		to = p.upTo(all, p.before)
		from = max(to-p.limit, 0)
	}
	data := make([]any, 0, to-from)
	for _, m := range all[from:to] {
		data = append(data, reader(c).show(m, asked))
	}
	body := map[string]any{"data": data}
	if len(data) > 0 {
		first, last := cursor(all[from]), cursor(all[to-1])
		paging := map[string]any{"cursors": map[string]string{"before": first, "after": last}}
		if to < len(all) {
			paging["next"] = c.pageURL("after", last)
		}
		if from > 0 {
			paging["previous"] = c.pageURL("before", first)
		}
		body["paging"] = paging
	}
	return success(body)
}

// past is where the list goes on behind a cursor. The post of the cursor may be gone; in the order of time its place is
// still known. A ranked list holds no place for it, and begins anew.
func (p listParams) past(all []*media, cursor int64) int {
	if i, ok := place(all, cursor); ok {
		return i + 1
	}
	return p.upTo(all, cursor)
}

// upTo is the place of a cursor, or of what would follow its post.
func (p listParams) upTo(all []*media, cursor int64) int {
	if i, ok := place(all, cursor); ok {
		return i
	}
	for i, m := range all {
		if id := number(m.ID); (id < cursor) != p.oldestFirst {
			return i
		}
	}
	return len(all)
}

func place(all []*media, cursor int64) (int, bool) {
	i := slices.IndexFunc(all, func(m *media) bool { return number(m.ID) == cursor })
	return i, i >= 0
}

// number reads an id that the simulator gave out.
func number(id string) int64 {
	n, _ := strconv.ParseInt(id, 10, 64) // ids are numbers
	return n
}

// pageURL is the whole address of a neighbouring page.
func (c listing) pageURL(name, cursor string) string {
	to := c.again()
	to.Del("before")
	to.Del("after")
	to.Set(name, cursor)
	return c.host + "/v1.0" + c.edge + "?" + to.Encode()
}

// again are the parameters of this call for the address of another page. As at Graph the token is among them, so that
// the address can be followed as it is. Whether a token from the header comes in too is not known; here it does not.
func (c *call) again() url.Values {
	to := maps.Clone(c.params)
	if c.hidden {
		to.Del("access_token")
	}
	return to
}

// cursor is a post's id in disguise, so it outlives the deletion of its post.
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

// readTime takes Unix seconds and some of the many forms the real Threads takes.
func readTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Unix(n, 0), nil
	}
	var last error
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05-0700", time.DateTime, time.DateOnly} {
		t, err := time.Parse(layout, s)
		if err == nil {
			return t, nil
		}
		last = err
	}
	return time.Time{}, last
}
