package webhooks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/pg"
)

// Deliveries under way: of one webhook, and of all. Those to webhooks that fail have places of their own, so that however
// many of them are dead, and however slowly they die, the others never wait for a place.
const (
	perWebhook    = 4
	perIllWebhook = 1
	wellAtOnce    = 128
	illAtOnce     = 64
)

var deliveries = promauto.NewCounterVec(prometheus.CounterOpts{
	Name: "threads_webhook_attempts_total", Help: "Attempts to deliver to webhooks, by outcome.",
}, []string{"outcome"})

// deliver delivers what is due, until ctx ends.
func (s *Service) deliver(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.LookEvery)
	defer tick.Stop()
	for {
		for _, ill := range []bool{false, true} {
			if err := s.round(ctx, ill); err != nil && ctx.Err() == nil {
				s.log.Warn("webhooks could not be looked through", zap.Error(err))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.nudge:
		case <-tick.C:
		}
	}
}

// round takes what is due and has room, and sends it on its way.
func (s *Service) round(ctx context.Context, ill bool) error {
	each, most := perWebhook, wellAtOnce
	if ill {
		each, most = perIllWebhook, illAtOnce
	}
	s.mu.Lock()
	room := most - s.well
	if ill {
		room = most - s.ill
	}
	var full []string
	for id := range s.flows { // one that is at it gets more when it is through: its own end looks again
		full = append(full, id)
	}
	s.mu.Unlock()
	if room <= 0 {
		return nil
	}
	list, err := s.claim(ctx, ill, each, room, full)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		d := &list[i]
		s.flows[d.EndpointID]++
		s.count(ill, 1)
		s.busy.Go(func() {
			s.attempt(context.WithoutCancel(ctx), d) // what was begun is noted, whoever is told to stop
			s.mu.Lock()
			defer s.mu.Unlock()
			s.count(ill, -1)
			if s.flows[d.EndpointID]--; s.flows[d.EndpointID] == 0 {
				delete(s.flows, d.EndpointID)
			}
			s.look()
		})
	}
	return nil
}

// count keeps the number of deliveries under way. The caller holds the lock.
func (s *Service) count(ill bool, n int) {
	if ill {
		s.ill += n
	} else {
		s.well += n
	}
}

// attempt tries a delivery once, and notes what came of it.
func (s *Service) attempt(ctx context.Context, d *due) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout+leaseFor/2)
	defer cancel()
	began := s.now()
	a := answer{message: "The webhook's secret cannot be read here; give it a new one."}
	if secrets, err := s.secrets(d); err != nil {
		s.log.Error("a webhook's secret does not open", zap.String("webhook_id", d.EndpointID), zap.Error(err))
	} else if a, err = s.post(ctx, d, secrets); err != nil {
		s.log.Error("a webhook's delivery cannot be signed", zap.String("webhook_id", d.EndpointID), zap.Error(err))
		a.message = "The webhook's secret cannot be read here; give it a new one."
	}
	if err := s.note(ctx, d, a, began); err != nil { // its lease ends, and it is tried again
		s.log.Warn("what came of a delivery could not be noted", zap.String("delivery_id", d.ID), zap.Error(err))
	}
}

// secrets are those that sign a delivery now, the newest first.
func (s *Service) secrets(d *due) ([]string, error) {
	newest, err := s.vault.Open(sealedFor(d.EndpointID), d.Secret)
	if err != nil {
		return nil, err
	}
	secrets := []string{newest.Reveal()}
	if len(d.OldSecret) > 0 && d.OldUntil.After(s.now()) {
		old, err := s.vault.Open(sealedFor(d.EndpointID), d.OldSecret)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, old.Reveal())
	}
	return secrets, nil
}

// note writes down a try: in the delivery, in its log, and in the webhook, which is well again with any success.
func (s *Service) note(ctx context.Context, d *due, a answer, began time.Time) error {
	now := s.now()
	took := float64(now.Sub(began).Microseconds()) / 1000
	log := attempt{DeliveryID: d.ID, At: began, Message: a.message, TookMs: took}
	if a.status != 0 {
		log.StatusCode = &a.status
	}
	q := s.db.NewUpdate().Model((*delivery)(nil)).Set("attempts = attempts + 1, lease = NULL, lease_until = NULL").
		Where("id = ? AND lease = ?", d.ID, d.Lease)
	outcome := "delivered"
	switch next := now.Add(s.wait(d.Failures+1, a.retryAfter)); {
	case a.ok():
		q = q.Set("status = ?, next_try = NULL, failures = 0", statusDelivered)
	case next.After(d.TryFrom.Add(s.cfg.GiveUpAfter)):
		outcome = "given_up"
		q = q.Set("status = ?, next_try = NULL, failures = failures + 1", statusFailed)
	default:
		outcome = "failed"
		q = q.Set("next_try = ?, failures = failures + 1", next)
	}
	deliveries.WithLabelValues(outcome).Inc()
	return pg.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		res, err := q.Conn(tx).Exec(ctx)
		if err != nil {
			return fmt.Errorf("note a delivery: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err // sent again by its owner, or gone with its webhook
		}
		if _, err := tx.NewInsert().Model(&log).Exec(ctx); err != nil {
			return fmt.Errorf("note an attempt: %w", err)
		}
		return s.noteHealth(ctx, tx, d, a, now)
	})
}

// noteHealth keeps since when a webhook fails, and disables it when that is too long, or when it says that it is gone.
func (s *Service) noteHealth(ctx context.Context, tx bun.Tx, d *due, a answer, now time.Time) error {
	q := tx.NewUpdate().Model((*hook)(nil)).Where("id = ?", d.EndpointID)
	switch {
	case a.ok() && d.FailingSince.IsZero():
		return nil // as nearly always: no row is written twice a second
	case a.ok():
		q = q.Set("failing_since = NULL")
	case a.status == http.StatusGone:
		q = disable(q, "It answered 410: the address is gone.", now).Set("failing_since = coalesce(failing_since, ?)", now)
	case !d.FailingSince.IsZero() && now.Sub(d.FailingSince) >= s.cfg.DisableAfter:
		since := d.FailingSince.UTC().Format(time.RFC3339)
		q = disable(q, fmt.Sprintf("Nothing could be delivered since %s; mend it and make it active again.", since), now)
	default:
		q = q.Set("failing_since = coalesce(failing_since, ?)", now)
	}
	if _, err := q.Exec(ctx); err != nil {
		return fmt.Errorf("note a webhook's health: %w", err)
	}
	return nil
}

func disable(q *bun.UpdateQuery, reason string, now time.Time) *bun.UpdateQuery {
	return q.Set("status = ?, reason = ?, updated_at = ?", events.WebhookDisabled, reason, now).
		Where("status = ?", events.WebhookActive)
}

// wait is the pause after the nth failure in a row: four times the one before, a fifth more or less, so that those who
// failed together do not come back together. A receiver that asks for more time gets it.
func (s *Service) wait(n int, retryAfter string) time.Duration {
	pause := s.cfg.FirstRetry
	for range n - 1 {
		if pause *= 4; pause >= s.cfg.LongestRetry {
			break
		}
	}
	pause = min(pause, s.cfg.LongestRetry)
	pause += time.Duration((rand.Float64() - 0.5) * 0.4 * float64(pause)) //nolint:gosec // no secret
	if seconds, err := strconv.Atoi(retryAfter); err == nil && seconds > 0 {
		pause = max(pause, min(time.Duration(seconds)*time.Second, s.cfg.LongestRetry))
	}
	return pause
}
