package ops

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// Explain shows everything that is known of a post, by our id, Threads' media id, or the original's.
func (d *Deployment) Explain(ctx context.Context, id string, asJSON bool) error {
	b, db, err := d.both(ctx)
	if err != nil {
		return err
	}
	h, err := Explain(ctx, b.JetStream(), db, id)
	if err != nil {
		return err
	}
	if asJSON {
		return d.printJSON(h)
	}
	return PrintHistory(d.out, h, time.Now())
}

// History is everything that is known of a post, in the order in which it happened.
type History struct {
	PostID   string   `json:"postId"`
	Row      *PostRow `json:"row"` // null: there is no such row
	Timeline []Entry  `json:"timeline"`
}

// Entry is one thing that happened, or will.
type Entry struct {
	At     time.Time `json:"at"`
	Source string    `json:"source"` // request, command, event, threads, alarm, dead, row
	What   string    `json:"what"`
	// ID is the message or request behind it; Cause the message that led to it.
	ID    string `json:"id,omitempty"`
	Cause string `json:"cause,omitempty"`
	Seq   uint64 `json:"seq,omitempty"` // on its stream

	request string // of an event: the request that led to it
	begins  bool   // a command is taken on
}

// PostRow is what the row says of where the post stands.
type PostRow struct {
	ID           string        `bun:"id" json:"id"`
	UserID       string        `bun:"user_id" json:"userId"`
	AccountID    string        `bun:"account_id" json:"accountId"`
	Kind         string        `bun:"kind" json:"kind"`
	State        events.State  `bun:"state" json:"state"`
	Reason       *events.Fault `bun:"reason,type:jsonb" json:"reason,omitempty"`
	MediaID      *string       `bun:"media_id" json:"mediaId,omitempty"`
	Permalink    *string       `bun:"permalink" json:"permalink,omitempty"`
	PublishAt    time.Time     `bun:"publish_at" json:"publishAt"`
	CreatedAt    time.Time     `bun:"created_at" json:"createdAt"`
	UpdatedAt    time.Time     `bun:"updated_at" json:"updatedAt"`
	Rev          int64         `bun:"rev" json:"rev"`
	ToldRev      int64         `bun:"told_rev" json:"toldRev"`
	WakeAt       *time.Time    `bun:"wake_at" json:"wakeAt,omitempty"`
	ArmedAt      *time.Time    `bun:"armed_at" json:"armedAt,omitempty"`
	Lease        *string       `bun:"lease" json:"lease,omitempty"`
	LeaseUntil   *time.Time    `bun:"lease_until" json:"leaseUntil,omitempty"`
	ContainerID  *string       `bun:"container_id" json:"containerId,omitempty"`
	ContainerAt  *time.Time    `bun:"container_at" json:"containerAt,omitempty"`
	Attempt      int           `bun:"attempt" json:"attempt"`
	ClaimedAt    *time.Time    `bun:"claimed_at" json:"claimedAt,omitempty"`
	CallDeadline *time.Time    `bun:"call_deadline" json:"callDeadline,omitempty"`
	DoubtSince   *time.Time    `bun:"doubt_since" json:"doubtSince,omitempty"` // a call may have made it live since
	OnAbsent     *string       `bun:"on_absent" json:"onAbsent,omitempty"`     // what follows when it is proven not to be
	Rebuilds     int           `bun:"rebuilds" json:"rebuilds"`
	Failures     int           `bun:"failures" json:"failures"`
}

// Explain gathers a post's history from the row, the log of calls, the commands, the streams and the alarms. id is ours,
// Threads' media id, or the original's of a post that was taken over.
func Explain(ctx context.Context, js jetstream.JetStream, db bun.IDB, id string) (History, error) {
	row, err := findRow(ctx, db, id)
	if err == nil && row == nil {
		row, err = findOriginal(ctx, db, id)
	}
	if err != nil {
		return History{}, err
	}
	h := History{PostID: id, Row: row}
	if row != nil {
		h.PostID = row.ID
	} else if h.PostID, err = findLost(ctx, js, id); err != nil {
		return History{}, err
	}
	if !word.MatchString(h.PostID) {
		return History{}, fmt.Errorf("%q cannot be the id of a post", id)
	}
	for _, gather := range []func(context.Context, jetstream.JetStream, bun.IDB, *History) error{
		gatherEvents, gatherCommands, gatherWaiting, gatherCalls, gatherAlarms, gatherDead,
	} {
		if err := gather(ctx, js, db, &h); err != nil {
			return h, err
		}
	}
	h.Timeline = inOrder(h.Timeline)
	if row == nil && len(h.Timeline) == 0 {
		return h, fmt.Errorf("nothing is known of a post %s: no row, no event, no command (by Threads' id the last 500,000 events were searched)", id)
	}
	return h, nil
}

