package apidoc

import (
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/services/gateway/edge"
)

// exactSchemas says of answers what Go's types do not: the words that a field may have, and what may be null.
func exactSchemas(schemas map[string]*huma.Schema) {
	for at, words := range vocabularies {
		name, field, _ := strings.Cut(at, ".")
		if schema := schemas[name]; schema != nil && schema.Properties[field] != nil {
			schema.Properties[field].Enum = words
		}
	}
	for _, name := range []string{"Post", "PostDetail"} {
		if schema := schemas[name]; schema != nil {
			schema.Properties["reason"] = &huma.Schema{
				Description: "Why the post waits, failed, is unconfirmed or parked.",
				AnyOf:       []*huma.Schema{refTo("Fault"), {Type: "null"}},
			}
		}
	}
	if command := schemas["Command"]; command != nil {
		command.Properties["result"] = &huma.Schema{
			Description: "What it made, when it succeeded: the same as the request would have answered.",
			AnyOf:       []*huma.Schema{refTo("Post"), refTo("Connection"), refTo("ReplyState"), refTo("HistoryImport")},
		}
	}
	for name, schema := range schemas {
		if !slices.Contains(requestOnly, name) {
			schema.AdditionalProperties = openOrAsItWas(schema) // answers may get new fields
		}
		if schema.Description == "" {
			schema.Description = schemaWords[name]
		}
	}
}

func refTo(name string) *huma.Schema { return &huma.Schema{Ref: "#/components/schemas/" + name} }

// openOrAsItWas takes a "no more fields" away.
func openOrAsItWas(s *huma.Schema) any {
	if closed, ok := s.AdditionalProperties.(bool); ok && !closed {
		return nil
	}
	return s.AdditionalProperties
}

// requestOnly are the schemas of what clients send; an unknown field in one of them is a mistake of theirs.
var requestOnly = []string{
	"Approval", "Draft", "Edit", "GIF", "Hiding", "ImportRequest", "MediaInput", "NewWebhook", "PartInput", "RefreshRequest",
	"RepostInput", "Resolution", "Retry", "ScheduledDraft", "StyledRange", "TextAttachment", "TextRange", "Trial", "WebhookChange",
}

// schemaWords are said of schemas whose types cannot.
var schemaWords = map[string]string{}

// vocabularies are the words of fields, in answers.
var vocabularies = func() map[string][]any {
	v := map[string][]any{
		"Connection.status": list(events.ConnectionActive, events.ConnectionReconnectRequired, events.ConnectionDisconnected),
		"Runway.status":     list(events.ConnectionActive, events.ConnectionReconnectRequired, events.ConnectionDisconnected),
		"Webhook.status":    list(asks.WebhookActive, asks.WebhookPaused, asks.WebhookDisabled),

		"HistoryImport.status":     list("none", "running", "done", "failed"),
		"WebhookDelivery.status":   list("waiting", "delivered", "failed"),
		"ImportedRow.timeDecision": list(events.FirstOfTwo, events.SecondOfTwo, events.MovedForward),
		"TrialResult.timeDecision": list(events.FirstOfTwo, events.SecondOfTwo, events.MovedForward),
		"Fault.code":               codes(),
	}
	for _, post := range []string{"Post", "PostDetail"} {
		v[post+".status"] = list(events.StatusQueued, events.StatusPosted, events.StatusFailed, events.StatusCancelled, events.StatusDeleted)
		v[post+".state"] = list(events.StateScheduled, events.StateReady, events.StateWaiting, events.StatePublishing,
			events.StateUnconfirmed, events.StateConcluding, events.StateParked, events.StatePublished, events.StateFailed,
			events.StateCancelled)
		v[post+".kind"] = list(events.KindPost, events.KindRepost, events.KindImported)
		v[post+".timeDecision"] = list(events.FirstOfTwo, events.SecondOfTwo, events.MovedForward)
	}
	return v
}()

func list[T ~string](words ...T) []any {
	all := make([]any, len(words))
	for i, w := range words {
		all[i] = string(w)
	}
	return all
}

// codes are those of the table.
func codes() []any { return list(slices.Sorted(maps.Keys(edge.Table))...) }
