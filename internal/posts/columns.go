package posts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/omni-write/threads/events"
)

// excludedUnlessConcluding is excluded, but for a row that waits for this very event: what was tried for it led here.
func excludedUnlessConcluding(columns []string) string {
	set := make([]string, len(columns))
	for i, c := range columns {
		set[i] = fmt.Sprintf("%s = CASE WHEN post.state = 'concluding' AND post.rev = EXCLUDED.rev - 1 THEN post.%s ELSE EXCLUDED.%s END", c, c, c)
	}
	return strings.Join(set, ", ")
}

func excluded(columns []string) string {
	set := make([]string, len(columns))
	for i, c := range columns {
		set[i] = c + " = EXCLUDED." + c
	}
	return strings.Join(set, ", ")
}

// Every column of a post is in one of these lists (TestEveryColumnHasItsPlace).
var (
	// identityColumns never change.
	identityColumns = []string{"id", "user_id", "account_id", "kind", "created_at"}
	// contentColumns are what was asked for, outcomeColumns what became of it, both as events say it.
	contentColumns = []string{
		"text", "media", "options", "parts", "reply_to", "quote_post_id", "repost_of", "publish_at", "time_zone", "time_decision", "publish_within",
	}
	outcomeColumns = []string{
		"state", "reason", "media_id", "permalink", "called_at", "accepted_at", "delete_requested_at", "deleted_at", "rev", "fact",
	}
	// progressColumns follow from the event, or count how far the row is emitted.
	progressColumns = []string{"content_hash", "updated_at", "told_rev"}
	// Working columns are ours alone, in no event. They belong to one revision: whose turn it is, and what was tried for it.
	turnColumns  = []string{"wake_at", "armed_at", "lease", "lease_until", "doubt", "doubt_since", "on_absent", "failures"}
	triedColumns = []string{
		"parent_id", "quoted_id", "container_id", "container_at", "children", "built_from", "attempt", "claimed_at", "call_deadline", "not_ready",
		"rebuilds", "finished_seen_at",
	}
	// traceColumns outlive revisions: who asked last, and that the account was disconnected since.
	traceColumns = []string{"trace_parent", "recalled"}
)

// emittedColumns are what an event says, and a row must agree with. The state and its reason agree once the post is final;
// before that a worker may be on its way between two emitted states.
func emittedColumns() []string {
	return slices.Concat(identityColumns[1:], contentColumns, outcomeColumns)
}

// differsFrom names the columns in which a row says something else than the one that EVENTS leads to. What a row says is
// its snapshot: of a chain its own columns are those of the part in hand.
func differsFrom(p, rebuilt *Post) (columns []string, err error) {
	says, should := FromSnapshot(p.Snapshot()), FromSnapshot(rebuilt.Snapshot())
	says.Fact, should.Fact = p.Fact, rebuilt.Fact
	says.Canonicalize()
	should.Canonicalize()
	for _, column := range emittedColumns() {
		if mayDiffer(p, column, rebuilt) {
			continue
		}
		one, err := json.Marshal(columnOf(&says, column))
		if err != nil {
			return nil, fmt.Errorf("encode a row: %w", err)
		}
		other, err := json.Marshal(columnOf(&should, column))
		if err != nil {
			return nil, fmt.Errorf("encode a row: %w", err)
		}
		if !bytes.Equal(one, other) {
			columns = append(columns, column)
		}
	}
	return columns, nil
}

// DiffersFromEvent names the columns in which a row says something else than the event of its very revision.
func DiffersFromEvent(p *Post, told events.Post, fact events.PostFact) (columns []string, err error) {
	should := FromSnapshot(told)
	should.Fact = fact
	return differsFrom(p, &should)
}

// OnlyAskedFor says whether columns hold what was asked for, and nothing of what became of it.
func OnlyAskedFor(columns []string) bool {
	return !slices.ContainsFunc(columns, func(c string) bool { return !slices.Contains(contentColumns, c) })
}

// mayDiffer says whether a worker may be on its way between two emitted states: then the row knows more than EVENTS.
func mayDiffer(p *Post, column string, rebuilt *Post) bool {
	here := IsFinal(p.State) || p.State == events.StateParked
	switch column {
	case "state", "reason":
		return !here && !IsFinal(rebuilt.State) && rebuilt.State != events.StateParked
	case "called_at", "accepted_at", "media_id", "permalink", "fact": // saved in the row before they are emitted
		return !here
	case "parts":
		return p.State == events.StateConcluding
	}
	return false
}

// columnOf is the value of a column of the row.
func columnOf(p *Post, name string) any {
	v := reflect.ValueOf(p).Elem()
	for i := range v.NumField() {
		if tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("bun"), ","); tag == name {
			return v.Field(i).Interface()
		}
	}
	return nil
}
