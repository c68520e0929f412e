package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
)

// verdict is what is wrong with a run; empty when nothing is.
type verdict []string

// fault adds a kind of fault, if it happened, with an example.
func (v *verdict) fault(ids []string, format string, args ...any) {
	if len(ids) > 0 {
		*v = append(*v, fmt.Sprintf("%d posts %s (such as %s)", len(ids), fmt.Sprintf(format, args...), ids[0]))
	}
}

// emittedPost are the PostPublished of a run by post, and how often each was emitted.
type emittedPost struct {
	post  events.Post
	times int
}

// verify holds a run against the target, EVENTS and the rows: one commit each, one PostPublished each, POSTED with the
// same media id. It returns the arrivals of the run: the target's own, or where that cannot tell, the calls as the
// publisher noted them.
func (e *env) verify(ctx context.Context, run string, posts []planned, from uint64) (arrivals []Arrival, v verdict, err error) {
	emitted, err := e.published(ctx, from)
	if err != nil {
		return nil, nil, err
	}
	rows, err := e.rows(ctx, run)
	if err != nil {
		return nil, nil, err
	}
	byText := map[string][]Arrival{}
	if e.tells {
		all, err := e.arrivals(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, a := range all {
			if strings.HasPrefix(a.Text, run+" ") {
				byText[a.Text] = append(byText[a.Text], a)
				arrivals = append(arrivals, a)
			}
		}
	}
	var lost, doubled, missing, duplicates, notPosted, differ []string
	for _, p := range posts {
		fact, row := emitted[p.id], rows[p.id]
		switch {
		case fact.times == 0:
			missing = append(missing, p.id)
		case fact.times > 1:
			duplicates = append(duplicates, p.id)
		}
		if row.State != events.StatePublished || row.MediaID == "" {
			notPosted = append(notPosted, p.id)
		}
		media := row.MediaID
		if e.tells {
			switch at := byText[p.text]; len(at) {
			case 0:
				lost = append(lost, p.id)
			case 1:
				media = at[0].ID
			default:
				doubled = append(doubled, p.id)
			}
		} else if fact.post.CalledAt != nil {
			arrivals = append(arrivals, Arrival{ID: media, Text: p.text, ArrivedNS: fact.post.CalledAt.UnixNano()})
		}
		if fact.times > 0 && (fact.post.PostedTweetID == nil || *fact.post.PostedTweetID != media || media != row.MediaID) {
			differ = append(differ, p.id)
		}
	}
	v.fault(lost, "of %s never arrived", run)
	v.fault(doubled, "of %s arrived more than once", run)
	v.fault(missing, "of %s were not told on EVENTS", run)
	v.fault(duplicates, "of %s were told more than once on EVENTS", run)
	v.fault(notPosted, "of %s are not POSTED in the table", run)
	v.fault(differ, "of %s have another media id in the table, on EVENTS or at the target", run)
	if extra := len(byText) - len(posts); extra > 0 {
		v = append(v, fmt.Sprintf("%d posts of %s arrived that nobody handed in", extra, run))
	}
	return arrivals, v, nil
}

// written is what a row says of its post.
type written struct {
	ID      string       `bun:"id"`
	State   events.State `bun:"state"`
	MediaID string       `bun:"media_id"`
}

func (e *env) rows(ctx context.Context, run string) (map[string]written, error) {
	var rows []written
	err := e.DB.NewSelect().Table("posts").Column("id", "state").ColumnExpr("coalesce(media_id, '') AS media_id").
		Where("id >= ? AND text LIKE ?", e.firstOf[run], run+" %").Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("read the rows of %s: %w", run, err)
	}
	m := make(map[string]written, len(rows))
	for _, r := range rows {
		m[r.ID] = r
	}
	return m, nil
}

// end is the last sequence of EVENTS.
func (e *env) end(ctx context.Context) (uint64, error) {
	s, err := e.Bus.JetStream().Stream(ctx, events.StreamEvents)
	if err != nil {
		return 0, fmt.Errorf("find EVENTS: %w", err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// published reads every PostPublished on EVENTS after a sequence.
func (e *env) published(ctx context.Context, after uint64) (map[string]emittedPost, error) {
	emitted := map[string]emittedPost{}
	end, err := e.end(ctx)
	if err != nil || after >= end {
		return emitted, err
	}
	consumer, err := e.Bus.JetStream().OrderedConsumer(ctx, events.StreamEvents, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("read EVENTS: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, fmt.Errorf("read EVENTS: %w", err)
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextMaxWait(10 * time.Second))
		if err != nil {
			return nil, fmt.Errorf("read EVENTS: %w", err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, fmt.Errorf("read EVENTS: %w", err)
		}
		if typ := m.Headers().Get(events.HeaderType); typ == (events.PostPublished{}).Type() {
			msg, err := events.Decode(typ, m.Data())
			if err != nil {
				return nil, err
			}
			if ev, ok := msg.(events.PostPublished); ok {
				f := emitted[ev.Snapshot().ID]
				emitted[ev.Snapshot().ID] = emittedPost{post: ev.Snapshot(), times: f.times + 1}
			}
		}
		if meta.Sequence.Stream >= end {
			return emitted, nil
		}
	}
}
