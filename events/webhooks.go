package events

import (
	"encoding/json"
	"time"
)

// TypeWebhookTest is the type of what a webhook's test delivers.
const TypeWebhookTest = "webhook.test.v1"

// WebhookPayload is the body of a delivery.
type WebhookPayload struct {
	Type      string          `json:"type"`      // post.published.v1
	Timestamp time.Time       `json:"timestamp"` // when it was told
	Data      json.RawMessage `json:"data"`      // the event
}
