package edge

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
)

// Chain is the middleware that every request goes through before its route, the outermost first.
func (e *Edge) Chain(routes *http.ServeMux) http.Handler {
	return e.observe(e.secure(e.cors(e.limitSize(e.limitBody(e.problemsForMisses(routes))))))
}

// Info is what is known of a request beside the request: for its log line and its problem.
type Info struct {
	RequestID string
	Route     string // the pattern that matched: a label of few values
	User      string
	Err       error // what went wrong on our side; it is logged here and told to nobody
}

type infoKey struct{}

// InfoOf is the request's Info; an empty one, which nobody reads, where there is none.
func InfoOf(ctx context.Context) *Info {
	if n, ok := ctx.Value(infoKey{}).(*Info); ok {
		return n
	}
	return new(Info)
}

// observe gives the request its id, catches panics, and says once how the request went. Query strings are never logged:
// tickets and OAuth codes travel in them.
func (e *Edge) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := &Info{RequestID: requestID(r.Header.Get("X-Request-Id")), Route: "none"}
		ctx := context.WithValue(r.Context(), infoKey{}, n)
		ctx = bus.WithCorrelation(ctx, n.RequestID)
		ctx = bus.WithTraceParent(ctx, r.Header.Get("Traceparent")) // a trace that began at the caller goes on
		ctx, span := bus.Begin(ctx, r.Method, trace.SpanKindServer)
		r = r.WithContext(ctx)
		seen := &watchedWriter{ResponseWriter: w}
		seen.Header().Set("X-Request-Id", n.RequestID)

		began := time.Now()
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // net/http's own word, compared as it does
					panic(p)
				}
				n.Err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
				if seen.status == 0 {
					FromError(n.Err).write(seen, r)
				}
			}
			took := time.Since(began)
			measure(n.Route, r.Method, seen.status, took)
			endSpan(span, r.Method, n, seen.status)
			e.logRequest(r, n, seen, took)
		}()
		next.ServeHTTP(seen, r)
	})
}

// endSpan says what the span of a request was about: the pattern of its route, never the address itself.
func endSpan(span trace.Span, method string, n *Info, status int) {
	if !span.IsRecording() {
		return
	}
	route := strings.TrimPrefix(n.Route, method+" ")
	span.SetName(method + " " + route)
	span.SetAttributes(
		attribute.String("http.request.method", method), attribute.String("http.route", route),
		attribute.Int("http.response.status_code", status), attribute.String("omni.request_id", n.RequestID),
	)
	if status >= http.StatusInternalServerError {
		span.SetStatus(otelcodes.Error, "failed")
	}
	span.End()
}

func (e *Edge) logRequest(r *http.Request, n *Info, w *watchedWriter, took time.Duration) {
	fields := []zap.Field{
		zap.String("request_id", n.RequestID), zap.String("method", r.Method), zap.String("route", n.Route),
		zap.Int("status", w.status), zap.Int64("bytes", w.written), zap.Duration("took", took),
	}
	if n.User != "" {
		fields = append(fields, zap.String("user_id", n.User))
	}
	if id := bus.TraceID(r.Context()); id != "" {
		fields = append(fields, zap.String("trace_id", id))
	}
	switch {
	case w.status >= http.StatusInternalServerError && w.status != http.StatusServiceUnavailable:
		e.Log.Error("request failed", append(fields, zap.Error(n.Err))...)
	case w.status >= http.StatusInternalServerError:
		e.Log.Warn("request could not be served", append(fields, zap.Error(n.Err))...)
	case n.Route == e.Quiet:
		e.Log.Debug("request", fields...)
	default:
		e.Log.Info("request", fields...)
	}
}

// requestID takes the client's id when it is harmless in a log and a header, and makes one otherwise.
func requestID(offered string) string {
	const safe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
	if offered == "" || len(offered) > 64 || strings.Trim(offered, safe) != "" {
		return uuid.Must(uuid.NewV7()).String()
	}
	return offered
}

// watchedWriter knows what was answered.
type watchedWriter struct {
	http.ResponseWriter
	status  int
	written int64
}

// WriteHeader notes the first final status.
func (w *watchedWriter) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (w *watchedWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.written += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *watchedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// secure sets the headers that keep browsers from doing more with an answer than it is for.
func (e *Edge) secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if e.HTTPS {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")              // our addresses may carry a ticket or a code
		h.Set("Cross-Origin-Resource-Policy", "same-origin") // pages of the allowed origins ask with CORS, which this is not about
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (e *Edge) limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, e.MaxBody)
		next.ServeHTTP(w, r)
	})
}

// problemsForMisses answers with a problem where the mux would answer 404 or 405 in plain text. The mux is still the
// one that decides, and that lists the allowed methods.
func (e *Edge) problemsForMisses(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead && strings.HasPrefix(r.URL.Path, e.BrowserRoutes) {
			// These two act, and whoever only looks at a link must not use up what it carries.
			w.Header().Set("Allow", http.MethodGet)
			(&missWriter{ResponseWriter: w, request: r}).WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		_, pattern := mux.Handler(r)
		if !e.admitOthers(w, r, pattern) {
			return
		}
		if pattern == "" {
			mux.ServeHTTP(&missWriter{ResponseWriter: w, request: r}, r)
			return
		}
		InfoOf(r.Context()).Route = pattern
		mux.ServeHTTP(w, r)
	})
}

// missWriter puts a problem in the place of the mux's words.
type missWriter struct {
	http.ResponseWriter
	request  *http.Request
	replaced bool
}

// WriteHeader answers 404 and 405 itself.
func (w *missWriter) WriteHeader(status int) {
	switch status {
	case http.StatusNotFound:
		w.replaced = true
		NewProblem(status, codeNoRoute, Table[events.NotFound].Title, "There is nothing at this address; /openapi.json lists what there is.").
			write(w.ResponseWriter, w.request)
	case http.StatusMethodNotAllowed:
		w.replaced = true
		NewProblem(status, codeMethodNotAllowed, "This method is not for this address", "This address takes other methods; the Allow header lists them.").
			write(w.ResponseWriter, w.request)
	default:
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write drops the words that were replaced.
func (w *missWriter) Write(b []byte) (int, error) {
	if w.replaced {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}
