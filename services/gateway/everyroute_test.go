package gateway_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/services/gateway"
)

// describedOperation is an operation as the description tells of it.
type describedOperation struct {
	ID          string                `json:"operationId"`
	Security    []map[string][]string `json:"security"`
	Parameters  []struct{ Name, In string }
	RequestBody *struct {
		Content map[string]json.RawMessage
	} `json:"requestBody"`
	Responses map[string]json.RawMessage

	method, path string
}

var placeholder = regexp.MustCompile(`\{[^}]+\}`)

// described are the operations of a gateway, by its own description: also those that were added after this was written.
func described(t *testing.T, h *system) []describedOperation {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]describedOperation
	}
	h.do(t, http.MethodGet, "/openapi.json", "", "Authorization", "").is(t, http.StatusOK, &doc)
	var all []describedOperation
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for method, op := range doc.Paths[path] {
			op.method, op.path = strings.ToUpper(method), placeholder.ReplaceAllString(path, "post_1")
			all = append(all, op)
		}
	}
	if len(all) < 40 {
		t.Fatalf("only %d operations are described", len(all))
	}
	return all
}

func (o describedOperation) takes(header string) bool {
	return slices.ContainsFunc(o.Parameters, func(p struct{ Name, In string }) bool { return p.In == "header" && p.Name == header })
}

// TestEveryRouteRefuses asks every route that the description names for what no route may do. Nobody else is there: what
// gets through is a 503, and a failure here.
func TestEveryRouteRefuses(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *gateway.Config) { c.MaxBody = 8 << 10 })
	all := described(t, h)
	large := strings.Repeat("x", 3<<20)

	t.Run("who is not signed in, in the same words everywhere", func(t *testing.T) {
		t.Parallel()
		words := map[string][]string{}
		for _, op := range all {
			if len(op.Security) == 0 {
				continue
			}
			for _, header := range []string{"", "Bearer x.y.z", "Basic eA=="} {
				r := h.do(t, op.method, op.path, "", "Authorization", header)
				p := r.problem(t, http.StatusUnauthorized, "unauthorized", "/Authorization")
				body := header + strings.ReplaceAll(string(r.body), p.RequestID, "")
				words[body] = append(words[body], op.ID)
			}
		}
		if len(words) != 3 {
			t.Errorf("%d kinds of answers: %v", len(words), words)
		}
	})

	t.Run("a body of another kind", func(t *testing.T) {
		t.Parallel()
		n := 0
		for _, op := range all {
			if op.RequestBody == nil || len(op.Security) == 0 { // Meta's are signed, and not looked at here
				continue
			}
			n++
			h.do(t, op.method, op.path, "<a/>", "Content-Type", "application/xml").problem(t, http.StatusUnsupportedMediaType, "unsupported_media_type")
		}
		if n < 8 {
			t.Errorf("only %d have a body", n)
		}
	})

	t.Run("a body that is too large, whether it wants one or not", func(t *testing.T) {
		t.Parallel()
		for _, op := range all {
			if op.method == http.MethodGet || strings.HasPrefix(op.path, start) {
				continue
			}
			h.do(t, op.method, op.path, large).problem(t, http.StatusRequestEntityTooLarge, "too_large")
		}
	})

	t.Run("a method that it does not have, and says which it has", func(t *testing.T) {
		t.Parallel()
		for _, op := range all {
			r := h.do(t, http.MethodPut, op.path, "")
			r.problem(t, http.StatusMethodNotAllowed, "method_not_allowed")
			if !strings.Contains(r.header.Get("Allow"), op.method) {
				t.Errorf("%s %s: Allow %q", op.method, op.path, r.header.Get("Allow"))
			}
		}
	})

	t.Run("to answer in a form that it does not have", func(t *testing.T) {
		t.Parallel()
		for _, op := range all {
			if strings.HasPrefix(op.path, start) {
				continue // a browser comes there
			}
			h.do(t, op.method, op.path, "", "Accept", "application/x-yaml").problem(t, http.StatusNotAcceptable, "not_acceptable")
		}
	})

	t.Run("a condition that it would not look at", func(t *testing.T) {
		t.Parallel()
		for _, op := range all {
			if op.method != http.MethodGet && !op.takes("If-Match") {
				h.do(t, op.method, op.path, "", "If-Match", `"1"`).problem(t, 422, "invalid", "/If-Match")
			}
		}
	})
}

// TestEveryWriteTakesAKey sees that no route that changes something forgets the Idempotency-Key.
func TestEveryWriteTakesAKey(t *testing.T) {
	t.Parallel()
	// Those that need none, with the reason.
	without := map[string]string{
		"validatePost":  "changes nothing",
		"issueTicket":   "a ticket is good once, and is kept nowhere to be given out twice",
		"finishConnect": "its code is good once, and a key would let it be shown again",
	}
	for _, op := range described(t, setup(t)) {
		if op.method == http.MethodGet || len(op.Security) == 0 || op.takes("Idempotency-Key") {
			continue
		}
		if without[op.ID] == "" && !strings.Contains(op.path, "/webhooks") {
			t.Errorf("%s takes no Idempotency-Key", op.ID)
		}
	}
}

// TestChangedMeanwhile: a condition that does not hold is 412, and no other conflict is.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	for code, status := range map[string]int{"rev_mismatch": http.StatusPreconditionFailed, "other": http.StatusConflict} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			h := setup(t)
			publisherRefusing(t, h, events.Faultf(events.Conflict, "It has changed.").At("/ifMatch", code, "It has changed."))
			h.do(t, http.MethodPost, "/api/threads/post", `{"text":"x"}`).problem(t, status, "conflict", "/ifMatch")
		})
	}
}
