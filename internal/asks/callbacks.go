package asks

// ReceiveWebhook hands auth, who holds the app's secret, what Meta sent: the bytes as they came, and what signs them. It
// is answered when everything in it is on EVENTS. Answer: WebhookReceived.
type ReceiveWebhook struct {
	Body      []byte `json:"body"`
	Signature string `json:"signature"`
}

// WebhookReceived says how many events a webhook became; those that were known already do not count.
type WebhookReceived struct {
	Facts int `json:"facts"`
}

// VerifyWebhook asks auth whether the verification of our webhook subscription is Meta's, by the verify token. Answer: WebhookVerified.
type VerifyWebhook struct {
	Mode        string `json:"mode"`
	VerifyToken string `json:"verifyToken"`
	Challenge   string `json:"challenge"`
}

// WebhookVerified is what Meta wants to hear.
type WebhookVerified struct {
	Challenge string `json:"challenge"`
}

// Subject is threads.ask.webhook.receive.
func (ReceiveWebhook) Subject() string { return ask("webhook", "receive") }

// Subject is threads.ask.webhook.shake_hands.
func (VerifyWebhook) Subject() string { return ask("webhook", "shake_hands") }
