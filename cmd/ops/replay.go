package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/omni-write/threads/events"
)

// Replay says which events of EVENTS to emit again.
type Replay struct {
	From  uint64    // first sequence; 0: Since decides
	Since time.Time // zero: from the start
	To    uint64    // last sequence; 0: to the end
	Until time.Time // zero: to the end

	Facts   []string // published, failed, connected …; empty: all
	Account string   // empty: all
	Post    string   // empty: all, and the events of accounts
}

// ReplayOptions say what becomes of the events.
type ReplayOptions struct {
	JSON      bool   // one line of JSON an event; else a table
	Publish   string // id of the replay on whose subjects they are emitted again; empty: they are shown
	PerSecond int    // with Publish: at most so many a second; 0: as fast as they go
}

// Replay shows the events on EVENTS again, or emits them again on subjects of their own.
func (d *Deployment) Replay(ctx context.Context, r Replay, o ReplayOptions) error {
	b, err := d.streams(ctx)
	if err != nil {
		return err
	}
	if o.Publish != "" {
		n, err := r.Publish(ctx, b.JetStream(), o.Publish, o.PerSecond)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(d.out, "%d events emitted again on %s\n", n, events.Replayed(o.Publish, ">"))
		return err
	}
	printer := PrintTable(d.out)
	if o.JSON {
		printer = PrintJSON(d.out)
	}
	n, err := r.Each(ctx, b.JetStream(), printer)
	if err == nil && n == 0 {
		_, err = fmt.Fprintln(d.errOut, "No event matches.")
	}
	return err
}

// HeaderReplay marks a message that was emitted again: its value is the id of the replay. Who acts on events must leave a
// marked one alone.
const (
	HeaderReplay         = events.HeaderReplay
	HeaderReplaySequence = events.HeaderReplaySequence
)

// word is what may stand between two dots of a subject.
var word = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (r Replay) selection() (selection, error) {
	for name, value := range map[string]string{"account": r.Account, "post": r.Post} {
		if value != "" && !word.MatchString(value) {
			return selection{}, fmt.Errorf("%q cannot be the id of a %s", value, name)
		}
	}
	facts := r.Facts
	if len(facts) == 0 {
		facts = []string{"*"}
	}
	sel := selection{from: r.From, since: r.Since, to: r.To, until: r.Until}
	for _, fact := range facts {
		if fact != "*" && !word.MatchString(fact) {
			return selection{}, fmt.Errorf("%q cannot be a fact; facts are words such as published or connected", fact)
		}
		sel.subjects = append(sel.subjects, events.PostFacts(orAny(r.Account), orAny(r.Post), fact))
		if r.Post == "" {
			sel.subjects = append(sel.subjects, events.AccountFacts(orAny(r.Account), fact))
		}
	}
	return sel, nil
}

func orAny(id string) string {
	if id == "" {
		return "*"
	}
	return id
}

// Each gives the events to each, in their order, and says how many there were. It reads; nothing is emitted again by it.
func (r Replay) Each(ctx context.Context, js jetstream.JetStream, each func(Message) error) (int, error) {
	sel, err := r.selection()
	if err != nil {
		return 0, err
	}
	return read(ctx, js, events.StreamEvents, sel, each)
}

// Publish emits the events again on threads.replay.<id>.>, marked, at most perSecond of them (0: as fast as they go). No
// stream captures these subjects and no consumer of ours is filtered on them: a replay cannot publish a post, refresh a
// token or call a webhook. Who wants it subscribes to it.
func (r Replay) Publish(ctx context.Context, js jetstream.JetStream, id string, perSecond int) (int, error) {
	if !word.MatchString(id) {
		return 0, fmt.Errorf("%q cannot be the id of a replay: letters, digits, - and _", id)
	}
	limit := rate.NewLimiter(rate.Inf, 1)
	if perSecond > 0 {
		limit = rate.NewLimiter(rate.Limit(perSecond), 1)
	}
	nc := js.Conn()
	n, err := r.Each(ctx, js, func(m Message) error {
		if err := limit.Wait(ctx); err != nil {
			return err
		}
		again := &nats.Msg{Subject: events.Replayed(id, m.Subject), Data: m.Body, Header: nats.Header{}}
		for key, values := range m.Header {
			if !strings.HasPrefix(strings.ToLower(key), "nats-") { // JetStream's own: a repeat must not count as one
				again.Header[key] = values
			}
		}
		again.Header[HeaderReplay] = []string{id}
		again.Header[HeaderReplaySequence] = []string{strconv.FormatUint(m.Seq, 10)}
		return nc.PublishMsg(again)
	})
	if err != nil {
		return n, err
	}
	flush, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return n, nc.FlushWithContext(flush)
}

// PrintJSON writes an event as one line of JSON.
func PrintJSON(out io.Writer) func(Message) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return func(m Message) error {
		return enc.Encode(struct {
			Seq         uint64          `json:"seq"`
			Stored      time.Time       `json:"stored"`
			Subject     string          `json:"subject"`
			ID          string          `json:"id"`
			Type        string          `json:"type"`
			Correlation string          `json:"correlationId,omitempty"`
			Causation   string          `json:"causationId,omitempty"`
			Data        json.RawMessage `json:"data"`
		}{m.Seq, m.Stored, m.Subject, m.Meta.ID, m.Meta.Type, m.Meta.Correlation, m.Meta.Causation, m.Body})
	}
}

// PrintTable writes an event as one line for people.
func PrintTable(out io.Writer) func(Message) error {
	head := true
	return func(m Message) error {
		if head {
			head = false
			if _, err := fmt.Fprintf(out, "%9s  %-23s  %-24s  %-31s  %s\n", "SEQ", "STORED (UTC)", "TYPE", "POST OR ACCOUNT", "WHAT"); err != nil {
				return err
			}
		}
		id, what := about(m)
		_, err := fmt.Fprintf(out, "%9d  %-23s  %-24s  %-31s  %s\n", m.Seq, clock(m.Stored), m.Meta.Type, id, what)
		return err
	}
}

// about says in a few words whom an event is about and what it says.
func about(m Message) (id, what string) {
	msg, err := events.Decode(m.Meta.Type, m.Body)
	if err != nil {
		return "-", "cannot be read: " + err.Error()
	}
	switch ev := msg.(type) {
	case events.PostEvent:
		p := ev.Snapshot()
		what = fmt.Sprintf("rev %d, %s", p.Rev, p.State)
		if p.LatenessMs != nil && ev.Fact() == events.FactPublished {
			what += fmt.Sprintf(", %.1f ms late", *p.LatenessMs)
		}
		if p.Reason != nil {
			what += ", " + string(p.Reason.Code) + ": " + p.Reason.Message
		}
		if p.Text != "" {
			what += fmt.Sprintf(" %q", short(p.Text, 40))
		}
		return p.ID, what
	case events.AccountEvent:
		c := ev.Account()
		return c.ID, fmt.Sprintf("rev %d, %s", c.Rev, c.Status)
	}
	return "-", ""
}
