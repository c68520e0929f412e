package console

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"hash/fnv"
	"html/template"
	"math"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/omni-write/threads/events"
)

// badge is a state for the eye: a colour, an icon and a word, for nobody reads all three.
type badge struct{ Tone, Icon, Word string }

func badgeOf(p *events.Post) badge {
	switch {
	case p.Status == events.StatusDeleted:
		return badge{"off", "bin", "Deleted"}
	case p.DeleteRequestedAt != nil && p.DeletedAt == nil:
		return badge{"busy", "bin", "Being deleted"}
	}
	switch p.State {
	case events.StateScheduled:
		return badge{"calm", "clock", "Scheduled"}
	case events.StateReady:
		return badge{"calm", "clock", "Ready"}
	case events.StateWaiting:
		return badge{"warn", "pause", "Waiting"}
	case events.StatePublishing, events.StateConcluding:
		return badge{"busy", "up", "Going out"}
	case events.StateUnconfirmed:
		return badge{"warn", "eye", "Being checked"}
	case events.StateParked:
		return badge{"bad", "hand", "Needs you"}
	case events.StatePublished:
		return badge{"good", "check", "Published"}
	case events.StateFailed:
		return badge{"bad", "cross", "Failed"}
	case events.StateCancelled:
		return badge{"off", "minus", "Cancelled"}
	}
	return badge{"off", "minus", string(p.State)}
}

// movable says whether a post may still be changed, moved or cancelled.
func movable(p events.Post) bool {
	return p.State == events.StateScheduled || p.State == events.StateReady || p.State == events.StateWaiting
}

// At is a moment on the person's clocks, as far as it is not plain from the day.
func (v *visit) At(t any) string {
	at, ok := moment(t)
	if !ok {
		return ""
	}
	at = at.In(v.Zone)
	return v.Day(at) + ", " + at.Format("15:04")
}

// For is a moment within a sentence.
func (v *visit) For(t any) string {
	said := v.At(t)
	for _, word := range []string{"Today", "Tomorrow", "Yesterday"} {
		if rest, ok := strings.CutPrefix(said, word); ok {
			return strings.ToLower(word) + rest
		}
	}
	return said
}

// Exact is a moment to the millisecond, with its offset.
func (v *visit) Exact(t any) string {
	at, ok := moment(t)
	if !ok {
		return ""
	}
	return at.In(v.Zone).Format("2 January 2006, 15:04:05.000 (UTC-07:00)")
}

// Clock is the time of a moment.
func (v *visit) Clock(t any) string {
	at, ok := moment(t)
	if !ok {
		return ""
	}
	return at.In(v.Zone).Format("15:04")
}

// Day is the day of a moment in a person's words.
func (v *visit) Day(t any) string {
	at, ok := moment(t)
	if !ok {
		return ""
	}
	at = at.In(v.Zone)
	now := v.Now.In(v.Zone)
	today := time.Date(now.Year(), now.Month(), now.Day(), 12, 0, 0, 0, time.UTC)
	day := time.Date(at.Year(), at.Month(), at.Day(), 12, 0, 0, 0, time.UTC)
	switch days := int(math.Round(day.Sub(today).Hours() / 24)); {
	case days == 0:
		return "Today"
	case days == 1:
		return "Tomorrow"
	case days == -1:
		return "Yesterday"
	case days > 1 && days < 7:
		return at.Format("Monday")
	case at.Year() == now.Year():
		return at.Format("Mon 2 Jan")
	}
	return at.Format("Mon 2 Jan 2006")
}

// Until is how far a moment is from now.
func (v *visit) Until(t any) string {
	at, ok := moment(t)
	if !ok {
		return ""
	}
	d := at.Sub(v.Now)
	if d < 0 {
		return span(-d) + " ago"
	}
	return "in " + span(d)
}

