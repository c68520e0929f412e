package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
)

const askTimeout = 5 * time.Second

// Ask asks a question and waits for its answer, five seconds unless ctx says otherwise. Its error is a Fault.
func Ask[A any](ctx context.Context, b *Bus, q events.Question) (answer A, err error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, askTimeout)
		defer cancel()
	}
	body, err := json.Marshal(q)
	if err != nil {
		return answer, fmt.Errorf("encode question: %w", err)
	}
	m := &nats.Msg{Subject: q.Subject(), Data: body, Header: nats.Header{}}
	if id := Correlation(ctx); id != "" {
		m.Header[events.HeaderCorrelation] = []string{id}
	}
	reply, err := b.nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		b.log.Warn("question without an answer", zap.String("subject", q.Subject()), zap.Error(err))
		return answer, unavailable("A part of the system does not answer at the moment; please try again shortly.").After(2 * time.Second)
	}
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

// Answer answers a kind of question, together with every other process that does. It is known by its zero value's
// subject. A Fault goes to the asker as it is; any other error is logged, and the asker hears that it was our mistake.
func Answer[Q events.Question, A any](b *Bus, fn func(context.Context, Q) (A, error)) error {
	var zero Q
	service, err := b.answering()
	if err != nil {
		return err
	}
	subject := zero.Subject()
	name := strings.NewReplacer(".", "-").Replace(subject)
	return service.AddEndpoint(name, micro.ContextHandler(context.Background(), func(ctx context.Context, r micro.Request) {
		go func() { // a slow answer must not hold up the next question
			ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
			defer cancel()
			answer(ctx, b, r, fn)
		}()
	}), micro.WithEndpointSubject(subject))
}

func (b *Bus) answering() (micro.Service, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answers == nil {
		s, err := micro.AddService(b.nc, micro.Config{Name: b.name, Version: "1.0.0", Description: "answers of " + b.name})
		if err != nil {
			return nil, fmt.Errorf("open for questions: %w", err)
		}
		b.answers = s
	}
	return b.answers, nil
}

func answer[Q events.Question, A any](ctx context.Context, b *Bus, r micro.Request, fn func(context.Context, Q) (A, error)) {
	began := b.now()
	result, err := func() (a A, err error) {
		defer func() {
			if p := recover(); p != nil {
				b.log.Error("panic while answering", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
				err = internalFault()
			}
		}()
		var q Q
		if err := json.Unmarshal(r.Data(), &q); err != nil {
			return a, events.Faultf(events.Invalid, "The question could not be read.")
		}
		return fn(WithCorrelation(ctx, header(nats.Header(r.Headers()), events.HeaderCorrelation)), q)
	}()
	if err != nil {
		f := new(events.Fault)
		if !errors.As(err, &f) {
			b.log.Error("question failed", zap.String("subject", r.Subject()), zap.Duration("took", b.now().Sub(began)), zap.Error(err))
			f = internalFault()
		}
		body, _ := json.Marshal(f) // strings and numbers always encode
		// Not r.Error: it writes a field of the request that the framework reads as soon as its own handler has returned.
		_ = r.Respond(body, micro.WithHeaders(micro.Headers{micro.ErrorCodeHeader: {string(f.Code)}, micro.ErrorHeader: {f.Message}}))
		return
	}
	_ = r.RespondJSON(result)
}

func internalFault() *events.Fault {
	return events.Faultf(events.Internal, "Something went wrong on our side; we have been told.")
}
