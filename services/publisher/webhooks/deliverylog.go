package webhooks

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/wire"
)

const (
	defaultDeliveries = 50
	maxDeliveries     = 200
	maxAttempts       = 20 // shown of a delivery
)

// ListDeliveries lists what was sent to a webhook, the latest first.
func (s *Service) ListDeliveries(ctx context.Context, q asks.ListDeliveries) (asks.WebhookDeliveries, error) {
	h, err := s.find(ctx, s.side, q.UserID, q.ID, false)
	if err != nil {
		return asks.WebhookDeliveries{}, err
	}
	limit := q.Limit
	if limit == 0 {
		limit = defaultDeliveries
	}
	if limit < 1 || limit > maxDeliveries {
		sentence := fmt.Sprintf("limit is from 1 to %d.", maxDeliveries)
		return asks.WebhookDeliveries{}, events.Faultf(events.Invalid, "%s", sentence).At("/limit", "out_of_range", sentence)
	}
	var rows []delivery
	sel := s.side.NewSelect().Model(&rows).ExcludeColumn("payload").Where("endpoint_id = ?", h.ID)
	if q.After != "" {
		at, id, ok := readCursor(q.After)
		if !ok {
			const sentence = "This cursor is not one of ours; take it from the page before."
			return asks.WebhookDeliveries{}, events.Faultf(events.Invalid, sentence).At("/after", "cursor_invalid", sentence)
		}
		sel = sel.Where("(created_at, id) < (?, ?)", at, id)
	}
	if err := sel.Order("created_at DESC", "id DESC").Limit(int64(limit) + 1).Scan(ctx); err != nil {
		return asks.WebhookDeliveries{}, fmt.Errorf("list deliveries: %w", err)
	}
	ids := make([]string, min(len(rows), limit))
	for i := range ids {
		ids[i] = rows[i].ID
	}
	tried, err := s.attempts(ctx, ids...)
	if err != nil {
		return asks.WebhookDeliveries{}, err
	}
	page := asks.WebhookDeliveries{Deliveries: make([]asks.WebhookDelivery, len(ids))}
	for i, id := range ids {
		page.Deliveries[i] = rows[i].view(tried[id])
	}
	fit, _, err := wire.Fit(page.Deliveries, wire.PageBytes)
	if err != nil {
		return asks.WebhookDeliveries{}, err
	}
	page.Deliveries = page.Deliveries[:fit]
	if fit < len(rows) {
		last := rows[fit-1]
		page.Next = base64.RawURLEncoding.EncodeToString([]byte(last.CreatedAt.UTC().Format(time.RFC3339Nano) + " " + last.ID))
	}
	return page, nil
}

func readCursor(cursor string) (at time.Time, id string, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return at, "", false
	}
	left, id, _ := strings.Cut(string(b), " ")
	at, err = time.Parse(time.RFC3339Nano, left)
	return at, id, err == nil && events.IsDeliveryID(id)
}

// attempts reads the latest attempts of deliveries, the oldest first.
func (s *Service) attempts(ctx context.Context, ids ...string) (map[string][]attempt, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var rows []attempt
	err := s.side.NewRaw(`SELECT a.* FROM unnest(ARRAY[?]::text[]) AS d (id) CROSS JOIN LATERAL (
			SELECT * FROM webhook_attempts WHERE delivery_id = d.id ORDER BY id DESC LIMIT ?
		) AS a ORDER BY a.id`, bun.List(ids), maxAttempts).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	m := map[string][]attempt{}
	for _, a := range rows {
		m[a.DeliveryID] = append(m[a.DeliveryID], a)
	}
	return m, nil
}

// view is the delivery as the webhook's owner may see it.
func (d *delivery) view(tried []attempt) asks.WebhookDelivery {
	v := asks.WebhookDelivery{
		ID: d.ID, EventID: d.EventID, EventType: d.EventType, Status: d.Status, Attempts: d.Attempts,
		NextTry: optional(d.NextTry), CreatedAt: d.CreatedAt.UTC(), Log: []asks.WebhookAttempt{},
	}
	for _, a := range tried {
		v.Log = append(v.Log, asks.WebhookAttempt{
			At: a.At.UTC(), StatusCode: a.StatusCode, Message: a.Message, TookMs: a.TookMs,
		})
	}
	return v
}
