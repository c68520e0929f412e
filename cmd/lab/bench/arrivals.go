package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Arrival is one publish that took effect at a target, in the words of the simulator's GET /_sim/posts.
type Arrival struct {
	ID          string `json:"id"`
	ContainerID string `json:"container_id"`
	Text        string `json:"text"`
	// ArrivedNS is when the last byte of the publish request was there, in nanoseconds of the Unix clock.
	ArrivedNS int64 `json:"arrived_ns"`
}

// duePrefix begins the word of a text that says when it is due: due=2027-01-02T09:00:00.25Z.
const duePrefix = "due="

// dueWord is that word.
func dueWord(at time.Time) string { return duePrefix + at.UTC().Format(time.RFC3339Nano) }

// due is when the text says that it is due.
func (a Arrival) due() (at time.Time, ok bool) {
	for word := range strings.FieldsSeq(a.Text) {
		if stamp, found := strings.CutPrefix(word, duePrefix); found {
			at, err := time.Parse(time.RFC3339Nano, stamp)
			return at, err == nil
		}
	}
	return time.Time{}, false
}

// Delivery is what a target saw of a number of posts.
type Delivery struct {
	Posts int `json:"posts"`
	// Doubles are arrivals of a text that had arrived before.
	Doubles int `json:"doubles"`
	// Early are arrivals before their time.
	Early    int      `json:"early"`
	Lateness Lateness `json:"latenessMs"`
	// Took is from the first due time to the last arrival; PerSecond is Posts by that.
	Took      float64 `json:"tookSeconds"`
	PerSecond float64 `json:"perSecond"`
}

// Lateness is how late arrivals were, in milliseconds.
type Lateness struct {
	Min       float64  `json:"min"`
	P50       float64  `json:"p50"`
	P90       float64  `json:"p90"`
	P99       float64  `json:"p99"`
	Max       float64  `json:"max"`
	Histogram []Bucket `json:"histogram"`
}

// Bucket counts the arrivals that were less late than Below, and not in the bucket before. The last has no bound (0).
type Bucket struct {
	Below float64 `json:"belowMs,omitempty"`
	Posts int     `json:"posts"`
}

// bounds of the buckets, in milliseconds. The first holds what was early.
var bounds = []float64{0, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000}

// weigh judges arrivals by the due times in their texts; those without one are left out.
func weigh(arrivals []Arrival) (d Delivery) {
	var late []float64
	var first, last time.Time
	seen := map[string]bool{}
	for _, a := range arrivals {
		due, ok := a.due()
		if !ok {
			continue
		}
		if seen[a.Text] {
			d.Doubles++
			continue
		}
		seen[a.Text] = true
		at := time.Unix(0, a.ArrivedNS)
		late = append(late, float64(at.Sub(due))/float64(time.Millisecond))
		if first.IsZero() || due.Before(first) {
			first = due
		}
		if at.After(last) {
			last = at
		}
	}
	d.Posts = len(late)
	if d.Posts == 0 {
		return d
	}
	d.Lateness = summarize(late)
	d.Early = d.Lateness.Histogram[0].Posts
	if d.Took = last.Sub(first).Seconds(); d.Took > 0 {
		d.PerSecond = float64(d.Posts) / d.Took
	}
	return d
}

func summarize(ms []float64) Lateness {
	slices.Sort(ms)
	l := Lateness{
		Min: ms[0], P50: quantile(ms, 0.50), P90: quantile(ms, 0.90), P99: quantile(ms, 0.99), Max: ms[len(ms)-1],
		Histogram: make([]Bucket, len(bounds)+1),
	}
	for i, b := range bounds {
		l.Histogram[i].Below = b
	}
	for _, v := range ms {
		i, on := slices.BinarySearch(bounds, v)
		if on {
			i++ // a bound belongs to the bucket above it
		}
		l.Histogram[i].Posts++
	}
	return l
}

// quantile is the smallest value that at least the share q of the sorted values does not exceed.
func quantile(sorted []float64, q float64) float64 {
	i := int(q*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// print writes the histogram, the widest bar 50 characters long. Empty buckets at both ends are left out.
func (l Lateness) print(w io.Writer) {
	from, to, most := -1, 0, 1
	for i, b := range l.Histogram {
		if b.Posts == 0 {
			continue
		}
		if from < 0 {
			from = i
		}
		to, most = i, max(most, b.Posts)
	}
	for i := max(from, 0); i <= to && i < len(l.Histogram); i++ {
		b := l.Histogram[i]
		bar := strings.Repeat("#", (b.Posts*50+most-1)/most)
		_, _ = fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("  %-14s %7d  %s", label(i), b.Posts, bar), " "))
	}
}

func label(i int) string {
	switch i {
	case 0:
		return "early"
	case len(bounds):
		return "≥ " + ms(bounds[i-1])
	}
	return "< " + ms(bounds[i])
}

// ms writes milliseconds for readers.
func ms(v float64) string {
	switch {
	case v >= 1000 || v <= -1000:
		return fmt.Sprintf("%.4g s", v/1000)
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f ms", v)
	}
	return fmt.Sprintf("%.3g ms", v)
}
