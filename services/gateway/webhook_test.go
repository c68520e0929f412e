package gateway_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
)

func TestWebhook(t *testing.T) {
	t.Parallel()

	t.Run("gives the bare challenge back when auth says so", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		answer(t, h, func(q asks.VerifyWebhook) (asks.WebhookVerified, error) {
			if q.Mode != "subscribe" || q.VerifyToken != "shared" {
				return asks.WebhookVerified{}, events.Faultf(events.Unauthorized, "No.")
			}
			return asks.WebhookVerified{Challenge: q.Challenge}, nil
		})
		const path = "/api/threads/webhook?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
		r := h.do(t, http.MethodGet, path+"shared", "", "Authorization", "")
		if r.status != http.StatusOK || string(r.body) != "1158201444" || !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") {
			t.Errorf("%d %v %s", r.status, r.header, r.body)
		}
		h.do(t, http.MethodGet, path+"guess", "", "Authorization", "").problem(t, http.StatusUnauthorized, "unauthorized")
	})

	t.Run("hands on the bytes as they came", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		const body = " {\"a\":\"\\/\\u00e9\\ud83d\",\"a\":1}\n\x00\xff"
		answer(t, h, func(q asks.ReceiveWebhook) (asks.WebhookReceived, error) {
			if !bytes.Equal(q.Body, []byte(body)) || q.Signature != "sha256=ab" {
				return asks.WebhookReceived{}, events.Faultf(events.Unauthorized, "No.")
			}
			return asks.WebhookReceived{Facts: 1}, nil
		})
		for _, kind := range []string{"application/json", "text/plain", ""} {
			h.do(t, http.MethodPost, "/api/threads/webhook", body, "X-Hub-Signature-256", "sha256=ab", "Authorization", "", "Content-Type", kind).
				is(t, http.StatusOK, nil)
		}
		h.do(t, http.MethodPost, "/api/threads/webhook", body, "X-Hub-Signature-256", "sha256=xx").problem(t, http.StatusUnauthorized, "unauthorized")
		h.do(t, http.MethodPost, "/api/threads/webhook", body).problem(t, http.StatusUnauthorized, "unauthorized")
		h.do(t, http.MethodPost, "/api/threads/webhook", strings.Repeat("x", 700<<10), "X-Hub-Signature-256", "sha256=ab").
			problem(t, http.StatusRequestEntityTooLarge, "too_large")
	})

	t.Run("takes what auth can be asked about, up to its limit", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		answer(t, h, func(q asks.ReceiveWebhook) (asks.WebhookReceived, error) {
			return asks.WebhookReceived{Facts: len(q.Body)}, nil
		})
		var got asks.WebhookReceived
		h.do(t, http.MethodPost, "/api/threads/webhook", strings.Repeat("x", 640<<10), "X-Hub-Signature-256", "sha256=ab").is(t, http.StatusOK, &got)
		if got.Facts != 640<<10 {
			t.Errorf("%+v", got)
		}
	})

	t.Run("answers 503 while auth is away, so that Meta comes again", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		h.do(t, http.MethodPost, "/api/threads/webhook", "{}", "X-Hub-Signature-256", "sha256=ab").problem(t, http.StatusServiceUnavailable, "unavailable")
		h.do(t, http.MethodGet, "/api/threads/webhook?hub.mode=subscribe", "").problem(t, http.StatusServiceUnavailable, "unavailable")
	})
}
