package threadssim

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// What a client of Threads must never do, and what this simulator saw it do.
const (
	publishedTwice   = "container_published_twice"      // two posts came of one container
	publishedAgain   = "publish_after_published"        // a publish call after the status PUBLISHED had been read
	equalPosts       = "equal_posts"                    // two living posts of one author, alike in everything, within an hour
	refreshedTooSoon = "refresh_under_24h"              // a refresh of a token younger than a day
	refreshedTooLate = "refresh_after_expiry"           // a refresh of a token that had ended
	retriedRefusal   = "retry_of_a_permanent_refusal"   // the same call again after a refusal that no repetition heals
	callStorm        = "call_storm"                     // more calls within a minute than an account should make
	unresolved       = "new_container_while_unresolved" // a copy was created while the first publish was still open
	maxMistakes      = 1000
	stormPerMinute   = 120
	equalPostsWithin = time.Hour
)

// Mistake is one broken rule.
type Mistake struct {
	Rule   string    `json:"rule"`
	User   string    `json:"user,omitempty"`
	At     time.Time `json:"at"`
	Detail string    `json:"detail"`
}

// mistakeList holds the broken rules that only the moment shows. It has a lock of its own.
type mistakeList struct {
	mu   sync.Mutex
	list []Mistake
}

func (l *mistakeList) add(m Mistake) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) < maxMistakes {
		l.list = append(l.list, m)
	}
}

func (l *mistakeList) all() []Mistake {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Mistake{}, l.list...)
}

func (l *mistakeList) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = nil
}

func (c *call) mistake(rule, detail string) {
	m := Mistake{Rule: rule, At: c.at, Detail: detail}
	if c.user != nil {
		m.User = c.user.Username
	}
	c.api.mistakes.add(m)
}

// Mistakes tells which rules were broken, judging by what the simulator remembers: all posts, and the latest 4096 calls.
// perMinute is how many calls an account may make within a minute; 0 means 120.
func (s *Sim) Mistakes(perMinute int) []Mistake {
	if perMinute <= 0 {
		perMinute = stormPerMinute
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	found := s.api.mistakes.all()
	found = append(found, s.store.doubles()...)
	calls := s.api.log.all()
	found = append(found, repeated(calls)...)
	found = append(found, storms(calls, perMinute)...)
	slices.SortStableFunc(found, func(a, b Mistake) int { return a.At.Compare(b.At) })
	return found
}

// doubles finds posts that should have been one.
func (s *store) doubles() (found []Mistake) {
	ofContainer, alike := map[string]*media{}, map[string]*media{}
	for _, m := range s.order {
		if m.Seeded || m.deleted {
			continue
		}
		report := func(rule string, first *media, what string) {
			found = append(found, Mistake{Rule: rule, User: m.owner.Username, At: m.Committed,
				Detail: fmt.Sprintf("posts %s and %s %s", first.ID, m.ID, what)})
		}
		if first := ofContainer[m.Container]; first != nil && m.Container != "" {
			report(publishedTwice, first, "came of container "+m.Container)
			continue
		}
		ofContainer[m.Container] = m
		key := m.owner.ID + "\x00" + m.RepostOf + "\x00" + s.contents(m.of) + "\x00" + m.RepostOf
		if first := alike[key]; first != nil && m.Committed.Sub(first.Committed) < equalPostsWithin {
			report(equalPosts, first, "are alike")
		}
		alike[key] = m
	}
	return found
}

// contents is what makes two containers the same post to a reader.
func (s *store) contents(k *container) string {
	parts := []string{k.MediaType, k.Text, k.MediaURL, k.ReplyTo, k.Quote, k.Link, strings.Join(k.Poll, "\x01")}
	for _, id := range k.Children {
		if child := s.containers[id]; child != nil {
			parts = append(parts, child.MediaURL)
		}
	}
	if k.TextAttachment != nil {
		parts = append(parts, k.TextAttachment.Plaintext)
	}
	return strings.Join(parts, "\x00")
}

// permanent says whether repeating a call as it is can only be refused again.
func permanent(c Call) bool {
	switch {
	case c.Subcode == 4279004 || c.Subcode == 2207052:
		return false // children and downloads may yet succeed
	case c.Code == 190 || c.Code == 452:
		return true
	case c.Code == 10:
		// There it may hide a success, and calling again is the right thing after a look.
		return c.Op != threads.OpPublish && c.Op != threads.OpRepost
	}
	return c.Code == 100 && c.Subcode != 33
}

func repeated(calls []Call) (found []Mistake) {
	type refusal struct {
		call          uint64
		code, subcode int
	}
	refused := map[refusal]bool{}
	for _, c := range calls {
		if c.same == 0 || !permanent(c) {
			continue
		}
		key := refusal{c.same, c.Code, c.Subcode}
		if refused[key] {
			found = append(found, Mistake{Rule: retriedRefusal, User: c.User, At: time.Unix(0, c.AtNS).UTC(),
				Detail: fmt.Sprintf("%s %s was refused with %d/%d before", c.Method, c.Path, c.Code, c.Subcode)})
		}
		refused[key] = true
	}
	return found
}

// storms reports each minute of an account with too many calls once.
func storms(calls []Call, perMinute int) (found []Mistake) {
	type minute struct {
		user string
		at   int64
	}
	counts := map[minute]int{}
	for _, c := range calls {
		m := minute{c.User, c.AtNS / int64(time.Minute)}
		counts[m]++
		if c.User != "" && counts[m] == perMinute+1 {
			found = append(found, Mistake{Rule: callStorm, User: c.User, At: time.Unix(0, c.AtNS).UTC(),
				Detail: fmt.Sprintf("more than %d calls within a minute", perMinute)})
		}
	}
	return found
}
