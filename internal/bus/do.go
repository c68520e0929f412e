package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/wire"
)

// outcomes hands the outcomes that come in to those who wait for them. One subscription serves all.
type outcomes struct {
	mu      sync.Mutex
	prefix  string
	next    uint64
	waiting map[string]chan events.Outcome
}

// Do sends a command and waits for its outcome. When the outcome is not there in time, Done is false: the command is on
// disk and will be done all the same. A command that was sent before under the same id is stored once, and its outcome
// goes to who sent it first: the second waits in vain, and asks for the outcome by the id.
func (b *Bus) Do(ctx context.Context, cmd events.Command, o CommandOptions, wait time.Duration) (events.Outcome, error) {
	to, come, forget, err := b.expectOutcome()
	if err != nil {
		return events.Outcome{}, err
	}
	defer forget()
	o.outcomeTo = to
	if err := b.Send(ctx, cmd, o); err != nil {
		select {
		case outcome := <-come: // the acknowledgement was lost, and yet it is done
			return outcome, nil
		default:
			return events.Outcome{}, err
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case outcome := <-come:
		return outcome, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return events.Outcome{CommandID: o.ID}, nil
}

// Reply sends an outcome to whoever waits for it. Nobody may be: then it is read by the command's id.
func (b *Bus) Reply(_ context.Context, outcomeTo string, o events.Outcome) error {
	if outcomeTo == "" {
		return nil
	}
	if !isInbox(outcomeTo) { // the sender chose it: it must not have us write what it may not
		return fmt.Errorf("the sender of the command wants its outcome on %q, which is no inbox", outcomeTo)
	}
	body, err := wire.Encode(o)
	if err != nil {
		return fmt.Errorf("encode outcome: %w", err)
	}
	return b.nc.Publish(outcomeTo, body)
}

func (b *Bus) expectOutcome() (subject string, come <-chan events.Outcome, forget func(), err error) {
	w := &b.outcomes
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == nil {
		w.prefix = "_INBOX_" + b.name + ".outcome." + nuid.Next() + "."
		if _, err := b.nc.Subscribe(w.prefix+"*", b.takeOutcome); err != nil {
			return "", nil, nil, fmt.Errorf("subscribe to outcomes: %w", err)
		}
		w.waiting = map[string]chan events.Outcome{}
	}
	w.next++
	subject = w.prefix + strconv.FormatUint(w.next, 10)
	ch := make(chan events.Outcome, 1)
	w.waiting[subject] = ch
	return subject, ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.waiting, subject)
	}, nil
}

func (b *Bus) takeOutcome(m *nats.Msg) {
	var o events.Outcome
	if err := json.Unmarshal(m.Data, &o); err != nil {
		b.log.Error("outcome cannot be read", zap.String("subject", m.Subject), zap.Error(err))
		return
	}
	b.outcomes.mu.Lock()
	defer b.outcomes.mu.Unlock()
	if ch, ok := b.outcomes.waiting[m.Subject]; ok {
		select {
		case ch <- o:
		default: // sent twice; the first stands
		}
	}
}
