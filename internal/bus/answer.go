package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
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
	// answerLimit bounds one answer, however long its asker says to wait; usualWait is how long one waits who does not say,
	// which askers of the release before did not.
	answerLimit = time.Minute
	usualWait   = 30 * time.Second
	answerAgain = 2 * time.Second // when to ask again while something is away
)

// answers are the questions that this process answers: one NATS micro service with an endpoint for each kind.
type answers struct {
	mu      sync.Mutex
	service micro.Service // nil: no kind of question is answered yet
	busy    *gate
}

func newAnswers() answers { return answers{busy: newGate()} }

// Answer answers a kind of question, together with every other process that does. It is known by its zero value's
// subject. When it returns, the server knows: whoever asks now is answered. A Fault goes to the asker as it is; any other
// error is logged, and the answer is that it was our mistake. The ctx of fn ends when the asker stops waiting; what nobody
// waits for any more is not begun. At most one Bounds says how many are worked on at once; without it the defaults do.
func Answer[Q asks.Question, A any](b *Bus, fn func(context.Context, Q) (A, error), bounds ...Bounds) error {
	var zero Q
	kind := newPlaces(append(bounds, Bounds{})[0])
	service, err := b.openAnswers()
	if err != nil {
		return err
	}
	subject := zero.Subject()
	name := strings.ReplaceAll(subject, ".", "-")
	err = service.AddEndpoint(name, micro.HandlerFunc(func(r micro.Request) {
		if !b.answers.busy.enter() { // it came while we closed: better a word than silence
			refuse(b, r, unavailable("A part of the system is being restarted; please try again.").After(time.Second))
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), waitOf(r))
		go func() { // neither a slow answer nor the wait for a place must hold up the next question
			defer b.answers.busy.leave()
			defer cancel()
			leave, err := kind.take(ctx, askerOf(r))
			if err != nil {
				b.refuseUnstarted(r, err)
				return
			}
			defer leave()
			respond(ctx, b, r, fn)
		}()
	}), micro.WithEndpointSubject(subject))
	if err != nil {
		return fmt.Errorf("answer %s: %w", subject, err)
	}
	if err := b.flush(context.Background()); err != nil { // the connection is away; with it the subscription comes back
		b.log.Warn("the server may not know yet that we answer", zap.String("subject", subject), zap.Error(err))
	}
	return nil
}

// StopAnswering takes no more questions and finishes the answers in hand, until ctx ends. Other processes go on.
func (b *Bus) StopAnswering(ctx context.Context) error {
	a := &b.answers
	a.mu.Lock()
	service := a.service
	a.mu.Unlock()
	if service == nil || b.nc.IsClosed() {
		return nil
	}
	err := service.Stop()
	if err == nil {
		err = b.flush(ctx) // what the server sent us before it knew of it is here now
	}
	if err = errors.Join(err, a.busy.shut(ctx)); err != nil {
		return fmt.Errorf("stop answering: %w", err)
	}
	return nil
}

// waitOf is how long whoever asked waits for the answer. It is sent as a span and not as a time of day, for clocks differ.
func waitOf(r micro.Request) time.Duration {
	ms, err := strconv.ParseInt(header(nats.Header(r.Headers()), asks.HeaderWait), 10, 64)
	if err != nil {
		return usualWait
	}
	return min(time.Duration(ms)*time.Millisecond, answerLimit)
}

// askerOf is the user who asks, by the field that all questions of a user have; "" where there is none.
func askerOf(r micro.Request) string {
	var q struct {
		UserID string `json:"userId"`
	}
	_ = json.Unmarshal(r.Data(), &q) // what cannot be read is refused when it is worked on
	return q.UserID
}

// refuseUnstarted ends a question that was not begun. Who was refused is answered why; who stopped waiting gets nothing.
func (b *Bus) refuseUnstarted(r micro.Request, err error) {
	if f := new(events.Fault); errors.As(err, &f) {
		refuse(b, r, f)
		return
	}
	b.log.Info("question not begun: nobody waits for its answer any more", zap.String("subject", r.Subject()))
}

func (b *Bus) openAnswers() (micro.Service, error) {
	a := &b.answers
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.service != nil {
		return a.service, nil
	}
	s, err := micro.AddService(b.nc, micro.Config{Name: b.name, Version: "1.0.0", Description: "answers of " + b.name})
	if err != nil {
		return nil, fmt.Errorf("open for questions: %w", err)
	}
	a.service = s
	return s, nil
}

