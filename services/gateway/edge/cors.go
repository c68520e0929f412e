package edge

import (
	"net/http"
	"strings"

	"github.com/rs/cors"
)

// cors lets pages of the configured origins call the API, and no others. No credentials: the API knows people by their
// bearer token, and a cookie that a page could send along would be a way to act in somebody's name.
func (e *Edge) cors(next http.Handler) http.Handler {
	origins := make([]string, 0, len(e.CORSOrigins))
	for _, o := range e.CORSOrigins {
		origins = append(origins, strings.TrimSpace(o))
	}
	refused := newRefusedOrigins(origins, e.Log)
	if len(origins) == 0 {
		return refused.watch(next) // rs/cors would take an empty list for "everybody"
	}
	return refused.watch(cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete},
		AllowedHeaders: append([]string{
			"Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Prefer", "X-Request-Id", "Last-Event-ID",
			"Traceparent", "Tracestate", "Baggage", "Sentry-Trace", "Cache-Control", // readers of event streams send the last
		}, e.CORSHeaders...),
		ExposedHeaders: []string{"Location", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id", "ETag", "Link", "Allow", "Preference-Applied"},
		MaxAge:         600,
	}).Handler(next))
}
