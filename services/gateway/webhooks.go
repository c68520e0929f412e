package gateway

import (
	"context"
	"net/http"
	"net/url"

	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
)

const routeWebhooks = "/api/threads/webhooks"

// webhookHandlers answer what is asked of users' own webhooks.
type webhookHandlers struct{ bus *bus.Bus }

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
	Idempotent
	Body NewWebhook
}

// createWebhook makes a webhook. Its secret is in this answer and in no other.
func (h *webhookHandlers) createWebhook(ctx context.Context, in *createWebhookInput) (*webhookOutput, error) {
	made, err := bus.Ask[asks.Webhook](ctx, h.bus, asks.CreateWebhook{
		UserID: userOf(ctx), Key: in.IdempotencyKey, URL: in.Body.URL, Description: in.Body.Description,
		Facts: in.Body.Facts, AccountID: in.Body.AccountID,
	})
	if err != nil {
		return nil, err
	}
	return &webhookOutput{Status: http.StatusCreated, Location: routeWebhooks + "/" + url.PathEscape(made.ID), Body: made}, nil
}

// answer asks a question whose answer is a webhook.
func (h *webhookHandlers) answer(ctx context.Context, q asks.Question) (*webhookOutput, error) {
	hook, err := bus.Ask[asks.Webhook](ctx, h.bus, q)
	if err != nil {
		return nil, err
	}
	return &webhookOutput{Status: http.StatusOK, Body: hook}, nil
}

type webhooksOutput struct{ Body []asks.Webhook }

func (h *webhookHandlers) listWebhooks(ctx context.Context, _ *struct{}) (*webhooksOutput, error) {
	list, err := bus.Ask[asks.WebhookList](ctx, h.bus, asks.ListWebhooks{UserID: userOf(ctx)})
	if err != nil {
		return nil, err
	}
	return &webhooksOutput{Body: list.Webhooks}, nil
}

func (h *webhookHandlers) getWebhook(ctx context.Context, in *WebhookID) (*webhookOutput, error) {
	return h.answer(ctx, asks.GetWebhook{UserID: userOf(ctx), ID: in.ID})
}

type editWebhookInput struct {
	WebhookID
	Body WebhookChange
}

func (h *webhookHandlers) editWebhook(ctx context.Context, in *editWebhookInput) (*webhookOutput, error) {
	b := in.Body
	return h.answer(ctx, asks.UpdateWebhook{
		UserID: userOf(ctx), ID: in.ID,
		URL: b.URL, Description: b.Description, Facts: b.Facts, AccountID: b.AccountID, Status: b.Status,
	})
}

func (h *webhookHandlers) deleteWebhook(ctx context.Context, in *WebhookID) (*webhookOutput, error) {
	return h.answer(ctx, asks.DeleteWebhook{UserID: userOf(ctx), ID: in.ID})
}

// rotateWebhook gives a webhook a new secret; it is in this answer and in no other.
func (h *webhookHandlers) rotateWebhook(ctx context.Context, in *WebhookID) (*webhookOutput, error) {
	return h.answer(ctx, asks.RotateWebhook{UserID: userOf(ctx), ID: in.ID})
}

type deliveryOutput struct {
	Status int
	Body   asks.WebhookDelivery
}

func (h *webhookHandlers) testWebhook(ctx context.Context, in *WebhookID) (*deliveryOutput, error) {
	d, err := bus.Ask[asks.WebhookDelivery](ctx, h.bus, asks.TestWebhook{UserID: userOf(ctx), ID: in.ID})
	if err != nil {
		return nil, err
	}
	return &deliveryOutput{Status: http.StatusAccepted, Body: d}, nil
}

type resendInput struct {
	WebhookID
	DeliveryID string `path:"deliveryId" doc:"The delivery's id."`
}

func (h *webhookHandlers) resendDelivery(ctx context.Context, in *resendInput) (*deliveryOutput, error) {
	question := asks.ResendDelivery{UserID: userOf(ctx), ID: in.ID, DeliveryID: in.DeliveryID}
	d, err := bus.Ask[asks.WebhookDelivery](ctx, h.bus, question)
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

func (h *webhookHandlers) listDeliveries(ctx context.Context, in *deliveriesInput) (*deliveriesOutput, error) {
	question := asks.ListDeliveries{UserID: userOf(ctx), ID: in.ID, Limit: in.Limit, After: in.After}
	page, err := bus.Ask[asks.WebhookDeliveries](ctx, h.bus, question)
	if err != nil {
		return nil, err
	}
	return &deliveriesOutput{Body: page}, nil
}
