package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/wire"
)

const (
	askTimeout = 5 * time.Second
	// askRetryFor is how long a question waits for somebody to answer its kind: a service that is being restarted is back
	// within it, and nobody need know of that.
	askRetryFor = 2 * time.Second
)

// Ask asks a question and waits for its answer, five seconds unless ctx says otherwise. What went wrong is a Fault.
func Ask[A any](ctx context.Context, b *Bus, q asks.Question) (answer A, err error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, askTimeout)
		defer cancel()
	}
	ctx, span := Begin(ctx, "ask "+q.Subject(), trace.SpanKindClient)
	defer func() { end(span, err) }()
	body, err := wire.Encode(q)
	if err != nil {
		return answer, fmt.Errorf("encode question: %w", err)
	}
	m := &nats.Msg{Subject: q.Subject(), Data: body, Header: nats.Header{}}
	trailOf(ctx).orNewTrace().mark(m.Header)
	reply, err := b.request(ctx, m)
	if errors.Is(err, nats.ErrMaxPayload) {
		return answer, tooLarge(b.nc.MaxPayload())
	}
	if err != nil {
		b.log.Warn("question without an answer", zap.String("subject", q.Subject()), zap.Error(err))
		return answer, unavailable("A part of the system does not answer at the moment; please try again shortly.").After(2 * time.Second)
	}
	// NATS micro services tell errors in headers; Request knows nothing of them.
	if reply.Header.Get(micro.ErrorCodeHeader) != "" {
		f := new(events.Fault)
		if err := json.Unmarshal(reply.Data, f); err != nil || f.Code == "" {
			f = internalFault()
		}
		return answer, f
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return answer, fmt.Errorf("decode answer: %w", err)
	}
	return answer, nil
}

// request asks again while nobody listens. NATS says so at once and the question went nowhere, so it is asked only once.
func (b *Bus) request(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	b.asking.Add(1)
	defer b.asking.Add(-1)
	for began := time.Now(); ; {
		if end, ok := ctx.Deadline(); ok {
			m.Header[asks.HeaderWait] = []string{strconv.FormatInt(time.Until(end).Milliseconds(), 10)}
		}
		reply, err := b.nc.RequestMsgWithContext(ctx, m)
		if !errors.Is(err, nats.ErrNoResponders) || time.Since(began) >= askRetryFor || !backoff(ctx) {
			return reply, err
		}
	}
}

func internalFault() *events.Fault {
	return events.Faultf(events.Internal, "Something went wrong on our side; we have been told.")
}
