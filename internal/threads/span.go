package threads

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/omni-write/threads/internal/tracing"
)

var tracer = otel.Tracer("github.com/omni-write/threads/internal/threads")

// beginCall begins the span of a call. It never holds the address: codes and tokens travel in some of them.
func beginCall(ctx context.Context, q call) (context.Context, trace.Span) {
	if !tracing.On() {
		return ctx, noop.Span{}
	}
	return tracer.Start(ctx, "threads "+q.op, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("http.request.method", q.method)))
}

func endCall(span trace.Span, err error) {
	if !span.IsRecording() {
		return
	}
	if e := new(Error); errors.As(err, &e) {
		span.SetAttributes(
			attribute.String("threads.class", string(e.Class)), attribute.Int("threads.code", e.Code), attribute.Int("threads.subcode", e.Subcode),
			attribute.String("threads.fbtrace_id", e.TraceID), attribute.Int("http.response.status_code", e.HTTPStatus),
		)
	}
	if err != nil {
		span.SetStatus(codes.Error, "failed") // the words are in the post's attempts
	}
	span.End()
}
