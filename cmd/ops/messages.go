// Package ops is what the people who run the system ask of it: replay the events, explain a post, requeue what was set aside,
// compare rows with streams and with Threads. Everything here reads; what changes something says so in its name.
package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
)

// Message is a message as it lies on a stream.
type Message struct {
	Seq     uint64          `json:"seq"`
	Stored  time.Time       `json:"stored"`
	Subject string          `json:"subject"`
	Meta    events.Meta     `json:"-"`
	Header  nats.Header     `json:"headers"`
	Body    json.RawMessage `json:"body"`
}

// selection is a part of a stream.
type selection struct {
	subjects []string
	from     uint64    // first sequence; 0: since decides
	since    time.Time // zero: from the start
	to       uint64    // last sequence; 0: to what is there when the reading begins
	until    time.Time // messages stored later end it
}

// patience is how long the next message of a stream may take to come.
const patience = 5 * time.Second

// read gives the messages of a selection to each, in order, and says how many there were.
func read(ctx context.Context, js jetstream.JetStream, stream string, sel selection, each func(Message) error) (n int, err error) {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("find stream %s: %w", stream, err)
	}
	to := s.CachedInfo().State.LastSeq
	if sel.to != 0 {
		to = min(to, sel.to)
	}
	config := jetstream.OrderedConsumerConfig{
		FilterSubjects: sel.subjects, DeliverPolicy: jetstream.DeliverAllPolicy, InactiveThreshold: 30 * time.Second,
	}
	switch {
	case sel.from != 0:
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, sel.from
	case !sel.since.IsZero():
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &sel.since
	}
	consumer, err := js.OrderedConsumer(ctx, stream, config)
	if err != nil {
		return 0, fmt.Errorf("read stream %s: %w", stream, err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("read stream %s: %w", stream, err)
	}
	if info.NumPending == 0 {
		return 0, nil
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(2000))
	if err != nil {
		return 0, fmt.Errorf("read stream %s: %w", stream, err)
	}
	defer messages.Stop()
	for {
		next, cancel := context.WithTimeout(ctx, patience)
		m, err := messages.Next(jetstream.NextContext(next))
		cancel()
		if err != nil {
			return n, errors.Join(fmt.Errorf("stream %s stopped after %d messages: %w", stream, n, err), ctx.Err())
		}
		meta, err := m.Metadata()
		if err != nil {
			return n, fmt.Errorf("read a message of %s: %w", stream, err)
		}
		if meta.Sequence.Stream > to || !sel.until.IsZero() && meta.Timestamp.After(sel.until) {
			return n, nil
		}
		n++
		err = each(Message{
			Seq: meta.Sequence.Stream, Stored: meta.Timestamp.UTC(), Subject: m.Subject(),
			Meta: bus.MetaOf(m.Headers()), Header: m.Headers(), Body: m.Data(),
		})
		if err != nil || meta.Sequence.Stream == to || meta.NumPending == 0 {
			return n, err
		}
	}
}

// table writes rows in columns.
func table(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// clock is how a time is shown in a table: UTC, to the millisecond.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000")
}

// short is a text on one line, cut for a table.
func short(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
