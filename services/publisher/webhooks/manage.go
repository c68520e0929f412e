package webhooks

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/threads"
)

const (
	maxWebhooks    = 20 // of a user
	maxDescription = 200
)

// answerQuestions registers the handlers of owners' questions.
func (s *Service) answerQuestions() error {
	return errors.Join(
		bus.Answer(s.bus, s.CreateWebhook), bus.Answer(s.bus, s.ListWebhooks), bus.Answer(s.bus, s.GetWebhook),
		bus.Answer(s.bus, s.UpdateWebhook), bus.Answer(s.bus, s.DeleteWebhook), bus.Answer(s.bus, s.RotateWebhook),
		bus.Answer(s.bus, s.TestWebhook), bus.Answer(s.bus, s.ListDeliveries), bus.Answer(s.bus, s.ResendDelivery),
	)
}

// secretName names a webhook's secret to the vault: moved to another row it does not open, nor does an account's token.
func secretName(id string) string { return "webhook|" + id }

func (s *Service) seal(id, secret string) ([]byte, error) {
	return s.vault.Seal(secretName(id), threads.Token(secret))
}

// CreateWebhook makes a webhook. Its answer is the only one that ever holds the secret.
func (s *Service) CreateWebhook(ctx context.Context, q asks.CreateWebhook) (asks.Webhook, error) {
	now := s.now().UTC()
	h := webhook{
		ID: events.NewWebhookID(), UserID: q.UserID,
		URL: q.URL, Description: q.Description, Facts: q.Facts, AccountID: q.AccountID,
		Status: asks.WebhookActive, CreatedAt: now, UpdatedAt: now,
	}
	if q.Key != "" {
		h.ID = events.WebhookIDFor(q.UserID, q.Key)
	}
	if err := s.validate(ctx, &h); err != nil {
		return asks.Webhook{}, err
	}
	secret := newSecret()
	var err error
	if h.Secret, err = s.seal(h.ID, secret); err != nil {
		return asks.Webhook{}, err
	}
	made := false
	err = pg.InTx(ctx, s.side, func(ctx context.Context, tx bun.Tx) error {
		made = false
		// One at a time for each user: of several that count at once, all would find room.
		if _, err := tx.NewRaw("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", "webhooks|"+q.UserID).Exec(ctx); err != nil {
			return fmt.Errorf("wait to count webhooks: %w", err)
		}
		n, err := tx.NewSelect().Model((*webhook)(nil)).Where("user_id = ? AND id <> ?", q.UserID, h.ID).Count(ctx)
		if err != nil {
			return fmt.Errorf("count webhooks: %w", err)
		}
		if n >= maxWebhooks {
			return events.Faultf(events.Conflict, "You have %d webhooks, which is the most; delete one before you make another.", n)
		}
		res, err := tx.NewInsert().Model(&h).On("CONFLICT (id) DO NOTHING").Exec(ctx)
		if err != nil {
			return fmt.Errorf("save a webhook: %w", err)
		}
		rows, err := res.RowsAffected()
		made = rows == 1
		return err
	})
	if err != nil {
		return asks.Webhook{}, err
	}
	if !made { // it was made before under this key; its secret was in that answer
		return s.answerRepeat(ctx, &h)
	}
	w := h.view(now)
	w.Secret = secret
	return w, nil
}

// answerRepeat is the answer to a creation that was done before under its key.
func (s *Service) answerRepeat(ctx context.Context, asked *webhook) (asks.Webhook, error) {
	h, err := s.find(ctx, s.side, asked.UserID, asked.ID, false)
	other := h.URL != asked.URL || h.AccountID != asked.AccountID || !slices.Equal(h.Facts, asked.Facts)
	if err == nil && other && h.CreatedAt.Equal(h.UpdatedAt) { // it was not changed since, so this request asks for another webhook
		err = events.Faultf(events.KeyReused, "This Idempotency-Key was used for another webhook; use a new one.")
	}
	return h.view(s.now()), err
}