func findRow(ctx context.Context, db bun.IDB, id string) (*PostRow, error) {
	var rows []PostRow
	err := db.NewSelect().TableExpr("posts").ColumnExpr("id, user_id, account_id, kind, state, reason, media_id, permalink, publish_at").
		ColumnExpr("created_at, updated_at, rev, told_rev, wake_at, armed_at, lease, lease_until, container_id, container_at").
		ColumnExpr("attempt, claimed_at, call_deadline, doubt_since, on_absent, rebuilds, failures").
		Where("id = ? OR media_id = ?", id, id).Limit(2).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("read post %s: %w", id, err)
	}
	if len(rows) == 0 {
		return nil, nil //nolint:nilnil // no row is an answer
	}
	return &rows[0], nil
}

// findOriginal finds a post by its id in the original. Ours follows from it and its owner, and whose it is nobody has said:
// so it is looked for under everybody who has ever connected an account.
func findOriginal(ctx context.Context, db bun.IDB, id string) (*PostRow, error) {
	var users []string
	err := db.NewSelect().TableExpr("social_connections").ColumnExpr("DISTINCT user_id").Scan(ctx, &users)
	if err != nil {
		return nil, fmt.Errorf("read whose post %s may be: %w", id, err)
	}
	for some := range slices.Chunk(users, 1000) {
		candidates := make([]string, len(some))
		for i, user := range some {
			candidates[i] = events.PostIDOf(user, id)
		}
		var found []string
		err := db.NewSelect().TableExpr("posts").ColumnExpr("id").Where("id IN (?)", bun.List(candidates)).Limit(1).Scan(ctx, &found)
		if err != nil {
			return nil, fmt.Errorf("look for post %s: %w", id, err)
		}
		if len(found) > 0 {
			return findRow(ctx, db, found[0])
		}
	}
	return nil, nil //nolint:nilnil // no row is an answer
}

// lookedThrough is how many of the latest events are searched for Threads' id of a post that has no row.
const lookedThrough = 500_000

var mediaID = regexp.MustCompile(`^[0-9]{5,32}$`)

// findLost is our id of the post that EVENTS knows under Threads' id, where the row is lost; else the id as it was given.
func findLost(ctx context.Context, js jetstream.JetStream, id string) (string, error) {
	if !mediaID.MatchString(id) {
		return id, nil
	}
	s, err := js.Stream(ctx, events.StreamEvents)
	if err != nil {
		return "", fmt.Errorf("find stream %s: %w", events.StreamEvents, err)
	}
	state, found := s.CachedInfo().State, errors.New("found")
	lost := Replay{
		From:  max(state.FirstSeq, state.LastSeq-min(state.LastSeq, lookedThrough)),
		Facts: []string{string(events.FactPublished), string(events.FactPartPublished), string(events.FactImported)},
	}
	_, err = lost.Each(ctx, js, func(m Message) error {
		if !bytes.Contains(m.Body, []byte(`"`+id+`"`)) {
			return nil
		}
		if ev, err := events.Decode(m.Meta.Type, m.Body); err == nil {
			if ev, is := ev.(events.PostEvent); is && hasMedia(ev.Snapshot(), id) {
				id = ev.Snapshot().ID
				return found
			}
		}
		return nil
	})
	if errors.Is(err, found) {
		err = nil
	}
	return id, err
}

// hasMedia reports whether a post is at Threads under an id, or a part of it.
func hasMedia(p events.Post, id string) bool {
	return p.PostedTweetID != nil && *p.PostedTweetID == id || slices.ContainsFunc(p.Parts, func(part events.Part) bool { return part.MediaID == id })
}

func (s *History) add(m Entry) { m.At = m.At.UTC(); s.Timeline = append(s.Timeline, m) }

func gatherEvents(ctx context.Context, js jetstream.JetStream, _ bun.IDB, s *History) error {
	requests := map[string]bool{}
	_, err := Replay{Post: s.PostID}.Each(ctx, js, func(m Message) error {
		_, what := about(m)
		at := m.Meta.Time
		if at.IsZero() {
			at = m.Stored
		}
		s.add(Entry{At: at, Source: "event", What: m.Meta.Type + ": " + what, ID: m.Meta.ID, Cause: m.Meta.Causation, Seq: m.Seq,
			request: m.Meta.Correlation})
		if c := m.Meta.Correlation; c != "" && !requests[c] {
			requests[c] = true
			s.add(Entry{At: at, Source: "request", What: "an HTTP request led to what follows; the gateway's log has it", ID: c})
		}
		return nil
	})
	return err
}

