// Package webhooks answers what is asked of users' own webhooks.
package webhooks

import (
	"context"
	"net/http"
	"net/url"

	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/command"
	"github.com/omni-write/threads/services/gateway/signin"
)

// RouteWebhooks is where webhooks are.
const RouteWebhooks = "/api/threads/webhooks"

// Handlers answer what is asked of users' own webhooks.
type Handlers struct{ Bus *bus.Bus }

// NewWebhook is what a webhook is made of.
type NewWebhook struct {
	URL         string   `json:"url" maxLength:"2048" doc:"Where to: a public https address."`
	Description string   `json:"description,omitempty" doc:"A word for yourself, up to 200 characters."`
	Facts       []string `json:"facts,omitempty" maxItems:"100" doc:"Only these facts, as post.published or published. Left out: all but post.imported, which an import tells by the thousand."`
	AccountID   string   `json:"accountId,omitempty" maxLength:"128" doc:"Only facts of this account. Left out: of all."`
}

// WebhookChange is what may be changed of one. What is left out stays.
type WebhookChange struct {
	URL         *string             `json:"url,omitempty" maxLength:"2048"`
	Description *string             `json:"description,omitempty"`
	Facts       *[]string           `json:"facts,omitempty" maxItems:"100"`
	AccountID   *string             `json:"accountId,omitempty" maxLength:"128" doc:"Empty for all accounts."`
	Status      *asks.WebhookStatus `json:"status,omitempty" enum:"active,paused"`
}

// WebhookID names a webhook in the path. It is exported, like Change, because huma looks into exported fields only.
type WebhookID struct {
	ID string `path:"id" doc:"The webhook's id."`
}

type webhookOutput struct {
	Status   int
	Location string `header:"Location"`
	Body     asks.Webhook
}

type createWebhookInput struct {
	command.Idempotent
	Body NewWebhook
}

// CreateWebhook makes a webhook. Its secret is in this answer and in no other.
func (h *Handlers) CreateWebhook(ctx context.Context, in *createWebhookInput) (*webhookOutput, error) {
	made, err := bus.Ask[asks.Webhook](ctx, h.Bus, asks.CreateWebhook{
		UserID: signin.UserOf(ctx), Key: in.IdempotencyKey, URL: in.Body.URL, Description: in.Body.Description,
		Facts: in.Body.Facts, AccountID: in.Body.AccountID,
	})
	if err != nil {
		return nil, err
	}
	return &webhookOutput{Status: http.StatusCreated, Location: RouteWebhooks + "/" + url.PathEscape(made.ID), Body: made}, nil
}

// answer asks a question whose answer is a webhook.
func (h *Handlers) answer(ctx context.Context, q asks.Question) (*webhookOutput, error) {
	hook, err := bus.Ask[asks.Webhook](ctx, h.Bus, q)
	if err != nil {
		return nil, err
	}
	return &webhookOutput{Status: http.StatusOK, Body: hook}, nil
}

type webhooksOutput struct{ Body []asks.Webhook }

// ListWebhooks shows all of them.
func (h *Handlers) ListWebhooks(ctx context.Context, _ *struct{}) (*webhooksOutput, error) {
	list, err := bus.Ask[asks.WebhookList](ctx, h.Bus, asks.ListWebhooks{UserID: signin.UserOf(ctx)})
	if err != nil {
		return nil, err
	}
	return &webhooksOutput{Body: list.Webhooks}, nil
}

// GetWebhook shows one.
func (h *Handlers) GetWebhook(ctx context.Context, in *WebhookID) (*webhookOutput, error) {
	return h.answer(ctx, asks.GetWebhook{UserID: signin.UserOf(ctx), ID: in.ID})
}

type editWebhookInput struct {
	WebhookID
	Body WebhookChange
}

// EditWebhook changes one.
func (h *Handlers) EditWebhook(ctx context.Context, in *editWebhookInput) (*webhookOutput, error) {
	b := in.Body
	return h.answer(ctx, asks.UpdateWebhook{
		UserID: signin.UserOf(ctx), ID: in.ID,
		URL: b.URL, Description: b.Description, Facts: b.Facts, AccountID: b.AccountID, Status: b.Status,
	})
}

// DeleteWebhook takes one away.
func (h *Handlers) DeleteWebhook(ctx context.Context, in *WebhookID) (*webhookOutput, error) {
	return h.answer(ctx, asks.DeleteWebhook{UserID: signin.UserOf(ctx), ID: in.ID})
}

// RotateWebhook gives a webhook a new secret; it is in this answer and in no other.
func (h *Handlers) RotateWebhook(ctx context.Context, in *WebhookID) (*webhookOutput, error) {
	return h.answer(ctx, asks.RotateWebhook{UserID: signin.UserOf(ctx), ID: in.ID})
}

type deliveryOutput struct {
	Status int
	Body   asks.WebhookDelivery
}

// TestWebhook sends one a test.
func (h *Handlers) TestWebhook(ctx context.Context, in *WebhookID) (*deliveryOutput, error) {
	d, err := bus.Ask[asks.WebhookDelivery](ctx, h.Bus, asks.TestWebhook{UserID: signin.UserOf(ctx), ID: in.ID})
	if err != nil {
		return nil, err
	}
	return &deliveryOutput{Status: http.StatusAccepted, Body: d}, nil
}

type resendInput struct {
	WebhookID
	DeliveryID string `path:"deliveryId" doc:"The delivery's id."`
}

// ResendDelivery sends something once more.
func (h *Handlers) ResendDelivery(ctx context.Context, in *resendInput) (*deliveryOutput, error) {
	question := asks.ResendDelivery{UserID: signin.UserOf(ctx), ID: in.ID, DeliveryID: in.DeliveryID}
	d, err := bus.Ask[asks.WebhookDelivery](ctx, h.Bus, question)
	if err != nil {
		return nil, err
	}
	return &deliveryOutput{Status: http.StatusAccepted, Body: d}, nil
}

type deliveriesInput struct {
	WebhookID
	Limit int    `query:"limit" minimum:"1" maximum:"200" doc:"1 to 200; usually 50."`
	After string `query:"after" doc:"The cursor of the page before, its next."`
}

type deliveriesOutput struct{ Body asks.WebhookDeliveries }

// ListDeliveries shows what was sent to one.
func (h *Handlers) ListDeliveries(ctx context.Context, in *deliveriesInput) (*deliveriesOutput, error) {
	question := asks.ListDeliveries{UserID: signin.UserOf(ctx), ID: in.ID, Limit: in.Limit, After: in.After}
	page, err := bus.Ask[asks.WebhookDeliveries](ctx, h.Bus, question)
	if err != nil {
		return nil, err
	}
	return &deliveriesOutput{Body: page}, nil
}
