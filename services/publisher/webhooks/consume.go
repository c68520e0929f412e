package webhooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/wire"
)

const (
	// readBatch events are read together: nearly none has a webhook, and one query finds that out for all.
	readBatch = 256
	// gatherFor is how long a batch is gathered.
	gatherFor = 100 * time.Millisecond
	// retryReadAfter is the pause when events could not be read, or their deliveries not saved.
	retryReadAfter = time.Second
)

// read makes deliveries of events, until ctx ends.
func (s *Service) read(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.readOn(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("webhooks wait for facts", zap.Error(err))
			clock.Sleep(ctx, retryReadAfter)
		}
	}
	return nil
}

func (s *Service) readOn(ctx context.Context) error {
	consumer, err := s.bus.JetStream().Consumer(ctx, events.StreamEvents, events.PublisherWebhooks)
	if err != nil {
		return fmt.Errorf("find the durable %s: %w", events.PublisherWebhooks, err)
	}
	messages, err := consumer.Messages(bus.Pulls(2 * readBatch)...)
	if err != nil {
		return fmt.Errorf("read %s: %w", events.PublisherWebhooks, err)
	}
	defer messages.Stop()
	for {
		first, err := messages.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", events.PublisherWebhooks, err)
		}
		batch := []jetstream.Msg{first}
		until := time.Now().Add(gatherFor)
		for len(batch) < readBatch && time.Now().Before(until) {
			m, err := messages.Next(jetstream.NextMaxWait(max(time.Until(until), time.Millisecond)))
			if errors.Is(err, nats.ErrTimeout) {
				break
			}
			if err != nil {
				return fmt.Errorf("read %s: %w", events.PublisherWebhooks, err) // unacked, all of them come again
			}
			batch = append(batch, m)
		}
		if err := s.saveBatch(ctx, batch); err != nil {
			return err
		}
	}
}

// saveBatch saves the deliveries of a batch together or, where that fails, event by event, so that one that cannot be saved
// holds up no other.
func (s *Service) saveBatch(ctx context.Context, batch []jetstream.Msg) error {
	made, err := s.saveDeliveries(ctx, batch)
	if err != nil && len(batch) > 1 && ctx.Err() == nil {
		var failed []error
		for i := range batch {
			failed = append(failed, s.saveBatch(ctx, batch[i:i+1]))
		}
		return errors.Join(failed...)
	}
	for _, m := range batch {
		if err != nil {
			_ = m.NakWithDelay(retryReadAfter) // if it does not get through, AckWait does the same
		} else {
			_ = m.Ack() // if it does not get through, the event comes again and finds its rows
		}
	}
	if made > 0 && err == nil {
		s.wake()
	}
	return err
}

// saveDeliveries writes the deliveries of a batch of events, and says how many there are.
func (s *Service) saveDeliveries(ctx context.Context, batch []jetstream.Msg) (int, error) {
	type fact struct {
		meta          events.Meta
		user, account string
		body          []byte
	}
	var facts []fact
	var users []string
	for _, m := range batch {
		meta := bus.MetaOf(m.Headers())
		f := fact{meta: meta, user: events.OwnerOf(m.Data()), account: events.AccountOf(m.Subject()), body: m.Data()}
		if f.user == "" || meta.ID == "" {
			continue // it has no owner
		}
		facts = append(facts, f)
		if !slices.Contains(users, f.user) {
			users = append(users, f.user)
		}
	}
	if len(facts) == 0 {
		return 0, nil
	}
	var hooks []webhook
	q := s.db.NewSelect().Model(&hooks).Where("user_id = ANY($1) AND status = ?", asks.WebhookActive).Order("user_id", "created_at", "id")
	if err := pg.Prepared(ctx, s.db, fmt.Sprint(q), []any{users}, &hooks); err != nil {
		return 0, fmt.Errorf("find webhooks: %w", err)
	}
	var rows []delivery
	for _, f := range facts {
		var payload []byte
		for i := range hooks {
			if !hooks[i].wants(f.user, f.account, f.meta.Type, f.meta.Time) {
				continue
			}
			if payload == nil {
				var err error
				if payload, err = payloadOf(f.meta.Type, f.meta.Time, f.body); err != nil {
					return 0, err
				}
			}
			rows = append(rows, newDelivery(hooks[i].ID, f.meta.ID, f.meta.Type, payload, s.now()))
		}
	}
	return len(rows), s.insert(ctx, rows...)
}

// payloadOf is the body that receivers get.
func payloadOf(typ string, at time.Time, body []byte) ([]byte, error) {
	payload, err := wire.Encode(events.WebhookPayload{Type: typ, Timestamp: at.UTC(), Data: body})
	if err != nil {
		return nil, fmt.Errorf("encode a delivery of %s: %w", typ, err)
	}
	return payload, nil
}