func respond[Q asks.Question, A any](ctx context.Context, b *Bus, r micro.Request, fn func(context.Context, Q) (A, error)) {
	began := time.Now()
	result, err := answerTo(ctx, b, r, fn)
	if err == nil {
		err = reply(b, r, result, nil)
	}
	if err == nil {
		return
	}
	f := new(events.Fault)
	if !errors.As(err, &f) {
		log := b.log.With(zap.String("subject", r.Subject()), zap.Duration("took", time.Since(began)), zap.Error(err))
		switch {
		case ctx.Err() != nil:
			log.Info("question given up: nobody waits for its answer any more")
			f = unavailable("This took too long; please try again shortly.").After(answerAgain)
		case b.outage(err):
			log.Warn("question failed for want of what its answer depends on")
			f = unavailable("A part of the system is away at the moment; please try again shortly.").After(answerAgain)
		default:
			log.Error("question failed")
			f = internalFault()
		}
	}
	refuse(b, r, f)
}

// refuse answers with a Fault, whole: in the body, where the headers of a micro service have room for a word and a sentence.
func refuse(b *Bus, r micro.Request, f *events.Fault) {
	h := nats.Header{micro.ErrorCodeHeader: {string(f.Code)}, micro.ErrorHeader: {f.Message}}
	if err := reply(b, r, f, h); err != nil {
		b.log.Error("answer not sent", zap.String("subject", r.Subject()), zap.Error(err))
	}
}

// reply sends an answer. It fails when the answer does not encode, or is too large. The request's own methods would write
// to a field that the framework reads as soon as its handler has returned, which ours has.
func reply(b *Bus, r micro.Request, answer any, h nats.Header) error {
	if !isInbox(r.Reply()) { // whoever asks chose it: it must not have us write what they may not
		b.log.Warn("a question wants its answer where there is no inbox", zap.String("subject", r.Subject()), zap.String("reply", r.Reply()))
		return nil
	}
	body, err := wire.Encode(answer)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	if most := b.nc.MaxPayload() - answerHeaders; int64(len(body)) > most {
		b.log.Warn("answer too large to be sent", zap.String("subject", r.Subject()), zap.Int("bytes", len(body)))
		return tooMuch(most)
	}
	return b.nc.PublishMsg(&nats.Msg{Subject: r.Reply(), Data: body, Header: h})
}

// isInbox says of a subject that somebody waits there for an answer. The server calls the inboxes of other accounts _R_.
func isInbox(subject string) bool {
	return strings.HasPrefix(subject, "_INBOX_") || strings.HasPrefix(subject, "_INBOX.") || strings.HasPrefix(subject, "_R_.")
}

// answerHeaders is room for the headers of an answer.
const answerHeaders = 8 << 10

// tooMuch says that an answer is larger than NATS carries. Pages end before that by themselves; this is for what has none.
func tooMuch(most int64) *events.Fault {
	words := fmt.Sprintf("The answer to this is larger than the %d KiB that can be sent at once; ask for less.", most>>10)
	return events.Faultf(events.Invalid, "%s", words).At("", "answer_too_large", words)
}

// tooLarge says that a command or a question is larger than NATS carries.
func tooLarge(most int64) *events.Fault {
	words := fmt.Sprintf("This is larger than the %d KiB that we can take on at once; make it smaller.", most>>10)
	return events.Faultf(events.Invalid, "%s", words).At("", "too_large", words)
}

// answerTo reads the question and calls fn. A panic is logged, and an error like any other.
func answerTo[Q asks.Question, A any](ctx context.Context, b *Bus, r micro.Request, fn func(context.Context, Q) (A, error)) (a A, err error) {
	defer func() {
		if p := recover(); p != nil {
			b.log.Error("panic while answering", zap.String("subject", r.Subject()), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			err = internalFault()
		}
	}()
	var q Q
	if err := json.Unmarshal(r.Data(), &q); err != nil {
		return a, events.Faultf(events.Invalid, "The question could not be read.")
	}
	m := MetaOf(nats.Header(r.Headers()))
	m.ID = m.Causation // a question is no cause of its own: what comes of it follows from the message that led to asking
	ctx, span := Begin(causedBy(ctx, m), "answer "+r.Subject(), trace.SpanKindServer)
	defer func() { end(span, err) }()
	return fn(ctx, q)
}
