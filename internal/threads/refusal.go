package threads

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// refusal is what an answer that says no boils down to, whichever of Meta's shapes it came in.
type refusal struct {
	status  int
	code    int
	subcode int
	name    string
	message string
	traceID string
	// oauth marks the code exchange's own shape, whose "code" is an HTTP status and no Graph code.
	oauth bool
}

// apiName matches the names of the newer errors. Where on the wire they stand is undocumented, so the whole body is
// searched.
var apiName = regexp.MustCompile(`THREADS_API__[A-Z_]+`)

// parseRefusal reads an error out of an answer. It returns nil for a success. Anything may come here: empty bodies and
// an edge's HTML included, which give a refusal without a code.
func parseRefusal(status int, body []byte) *refusal {
	var wire struct {
		Error        json.RawMessage `json:"error"`
		ErrorType    string          `json:"error_type"`
		ErrorMessage string          `json:"error_message"`
		Code         loose           `json:"code"`
	}
	// An error here leaves what could be read, which is all there is.
	_ = json.Unmarshal(body, &wire)

	success := status >= 200 && status < 300
	// error_message alone is no sign of failure: it is also a field of a container.
	if success && len(wire.Error) == 0 && wire.ErrorType == "" {
		return nil
	}
	r := &refusal{status: status, name: string(apiName.Find(body))}
	if wire.ErrorType != "" {
		r.oauth, r.code, r.message = true, int(wire.Code), wire.ErrorMessage
		return r
	}
	var graph struct {
		Message string `json:"message"`
		Code    loose  `json:"code"`
		Subcode loose  `json:"error_subcode"`
		TraceID string `json:"fbtrace_id"`
	}
	_ = json.Unmarshal(wire.Error, &graph)
	r.code, r.subcode = int(graph.Code), int(graph.Subcode)
	r.message, r.traceID = graph.Message, graph.TraceID
	return r
}

// loose is a whole number that may arrive quoted, or not be one at all; then it is 0, "no code".
type loose int

func (v *loose) UnmarshalJSON(b []byte) error {
	n, err := strconv.Atoi(strings.Trim(string(b), `"`))
	if err == nil {
		*v = loose(n)
	}
	return nil
}
