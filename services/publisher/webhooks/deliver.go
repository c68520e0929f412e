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

	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/pg"
)

// Deliveries under way: to one webhook, and to all. Failing webhooks have slots of their own, so that a healthy webhook never
// waits for a slot, however many others fail and however slowly their attempts time out.
const (
	perWebhook        = 4
	perFailingWebhook = 1
	healthyAtOnce     = 128
	failingAtOnce     = 64
)

var deliveries = promauto.NewCounterVec(prometheus.CounterOpts{
	Name: "threads_webhook_attempts_total", Help: "Attempts to deliver to webhooks, by outcome.",
}, []string{"outcome"})

// deliver delivers what is due, until ctx ends.
func (s *Service) deliver(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.LookEvery)
	defer tick.Stop()
	for {
		for _, failing := range []bool{false, true} {
			if err := s.startDue(ctx, failing); err != nil && ctx.Err() == nil {
				s.log.Warn("deliveries that are due could not be read", zap.Error(err))
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

// startDue claims as many due deliveries as there are free slots, and starts an attempt of each.
func (s *Service) startDue(ctx context.Context, failing bool) error {
	each, most := perWebhook, healthyAtOnce
	if failing {
		each, most = perFailingWebhook, failingAtOnce
	}
	s.mu.Lock()
	room := most - s.healthy
	if failing {
		room = most - s.failing
	}
	var full []string
	for id := range s.inFlight { // a webhook with attempts under way gets more when they end: each end wakes this loop
		full = append(full, id)
	}
	s.mu.Unlock()
	if room <= 0 {
		return nil
	}
	list, err := s.claim(ctx, failing, each, room, full)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		d := &list[i]
		s.inFlight[d.EndpointID]++
		s.count(failing, 1)
		s.running.Go(func() {
			s.attempt(context.WithoutCancel(ctx), d) // an attempt that was begun is finished and saved, even when the process is told to stop
			s.mu.Lock()
			defer s.mu.Unlock()
			s.count(failing, -1)
			if s.inFlight[d.EndpointID]--; s.inFlight[d.EndpointID] == 0 {
				delete(s.inFlight, d.EndpointID)
			}
			s.wake()
		})
	}
	return nil
}

// count keeps the number of deliveries under way. The caller holds the lock.
func (s *Service) count(failing bool, n int) {
	if failing {
		s.failing += n
	} else {
		s.healthy += n
	}
}

// attempt tries a delivery once, and saves the outcome.
func (s *Service) attempt(ctx context.Context, d *claimed) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout+leaseFor/2)
	defer cancel()
	began := s.now()
	a := response{message: "The webhook's secret cannot be read here; give it a new one."}
	if secrets, err := s.secrets(d); err != nil {
		s.log.Error("a webhook's secret does not open", zap.String("webhook_id", d.EndpointID), zap.Error(err))
	} else if a, err = s.send(ctx, d, secrets); err != nil {
		s.log.Error("a webhook's delivery cannot be signed", zap.String("webhook_id", d.EndpointID), zap.Error(err))
		a.message = "The webhook's secret cannot be read here; give it a new one."
	}
	if err := s.saveOutcome(ctx, d, a, began); err != nil { // its lease ends, and it is tried again
		s.log.Warn("the outcome of a delivery could not be saved", zap.String("delivery_id", d.ID), zap.Error(err))
	}
}

// secrets are those that sign a delivery now, the newest first.
func (s *Service) secrets(d *claimed) ([]string, error) {
	newest, err := s.vault.Open(secretName(d.EndpointID), d.Secret)
	if err != nil {
		return nil, err
	}
	secrets := []string{newest.Reveal()}
	if len(d.OldSecret) > 0 && d.OldUntil.After(s.now()) {
		old, err := s.vault.Open(secretName(d.EndpointID), d.OldSecret)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, old.Reveal())
	}
	return secrets, nil
}

// saveOutcome saves an attempt: in the delivery, in its log, and in the webhook, which is healthy again with any success.
func (s *Service) saveOutcome(ctx context.Context, d *claimed, a response, began time.Time) error {
	now := s.now()
	took := float64(now.Sub(began).Microseconds()) / 1000
	log := attempt{DeliveryID: d.ID, At: began, Message: a.message, TookMs: took}
	if a.status != 0 {
		log.StatusCode = &a.status
	}
	q := s.db.NewUpdate().Model((*delivery)(nil)).Set("attempts = attempts + 1, lease = NULL, lease_until = NULL").
		Where("id = ? AND lease = ?", d.ID, d.Lease)
	outcome := "delivered"
	switch next := now.Add(s.retryDelay(d.Failures+1, a.retryAfter)); {
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
			return fmt.Errorf("save a delivery: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err // sent again by its owner, or deleted with its webhook
		}
		if _, err := tx.NewInsert().Model(&log).Exec(ctx); err != nil {
			return fmt.Errorf("save an attempt: %w", err)
		}
		return s.saveHealth(ctx, tx, d, a, now)
	})
}

// saveHealth keeps since when a webhook fails, and disables it when that is too long, or when it says that it is gone.
func (s *Service) saveHealth(ctx context.Context, tx bun.Tx, d *claimed, a response, now time.Time) error {
	q := tx.NewUpdate().Model((*webhook)(nil)).Where("id = ?", d.EndpointID)
	switch {
	case a.ok() && d.FailingSince.IsZero():
		return nil // the usual case: most attempts write no row of webhook_endpoints
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
		return fmt.Errorf("save a webhook's health: %w", err)
	}
	return nil
}

func disable(q *bun.UpdateQuery, reason string, now time.Time) *bun.UpdateQuery {
	return q.Set("status = ?, reason = ?, updated_at = ?", asks.WebhookDisabled, reason, now).
		Where("status = ?", asks.WebhookActive)
}

// retryDelay is the pause after the nth failure in a row: four times the one before, a fifth more or less, so that those who
// failed together do not come back together. A receiver that asks for more time gets it.
func (s *Service) retryDelay(n int, retryAfter string) time.Duration {
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
