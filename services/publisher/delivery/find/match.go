package find

import (
	"slices"
	"time"

	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

const (
	// lookFar is how long before the claim a post that says the same is still no proof of absence.
	lookFar = 15 * time.Minute
	// lookJust is the same for one that says something else: what was posted by hand before the claim is not ours.
	lookJust = time.Second
)

// Candidates is what the lists of an account have that no row knows.
type Candidates struct {
	Matching []threads.Media // by its words, kind, place and time it is the post
	Similar  []threads.Media // by its kind, place and time it could be: Threads may show other words than it was given
}

// match takes from what is listed what is the post, or could be it.
func match(p *posts.Post, listed []threads.Media) (seen Candidates) {
	since := posts.DoubtedSince(p)
	met := map[string]bool{} // one may be in two lists
	for _, m := range listed {
		dated := func(back time.Duration) bool {
			return m.Timestamp.IsZero() || !m.Timestamp.Before(since.Add(-back).Truncate(time.Second))
		}
		switch same := posts.Matches(p, m); {
		case met[m.ID]:
		case same && dated(posts.LookBack):
			seen.Matching = append(seen.Matching, m)
		case same, dated(lookJust) && posts.CouldBe(p, m):
			seen.Similar = append(seen.Similar, m)
		}
		met[m.ID] = true
	}
	return seen
}

func (c Candidates) ids() (ids []string) {
	for _, m := range slices.Concat(c.Matching, c.Similar) {
		ids = append(ids, m.ID)
	}
	return ids
}

// without leaves out what is the post of another row.
func (c Candidates) without(known map[string]bool) Candidates {
	taken := func(m threads.Media) bool { return known[m.ID] }
	return Candidates{slices.DeleteFunc(c.Matching, taken), slices.DeleteFunc(c.Similar, taken)}
}

// withoutPostsOf leaves out what could be the post and is, by its words, another one that is looked for as well.
func (c Candidates) withoutPostsOf(others []posts.Post) Candidates {
	c.Similar = slices.DeleteFunc(c.Similar, func(m threads.Media) bool {
		return slices.ContainsFunc(others, func(other posts.Post) bool { return posts.Matches(&other, m) })
	})
	return c
}

// Sentence is what a look found, for the attempt log.
func (c Candidates) Sentence() string {
	switch {
	case len(c.Matching) == 1:
		return "The account's list has this post."
	case len(c.Matching) > 1:
		return "The account's list has several posts that could be this one."
	case len(c.Similar) > 0:
		return "The account's list has a post that no row knows and that could be this one."
	}
	return "The account's list does not have this post."
}
