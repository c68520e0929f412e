// Package tracing sends OpenTelemetry spans to a collector, if a process is told of one.
package tracing

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
)

// flushWithin bounds how long a process that ends waits for a collector.
const flushWithin = 3 * time.Second

// On says whether spans go anywhere. Where they do not, none are made: even those that do nothing cost more than the rest of
// sending a message.
func On() bool {
	_, on := otel.GetTracerProvider().(*trace.TracerProvider)
	return on
}

// Start sends spans to a collector, over OTLP/HTTP, as those of the service with this name. Headers, sampler, timeouts and
// the batch are set by OpenTelemetry's own variables, which its SDK reads itself. A collector that is slow or gone costs
// spans, never a post: what does not fit into the queue is dropped, and a lost batch is said in the log.
//
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
func Start(ctx context.Context, endpoint, name string, log *zap.Logger) (flush func(), err error) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("spans were lost", zap.Error(err)) }))
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
	if err != nil {
		return nil, fmt.Errorf("send traces to %s: %w", endpoint, err)
	}
	who, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithFromEnv(), resource.WithHost(), resource.WithAttributes(attribute.String("service.name", name)))
	if err != nil {
		return nil, fmt.Errorf("name the source of traces: %w", err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(who))
	otel.SetTracerProvider(provider)
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushWithin)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.Warn("the last spans were lost", zap.Error(err))
		}
	}, nil
}
