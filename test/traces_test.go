package test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// spans is a collector: what a system has sent over OTLP/HTTP.
type spans struct {
	mu      sync.Mutex
	all     []*tracev1.Span
	bytes   bytes.Buffer
	service string
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var req collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &req) != nil {
		http.Error(w, "no spans", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes.Write(body)
	for _, of := range req.GetResourceSpans() {
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				s.service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			s.all = append(s.all, scope.GetSpans()...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// find is the first span that fits.
func (s *spans) find(what string, fits func(*tracev1.Span) bool) (*tracev1.Span, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.all, fits); i >= 0 {
		return s.all[i], nil
	}
	var names []string
	for _, span := range s.all {
		names = append(names, span.GetName())
	}
	slices.Sort(names)
	return nil, fmt.Errorf("no span %s; there are %s", what, strings.Join(slices.Compact(names), ", "))
}

// wakes are the traces of a post's wake-ups that are linked to where it was asked for.
func (s *spans) wakes(id string, traceID, spanID []byte) map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]bool{}
	for _, span := range s.all {
		if span.GetName() == "wake" && strings.HasSuffix(attribute(span, "omni.subject"), id) && !bytes.Equal(span.GetTraceId(), traceID) {
			found[string(span.GetTraceId())] = slices.ContainsFunc(span.GetLinks(), func(l *tracev1.Span_Link) bool {
				return bytes.Equal(l.GetTraceId(), traceID) && bytes.Equal(l.GetSpanId(), spanID)
			})
		}
	}
	return found
}

func attribute(span *tracev1.Span, name string) string {
	for _, a := range span.GetAttributes() {
		if a.GetKey() == name {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// A post can be followed from the HTTP request through NATS to the row, and, over the waiting time, from its wake-up to the
// call at Threads.
func TestTraces(t *testing.T) {
	t.Parallel()
	got := &spans{}
	server := httptest.NewServer(got)
	t.Cleanup(server.Close)
	h := newSystem(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL, "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_SERVICE_NAME=ours")
	h.start()
	h.connect()
	p := h.schedule("to be followed", time.Second)
	h.posted(p)

	// The caller's own trace goes on: these are its trace and its span.
	const caller, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	req, err := http.NewRequest(http.MethodGet, h.url("PORT")+"/api/threads/post/"+p.ID+"?access_token=seen-by-nobody", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	req.Header.Set("Traceparent", "00-"+caller+"-"+parent+"-01")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()

	var chain []string
	within := func(of *tracev1.Span, name string) func(*tracev1.Span) bool {
		return func(s *tracev1.Span) bool {
			return s.GetName() == name && bytes.Equal(s.GetTraceId(), of.GetTraceId()) && bytes.Equal(s.GetParentSpanId(), of.GetSpanId())
		}
	}
	h.eventually("every span of the post's life", func() error {
		chain = nil
		must := func(what string, fits func(*tracev1.Span) bool) *tracev1.Span {
			if err != nil {
				return nil
			}
			var span *tracev1.Span
			if span, err = got.find(what, fits); span != nil {
				chain = append(chain, span.GetName())
			}
			return span
		}
		err = nil
		asked := must("of the request", func(s *tracev1.Span) bool { return s.GetName() == "POST /api/threads/post/schedule" })
		sent := must("of the command", within(asked, "send post.schedule.v1"))
		handled := must("of its handler", within(sent, "handle post.schedule.v1"))
		must("of the fact that it is scheduled", within(handled, "tell post.scheduled.v1"))
		waking := got.wakes(p.ID, asked.GetTraceId(), handled.GetSpanId())
		under := func(name string) func(*tracev1.Span) bool {
			return func(s *tracev1.Span) bool { return s.GetName() == name && waking[string(s.GetTraceId())] }
		}
		must("of the wake-up, linked to the request", under("wake"))
		must("of the container's making", under("threads create"))
		must("of the call", under("threads publish"))
		must("of the fact that it is published", func(s *tracev1.Span) bool { return s.GetName() == "tell post.published.v1" })
		read := must("of the caller's trace", func(s *tracev1.Span) bool {
			return fmt.Sprintf("%x", s.GetTraceId()) == caller && fmt.Sprintf("%x", s.GetParentSpanId()) == parent
		})
		if err == nil && attribute(read, "http.route") != "/api/threads/post/{id}" {
			return fmt.Errorf("the span of a request has no route: %v", read)
		}
		return err
	})
	t.Log(strings.Join(chain, " > "))
	got.mu.Lock()
	defer got.mu.Unlock()
	if got.service != "ours" {
		t.Errorf("they are of service %q", got.service)
	}
	for _, secret := range []string{"seen-by-nobody", "THAA", "to be followed", h.token, "client_secret", "code="} {
		if bytes.Contains(got.bytes.Bytes(), []byte(secret)) {
			t.Errorf("the spans hold %q", secret)
		}
	}
}

// A collector that never answers costs spans, and no post its second.
func TestTracesToNobody(t *testing.T) {
	t.Parallel()
	held := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-held:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(held) })
	h := newSystem(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL, "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_BSP_MAX_QUEUE_SIZE=4", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=2",
		"OTEL_BSP_EXPORT_TIMEOUT=200")
	h.start()
	h.connect()
	h.posted(h.schedule("with nobody to tell", time.Second))
	h.eventually("word of the lost spans", func() error {
		if !strings.Contains(h.log.String(), "spans were lost") {
			return fmt.Errorf("the log says nothing")
		}
		return nil
	})
}
