package original

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Action is what was done with a row.
type Action string

// The actions.
const (
	Taken     Action = "taken"     // here now
	Renewed   Action = "renewed"   // a connection that was here got a token that lives longer
	Updated   Action = "updated"   // a post that was here follows what the original changed since
	Known     Action = "known"     // here, and the same
	Held      Action = "held"      // here, and parked until its owner says whether it is live
	Withdrawn Action = "withdrawn" // taken back here, because the original has settled it since
	Left      Action = "left"      // queued, and left to the original, whose backend still runs
	Skipped   Action = "skipped"   // not taken; the code says why
)

// Row is what became of a row of the original.
type Row struct {
	Kind   string `json:"kind"` // connection or post
	ID     string `json:"id"`   // the original's
	OurID  string `json:"ourId,omitempty"`
	Status string `json:"status,omitempty"` // of a post
	Action Action `json:"action"`
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// reasons are the codes of what is not simply taken over, each with a sentence.
var reasons = map[string]string{
	"no_user":              "The row names no user.",
	"threads_user_invalid": "The row's providerUserId is not an id of Threads.",
	"no_token":             "The row has no access token; the person has to connect here.",
	"connected_twice":      "The user has another row for the same person, whose token lives longer; that one was taken.",
	"disconnected":         "The user has disconnected this account here since; it stays away.",
	"erased":               "The user has demanded that what is known of them at Threads be erased; nothing comes back.",
	"no_connection":        "The user has no account of Threads, there or here; once they connect here, run this again.",
	"account_ambiguous":    "The user has several accounts of Threads, and the row does not say which it is for.",
	"status_unknown":       "The status is none of QUEUED, POSTED, FAILED and CANCELLED.",
	"no_id":                "The row has no id.",
	"no_time":              "The row has no scheduledAt, or one outside of the years 1 to 9999.",
	"no_media_id":          "The row says POSTED and has no id of a post at Threads.",
	"media_taken":          "Another post has the same postedTweetId; a post at Threads is one post here.",
	"text_too_large":       "The text is longer than any post and cannot be carried.",
	"still_running":        "The original's backend may still publish it; stop that, and give --old-backend-stopped-at.",
	"overdue":              "It was due, and nobody knows whether it went out; it is parked until its owner has looked.",
	"changed_here":         "It was changed here since it was taken over, and in the original too; ours stands.",
	"published_there":      "The original settled it after it was taken over: its backend ran. It is withdrawn here.",
	"published_twice":      "The original says it went out there, and it went out here too. Look at the profile.",
	"in_doubt":             "The original has settled it, and it is being published here at this moment. Look at the profile.",
}

// Report is what a run did.
type Report struct {
	DryRun bool `json:"dryRun"`
	Total  int  `json:"total"` // posts of Threads there
	// Connections and Posts are the rows by action; of posts also by status and action.
	Connections map[Action]int            `json:"connections"`
	Posts       map[string]map[Action]int `json:"posts"`
	// Reasons counts, by code, the rows that have one.
	Reasons map[string]int `json:"reasons"`
	// ReconnectRequired are connections that were taken over with a token that is dead.
	ReconnectRequired int `json:"reconnectRequired"`
	// Others are rows of other providers, by table and provider; they are not ours.
	Others  map[string]int `json:"others"`
	Seconds float64        `json:"seconds"`

	started time.Time
	done    int
}

func newReport(dry bool, now time.Time) *Report {
	return &Report{DryRun: dry, Connections: map[Action]int{}, Posts: map[string]map[Action]int{}, Reasons: map[string]int{},
		Others: map[string]int{}, started: now}
}

// count adds what became of a row to the report, and passes it on.
func (i *Import) count(r Row) {
	if r.Code != "" {
		i.report.Reasons[r.Code]++
		r.Reason = cmp.Or(r.Reason, reasons[r.Code])
	}
	if r.Kind == "connection" {
		i.report.Connections[r.Action]++
	} else {
		i.report.done++
		status := cmp.Or(r.Status, "?")
		if i.report.Posts[status] == nil {
			i.report.Posts[status] = map[Action]int{}
		}
		i.report.Posts[status][r.Action]++
	}
	if i.Each != nil {
		i.Each(r)
	}
}

// Print writes the report for people.
func (r *Report) Print(out io.Writer) error {
	var b strings.Builder
	if r.DryRun {
		b.WriteString("This was a dry run: nothing was changed. What only the publisher can judge may still be refused.\n")
	}
	fmt.Fprintf(&b, "connections: %s", counted(r.Connections))
	if r.ReconnectRequired > 0 {
		fmt.Fprintf(&b, "; of these must be reconnected: %d", r.ReconnectRequired)
	}
	b.WriteString("\n")
	for _, status := range slices.Sorted(maps.Keys(r.Posts)) {
		fmt.Fprintf(&b, "posts %s: %s\n", status, counted(r.Posts[status]))
	}
	for _, code := range slices.Sorted(maps.Keys(r.Reasons)) {
		words := cmp.Or(reasons[code], "The publisher refused it; the row has its words.")
		fmt.Fprintf(&b, "  %d × %s: %s\n", r.Reasons[code], code, words)
	}
	for _, other := range slices.Sorted(maps.Keys(r.Others)) {
		fmt.Fprintf(&b, "not ours: %d × %s\n", r.Others[other], other)
	}
	fmt.Fprintf(&b, "%d posts in %.1f s, %.0f/s\n", r.done, r.Seconds, float64(r.done)/max(r.Seconds, 0.001))
	_, err := io.WriteString(out, b.String())
	return err
}

func counted(m map[Action]int) string {
	var words []string
	for _, a := range slices.Sorted(maps.Keys(m)) {
		words = append(words, fmt.Sprintf("%d %s", m[a], a))
	}
	return cmp.Or(strings.Join(words, ", "), "none")
}
