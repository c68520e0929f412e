package meta

import (
	"context"
	"time"

	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
)

const (
	// webhookWithin is how long Meta is kept waiting; it gives up after some twenty seconds and comes again.
	webhookWithin = 15 * time.Second
	// MaxWebhook is the most that a webhook may have: it travels to auth in one message, as base64.
	MaxWebhook = 640 << 10
)

type confirmWebhookInput struct {
	Mode        string `query:"hub.mode" doc:"subscribe"`
	VerifyToken string `query:"hub.verify_token" doc:"The word that was agreed in the app's dashboard."`
	Challenge   string `query:"hub.challenge" doc:"What to answer."`
}

type confirmWebhookOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

// ConfirmWebhook answers Meta's handshake with the bare challenge. Auth knows the token.
func (h *Handlers) ConfirmWebhook(ctx context.Context, in *confirmWebhookInput) (*confirmWebhookOutput, error) {
	question := asks.VerifyWebhook{Mode: in.Mode, VerifyToken: in.VerifyToken, Challenge: in.Challenge}
	hand, err := bus.Ask[asks.WebhookVerified](ctx, h.Bus, question)
	if err != nil {
		return nil, err
	}
	return &confirmWebhookOutput{ContentType: "text/plain; charset=utf-8", Body: []byte(hand.Challenge)}, nil
}

type receiveWebhookInput struct {
	Signature string `header:"X-Hub-Signature-256" doc:"sha256= and the HMAC of the body, in hex."`
	RawBody   []byte `contentType:"application/json"`
}

type receiveWebhookOutput struct{ Body asks.WebhookReceived }

// ReceiveWebhook hands on what Meta sent, byte for byte: the signature is of the bytes. 200 means that it is on disk.
// Anything else makes Meta send it again, for a day and a half.
func (h *Handlers) ReceiveWebhook(ctx context.Context, in *receiveWebhookInput) (*receiveWebhookOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, webhookWithin)
	defer cancel()
	got, err := bus.Ask[asks.WebhookReceived](ctx, h.Bus, asks.ReceiveWebhook{Body: in.RawBody, Signature: in.Signature})
	if err != nil {
		return nil, err
	}
	return &receiveWebhookOutput{Body: got}, nil
}