// ISO is a moment for programs.
func (v *visit) ISO(t any) string {
	at, ok := moment(t)
	if !ok {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// ZoneName is the zone with its offset now.
func (v *visit) ZoneName() string {
	return v.Zone.String() + v.Now.In(v.Zone).Format(" (UTC-07:00)")
}

// BadgeOf is for the pages.
func (v *visit) BadgeOf(p events.Post) badge { return badgeOf(&p) }

func moment(t any) (time.Time, bool) {
	switch at := t.(type) {
	case time.Time:
		return at, !at.IsZero()
	case *time.Time:
		if at != nil {
			return *at, true
		}
	}
	return time.Time{}, false
}

// span is a stretch of time in one or two words.
func span(d time.Duration) string {
	many := func(n int, word string) string {
		if n == 1 {
			return "1 " + word
		}
		return fmt.Sprint(n) + " " + word + "s"
	}
	switch {
	case d < time.Minute:
		return many(int(d/time.Second), "second")
	case d < time.Hour:
		return many(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return many(int(d/time.Hour), "hour")
	}
	return many(int(d/(24*time.Hour)), "day")
}

// lateness is how late a post left, in words that are small when it was small.
func lateness(ms *float64) string {
	switch {
	case ms == nil:
		return ""
	case *ms < 1000:
		return fmt.Sprintf("%.0f ms after its time", math.Max(0, *ms))
	}
	return span(time.Duration(*ms)*time.Millisecond) + " after its time"
}

// excerpt is the beginning of a text.
func excerpt(n int, text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return strings.TrimSpace(string([]rune(text)[:n])) + "…"
}

// words is what a list shows of a post.
func wordsOf(p events.Post) string {
	switch {
	case strings.TrimSpace(p.Text) != "":
		return excerpt(140, p.Text)
	case len(p.Parts) > 0 && strings.TrimSpace(p.Parts[0].Text) != "":
		return excerpt(140, p.Parts[0].Text)
	case p.Kind == events.KindRepost:
		return "A repost"
	case len(p.Media) == 1 && p.Media[0].AltText != "":
		return excerpt(140, p.Media[0].AltText)
	case len(p.Media) > 0:
		return "Pictures, without words"
	}
	return "Without words"
}

// facets are what a post has beside its words.
func facetsOf(p events.Post) []string {
	var list []string
	add := func(when bool, format string, args ...any) {
		if when {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	add(len(p.Parts) > 1, "chain of %d", len(p.Parts))
	pictures, videos := 0, 0
	for _, m := range p.Media {
		if m.Type == events.Video {
			videos++
		} else {
			pictures++
		}
	}
	add(pictures == 1, "1 picture")
	add(pictures > 1, "%d pictures", pictures)
	add(videos == 1, "1 video")
	add(videos > 1, "%d videos", videos)
	add(len(p.Poll) > 0, "poll")
	add(p.ReplyTo != "", "reply")
	add(p.QuotePostID != "", "quote")
	add(p.Kind == events.KindRepost, "repost")
	add(p.Location != "", "place")
	add(p.Ghost, "ghost, gone after 24 hours")
	add(p.TopicTag != "", "topic %s", p.TopicTag)
	return list
}

// hue is one of eight colours for a name, the same on every page.
func hue(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return fmt.Sprintf("hue%d", h.Sum32()%8)
}

func initial(name string) string {
	r, _ := utf8.DecodeRuneInString(strings.TrimLeft(name, "@"))
	if r == utf8.RuneError {
		return "?"
	}
	return strings.ToUpper(string(r))
}

// hostOf is the host of an address, and the end of its path: what tells one picture from another.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return excerpt(40, address)
	}
	if i := strings.LastIndex(u.Path, "/"); i >= 0 && i+1 < len(u.Path) {
		return excerpt(40, u.Host+"/…/"+u.Path[i+1:])
	}
	return u.Host
}

// web is an address that may stand behind a link; anything but http and https is none. html/template looks as well, and would
// leave a dead link.
func web(address any) string {
	text, ok := address.(string)
	if p, isPointer := address.(*string); isPointer && p != nil {
		text, ok = *p, true
	}
	u, err := url.Parse(text)
	if !ok || err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	return text
}

func (c *Console) funcs() template.FuncMap {
	return template.FuncMap{
		"url": c.at, "words": wordsOf, "facets": facetsOf, "late": lateness, "excerpt": excerpt, "hue": hue, "initial": initial,
		"host": hostOf, "web": web, "span": span, "docs": func() string { return c.Base.Path + "/docs" },
		"deref": func(s *string) string {
			if s == nil {
				return ""
			}
			return *s
		},
		"dict": func(pairs ...any) map[string]any {
			m := map[string]any{}
			for i := 0; i+1 < len(pairs); i += 2 {
				if key, ok := pairs[i].(string); ok {
					m[key] = pairs[i+1]
				}
			}
			return m
		},
		"add":      func(a, b int) int { return a + b },
		"movable":  movable,
		"list":     func(items ...string) []string { return items },
		"callback": func() string { return c.signin.callback },
		"newkey":   rand.Text,
		"control":  func(key string) string { return cmp.Or(controls[key], key) },
		"controls": func() map[string]string { return controls },
		"place":    placeWords,
		"pieces": func(text string, part int, hidden []events.TextRange) []piece {
			if part > 0 { // the API hides words of the first alone
				hidden = nil
			}
			return piecesIn(text, hidden)
		},
		"decision": func(d events.TimeDecision) string { return decisions[d] },
		"feature":  func(name string) string { return cmp.Or(features[name], name) },
		"value": func(f *float64) float64 {
			if f == nil {
				return 0
			}
			return *f
		},
		"number": number,
	}
}

// number is a figure with thin gaps between its thousands.
func number(f float64) string {
	whole := fmt.Sprintf("%.0f", f)
	var b strings.Builder
	for i, r := range whole {
		if left := len(whole) - i; i > 0 && left%3 == 0 && whole[i-1] != '-' {
			b.WriteRune('\u202f')
		}
		b.WriteRune(r)
	}
	return b.String()
}
