package webhooks

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
)

// webhook is a row of webhook_endpoints.
type webhook struct {
	bun.BaseModel `bun:"table:webhook_endpoints,alias:hook"`

	ID           string             `bun:"id,pk"`
	UserID       string             `bun:"user_id"`
	URL          string             `bun:"url"`
	Description  string             `bun:"description"`
	Facts        []string           `bun:"facts,array"`
	AccountID    string             `bun:"account_id"`
	Secret       []byte             `bun:"secret"`
	OldSecret    []byte             `bun:"old_secret"`
	OldUntil     time.Time          `bun:"old_until,nullzero"`
	Status       asks.WebhookStatus `bun:"status"`
	Reason       string             `bun:"reason"`
	FailingSince time.Time          `bun:"failing_since,nullzero"`
	CreatedAt    time.Time          `bun:"created_at"`
	UpdatedAt    time.Time          `bun:"updated_at"`
}

// clockSkew is how far the clocks of the process that emitted an event and of this one may be apart.
const clockSkew = 5 * time.Second

// wants says whether an event is for this webhook. One emitted before the webhook was made is not. An import emits
// thousands of events about posts of long ago: only a webhook that names them gets those.
func (h *webhook) wants(user, account, typ string, at time.Time) bool {
	name := events.NameOf(typ)
	asked := slices.Contains(h.Facts, name) || len(h.Facts) == 0 && name != events.NameOf(events.PostImported{}.Type())
	return asked && h.UserID == user && (h.AccountID == "" || h.AccountID == account) && !at.Before(h.CreatedAt.Add(-clockSkew))
}