func gatherCommands(ctx context.Context, _ jetstream.JetStream, db bun.IDB, s *History) error {
	var rows []struct {
		ID         string     `bun:"id"`
		Type       string     `bun:"type"`
		Key        *string    `bun:"key"`
		Outcome    []byte     `bun:"outcome"`
		CreatedAt  time.Time  `bun:"created_at"`
		FinishedAt *time.Time `bun:"finished_at"`
	}
	err := db.NewSelect().TableExpr("commands").ColumnExpr("id, type, key, outcome::text AS outcome, created_at, finished_at").
		Where("post_id = ?", s.PostID).Scan(ctx, &rows)
	if err != nil {
		return fmt.Errorf("read the commands of %s: %w", s.PostID, err)
	}
	for _, c := range rows {
		what := c.Type + " is taken on"
		if c.Key != nil {
			what += ", with an Idempotency-Key"
		}
		s.add(Entry{At: c.CreatedAt, Source: "command", What: what, ID: c.ID, begins: true})
		if c.FinishedAt == nil {
			continue
		}
		var o events.Outcome
		what = c.Type + " is done"
		if json.Unmarshal(c.Outcome, &o) == nil && o.Fault != nil {
			what = fmt.Sprintf("%s is refused: %s: %s", c.Type, o.Fault.Code, o.Fault.Message)
		}
		s.add(Entry{At: *c.FinishedAt, Source: "command", What: what, ID: c.ID})
	}
	return nil
}

// mostWaiting bounds how many waiting commands are looked through.
const mostWaiting = 2000

// gatherWaiting finds commands of the post that no service has taken on yet. COMMANDS is a work queue: its messages are
// read one by one, beside its consumers.
func gatherWaiting(ctx context.Context, js jetstream.JetStream, _ bun.IDB, s *History) error {
	stream, err := js.Stream(ctx, events.StreamCommands)
	if err != nil {
		return fmt.Errorf("find stream %s: %w", events.StreamCommands, err)
	}
	state := stream.CachedInfo().State
	for seq, n := state.FirstSeq, 0; seq <= state.LastSeq && n < mostWaiting; n++ {
		raw, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(events.PostCommands))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read COMMANDS at %d: %w", seq, err)
		}
		if bytes.Contains(raw.Data, []byte(`"`+s.PostID+`"`)) {
			s.add(Entry{At: raw.Time, Source: "command", What: raw.Header.Get(events.HeaderType) + " lies on COMMANDS, not yet done",
				ID: raw.Header.Get(events.HeaderID), Seq: raw.Sequence})
		}
		seq = raw.Sequence + 1
	}
	return nil
}

func gatherCalls(ctx context.Context, _ jetstream.JetStream, db bun.IDB, s *History) error {
	var rows []struct {
		At      time.Time `bun:"at"`
		Phase   string    `bun:"phase"`
		TookMs  float64   `bun:"took_ms"`
		OK      bool      `bun:"ok"`
		Message string    `bun:"message"`
		Code    int       `bun:"code"`
		Subcode int       `bun:"subcode"`
		TraceID string    `bun:"trace_id"`
	}
	err := db.NewSelect().TableExpr("post_attempts").ColumnExpr("at, phase, took_ms, ok, message, code, subcode, trace_id").
		Where("post_id = ?", s.PostID).OrderExpr("id").Scan(ctx, &rows)
	if err != nil {
		return fmt.Errorf("read the attempts of %s: %w", s.PostID, err)
	}
	for _, a := range rows {
		what := fmt.Sprintf("%s, %.1f ms: %s", a.Phase, a.TookMs, a.Message)
		if a.Code != 0 {
			what += fmt.Sprintf(" (%d/%d)", a.Code, a.Subcode)
		}
		s.add(Entry{At: a.At, Source: "threads", What: what, ID: a.TraceID})
	}
	return nil
}

