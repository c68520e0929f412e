package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/projector"
)

// RebuildFigure is how fast the table of posts is built anew from EVENTS.
type RebuildFigure struct {
	Facts     uint64   `json:"facts"`
	Posts     int      `json:"posts"`
	Seconds   float64  `json:"seconds"`
	PerSecond float64  `json:"factsPerSecond"`
	Failures  []string `json:"failures"`
}

// rebuild fills EVENTS with the events of posts that went well, three each, and builds the table from them.
func (e *env) rebuild(ctx context.Context) (*RebuildFigure, error) {
	e.stopPublisher() // it would record them meanwhile
	posts := max(e.o.facts/len(publishedFacts), 1)
	e.say("rebuild: writing the facts of %d posts to EVENTS", posts)
	if err := e.writeEvents(ctx, posts); err != nil {
		return nil, err
	}
	cfg, err := publisher.ConfigFromEnv(e.Getenv)
	if err != nil {
		return nil, err
	}
	e.say("rebuild: building the table")
	defer e.begin(ctx, "rebuild", "facts", 0)()
	r := projector.Rebuilder{Bus: e.Bus, DB: e.DB, Cfg: cfg.Projector(), Log: e.quiet, Progress: func(done, all uint64) {
		e.task.Set(int64(done), int64(all)) //nolint:gosec // a number of messages is small
	}}
	found, err := r.Run(ctx, 0, false)
	if err != nil {
		return nil, err
	}
	f := &RebuildFigure{Facts: found.Events, Posts: found.Posts, Seconds: found.Seconds, Failures: []string{}}
	f.PerSecond = float64(f.Facts) / f.Seconds
	if found.Posts < posts {
		f.Failures = append(f.Failures, fmt.Sprintf("of %d posts on EVENTS %d were rebuilt", posts, found.Posts))
	}
	return f, nil
}

// publishedFacts are the events of a post that goes well.
var publishedFacts = []events.PostFact{events.FactScheduled, events.FactPrepared, events.FactPublished}

// writeEvents writes events in atomic batches, as the publisher does in a rush.
func (e *env) writeEvents(ctx context.Context, posts int) error {
	defer e.begin(ctx, "writing facts", "facts", posts*len(publishedFacts))()
	rng := rand.New(rand.NewPCG(e.o.seed, 7)) //nolint:gosec // a load, no secret
	batch := make([]*nats.Msg, 0, bareBatch)
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		_, err := jetstreamext.PublishMsgBatch(ctx, e.Bus.JetStream(), batch, jetstreamext.BatchFlowControl{})
		batch = batch[:0]
		return err
	}
	for i := range posts {
		a := e.accounts[i%len(e.accounts)]
		at := time.Now().UTC().Truncate(time.Microsecond)
		p := events.Post{
			ID: events.NewPostID(), UserID: a.UserID, AccountID: a.ID, Provider: events.Provider, Kind: events.KindPost,
			Text: text(rng, "rebuild", i, at), Media: []events.Media{}, ScheduledAt: at, PublishWithin: 86400, CreatedAt: at, UpdatedAt: at,
			Status: events.StatusQueued, State: events.StateScheduled,
		}
		for rev, fact := range publishedFacts {
			p.Rev = int64(rev + 1)
			switch fact {
			case events.FactPrepared:
				p.State = events.StateReady
			case events.FactPublished:
				id, late := fmt.Sprint(17841400000000000+i), 0.8
				p.State, p.Status, p.PostedTweetID, p.CalledAt, p.AcceptedAt, p.LatenessMs = events.StatePublished, events.StatusPosted, &id, &at, &at, &late
			}
			ev := events.NewPostEvent(fact, p)
			body, err := json.Marshal(ev)
			if err != nil {
				return err
			}
			batch = append(batch, &nats.Msg{Subject: ev.Subject(), Data: body, Header: nats.Header{
				events.HeaderID: {ev.EventID()}, events.HeaderType: {ev.Type()}, events.HeaderTime: {at.Format(time.RFC3339Nano)},
			}})
			if len(batch) == bareBatch {
				e.task.Add(int64(len(batch)))
				if err := flush(); err != nil {
					return fmt.Errorf("write facts: %w", err)
				}
			}
		}
	}
	return flush()
}

func (f *RebuildFigure) print(p printer) {
	p.line("")
	p.line("Rebuild of the table from EVENTS: %d facts of %d posts", f.Facts, f.Posts)
	p.row("facts", perSecond(f.PerSecond), fmt.Sprintf("%.1f s", f.Seconds))
}
