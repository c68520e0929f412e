package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
)

// Where the server has accounts, those who read EVENTS read a copy of it in an account in which nobody is, a mirror: see
// [AccountFacts]. It is called EVENTS too, and its sequences are the same. Where there are no accounts there is no copy.

// The names that the server itself uses to keep the copy: where [AccountFacts] finds the JetStream of [AccountThreads], and
// where the events come in.
const (
	OriginAPI    = "threads.origin"
	CopyDelivery = "threads.copying"
)

func (b *Bus) copyAPI() (jetstream.JetStream, error) {
	js, err := jetstream.NewWithAPIPrefix(b.nc, CopyAPI)
	if err != nil {
		return nil, fmt.Errorf("find the copy of EVENTS: %w", err)
	}
	return js, nil
}

// noAccounts says of an error that nothing on the server knows of a copy.
func noAccounts(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled)
}

// Copy is the copy of EVENTS that readers read, with what it holds now; nil where there is none.
func (b *Bus) Copy(ctx context.Context) (jetstream.Stream, error) {
	js, err := b.copyAPI()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	s, err := js.Stream(ctx, events.StreamEvents)
	if noAccounts(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the copy of %s: %w", events.StreamEvents, err)
	}
	return s, nil
}

// copyLook is how often the copy is looked at while it is behind.
const copyLook = 10 * time.Millisecond

// CopyCaughtUp returns when the copy has what EVENTS had when it was called, as far as the copy knows of it.
func (b *Bus) CopyCaughtUp(ctx context.Context) error {
	extent, err := b.Holds(ctx)
	if err != nil {
		return err
	}
	return b.awaitCopy(ctx, func(is *jetstream.StreamInfo) (bool, error) {
		// The end of EVENTS may have been erased before it was copied: then the copy never reaches it.
		return is.State.LastSeq >= extent.Last || is.Mirror != nil && is.Mirror.Active >= 0 && is.Mirror.Lag == 0, nil
	})
}

// copyReaches returns when the copy has every event of EVENTS up to a sequence.
func (b *Bus) copyReaches(ctx context.Context, sequence uint64) error {
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	return b.awaitCopy(ctx, func(is *jetstream.StreamInfo) (bool, error) {
		if is.State.LastSeq >= sequence {
			return true, nil
		}
		origin, err := b.stream(ctx, events.StreamEvents)
		if err != nil {
			return false, err
		}
		next, err := origin.GetMsg(ctx, is.State.LastSeq+1, jetstream.WithGetMsgSubject(events.EveryFact))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return true, nil
		}
		return err == nil && next.Sequence > sequence, err
	})
}

func (b *Bus) awaitCopy(ctx context.Context, there func(*jetstream.StreamInfo) (bool, error)) error {
	for {
		s, err := b.Copy(ctx)
		if err != nil || s == nil {
			return err
		}
		if ok, err := there(s.CachedInfo()); ok || err != nil {
			return err
		}
		if !clock.Sleep(ctx, copyLook) {
			return fmt.Errorf("the copy of %s is behind: %w", events.StreamEvents, ctx.Err())
		}
	}
}

func copyConfig(t Topology) jetstream.StreamConfig {
	// What is not on the disk when the machine fails comes again from EVENTS.
	persist := jetstream.AsyncPersistMode
	if t.Replicas > 1 {
		persist = jetstream.DefaultPersistMode
	}
	return jetstream.StreamConfig{
		Name: events.StreamEvents, Description: "a copy of EVENTS of account " + AccountThreads + ", for readers",
		Mirror: &jetstream.StreamSource{Name: events.StreamEvents, External: &jetstream.ExternalStream{
			APIPrefix: OriginAPI, DeliverPrefix: CopyDelivery,
		}},
		Storage: jetstream.FileStorage, Replicas: t.Replicas, MaxAge: t.EventsMaxAge, MaxMsgs: -1, MaxBytes: -1,
		DenyDelete: true, PersistMode: persist, Compression: jetstream.S2Compression,
	}
}

// declareCopy makes the copy, where there are accounts. Durables that other teams have made on EVENTS are made on it too, at
// the place that they have reached: until there was a copy they read EVENTS itself.
func (b *Bus) declareCopy(ctx context.Context, t Topology) error {
	is, err := patiently(ctx, b, b.Copy)
	if err == nil && is == nil {
		return nil
	}
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("%w; does the server run with the nats.conf of this version?", err)
	}
	js, err := b.copyAPI()
	if err != nil {
		return err
	}
	origin, err := b.stream(ctx, events.StreamEvents)
	if err != nil {
		return err
	}
	readers, err := readersOf(ctx, origin)
	if err != nil {
		return err
	}
	must := copyConfig(t)
	if is != nil && is.CachedInfo().Config.PersistMode != must.PersistMode { // cannot be changed
		here, err := readersOf(ctx, is)
		if err != nil {
			return err
		}
		readers = append(here, readers...) // the first of a name stands
		b.log.Warn("the copy of EVENTS is made anew; its readers keep their places", zap.Int("readers", len(here)))
		if err := js.DeleteStream(ctx, must.Name); err != nil {
			return fmt.Errorf("make the copy of EVENTS anew: %w", err)
		}
	}
	copied, err := patiently(ctx, b, func(ctx context.Context) (jetstream.Stream, error) { return js.CreateOrUpdateStream(ctx, must) })
	if err != nil {
		return fmt.Errorf("declare the copy of EVENTS: %w", err)
	}
	for _, reader := range readers {
		_, err := copied.Consumer(ctx, reader.Durable)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			reader.Replicas = t.Replicas
			_, err = copied.CreateConsumer(ctx, reader)
		}
		if err != nil {
			return fmt.Errorf("take over the reader %s: %w", reader.Durable, err)
		}
	}
	return nil
}

// readersOf are the durables of other teams on a stream, as they must be made to go on where they are.
func readersOf(ctx context.Context, s jetstream.Stream) (readers []jetstream.ConsumerConfig, err error) {
	all := s.ListConsumers(ctx)
	for c := range all.Info() {
		ours := slices.ContainsFunc(events.Durables(), func(d events.Durable) bool { return d.Config.Durable == c.Config.Durable })
		if c.Config.Durable == "" || ours || c.Config.DeliverSubject != "" {
			continue
		}
		cfg := c.Config
		cfg.DeliverPolicy, cfg.OptStartSeq, cfg.OptStartTime = jetstream.DeliverByStartSequencePolicy, c.AckFloor.Stream+1, nil
		for key := range cfg.Metadata {
			if strings.HasPrefix(key, "_nats.") { // the server's own
				delete(cfg.Metadata, key)
			}
		}
		readers = append(readers, cfg)
	}
	if err := all.Err(); err != nil {
		return nil, fmt.Errorf("list the readers of EVENTS: %w", err)
	}
	return readers, nil
}
