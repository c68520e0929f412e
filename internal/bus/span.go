package bus

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/tracing"
)

// Spans are only made where tracing is on. Otherwise none of this costs or changes anything: the traceparent of a message is
// passed on as it came.
var tracer = otel.Tracer("github.com/omni-write/threads/internal/bus")

// Begin begins a span under the one in ctx, or under the trace that ctx continues. What is sent in the returned ctx follows
// from it.
func Begin(ctx context.Context, name string, kind trace.SpanKind, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	if !tracing.On() {
		return ctx, noop.Span{}
	}
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, spanContextOf(trailOf(ctx).traceParent))
	}
	ctx, span := tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
	return follow(ctx, span), span
}

// beginHandling begins the span of a message in hand. What was sent just now is a part of the sender's trace. A wake-up begins
// a trace of its own: hours or months have passed, and whose post it is links to who asked for it (see Link).
func beginHandling(ctx context.Context, d Delivery) (context.Context, trace.Span) {
	if !tracing.On() {
		return ctx, noop.Span{}
	}
	attributes := []attribute.KeyValue{
		attribute.String("messaging.system", "nats"), attribute.String("messaging.destination.name", d.Stream),
		attribute.String("messaging.consumer.group.name", d.Consumer), attribute.Int64("omni.deliveries", int64(d.Deliveries)), //nolint:gosec // few
	}
	if d.Meta.Type != "" {
		attributes = append(attributes, attribute.String("messaging.message.id", d.Meta.ID))
		return Begin(ctx, "handle "+d.Meta.Type, trace.SpanKindConsumer, attributes...)
	}
	attributes = append(attributes, attribute.String("omni.subject", d.Subject))
	ctx, span := tracer.Start(ctx, "wake", trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attributes...))
	return follow(ctx, span), span
}

// endHandling ends the span of a message. What is only put off is no error.
func endHandling(span trace.Span, v verdict, err error) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String("omni.outcome", v.outcome()))
	if v.quiet {
		err = nil
	}
	end(span, err)
}

// beginEmitting begins the span of events on their way to EVENTS.
func beginEmitting(ctx context.Context, evs []events.Event) (context.Context, trace.Span) {
	if !tracing.On() {
		return ctx, noop.Span{}
	}
	name, ids := "tell", make([]string, len(evs))
	for i, ev := range evs {
		ids[i] = ev.EventID()
	}
	if len(evs) == 1 {
		name += " " + evs[0].Type()
	}
	return Begin(ctx, name, trace.SpanKindProducer, attribute.StringSlice("messaging.message.ids", ids))
}

// follow makes what is sent in ctx follow from a span.
func follow(ctx context.Context, span trace.Span) context.Context {
	if !span.IsRecording() {
		return ctx
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return WithTraceParent(ctx, carrier["traceparent"])
}

// end ends a span. A Fault that is somebody's mistake, or the way of things, is an outcome and no error of ours.
func end(span trace.Span, err error) {
	if !span.IsRecording() {
		return
	}
	if f := new(events.Fault); errors.As(err, &f) {
		span.SetAttributes(attribute.String("omni.fault", string(f.Code)))
		if f.Code != events.Unavailable && f.Code != events.Internal {
			err = nil
		}
	}
	if err != nil {
		span.SetStatus(codes.Error, "failed") // the words are in the log, where secrets are looked for
	}
	span.End()
}

// spanContextOf reads a traceparent.
func spanContextOf(traceParent string) trace.SpanContext {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceParent})
	return trace.SpanContextFromContext(ctx)
}

// TraceParent is the trace that ctx belongs to, to be linked to later; "" where there is none.
func TraceParent(ctx context.Context) string { return trailOf(ctx).traceParent }

// TraceID is the id of the trace that ctx belongs to, if somebody records it; otherwise "".
func TraceID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.IsSampled() {
		return sc.TraceID().String()
	}
	return ""
}

// Link links the span in ctx to a trace that ended long ago.
func Link(ctx context.Context, traceParent string) {
	if !tracing.On() {
		return
	}
	if sc := spanContextOf(traceParent); sc.IsValid() {
		trace.SpanFromContext(ctx).AddLink(trace.Link{SpanContext: sc})
	}
}