// validate checks a webhook, and replaces the short names of events by their full ones.
func (s *Service) validate(ctx context.Context, h *webhook) error {
	if sentence := s.addresses.check(h.URL); sentence != "" {
		return badURL(sentence)
	}
	if n := utf8.RuneCountInString(h.Description); n > maxDescription || strings.ContainsRune(h.Description, 0) {
		const sentence = "A description has up to 200 characters; shorten it."
		return events.Faultf(events.Invalid, sentence).At("/description", "description_too_long", sentence)
	}
	names := []string{}
	for i, word := range h.Facts {
		found := events.MatchFacts(word)
		if len(found) == 0 {
			const sentence = "There is no such fact; take names like post.published."
			return events.Faultf(events.Invalid, sentence).At(fmt.Sprintf("/facts/%d", i), "fact_unknown", sentence)
		}
		names = append(names, found...)
	}
	slices.Sort(names)
	h.Facts = slices.Compact(names)
	if h.AccountID == "" {
		return nil
	}
	if strings.ContainsRune(h.AccountID, 0) { // no id has one, and no statement can
		h.AccountID = "-"
	}
	_, err := accounts.Resolve(ctx, s.side, h.UserID, h.AccountID)
	return err
}

// ListWebhooks lists a user's webhooks.
func (s *Service) ListWebhooks(ctx context.Context, q asks.ListWebhooks) (asks.WebhookList, error) {
	var rows []webhook
	if err := s.side.NewSelect().Model(&rows).Where("user_id = ?", q.UserID).Order("created_at", "id").Scan(ctx); err != nil {
		return asks.WebhookList{}, fmt.Errorf("list webhooks: %w", err)
	}
	list := asks.WebhookList{Webhooks: []asks.Webhook{}}
	for i := range rows {
		list.Webhooks = append(list.Webhooks, rows[i].view(s.now()))
	}
	return list, nil
}

// GetWebhook shows one.
func (s *Service) GetWebhook(ctx context.Context, q asks.GetWebhook) (asks.Webhook, error) {
	h, err := s.find(ctx, s.side, q.UserID, q.ID, false)
	if err != nil {
		return asks.Webhook{}, err
	}
	return h.view(s.now()), nil
}

// change reads, changes and writes a webhook under its lock.
func (s *Service) change(
	ctx context.Context, user, id string, fn func(*webhook) error, columns ...string,
) (asks.Webhook, error) {
	var h webhook
	err := pg.InTx(ctx, s.side, func(ctx context.Context, tx bun.Tx) (err error) {
		if h, err = s.find(ctx, tx, user, id, true); err != nil {
			return err
		}
		if err := fn(&h); err != nil {
			return err
		}
		h.UpdatedAt = s.now().UTC()
		_, err = tx.NewUpdate().Model(&h).Column(append(columns, "updated_at")...).Where("id = ?", h.ID).Exec(ctx)
		if err != nil {
			return fmt.Errorf("change a webhook: %w", err)
		}
		return nil
	})
	if err != nil {
		return asks.Webhook{}, err
	}
	s.wake()
	return h.view(s.now()), nil
}

// UpdateWebhook changes one. Making it active again clears its failures, and the deliveries that wait for it are sent.
func (s *Service) UpdateWebhook(ctx context.Context, q asks.UpdateWebhook) (asks.Webhook, error) {
	// Checked before the lock is taken: the check asks about accounts.
	was, err := s.find(ctx, s.side, q.UserID, q.ID, false)
	if err != nil {
		return asks.Webhook{}, err
	}
	applyUpdate(&was, q)
	if err := s.validate(ctx, &was); err != nil {
		return asks.Webhook{}, err
	}
	if q.Status != nil && *q.Status != asks.WebhookActive && *q.Status != asks.WebhookPaused {
		const sentence = "A webhook is made active or paused."
		return asks.Webhook{}, events.Faultf(events.Invalid, sentence).At("/status", "status_unknown", sentence)
	}
	return s.change(ctx, q.UserID, q.ID, func(h *webhook) error {
		applyUpdate(h, q)
		h.Facts = was.Facts // by their full names
		if q.Status != nil {
			h.Status, h.Reason = *q.Status, ""
		}
		if q.Status != nil || q.URL != nil { // the failures were another address's, or its owner says that it works again
			h.FailingSince = time.Time{}
		}
		return nil
	}, "url", "description", "facts", "account_id", "status", "reason", "failing_since")
}

func applyUpdate(h *webhook, q asks.UpdateWebhook) {
	if q.URL != nil {
		h.URL = *q.URL
	}
	if q.Description != nil {
		h.Description = *q.Description
	}
	if q.Facts != nil {
		h.Facts = *q.Facts
	}
	if q.AccountID != nil {
		h.AccountID = *q.AccountID
	}
}