func gatherAlarms(ctx context.Context, js jetstream.JetStream, _ bun.IDB, s *History) error {
	stream, err := js.Stream(ctx, events.StreamPostAlarms)
	if err != nil {
		return fmt.Errorf("find stream %s: %w", events.StreamPostAlarms, err)
	}
	for subject, what := range map[string]string{
		events.PostAlarm(s.PostID): "an alarm was set",
		events.PostDue(s.PostID):   "a wake-up lies at the publisher",
	} {
		raw, err := stream.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", subject, err)
		}
		if at := strings.TrimPrefix(raw.Header.Get("Nats-Schedule"), "@at "); at != "" {
			what += " for " + at
		}
		s.add(Entry{At: raw.Time, Source: "alarm", What: what, Seq: raw.Sequence})
	}
	return nil
}

func gatherDead(ctx context.Context, js jetstream.JetStream, _ bun.IDB, s *History) error {
	_, err := read(ctx, js, events.StreamDead, selection{}, func(m Message) error {
		if bytes.Contains(m.Body, []byte(`"`+s.PostID+`"`)) {
			l := letterOf(m.Seq, m.Stored, m.Header, m.Body)
			s.add(Entry{At: l.At, Source: "dead", What: fmt.Sprintf("%s was set aside after %s deliveries: %s", l.Type, l.Deliveries, l.Error), ID: l.ID, Seq: l.Seq})
		}
		return nil
	})
	return err
}

// Standing says in one sentence where the post stands, and what comes next.
func (s History) Standing(now time.Time) string {
	p := s.Row
	switch {
	case p == nil && s.hasEvents():
		return "EVENTS knows it, and there is no row: the row was lost. `go run . rebuild` shows all that is lost; " +
			"`go run . rebuild --swap`, with all publishers stopped, brings it back."
	case p == nil:
		return "There is no row and no event: the post was never accepted, or its account was erased."
	case p.State == events.StateParked:
		return "It is parked: a person must look at the profile and resolve it. No call is ever made for it by itself."
	case p.State == events.StatePublished:
		return "It is published, " + cmp.Or(deref(p.Permalink), "its permalink is not known") + "."
	case p.State == events.StateFailed || p.State == events.StateCancelled:
		return fmt.Sprintf("It is %s%s.", p.State, because(p.Reason))
	case p.Lease != nil && p.LeaseUntil != nil && p.LeaseUntil.After(now):
		return fmt.Sprintf("It is %s, and worked on until %s at the latest.", p.State, clock(*p.LeaseUntil))
	case p.WakeAt == nil:
		return fmt.Sprintf("It is %s and has no time to be looked at: that should not be; tell the makers.", p.State)
	case p.State == events.StateReady && p.WakeAt.After(now) && p.PublishAt.Before(now):
		return fmt.Sprintf("It is ready, and was held up; such posts of one account go out one after the other, PUBLISHER_SPACING (10s) apart: its turn is at %s.", clock(*p.WakeAt))
	case p.WakeAt.Before(now):
		return fmt.Sprintf("It is %s%s, and overdue to be looked at since %s: is a publisher running and ready?", p.State, because(p.Reason), clock(*p.WakeAt))
	}
	return fmt.Sprintf("It is %s%s; it is looked at next at %s.", p.State, because(p.Reason), clock(*p.WakeAt))
}

func (s History) hasEvents() bool {
	return slices.ContainsFunc(s.Timeline, func(e Entry) bool { return e.Source == "event" })
}

func because(f *events.Fault) string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf(" because of %s (%s)", f.Code, strings.TrimRight(f.Message, "."))
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// PrintHistory writes a history for people.
func PrintHistory(out io.Writer, s History, now time.Time) error {
	if _, err := fmt.Fprintf(out, "Post %s\n%s\n", s.PostID, s.Standing(now)); err != nil {
		return err
	}
	if p := s.Row; p != nil {
		if _, err := fmt.Fprintf(out, "Account %s of user %s. Due %s. Rev %d, told %d. Attempts %d, rebuilds %d.\n",
			p.AccountID, p.UserID, clock(p.PublishAt), p.Rev, p.ToldRev, p.Attempt, p.Rebuilds); err != nil {
			return err
		}
		if p.DoubtSince != nil {
			if _, err := fmt.Fprintf(out, "In doubt since %s: a call may have made it live. Where it is proven not to be: %s.\n", clock(*p.DoubtSince), deref(p.OnAbsent)); err != nil {
				return err
			}
		}
	}
	if _, err := fmt.Fprintln(out); err != nil {
		return err
	}
	rows := [][]string{{"WHEN (UTC)", "WHERE", "WHAT", "ID"}}
	for _, m := range s.Timeline {
		rows = append(rows, []string{clock(m.At), m.Source, short(m.What, 150), m.ID})
	}
	return table(out, rows)
}