// view is the webhook as its owner may see it, without its secret.
func (h *webhook) view(now time.Time) asks.Webhook {
	w := asks.Webhook{
		ID: h.ID, URL: h.URL, Description: h.Description, Facts: h.Facts, AccountID: h.AccountID, Status: h.Status, Reason: h.Reason,
		CreatedAt: h.CreatedAt.UTC(), UpdatedAt: h.UpdatedAt.UTC(),
	}
	if w.Facts == nil {
		w.Facts = []string{}
	}
	w.FailingSince = optional(h.FailingSince)
	if h.OldUntil.After(now) {
		w.OldSecretUntil = optional(h.OldUntil)
	}
	return w
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// The statuses of a delivery.
const (
	statusWaiting   = "waiting"
	statusDelivered = "delivered"
	statusFailed    = "failed"
)

// delivery is a row of webhook_deliveries.
type delivery struct {
	bun.BaseModel `bun:"table:webhook_deliveries,alias:delivery"`

	ID         string    `bun:"id,pk"`
	EndpointID string    `bun:"endpoint_id"`
	EventID    string    `bun:"event_id"`
	EventType  string    `bun:"event_type"`
	Payload    []byte    `bun:"payload"`
	Status     string    `bun:"status"`
	Attempts   int       `bun:"attempts"`
	Failures   int       `bun:"failures"` // in a row, since it was made or sent again
	NextTry    time.Time `bun:"next_try,nullzero"`
	Lease      string    `bun:"lease,nullzero"`
	LeaseUntil time.Time `bun:"lease_until,nullzero"`
	CreatedAt  time.Time `bun:"created_at"`
	TryFrom    time.Time `bun:"try_from"` // from when the days of trying count
}

// attempt is a row of webhook_attempts.
type attempt struct {
	bun.BaseModel `bun:"table:webhook_attempts,alias:attempt"`

	ID         int64     `bun:"id,pk,autoincrement"`
	DeliveryID string    `bun:"delivery_id"`
	At         time.Time `bun:"at"`
	StatusCode *int      `bun:"status_code"`
	Message    string    `bun:"message"`
	TookMs     float64   `bun:"took_ms"`
}

func newDelivery(endpoint, event, typ string, payload []byte, now time.Time) delivery {
	return delivery{
		ID: events.DeliveryIDFor(endpoint, event), EndpointID: endpoint, EventID: event, EventType: typ, Payload: payload,
		Status: statusWaiting, NextTry: now, CreatedAt: now, TryFrom: now,
	}
}

// insert writes deliveries; those that are there already stay as they are.
func (s *Service) insert(ctx context.Context, rows ...delivery) error {
	if len(rows) == 0 {
		return nil
	}
	// A webhook that was deleted meanwhile fails the whole insert; the events come again, and it is not found then.
	_, err := s.db.NewInsert().Model(&rows).On("CONFLICT (id) DO NOTHING").Exec(ctx)
	if err != nil {
		return fmt.Errorf("save deliveries: %w", err)
	}
	return nil
}

// claimed is a delivery that this process leases, with the columns of its webhook that an attempt needs.
type claimed struct {
	delivery

	URL          string    `bun:"url"`
	Secret       []byte    `bun:"secret"`
	OldSecret    []byte    `bun:"old_secret"`
	OldUntil     time.Time `bun:"old_until,nullzero"`
	FailingSince time.Time `bun:"failing_since,nullzero"`
}

// leaseFor is how much longer than an attempt's time limit a delivery is leased.
const leaseFor = 30 * time.Second

// claim leases deliveries that are due, a few of each webhook that has none under way: however many wait for one that is
// down, those of the others are found. failing says which webhooks are meant.
func (s *Service) claim(ctx context.Context, failing bool, each, most int, full []string) ([]claimed, error) {
	now := s.now()
	condition := "e.failing_since IS NULL"
	if failing {
		condition = "e.failing_since IS NOT NULL"
	}
	var list []claimed
	err := s.db.NewRaw(`WITH found AS MATERIALIZED (
			SELECT d.id FROM webhook_endpoints AS e CROSS JOIN LATERAL (
				SELECT id, next_try FROM webhook_deliveries AS d
				WHERE d.endpoint_id = e.id AND d.next_try <= ? AND (d.lease_until IS NULL OR d.lease_until < ?)
				ORDER BY d.next_try LIMIT ? FOR UPDATE SKIP LOCKED
			) AS d
			WHERE e.status = 'active' AND `+condition+` AND NOT e.id IN (?)
			ORDER BY d.next_try LIMIT ?
		)
		UPDATE webhook_deliveries AS d SET lease = ?, lease_until = ?
		FROM found, webhook_endpoints AS e WHERE d.id = found.id AND e.id = d.endpoint_id
		RETURNING d.id, d.endpoint_id, d.event_id, d.event_type, d.payload, d.status, d.attempts, d.failures, d.next_try, d.lease,
			d.lease_until, d.created_at, d.try_from, e.url, e.secret, e.old_secret, e.old_until, e.failing_since`,
		now, now, each, bun.List(append(full, "")), most, uuid.NewString(), now.Add(s.cfg.Timeout+leaseFor)).Scan(ctx, &list)
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	return list, nil
}

// deleteOld deletes deliveries older than Config.Keep, finished or not.
func (s *Service) deleteOld(ctx context.Context) error {
	_, err := s.db.NewDelete().Model((*delivery)(nil)).
		Where("created_at < ? AND try_from < ?", s.now().Add(-s.cfg.Keep), s.now().Add(-s.cfg.Keep)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("delete old deliveries: %w", err)
	}
	return nil
}

// Erase deletes the deliveries of an account's events. The event that the account was erased is still delivered.
func (s *Service) Erase(ctx context.Context, db bun.IDB, userID, accountID string) error {
	_, err := db.NewDelete().Model((*delivery)(nil)).
		Where("endpoint_id IN (SELECT id FROM webhook_endpoints WHERE user_id = ?)", userID).
		Where("event_type <> ?", (events.AccountErased{}).Type()).
		Where("position(convert_to(?, 'UTF8') IN payload) > 0", accountID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("erase deliveries: %w", err)
	}
	return nil
}

// find reads a user's webhook. A foreign one answers like a missing one.
func (s *Service) find(ctx context.Context, db bun.IDB, user, id string, lock bool) (webhook, error) {
	var h webhook
	q := db.NewSelect().Model(&h).Where("id = ? AND user_id = ?", id, user)
	if lock {
		q = q.For("UPDATE")
	}
	err := sql.ErrNoRows
	if events.IsWebhookID(id) {
		err = q.Scan(ctx)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return h, events.Faultf(events.NotFound, "There is no webhook with this id among yours.")
	}
	if err != nil {
		return h, fmt.Errorf("read a webhook: %w", err)
	}
	return h, nil
}