// DeleteWebhook deletes one, with its deliveries, sent or not.
func (s *Service) DeleteWebhook(ctx context.Context, q asks.DeleteWebhook) (asks.Webhook, error) {
	h, err := s.find(ctx, s.side, q.UserID, q.ID, false)
	if err != nil {
		return asks.Webhook{}, err
	}
	err = pg.InTx(ctx, s.side, func(ctx context.Context, tx bun.Tx) error {
		// Deliveries are locked before the webhook, as saveOutcome locks them: the other way round the two would deadlock.
		if _, err := tx.NewDelete().Model((*delivery)(nil)).Where("endpoint_id = ?", q.ID).Exec(ctx); err != nil {
			return err
		}
		_, err := tx.NewDelete().Model((*webhook)(nil)).Where("id = ? AND user_id = ?", q.ID, q.UserID).Exec(ctx)
		return err
	})
	if err != nil {
		return asks.Webhook{}, fmt.Errorf("delete a webhook: %w", err)
	}
	return h.view(s.now()), nil
}

// RotateWebhook gives one a new secret. The previous one signs beside it for a while, so that the receiver can change over
// without missing anything; the one before the previous is dropped at once.
func (s *Service) RotateWebhook(ctx context.Context, q asks.RotateWebhook) (asks.Webhook, error) {
	secret := newSecret()
	w, err := s.change(ctx, q.UserID, q.ID, func(h *webhook) (err error) {
		h.OldSecret, h.OldUntil = h.Secret, s.now().Add(s.cfg.Overlap)
		h.Secret, err = s.seal(h.ID, secret)
		return err
	}, "secret", "old_secret", "old_until")
	if err != nil {
		return asks.Webhook{}, err
	}
	w.Secret = secret
	return w, nil
}

// TestWebhook sends one a test: signed, tried and logged like any other delivery.
func (s *Service) TestWebhook(ctx context.Context, q asks.TestWebhook) (asks.WebhookDelivery, error) {
	h, err := s.find(ctx, s.side, q.UserID, q.ID, false)
	switch {
	case err != nil:
		return asks.WebhookDelivery{}, err
	case h.Status != asks.WebhookActive:
		return asks.WebhookDelivery{}, notActive()
	}
	now := s.now()
	payload, err := payloadOf(events.TypeWebhookTest, now, fmt.Appendf(nil, `{"webhookId":%q,"message":"This is a test."}`, h.ID))
	if err != nil {
		return asks.WebhookDelivery{}, err
	}
	d := newDelivery(h.ID, events.NewTestEventID(), events.TypeWebhookTest, payload, now)
	if err := s.insert(ctx, d); err != nil {
		return asks.WebhookDelivery{}, err
	}
	s.wake()
	return d.view(nil), nil
}

func notActive() error {
	return events.Faultf(events.Conflict, "This webhook is not active, so nothing is sent to it; make it active first.")
}

// ResendDelivery sends something once more, under the same id; its time of trying begins anew.
func (s *Service) ResendDelivery(ctx context.Context, q asks.ResendDelivery) (asks.WebhookDelivery, error) {
	h, err := s.find(ctx, s.side, q.UserID, q.ID, false)
	switch {
	case err != nil:
		return asks.WebhookDelivery{}, err
	case h.Status != asks.WebhookActive:
		return asks.WebhookDelivery{}, notActive()
	}
	var d delivery
	missing := events.Faultf(events.NotFound, "There is no delivery with this id of this webhook.")
	if !events.IsDeliveryID(q.DeliveryID) {
		return asks.WebhookDelivery{}, missing
	}
	now := s.now()
	err = s.side.NewUpdate().Model(&d).Set("status = ?, next_try = ?, failures = 0, try_from = ?", statusWaiting, now, now).
		Set("lease = NULL, lease_until = NULL"). // an attempt under way then saves nothing, and the delivery is sent once more
		Where("id = ? AND endpoint_id = ?", q.DeliveryID, h.ID).Returning("*").Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return asks.WebhookDelivery{}, missing
	}
	if err != nil {
		return asks.WebhookDelivery{}, fmt.Errorf("send again: %w", err)
	}
	s.wake()
	tried, err := s.attempts(ctx, d.ID)
	return d.view(tried[d.ID]), err
}
