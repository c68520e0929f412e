package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	h := setup(t)
	const id, sent = "whk_01jbkq4t00e7x8v5n2m3k9w0ra", "dlv_01jbkq4t00e7x8v5n2m3k9w0ra"
	hook := asks.Webhook{ID: id, URL: "https://hooks.example", Facts: []string{}, Status: asks.WebhookActive}
	missing := events.Faultf(events.NotFound, "There is no webhook with this id among yours.")
	mine := func(user, which string) (asks.Webhook, error) {
		if user != ada || which != id {
			return asks.Webhook{}, missing
		}
		return hook, nil
	}
	answer(t, h, func(q asks.CreateWebhook) (asks.Webhook, error) {
		made, err := mine(q.UserID, id)
		made.URL, made.Facts, made.AccountID, made.Description, made.Secret = q.URL, q.Facts, q.AccountID, q.Description, "whsec_"+q.Key
		return made, err
	})
	answer(t, h, func(q asks.ListWebhooks) (asks.WebhookList, error) {
		return asks.WebhookList{Webhooks: []asks.Webhook{hook}}, nil
	})
	answer(t, h, func(q asks.GetWebhook) (asks.Webhook, error) { return mine(q.UserID, q.ID) })
	answer(t, h, func(q asks.DeleteWebhook) (asks.Webhook, error) { return mine(q.UserID, q.ID) })
	answer(t, h, func(q asks.RotateWebhook) (asks.Webhook, error) {
		turned, err := mine(q.UserID, q.ID)
		turned.Secret = "whsec_new"
		return turned, err
	})
	answer(t, h, func(q asks.UpdateWebhook) (asks.Webhook, error) {
		changed, err := mine(q.UserID, q.ID)
		if q.Status != nil {
			changed.Status = *q.Status
		}
		if q.URL != nil || q.Facts != nil || q.AccountID != nil || q.Description != nil {
			changed.Description = "too much"
		}
		return changed, err
	})
	answer(t, h, func(q asks.TestWebhook) (asks.WebhookDelivery, error) {
		_, err := mine(q.UserID, q.ID)
		return asks.WebhookDelivery{ID: sent, Status: "waiting"}, err
	})
	answer(t, h, func(q asks.ResendDelivery) (asks.WebhookDelivery, error) {
		_, err := mine(q.UserID, q.ID)
		return asks.WebhookDelivery{ID: q.DeliveryID, Status: "waiting"}, err
	})
	answer(t, h, func(q asks.ListDeliveries) (asks.WebhookDeliveries, error) {
		_, err := mine(q.UserID, q.ID)
		return asks.WebhookDeliveries{Deliveries: []asks.WebhookDelivery{{ID: sent, Attempts: q.Limit}}, Next: q.After}, err
	})

	const base = "/api/threads/webhooks"
	var made asks.Webhook
	r := h.do(t, http.MethodPost, base, `{"url":"https://x.example","facts":["published"],"accountId":"acct_1","description":"d"}`, "Idempotency-Key", "k")
	r.is(t, http.StatusCreated, &made)
	if r.header.Get("Location") != base+"/"+id || made.Secret != "whsec_k" || made.URL != "https://x.example" || made.AccountID != "acct_1" || made.Description != "d" {
		t.Errorf("%v %s", r.header, r.body)
	}
	h.do(t, http.MethodPost, base, `{"facts":[]}`).problem(t, 422, "invalid", "/url")
	h.do(t, http.MethodPost, base, `{"url":"https://x","secret":"mine"}`).problem(t, 422, "invalid", "/secret")
	if r := h.do(t, http.MethodGet, base, ""); r.status != http.StatusOK || !strings.HasPrefix(string(r.body), "[{") || strings.Contains(string(r.body), "secret") {
		t.Errorf("%s", r.body)
	}
	h.do(t, http.MethodGet, base+"/"+id, "").is(t, http.StatusOK, nil)
	h.do(t, http.MethodPatch, base+"/"+id, `{"status":"paused"}`).is(t, http.StatusOK, &made)
	if made.Status != asks.WebhookPaused || made.Description != "" {
		t.Errorf("%+v", made)
	}
	h.do(t, http.MethodPatch, base+"/"+id, `{"status":"disabled"}`).problem(t, 422, "invalid", "/status")
	h.do(t, http.MethodPost, base+"/"+id+"/rotate", "").is(t, http.StatusOK, &made)
	if made.Secret != "whsec_new" {
		t.Errorf("%+v", made)
	}
	var d asks.WebhookDelivery
	h.do(t, http.MethodPost, base+"/"+id+"/test", "").is(t, http.StatusAccepted, &d)
	h.do(t, http.MethodPost, base+"/"+id+"/deliveries/"+sent+"/resend", "").is(t, http.StatusAccepted, &d)
	if d.ID != sent {
		t.Errorf("%+v", d)
	}
	var page asks.WebhookDeliveries
	h.do(t, http.MethodGet, base+"/"+id+"/deliveries?limit=7&after=x", "").is(t, http.StatusOK, &page)
	if len(page.Deliveries) != 1 || page.Deliveries[0].Attempts != 7 || page.Next != "x" {
		t.Errorf("%+v", page)
	}
	h.do(t, http.MethodDelete, base+"/"+id, "").is(t, http.StatusOK, nil)
	for _, route := range []string{"GET ", "DELETE ", "POST /rotate", "POST /test", "GET /deliveries", "POST /deliveries/" + sent + "/resend"} {
		method, rest, _ := strings.Cut(route, " ")
		h.do(t, method, base+"/whk_of_eve"+rest, "").problem(t, http.StatusNotFound, "not_found")
	}
}
