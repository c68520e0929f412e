package asks

import "time"

// WebhookStatus says whether a webhook gets anything.
type WebhookStatus string

// The statuses of a webhook. A paused one gets nothing of what happens meanwhile; nor does a disabled one, which failed for
// days.
const (
	WebhookActive   WebhookStatus = "active"
	WebhookPaused   WebhookStatus = "paused"
	WebhookDisabled WebhookStatus = "disabled"
)

// Webhook is an address of a user's to which events are brought.
type Webhook struct {
	ID          string `json:"id"`
	URL         string `json:"url"`
	Description string `json:"description"`
	// Facts are the names of those that are brought, post.published; none means all.
	Facts []string `json:"facts"`
	// AccountID: only events of this account; empty means all.
	AccountID string        `json:"accountId,omitempty"`
	Status    WebhookStatus `json:"status"`
	// Reason says why it was disabled, FailingSince since when nothing could be delivered.
	Reason       string     `json:"reason,omitempty"`
	FailingSince *time.Time `json:"failingSince,omitempty"`
	CreatedAt    time.Time  `json:"createdAt"`
	UpdatedAt    time.Time  `json:"updatedAt"`
	// Secret is shown once: when the webhook is made, and when its secret is changed.
	Secret string `json:"secret,omitempty"`
	// OldSecretUntil: so long the secret before it signs as well.
	OldSecretUntil *time.Time `json:"oldSecretUntil,omitempty"`
}

// WebhookList is all of a user's webhooks, the oldest first.
type WebhookList struct {
	Webhooks []Webhook `json:"webhooks"`
}

// WebhookDelivery is an event on its way to a webhook, and what was tried.
type WebhookDelivery struct {
	ID        string `json:"id"`
	EventID   string `json:"eventId"`   // the header webhook-id, the same at every try
	EventType string `json:"eventType"` // post.published.v1
	// Status is waiting, delivered or failed.
	Status    string           `json:"status"`
	Attempts  int              `json:"attempts"`
	NextTry   *time.Time       `json:"nextTry"`
	CreatedAt time.Time        `json:"createdAt"`
	Log       []WebhookAttempt `json:"log"` // the latest 20 attempts, the oldest first
}

// WebhookAttempt is one try of a delivery.
type WebhookAttempt struct {
	At         time.Time `json:"at"`
	StatusCode *int      `json:"statusCode"` // null when nothing was answered
	Message    string    `json:"message"`
	TookMs     float64   `json:"tookMs"`
}

// WebhookDeliveries is a page of deliveries, the latest first. Next is empty on the last page.
type WebhookDeliveries struct {
	Deliveries []WebhookDelivery `json:"deliveries"`
	Next       string            `json:"next,omitempty"`
}

// The questions about webhooks go to publisher. They change rows, and are questions all the same: a secret is in the
// answer, and nothing may store it.
type (
	// CreateWebhook makes a webhook. Under the same key it is made once; the secret is in the first answer. Answer: Webhook.
	CreateWebhook struct {
		UserID      string   `json:"userId"`
		Key         string   `json:"key,omitempty"`
		URL         string   `json:"url"`
		Description string   `json:"description,omitempty"`
		Facts       []string `json:"facts,omitempty"`
		AccountID   string   `json:"accountId,omitempty"`
	}
	// ListWebhooks asks for all of a user's webhooks. Answer: WebhookList.
	ListWebhooks struct {
		UserID string `json:"userId"`
	}
	// GetWebhook asks for one. Answer: Webhook.
	GetWebhook struct {
		UserID string `json:"userId"`
		ID     string `json:"id"`
	}
	// UpdateWebhook changes one. Nil fields stay as they are. Answer: Webhook.
	UpdateWebhook struct {
		UserID      string         `json:"userId"`
		ID          string         `json:"id"`
		URL         *string        `json:"url,omitempty"`
		Description *string        `json:"description,omitempty"`
		Facts       *[]string      `json:"facts,omitempty"`
		AccountID   *string        `json:"accountId,omitempty"`
		Status      *WebhookStatus `json:"status,omitempty"` // active or paused
	}
	// DeleteWebhook takes one away, with its deliveries. Answer: Webhook, as it was.
	DeleteWebhook struct {
		UserID string `json:"userId"`
		ID     string `json:"id"`
	}
	// RotateWebhook gives one a new secret; the old one signs beside it for a while. Answer: Webhook.
	RotateWebhook struct {
		UserID string `json:"userId"`
		ID     string `json:"id"`
	}
	// TestWebhook sends one a test. Answer: WebhookDelivery.
	TestWebhook struct {
		UserID string `json:"userId"`
		ID     string `json:"id"`
	}
	// ListDeliveries asks for a page of what was sent to one. Answer: WebhookDeliveries.
	ListDeliveries struct {
		UserID string `json:"userId"`
		ID     string `json:"id"`
		Limit  int    `json:"limit,omitempty"` // 1 to 200; 0 means 50
		After  string `json:"after,omitempty"` // cursor of the page before
	}
	// ResendDelivery sends something once more. Answer: WebhookDelivery.
	ResendDelivery struct {
		UserID     string `json:"userId"`
		ID         string `json:"id"`
		DeliveryID string `json:"deliveryId"`
	}
)

// Subject is threads.ask.hook.create.
func (CreateWebhook) Subject() string { return ask("hook", "create") }

// Subject is threads.ask.hook.list.
func (ListWebhooks) Subject() string { return ask("hook", "list") }

// Subject is threads.ask.hook.get.
func (GetWebhook) Subject() string { return ask("hook", "get") }

// Subject is threads.ask.hook.update.
func (UpdateWebhook) Subject() string { return ask("hook", "update") }

// Subject is threads.ask.hook.delete.
func (DeleteWebhook) Subject() string { return ask("hook", "delete") }

// Subject is threads.ask.hook.rotate.
func (RotateWebhook) Subject() string { return ask("hook", "rotate") }

// Subject is threads.ask.hook.test.
func (TestWebhook) Subject() string { return ask("hook", "test") }

// Subject is threads.ask.hook.deliveries.
func (ListDeliveries) Subject() string { return ask("hook", "deliveries") }

// Subject is threads.ask.hook.resend.
func (ResendDelivery) Subject() string { return ask("hook", "resend") }
