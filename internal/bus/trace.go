package bus

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"regexp"
)

// WithTraceParent continues a W3C trace that began elsewhere. What is not a traceparent is left aside: it comes from
// outside, and a broken trace would cling to every message that follows.
func WithTraceParent(ctx context.Context, traceParent string) context.Context {
	t := trailOf(ctx)
	t.traceParent = validTraceParent(traceParent)
	return context.WithValue(ctx, trailKey{}, t)
}

// https://www.w3.org/TR/trace-context/#traceparent-header: version, trace id, parent id, flags.
var traceParentForm = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

func validTraceParent(s string) string {
	if traceParentForm.MatchString(s) {
		return s
	}
	return ""
}

// orNewTrace begins a trace where there is none, so that a message can always be followed.
func (t trail) orNewTrace() trail {
	if t.traceParent == "" {
		var b [24]byte
		_, _ = rand.Read(b[:]) // never fails
		t.traceParent = "00-" + hex.EncodeToString(b[:16]) + "-" + hex.EncodeToString(b[16:]) + "-00"
	}
	return t
}
